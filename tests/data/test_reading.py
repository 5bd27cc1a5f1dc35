"""What a table may look like, and what is refused."""

import gzip
import io

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lib.data.reading import numbers, read_table

PLAIN = "sequence,activity\nACGT,1\nCCGT,2\n"


def parquet(frame: pd.DataFrame) -> bytes:
    buffer = io.BytesIO()
    frame.to_parquet(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("separator", ["\t", ",", ";", "|"])
def test_separator_is_found_whatever_the_name_says(write_text, separator):
    path = write_text(PLAIN.replace(",", separator), "table.txt")
    frame = read_table(path, ["sequence", "activity"])
    assert frame.to_dict("list") == {"sequence": ["ACGT", "CCGT"], "activity": ["1", "2"]}


def test_separator_that_shows_the_named_columns_wins(write_text):
    # Split at commas the header has more columns, split at tabs it has the right ones.
    path = write_text("sequence\tlog2(a,b,c,d)\nACGT\t1\n")
    assert list(read_table(path, ["log2(a,b,c,d)"]).columns) == ["sequence", "log2(a,b,c,d)"]


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + PLAIN.encode(),
        PLAIN.replace("\n", "\r\n").encode(),
        gzip.compress(PLAIN.encode()),
        PLAIN.replace("1\n", "1\n\n\n").encode(),
        ("\n" + PLAIN).encode(),
        PLAIN.replace("\n", "\r").encode(),
        PLAIN.rstrip("\n").encode(),
        PLAIN.replace("sequence,", " sequence , ").encode(),
        b'"sequence","activity"\n"ACGT","1"\n"CCGT","2"\n',
    ],
    ids=["mark", "crlf", "gzip", "blank", "leading", "cr", "open end", "spaces", "quotes"],
)
def test_text_in_many_shapes(write_text, content):
    frame = read_table(write_text(content), ["sequence", "activity"])
    assert frame["sequence"].tolist() == ["ACGT", "CCGT"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (b"\xef\xbb\xbf", "is empty"),
        (b"sequence,activity\n", "no rows"),
        (b"sequence\nACGT\n", "one column only when split at each of tab, comma, semicolon, bar"),
        (b"sequence activity\nACGT 1\n", "one column only"),
        (b"sequence,activity\nACGT,1\nACGT\n", "row 1 has 1 cells, the header has 2: 'ACGT'"),
        (b"sequence,activity\n\nACGT,1,5\n", r"row 0 has 3 cells, .*separator \(comma\)"),
        (b'sequence,activity\n"ACGT,1\n', "row 0 has 1 cells"),
        (b'sequence,activity\nAC,1\nACGT,"1\nCC,2\n', "row 1 holds a quotation mark that is not"),
        (b"sequence,activity\nAC\xffGT,1\n", "byte 0xff in line 2"),
        (PLAIN.encode("utf-16"), "UTF-16"),
        (gzip.compress(PLAIN.encode(), mtime=0)[:-9], "truncated or damaged gzip"),
        (b"\x1f\x8bnot gzip at all", "truncated or damaged gzip"),
        (b"PK\x03\x04 a spreadsheet", "spreadsheet"),
        (b"sequence,sequence,activity\nA,C,1\n", "names the column 'sequence' twice"),
        (
            b"Sequence,activty,x\nA,1,2\n",
            r"'sequence' \(did you mean 'Sequence'\?\), 'activity' \(",
        ),
        (b"a,b\nACGT,1\n", "no column 'sequence', 'activity'. Its columns: 'a', 'b'"),
    ],
)
def test_refused(write_text, content, message):
    with pytest.raises(ValueError, match=message) as error:
        read_table(write_text(content), ["sequence", "activity"])
    assert "table.csv" in str(error.value)


def test_parquet_by_content_not_by_name_and_a_missing_file_is_named(write_text, tmp_path):
    content = parquet(pd.DataFrame({"sequence": ["ACGT"], "activity": [1.5]}))
    assert read_table(write_text(content, "table.csv"))["activity"].tolist() == [1.5]
    with pytest.raises(ValueError, match=r"no file .*nothing\.csv"):
        read_table(tmp_path / "nothing.csv")


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


def test_numbers_in_text_are_read_exactly():
    cells = ["0.1", "-1e-300", " 7 ", "5e-324", "0.30000000000000004"]
    assert numbers(pd.Series(cells), "x").tolist() == [float(cell) for cell in cells]
    assert numbers(pd.Series(cells[:2]), "x").tolist() == [0.1, -1e-300]


@pytest.mark.parametrize("kind", [object, "str"])
@pytest.mark.parametrize(
    "cell", ["", "high", "1,5", "1_000", "NA", "nan", "-inf", "1e999", None, float("nan"), True]
)
def test_what_is_no_finite_number_is_refused(cell, kind):
    if kind is object or isinstance(cell, str):
        with pytest.raises(ValueError, match=f"row 1 is {cell!r}, not a finite number; mend"):
            numbers(pd.Series(["1", cell], dtype=kind), "x")


@pytest.mark.parametrize(
    ("rule", "cell"),
    [
        ("finite number above 0", 0),
        ("finite number of at least 0", -0.5),
        ("number between 0 and 1", 1.5),
        ("whole number from 0 on", 1.5),
        ("whole number from 0 on", -1),
    ],
)
def test_a_number_against_the_rule_is_refused(rule, cell):
    with pytest.raises(ValueError, match=f"mine: column 'x' row 1 is {float(cell)}, not a {rule}"):
        numbers(pd.Series([1.0, cell]), "x", rule, "mine")
