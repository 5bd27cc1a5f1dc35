import gzip
import io
from contextlib import nullcontext

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lib.data.cells import labels, numbers, remedy
from lib.data.reading import placed, read_table
from tests.refusals import refused

PLAIN = "sequence,activity\nACGT,1\nCCGT,2\n"


def test_separator_that_shows_the_named_columns_wins(write_text):
    # Split at commas the header has more columns, split at tabs it has the right ones.
    path = write_text("sequence\tlog2(a,b,c,d)\nACGT\t1\n")
    assert list(read_table(path, ["log2(a,b,c,d)"]).columns) == ["sequence", "log2(a,b,c,d)"]


@pytest.mark.parametrize(
    "content",
    [
        PLAIN.replace("1\n", "1\n\n \n"),
        "\n" + PLAIN,
        PLAIN.replace("\n", "\r"),
        PLAIN.rstrip("\n"),
        PLAIN.replace("sequence,", " sequence , "),
        '"the\nfirst",sequence,activity\nx,ACGT,1\nx,CCGT,2\n',
        'sequence,activity,note\nACGT,1,x\nCCGT,2,"in two\nlines"\n',
    ],
    ids=["blank", "leading", "cr", "open end", "spaces", "high header", "last cell"],
)
def test_text_in_shapes_that_no_writer_of_the_read_back_gives(write_text, content):
    frame = read_table(write_text(content, "no.parquet"), ["sequence", "activity"])
    assert frame["sequence"].tolist() == ["ACGT", "CCGT"]


test_refused = refused(
    (b"", "is empty"),
    (b"\n\n", "is empty"),
    (b"\xef\xbb\xbf", "is empty"),
    (b"sequence,activity\n", "no rows"),
    (b"sequence\nACGT\n", "one column only when split at each of tab, comma, semicolon, bar"),
    (b"sequence,activity\nACGT,1\nACGT\n", "row 1 .line 3. has 1 cells, the header has 2: 'ACGT'"),
    (b'"a\n\nb",sequence,activity\nx,ACGT,1\n\nACGT\n', "row 1 .line 6. has 1 cells"),
    (b"sequence,activity\n%b,1\nACGT\n" % (b"A" * 200_000), "row 1 .line 3. has 1 cells"),
    (b"sequence,activity\n  \nACGT,1,5\n", r"row 0 .line 3. has 3 cells, .*separator \(comma\)"),
    (b'sequence,activity\n"ACGT,1\n', "line 2: a quotation mark here is not closed"),
    (b'sequence,activity\nAC,1\nACGT,"1\nCC,2\n', "line 3: a quotation mark here is not closed"),
    (b'sequence,activity,note\nA,1,"5 end\nC,2,x\nG,3,"3 end\n', "line 2: .*or more text follows"),
    (b"sequence;activity;y\nA;1.234;0,5\nC;987;1.002,5\n", "'activity' holds '1.234': thousands"),
    (b"sequence;activity;y\nA;1,234;0.5\nC;5,678;1.5\n", "'activity' holds '1,234': thousands"),
    (gzip.compress(b'[\n {"sequence": 1}]'), "is JSON; save it"),
    (b'sequence,activity,note\nA,1,"5 \\"end\\" x"\n', "line 2: .*or more text follows"),
    (b"Table 1, of us\nsequence,activty\nA,1\n", r"'activity' \(did you mean 'activty'"),
    (b",activity\nACGT,1\n", "no column 'sequence'. Its columns: 'unnamed', 'activity'"),
    (b"sequence,activity\nAC\xffGT,1\n", "byte 0xff in line 2"),
    (PLAIN.encode("utf-16"), "UTF-16"),
    (PLAIN.encode("utf-16-le"), "UTF-16"),
    (b'{"sequence":"ACGT","activity":1}', "is JSON"),
    (gzip.compress(PLAIN.encode(), mtime=0)[:-9], "truncated or damaged gzip"),
    (b"\x1f\x8bnot gzip at all", "truncated or damaged gzip"),
    (b"PK\x03\x04 a spreadsheet", "spreadsheet"),
    (b"sequence,sequence,activity\nA,C,1\n", "names the column 'sequence' twice"),
    (b"Sequence,activty,x\nA,1,2\n", r"'sequence' \(did you mean 'Sequence'\?\), 'activity' \("),
    (b"sequence,activity,note,note\nA,1,2,2\n", "names the column 'note' twice"),
    (b"a,b\nACGT,1\n", "no column 'sequence', 'activity'. Its columns: 'a', 'b'"),
    act=lambda write_text, content: read_table(
        write_text(content), ["sequence", "activity"], floats=["activity", "y"]
    ),
    fixture="write_text",
    always=r"table\.csv",
)


@pytest.mark.parametrize(
    "before", ["", "sep=;\n", "# by model 3\r\n", "\n# one\n\n## two\n", "By model 3\n\n;;\n"]
)
def test_lines_before_the_header_are_skipped_and_counted(write_text, before):
    path = write_text(before + "id;y\na;1\n\nb;x\n")
    frame = read_table(path, ["y"])
    assert frame.to_dict("list") == {"id": ["a", "b"], "y": ["1", "x"]}
    with (
        pytest.raises(ValueError, match=f"line {before.count(chr(10)) + 4}\\) is 'x', not"),
        placed(path, ["y"]),
    ):
        numbers(frame["y"], "y")


