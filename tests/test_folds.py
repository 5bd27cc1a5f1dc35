"""Who tests which element, written for one's own copy of an assay."""

import numpy as np
import pandas as pd
import pytest

from lib import folds
from lib.data import predictions
from lib.data.folds import group_folds
from lib.experiments.audit_table import prepare
from lib.simulator import standin


@pytest.fixture
def written(tmp_path, monkeypatch, capsys):
    data = standin(n=600, seed=0)
    monkeypatch.setattr(folds, "load", lambda name: data)
    assert folds.main(["wtc11", "--out", str(tmp_path / "folds.csv")]) == 0
    assert "rows to forecast in 10 folds" in capsys.readouterr().out
    return data, pd.read_csv(tmp_path / "folds.csv")


def test_folds_are_those_of_the_book_and_keep_groups_whole(written):
    data, table = written
    assert table["fold"].tolist() == group_folds(data.group, seed=0).fold.tolist()
    tested = table[table["split"] == "test"]
    assert (tested.groupby("group")["fold"].nunique() == 1).all()
    assert (table.loc[table["split"] == "train", "fold"] == -1).all()
    assert table["target"].to_numpy() == pytest.approx(data.activity)
    assert table["sequence"].str.len().eq(data.codes.shape[1]).all()


def test_with_forecasts_the_table_is_one_that_the_audit_takes(written, tmp_path):
    _, table = written
    mine = table[table["split"] == "test"].assign(mean=0.0, std=1.0)
    mine.to_csv(tmp_path / "mine.csv", index=False)
    audited = prepare(predictions.read(tmp_path / "mine.csv")[0], "mine")
    assert audited.plan is not None and len(np.unique(audited.table["fold"])) == 10


def test_an_assay_whose_folds_are_not_the_book_s_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit):
        folds.main(["retina_libraries", "--out", str(tmp_path / "folds.csv")])
    assert "invalid choice: 'retina_libraries'" in capsys.readouterr().err
