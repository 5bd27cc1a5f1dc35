"""What a table file may look like, and what is refused."""

import contextlib
import gzip
import io
from datetime import timedelta

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lib.data.reading import read_table

PLAIN = "sequence,activity\nACGT,1\nCCGT,2\n"


def parquet(frame: pd.DataFrame) -> bytes:
    """Bytes of a Parquet file."""
    buffer = io.BytesIO()
    frame.to_parquet(buffer)
    return buffer.getvalue()


def test_plain_table_needs_no_repair(write_text):
    frame, repairs = read_table(write_text(PLAIN), ["sequence", "activity"])
    assert frame.to_dict("list") == {"sequence": ["ACGT", "CCGT"], "activity": ["1", "2"]}
    assert repairs == {}


@pytest.mark.parametrize("separator", ["\t", ",", ";", "|"])
def test_separator_is_found_whatever_the_name_says(write_text, separator):
    path = write_text(PLAIN.replace(",", separator), "table.txt")
    assert list(read_table(path, ["sequence"])[0].columns) == ["sequence", "activity"]


def test_separator_that_shows_the_named_columns_wins(write_text):
    # Split at commas the header has more columns, split at tabs it has the right ones.
    path = write_text("sequence\tlog2(a,b,c,d)\nACGT\t1\n")
    assert list(read_table(path, ["log2(a,b,c,d)"])[0].columns) == ["sequence", "log2(a,b,c,d)"]


@pytest.mark.parametrize(
    ("content", "repairs"),
    [
        (b"\xef\xbb\xbf" + PLAIN.encode(), {"byte order mark removed": 1}),
        (PLAIN.replace("\n", "\r\n").encode(), {"CRLF line ends": 3}),
        (gzip.compress(PLAIN.encode()), {"gzip unpacked": 1}),
        (PLAIN.replace("1\n", "1\n\n\n").encode(), {"blank lines skipped": 2}),
        (("\n" + PLAIN).encode(), {}),
        (PLAIN.replace("\n", "\r").encode(), {}),
        (PLAIN.rstrip("\n").encode(), {}),
        (PLAIN.replace("sequence,", " sequence , ").encode(), {}),
        (b'"sequence","activity"\n"ACGT","1"\n"CCGT","2"\n', {}),
    ],
    ids=["mark", "crlf", "gzip", "blank", "leading", "cr", "open end", "spaces", "quotes"],
)
def test_repaired_and_counted(write_text, content, repairs):
    frame, seen = read_table(write_text(content), ["sequence", "activity"])
    assert frame["sequence"].tolist() == ["ACGT", "CCGT"]
    assert seen == repairs


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"sequence,activity\n", "no rows"),
        (b"sequence\nACGT\n", "one column only when split at each of tab, comma, semicolon, bar"),
        (b"sequence activity\nACGT 1\n", "one column only"),
        (b"sequence,activity\nACGT,1\nACGT\n", r"row 1 \(line 3\) has 1 cells, the header has 2"),
        (b"sequence,activity\nACGT,1,5\n", r"row 0 \(line 2\) has 3 cells, the header has 2"),
        (b'sequence,activity\n"ACGT,1\n', "line 2"),
        (b"sequence,activity\nAC\xffGT,1\n", "byte 0xff in line 2"),
        (PLAIN.encode("utf-16"), "UTF-16"),
        (gzip.compress(PLAIN.encode())[:-9], "truncated or damaged gzip"),
        (b"\x1f\x8bnot gzip at all", "truncated or damaged gzip"),
        (b"PK\x03\x04 a spreadsheet", "spreadsheet"),
        (b"sequence,sequence,activity\nA,C,1\n", "names the column 'sequence' twice"),
    ],
)
def test_refused(write_text, content, message):
    with pytest.raises(ValueError, match=message):
        read_table(write_text(content), ["sequence", "activity"])


def test_missing_column_names_its_neighbours(write_text):
    path = write_text("Sequence,activty,other\nACGT,1,2\n")
    with pytest.raises(ValueError, match="did you mean 'activty'"):
        read_table(path, ["activity"])
    with pytest.raises(ValueError, match="did you mean 'Sequence'"):
        read_table(path, ["sequence"])
    with pytest.raises(ValueError, match="split at each comma: 'Sequence', 'activty', 'other'"):
        read_table(path, ["noise"])


def test_parquet_by_content_not_by_name(write_text):
    content = parquet(pd.DataFrame({"sequence": ["ACGT"], "activity": [1.5]}))
    frame, repairs = read_table(write_text(content, "table.csv"), ["sequence"])
    assert frame["activity"].tolist() == [1.5]
    assert repairs == {}


@pytest.mark.parametrize("cut", [4, 40, -20, -5])
def test_cut_parquet_is_refused(write_text, cut):
    content = parquet(pd.DataFrame({"sequence": ["ACGT"] * 9, "activity": range(9)}))
    with pytest.raises(ValueError, match="damaged Parquet"):
        read_table(write_text(content[:cut], "table.parquet"))


def test_parquet_text_that_is_not_utf8_is_refused(write_text):
    cells = pa.array([b"ACGT", b"AC\xffT"]).cast(pa.string(), safe=False)
    buffer = io.BytesIO()
    pq.write_table(pa.table({"sequence": cells, "activity": [1.0, 2.0]}), buffer)
    with pytest.raises(ValueError, match=r"table.parquet .*not UTF-8"):
        read_table(write_text(buffer.getvalue(), "table.parquet"))


def test_flipped_parquet_bytes_are_refused_or_read(write_text):
    content = parquet(pd.DataFrame({"sequence": ["ACGT"] * 9, "activity": range(9)}))
    for position in range(4, len(content) - 4, 7):
        damaged = bytearray(content)
        damaged[position] ^= 0xFF
        with contextlib.suppress(ValueError):
            assert len(read_table(write_text(bytes(damaged), "table.parquet"))[0]) > 0


def test_missing_file_is_the_usual_error(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_table(tmp_path / "nothing.csv")


def test_hostile_text_passes_as_text(write_text):
    cells = ["=cmd|'/c calc'!A1", "__import__('os').system('true')", "../../etc/passwd", "<script>"]
    rows = "".join(f'"{cell}",1\n' for cell in cells)
    frame, _ = read_table(write_text("name,activity\n" + rows), ["name"])
    assert frame["name"].tolist() == cells


@settings(
    max_examples=150,
    deadline=timedelta(seconds=2),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(content=st.binary(max_size=80) | st.text(alphabet='ACGN,\t;|"\r\n 10.-e', max_size=80))
def test_any_bytes_give_a_table_or_a_value_error(write_text, content):
    try:
        frame, _ = read_table(write_text(content))
    except ValueError:
        return
    assert len(frame) > 0
