"""Published ensembles are those of notebook 02, and what is said of them is so."""

import numpy as np
import pandas as pd
import pytest

from lib import published
from lib.experiments.arms import build_arms
from lib.simulator import standin
from lib.training.config import FitConfig
from lib.training.fit import fit
from tools.export_ensembles import METRICS, Source, compare, contents, ensemble


def test_the_files_are_those_that_were_measured(root):
    manifest = pd.read_json(root / "results" / "manifest.json", typ="series")
    recorded = manifest["mpra_gc_ood"]["data"]
    table = pd.read_csv(root / "results" / "published_ensembles" / "files.csv").set_index("data")
    assert tuple(sorted(table.index)) == published.names()
    for name, row in table.iterrows():
        assert dict(row) == {k: v for k, v in contents(name).items() if k != "data"}
        assert published.load(name).about["data_fingerprint"] == recorded[name]


def test_the_numbers_are_those_of_notebook_02(root):
    rows = pd.read_csv(root / "results" / "published_ensembles.csv", keep_default_na=False)
    own = rows[rows["metric"].isin(METRICS)].set_index(["condition", "data", "metric"])
    values = own[["value", "lower", "upper", "n"]].astype(float)
    assert len(values.loc["file"]) == 2 * len(METRICS)
    assert values.loc["file"].equals(values.loc["notebook 02"])
    apart = rows[rows["metric"].str.startswith("difference") & (rows["condition"] == "file")]
    assert len(apart) == 4 and (apart["value"].astype(float) == 0).all()


def test_a_file_is_compared_with_what_it_came_from(monkeypatch):
    data = standin(400)
    (arm,) = build_arms(data, ("group",), 3, 0.8, (), 0)
    split = arm.splits[0]
    train = data.take(split["train"])
    config = FitConfig(epochs=1, model_options={"channels": 4}, precision="float32")
    members = [fit(train.codes, train.activity, config=config) for _ in range(2)]
    for name in ("INPUT", "UNIT"):
        monkeypatch.setattr(f"tools.export_ensembles.{name}", {"standin": "stand-in"})
    made = Source(arm, members, np.empty(0), np.empty(0))
    given = ensemble(made)
    right = given.predict(data.codes[split["test"]])
    made = made._replace(mean=right.mean + 0.1 * right.std, std=right.std)
    found = compare(given, made, draws=100).set_index(["condition", "metric"])["value"]
    assert found["notebook 02", "difference"] == 0
    # Moved by a tenth of each std: ten per cent of it.
    assert found["file", "difference"] == pytest.approx(10)
    assert found["file", "difference_std"] == 0
    target = data.activity[split["test"]]
    rmse = np.sqrt(((target - right.mean) ** 2).mean())
    assert found["file", "rmse"] == pytest.approx(rmse)
