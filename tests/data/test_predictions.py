import numpy as np
import pandas as pd
import pytest

from lib.data import predictions, reading
from lib.simulator import standin
from tests.refusals import refused


def made(n=3, **columns):
    base = {"id": [f"e{row}" for row in range(n)], "target": np.arange(n) / 10}
    return pd.DataFrame(base | {"mean": 0.1 + 0.2, "std": 1.0} | columns)


def read(path, **more):
    return predictions.read(path, **more)[0]


def test_columns_are_renamed_and_absent_ones_named(tmp_path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("extra,sd,mean,y,id\nx,1,2,3,a\n")
    found = read(path, rename={"sd": "std", "y": "target"})
    assert found.loc[0].to_dict() == {"id": "a", "target": 3, "mean": 2, "std": 1, "extra": "x"}
    (tmp_path / "p.csv").write_text("id,target,mean,std\na,1,1,1\n")
    with pytest.raises(ValueError, match="no column 'sd'"):
        read(tmp_path / "p.csv", rename={"sd": "std"})
    with pytest.raises(ValueError, match="no column 'species'"):
        read(tmp_path / "p.csv", more=("species",))


test_bad_tables_are_refused_with_row_and_value = refused(
    ("id,Target,means,std\na,1,1,1\n", r"no column 'target' \(did you mean 'Target'\?\), 'mea"),
    ("id,target,mean,std\na,1,1,0\n", "'std' row 0 .line 2. is '0', not a finite number above 0"),
    ("id,target,mean,std\na,1,1,1\nb,1,1,-2\n", "'std' row 1 .line 3. is '-2'"),
    ("id,target,mean,std\na,1,1,1\nb,nan,1,2\n", "'target' row 1 .line 3. is 'nan', not"),
    ("id,target,mean,std\na,1,,1\n", "'mean' row 0 .line 2. is ''"),
    ("id,target,mean,std\na,1,1,1\na,2,2,2\n", "'id' row 1 .line 3. is 'a' again, and 1 rows"),
    ("id,target,mean,std\n,1,1,1\n", "'id' row 0 .line 2. is ''; every row needs one"),
    (
        "id,target,mean,std,gc\na,1,1,1,41\n",
        "'gc' row 0 .line 2. is '41', not a number between 0 and 1",
    ),
    ("id,target,mean,std,std_epistemic\na,1,1,1,-1\n", "'std_epistemic' row 0 .line 2. is '-1'"),
    ("id,target,mean,std,group\na,1,1,1,NA\n", "'group' row 0 .line 2. is 'NA'; every row needs"),
    act=lambda write_text, text: read(write_text(text)),
    fixture="write_text",
)


def test_a_column_is_read_as_what_it_is_renamed_to(tmp_path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("gc,target,id,std,site\n007,1,0.50,1,0010\n")
    rename = {"gc": "id", "id": "mean"}
    found = read(path, rename=rename, more=("site",))
    assert found[["id", "mean", "site"]].iloc[0].tolist() == ["007", 0.5, "0010"]
    path.write_text(path.read_text().replace("0.50", "high"))
    with pytest.raises(ValueError, match=r"'mean' row 0 .* is 'high', .*'mean' is 'id' in the"):
        read(path, rename=rename)


def test_one_id_may_stand_in_several_splits_and_the_argument_is_left_alone() -> None:
    both = predictions.validate(made(2, id="a", split=["test", "shifted"]))
    assert len(both) == 2
    with pytest.raises(ValueError, match="is 'a' again"):
        predictions.validate(made(2, id="a", split="test"))
    given = pd.DataFrame({"id": [1], "target": [1], "mean": ["2"], "std": [3]})
    before = given.copy()
    checked = predictions.validate(given)
    pd.testing.assert_frame_equal(given, before)
    assert checked["mean"].tolist() == [2.0]


def test_large_parquet_reads_and_is_refused_as_the_small_one_is(tmp_path, monkeypatch) -> None:
    whole = made(40, split=["test"] * 20 + ["calibration"] * 20, group=np.arange(40) // 4)
    path = tmp_path / "mine.parquet"
    whole.rename(columns={"mean": "m"}).to_parquet(path)
    small, notes = predictions.read(path, rename={"m": "mean"})
    assert notes == []
    monkeypatch.setattr(reading, "MANY_ROWS", 10)
    large, notes = predictions.read(path, rename={"m": "mean"})
    assert "ids and sequences were not looked at" in notes[0] and "id" not in large
    for name in large:
        assert (small[name] == large[name].astype(small[name].dtype)).all()
    made(40, std=np.append(np.ones(39), 0.0)).to_parquet(path)
    for rename, words in (({"q": "mean"}, "no column 'q'"), ({}, r"'std' row 39 is 0\.0")):
        with pytest.raises(ValueError, match=words):
            read(path, rename=rename)


@pytest.mark.parametrize(
    ("label", "shown"), [("x-y", "x-y"), ("x" * 500, "x" * 59 + "…"), ("a\nb", "a b")]
)
def test_labels_are_one_short_line(label, shown) -> None:
    assert predictions.harmless(label) == shown


def test_forecasts_of_a_data_set() -> None:
    data = standin(n=30, seed=0)
    mean, std = np.zeros(30), np.ones(30)
    plain = predictions.of_elements(data, mean, std)
    assert list(plain) == ["target", "mean", "std", "group", "gc"]
    known = predictions.of_elements(data, mean, std, truth=True)
    assert known["noise_free"].tolist() == data.truth.activity.tolist()
    assert known["true_std"].tolist() == data.truth.std.tolist()