@pytest.mark.parametrize(
    ("cells", "separator", "values"),
    [
        (["0,5", "-1,25", "3"], ";", [0.5, -1.25, 3.0]),
        (["1,234", "5,678"], ";", [1.234, 5.678]),  # so Excel writes decimals where it writes ;
        (["1,234", "0,5"], "\t", [1.234, 0.5]),
        (["1,234", "5,678"], "\t", None),  # these may be thousands
        (["1,234", "567"], ";", None),
        (["1,5", "2.5"], ";", None),
        (["1,234,567.5"], "\t", [1234567.5]),
        (["1.234.567,5", "-2"], ";", [1234567.5, -2.0]),
        (["1.234,5", "0.500"], ";", None),
        (["1.250", "830"], ";", None),  # so Excel writes thousands where it writes ;
        (["1.250", "2.300"], ";", None),
        (["1.250", "0.830"], ";", [1.25, 0.83]),
        (["1.250", "2", ".5"], ";", [1.25, 2.0, 0.5]),
        (["1.234e-05", "0"], ";", [1.234e-05, 0.0]),  # what has a power of ten has no thousands
    ],
)
def test_decimal_commas_are_read_where_they_can_mean_nothing_else(
    write_text, cells, separator, values
):
    path = write_text("\n".join(f"{cell}{separator}{n}" for n, cell in enumerate(["x", *cells])))
    said = rf"line 2\) is '{cells[0]}', not a|'{cells[0]}': thousands, or decimals"
    refused = nullcontext() if values else pytest.raises(ValueError, match=said)
    with refused, placed(path, ["x"]):
        assert numbers(read_table(path, ["x"], floats=["x"])["x"], "x").tolist() == values


@pytest.mark.parametrize(
    ("rename", "message"),
    [
        ({"a": "y", "b": "y"}, "the columns 'a' and 'b' would both be 'y'"),
        ({"a": "b"}, "the columns 'a' and 'b' would both be 'b'"),
        ({"c": "y"}, "no column 'c'"),
    ],
)
@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_two_columns_never_become_one(tmp_path, rename, message, ending):
    frame, path = pd.DataFrame({"a": [1], "b": [2]}), tmp_path / f"t.{ending}"
    frame.to_csv(path, index=False) if ending == "csv" else frame.to_parquet(path)
    with pytest.raises(ValueError, match=message):
        read_table(path, rename=rename)
    assert list(read_table(path, rename={"a": "b", "b": "a"}).columns) == ["b", "a"]


@pytest.mark.parametrize(
    "cell",
    [True, 1 + 2j, pd.Timestamp("2020-01-01"), np.datetime64("2020-01-01"), np.timedelta64(5, "s")],
)
@pytest.mark.parametrize("kind", [object, None])
def test_dates_booleans_and_complex_numbers_are_no_measurements(cell, kind):
    with pytest.raises(ValueError, match=r"row 0 is .*, not a finite number"):
        numbers(pd.Series([cell, cell], dtype=kind), "x")


def test_labels_are_text_and_missing_words_missing():
    assert [*labels(pd.Series([7, 8])), *labels(pd.Series([7.0, None]))] == ["7", "8", "7", ""]
    gone = ["", " ", "NA", "NaN", "nan", "null", "none", "None", "N/A", "<NA>", None, pd.NA]
    assert set(labels(pd.Series(gone, dtype=object))) == {""}
    named = labels(pd.Series(["Na", "007 ", "nano", "cafe\u0301"]))
    assert named.tolist() == ["Na", "007", "nano", "caf\xe9"]


@pytest.mark.parametrize(
    ("caller", "said"),
    [
        ("make", "RENAME=yours=activity"),
        ("python", "--rename=yours=activity"),
        ("", "activity_column='yours'"),
    ],
)
def test_a_remedy_is_said_in_the_words_of_the_command(monkeypatch, caller, said):
    monkeypatch.setenv("SHIFT_CALLER", caller)
    assert remedy("activity_column", "yours") == said


@pytest.mark.parametrize("cut", [4, 40, -20, -5, None])
def test_cut_parquet_and_text_in_it_that_is_not_utf8_are_refused(write_text, cut):
    cells = pa.array([b"ACGT", b"AC\xffT"]).cast(pa.string(), safe=False)
    buffer = io.BytesIO()
    pq.write_table(pa.table({"sequence": cells, "activity": [1.0, 2.0]}), buffer)
    with pytest.raises(ValueError, match="damaged Parquet" if cut else "table.parquet .*not UTF-8"):
        read_table(write_text(buffer.getvalue()[:cut], "table.parquet"))


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
        with pytest.raises(ValueError, match=f"row 1 is {cell!r}, not a finite number; write"):
            numbers(pd.Series(["1", cell], dtype=kind), "x")


test_a_number_against_the_rule_is_refused = refused(
    (0, "finite number above 0", r"is 0\.0, not a finite number above 0"),
    (-0.5, "finite number of at least 0", r"is -0\.5, not a finite number of at least 0"),
    (1.5, "number between 0 and 1", r"is 1\.5, not a number between 0 and 1"),
    act=lambda cell, rule: numbers(pd.Series([1.0, cell]), "x", rule, "mine"),
    always="mine: column 'x' row 1 is",
)


def test_a_header_below_a_title_may_be_quoted_and_a_bad_cell_is_found_below_a_legend(write_text):
    path = write_text('Table 3, all\n"id","y"\n"a",1\n')
    assert read_table(path, ["id", "y"]).to_dict("list") == {"id": ["a"], "y": ["1"]}
    path = write_text("y,measured\nid,y\na,1\nb,x\n")
    frame = read_table(path, ["id", "y"])
    with pytest.raises(ValueError, match=r"row 1 \(line 4\) is 'x'"), placed(path, ["id", "y"]):
        numbers(frame["y"], "y")
