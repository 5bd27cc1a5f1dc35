import numpy as np
import pandas as pd
import pytest

from lib.data import predictions
from lib.experiments import audit_reading
from lib.experiments.audit_reading import as_rename, harmless, read
from lib.experiments.audit_table import prepare


def table(n=40, **columns):
    rng = np.random.default_rng(0)
    base = {"id": [f"e{i}" for i in range(n)], "target": rng.normal(size=n)}
    base |= {"mean": rng.normal(size=n), "std": 1 + rng.random(n)}
    return predictions.validate(pd.DataFrame(base | columns))


@pytest.mark.parametrize("label", ["=1+1", "+cmd", "-2+3", "@SUM(A1)", "\t=1", "\r=1"])
def test_formulas_are_neutralised(label):
    assert harmless(label)[0] == "'"


@pytest.mark.parametrize("label", ["-1.5", "+2", "1e-3", "a=b", "<b>", "x-y"])
def test_numbers_and_text_stay_as_they_are(label):
    assert harmless(label) == label


def test_a_long_label_is_cut_and_a_broken_line_mended():
    assert len(harmless("x" * 500)) == audit_reading.LONGEST_LABEL
    assert harmless("a\nb") == "a b"


def test_rename_in_three_forms():
    wanted = {"y": "target", "p": "mean"}
    assert as_rename(wanted) == as_rename('{"y": "target", "p": "mean"}') == wanted
    assert as_rename("y=target,p=mean") == wanted
    assert as_rename(None) is None
    with pytest.raises(ValueError, match="rename is 'y'"):
        as_rename("y")


def test_large_parquet_reads_as_the_small_one_does(tmp_path, monkeypatch):
    whole = table(split=["test"] * 20 + ["calibration"] * 20, group=np.arange(40) // 4)
    path = tmp_path / "mine.parquet"
    whole.rename(columns={"mean": "m"}).to_parquet(path)
    small, notes = read(path, {"m": "mean"})
    assert notes == []
    monkeypatch.setattr(audit_reading, "MANY_ROWS", 10)
    large, notes = read(path, {"m": "mean"})
    assert "column by column" in notes[0] and "id" not in large
    first, second = prepare(small, "mine"), prepare(large, "mine")
    for left, right in zip(first.parts, second.parts, strict=True):
        assert left[:2] == right[:2] and (left.rows == right.rows).all()
    for name in ("target", "mean", "std", "group"):
        assert (first.table[name] == second.table[name]).all()


def test_bad_files_give_one_error(tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="there is no file"):
        read(tmp_path / "none.csv", None)
    path = tmp_path / "mine.parquet"
    path.write_bytes(b"PAR1 no table")
    with pytest.raises(ValueError, match="cannot be read"):
        read(path, None)
    table().to_parquet(path)
    with pytest.raises(ValueError, match="no column 'species'"):
        read(path, None, ("species",))
    monkeypatch.setattr(audit_reading, "MANY_ROWS", 10)
    with pytest.raises(ValueError, match="no column 'q'"):
        read(path, {"q": "mean"})
    table().rename(columns={"std": "stdev"}).to_parquet(path)
    with pytest.raises(ValueError, match=r"lacks 'std' \(nearest: stdev"):
        read(path, None)
    table().assign(std=np.append(np.ones(39), 0.0)).to_parquet(path)
    with pytest.raises(ValueError, match=r"std is 0\.0 in row 39"):
        read(path, None)
