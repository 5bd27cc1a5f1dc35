"""The predictions table: what it accepts, mends and refuses."""

import gzip

import numpy as np
import pandas as pd
import pytest

from lib.data import predictions


@pytest.fixture
def table() -> pd.DataFrame:
    return predictions.make(
        ["007", "b", "c"],
        [0.1, -1.0, 2.0],
        [0.1 + 0.2, 0.0, 1e-300],
        [0.5, 1.0, 2.0],
        gc=[0.0, 0.5, 1.0],
        split=["test", "test", "test"],
    )


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".csv.gz", ".tsv.gz", ".parquet"])
def test_what_is_written_is_read_back_exactly(table, tmp_path, ending) -> None:
    path = tmp_path / f"p{ending}"
    predictions.write(table, path)
    pd.testing.assert_frame_equal(predictions.read(path), table, check_dtype=False)
    assert predictions.read(path)["mean"].tolist() == [0.1 + 0.2, 0.0, 1e-300]
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_gzip_has_no_time_in_it(table, tmp_path) -> None:
    for name in ("a.csv.gz", "b.csv.gz"):
        predictions.write(table, tmp_path / name)
    assert (tmp_path / "a.csv.gz").read_bytes() == (tmp_path / "b.csv.gz").read_bytes()


@pytest.mark.parametrize("separator", [",", "\t", ";"])
@pytest.mark.parametrize("packed", [False, True])
def test_byte_order_mark_line_ends_and_separators(tmp_path, separator, packed) -> None:
    rows = [["id", "target", "mean", "std"], ["01", "1", "2", "3"], ["NA", "4", "5", "6"]]
    text = "\ufeff" + "".join(separator.join(row) + "\r\n" for row in rows)
    path = tmp_path / "p.txt"
    path.write_bytes(gzip.compress(text.encode()) if packed else text.encode())
    read = predictions.read(path)
    assert read["id"].tolist() == ["01", "NA"]
    assert read["std"].tolist() == [3.0, 6.0]


def test_columns_are_renamed_and_ordered_and_extra_ones_kept(tmp_path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("extra,sd,mean,y,id\nx,1,2,3,a\n")
    read = predictions.read(path, rename={"sd": "std", "y": "target"})
    assert list(read.columns) == ["id", "target", "mean", "std", "extra"]
    assert read.loc[0].tolist() == ["a", 3.0, 2.0, 1.0, "x"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("id,target,mean,std\n", "has no rows"),
        ("id,Target,means,std\na,1,1,1\n", r"lacks 'target' \(nearest: Target\), 'mean'"),
        ("id,target,mean\na,1,1\n", "lacks 'std'"),
        ("id,target,mean,std\na,1,1,0\n", "std is 0 in row 0.*above 0"),
        ("id,target,mean,std\na,1,1,1\nb,1,1,-2\n", "std is -2 in row 1"),
        ("id,target,mean,std\na,1,1,1\nb,nan,1,2\n", "target is nan in row 1"),
        ("id,target,mean,std\na,1,inf,1\n", "mean is inf in row 0"),
        ("id,target,mean,std\na,1,,1\n", "mean is .* in row 0"),
        ("id,target,mean,std\na,1,'x',1\n", "mean is 'x' in row 0"),
        ("id,target,mean,std\na,1,1,1\na,2,2,2\n", "id 'a' appears again in row 1, and 1 rows"),
        ("id,target,mean,std\n,1,1,1\n", "id is missing in row 0"),
        ("id,target,mean,std,gc\na,1,1,1,41\n", "gc is 41 in row 0.*between 0 and 1"),
        ("id,target,mean,std,std_epistemic\na,1,1,1,-1\n", "std_epistemic is -1"),
        ("id,target,mean,std\na,1,1,1,9,9\n", "cannot be read|has"),
    ],
)
def test_bad_tables_are_refused_with_row_and_value(tmp_path, text, words) -> None:
    path = tmp_path / "p.csv"
    path.write_text(text)
    with pytest.raises(ValueError, match=words):
        predictions.read(path)


def test_one_id_may_stand_in_several_splits_and_shifts() -> None:
    columns = {"target": [1.0, 1.0], "mean": [0.0, 0.0], "std": [1.0, 1.0]}
    both = predictions.make(["a", "a"], **columns, split=["test", "shifted"])
    assert len(both) == 2
    with pytest.raises(ValueError, match="appears again"):
        predictions.make(["a", "a"], **columns, split=["test", "test"])


def test_the_argument_is_left_alone(table) -> None:
    given = pd.DataFrame({"id": [1], "target": [1], "mean": ["2"], "std": [3]})
    before = given.copy()
    checked = predictions.validate(given)
    pd.testing.assert_frame_equal(given, before)
    assert checked["mean"].tolist() == [2.0]


def test_damaged_and_absent_files(tmp_path) -> None:
    with pytest.raises(FileNotFoundError):
        predictions.read(tmp_path / "none.csv")
    packed = gzip.compress(b"id,target,mean,std\na,1,1,1\n" * 50)
    (tmp_path / "cut.csv.gz").write_bytes(packed[:-12])
    with pytest.raises(ValueError, match="cannot be read"):
        predictions.read(tmp_path / "cut.csv.gz")
    (tmp_path / "not.parquet").write_bytes(b"id,target\n")
    with pytest.raises(ValueError, match="cannot be read"):
        predictions.read(tmp_path / "not.parquet")


def test_refused_endings_lengths_and_names(table, tmp_path) -> None:
    with pytest.raises(ValueError, match="must end in"):
        predictions.write(table, tmp_path / "p.xlsx")
    with pytest.raises(ValueError, match="different lengths"):
        predictions.make(["a"], [1.0, 2.0], [1.0, 2.0], [1.0, 2.0])
    (tmp_path / "p.csv").write_text("id,target,mean,std\na,1,1,1\n")
    with pytest.raises(ValueError, match="no column 'sd'"):
        predictions.read(tmp_path / "p.csv", rename={"sd": "std"})
    twice = pd.concat([table, table[["std"]]], axis=1)
    with pytest.raises(ValueError, match="'std' twice"):
        predictions.validate(twice)


def test_a_failed_write_leaves_the_old_file(table, tmp_path) -> None:
    path = tmp_path / "p.csv"
    predictions.write(table, path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="std"):
        predictions.write(table.assign(std=np.nan), path)
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1
