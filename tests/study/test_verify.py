"""Publishing small fits into a folder of their own, publishing again, and verifying what stands."""

import json
import sys
from types import ModuleType
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

from lib.data.dataset import Result, SequenceDataset
from lib.data.splits import Split
from lib.experiments.assays import fitting
from lib.report import main
from lib.study import report, results
from lib.study.config import ExperimentConfig, Seeds, Tables
from lib.study.units import DIGITS, Placement, Unit, run_units, source_hash
from lib.study.verify import EQUAL, NEITHER, WITHIN, read_published, verdict
from lib.training.config import FitConfig

ALONE = Placement(workers=1)  # to start processes takes longer than the fits
FITS, JUDGE = "lib.training.fit:fit_unit", "tests.study.test_verify:judge"


class Config(ExperimentConfig):
    experiment: ClassVar[str] = "tiny"
    presets: ClassVar[dict[str, dict[str, object]]] = {"smoke": {}}
    world_seeds: Seeds = (0, 1, 2, 3)


def world(seed):
    """60 random sequences and a fit of two epochs."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, (60, 30), dtype=np.uint8)
    data = SequenceDataset("tiny", codes, (codes == 2).mean(1), np.arange(60))
    rows = iter(np.split(np.arange(60), 4))
    split = Split("tiny", 0, {part: next(rows) for part in ("train", "validation", "test", "rest")})
    small = {"channels": 4}
    return fitting(FitConfig(epochs=2, batch_size=8, seed=seed, model_options=small), data, split)


def judge(config, model):
    return Result.of_tables({"values": pd.DataFrame({"value": [model.meta["target_mean"]]})})


def run(config, store):
    fits = [world(seed) for seed in config.world_seeds]
    models = run_units(fits, store, ALONE)
    judged = run_units([Unit(judge, {}, {"model": model}) for model in models], store, ALONE)
    value = np.mean([one.table("values")["value"] for one in judged])
    return Tables(pd.DataFrame({"metric": ["mean"], "value": [value]}), {}, {})


@pytest.fixture
def publish(tmp_path, monkeypatch):
    """Runs and publishes into the working directory; returns the bytes of what is published."""
    module = ModuleType("lib.experiments.tiny")
    module.run, module.Config = run, Config
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setenv("SHIFT_STORE", str(tmp_path / "store"))
    monkeypatch.setattr("lib.study.verify.cores", lambda: 1)
    monkeypatch.chdir(tmp_path)

    def once():
        config = Config.create(profile="smoke", run_folder=str(tmp_path / "run"))
        results.run_experiment(module, config)
        report.publish_tables(tmp_path / "run", tmp_path / "results", "tiny")
        paths = (path for path in (tmp_path / "results").rglob("*") if path.is_file())
        return {path: path.read_bytes() for path in paths}

    return once


def test_publishing_again_changes_no_byte_also_where_units_were_lost(publish, tmp_path):
    publish()
    path = tmp_path / "results" / "manifest.json"
    entry = json.loads(path.read_text("utf-8"))["tiny"]
    counts = {"fits": 4, "fits_computed": 4, "fits_shared": 0, "dtype": "float32"}
    assert {name: entry[name] for name in counts} == counts
    earlier = {"seconds": 99.0, "date": "2026-01-01"}  # what it once took, on another day
    results.write_entry(path.parent, "tiny", entry | earlier)
    before = publish()
    for stored in sorted((tmp_path / "store").rglob("*.safetensors"))[::3]:
        stored.unlink()
    assert publish() == before
    assert earlier.items() <= json.loads(before[path])["tiny"].items()


def test_units_are_equal_until_what_is_published_changes(publish, tmp_path, capsys):
    assert main(["verify"]) == 2
    assert "make publish" in capsys.readouterr().out
    publish()
    assert main(["verify", "--minutes", "5"]) == 0
    said = capsys.readouterr().out
    for function in (FITS, JUDGE):  # of the one world that is drawn
        assert f"{EQUAL}: tiny, {function}, " in said
    path = tmp_path / "results" / "tiny" / "units.csv"
    published = pd.read_csv(path, dtype=str)
    published["content"] = "0" * 64
    published.to_csv(path, index=False)
    assert main(["verify", "--minutes", "5"]) == 0
    # What is computed from other bytes is another unit.
    said = capsys.readouterr().out
    assert f"{WITHIN}: tiny, {FITS}, " in said and JUDGE not in said
    published.assign(score="9").to_csv(path, index=False)
    assert main(["verify", "--minutes", "5"]) == 1
    assert f"{NEITHER}: tiny, {FITS}, " in capsys.readouterr().out
    assert set(pd.read_csv(tmp_path / "runs" / "verify.csv")["verdict"]) == {NEITHER}
    assert main(["verify", "--minutes", "0"]) == 2


@pytest.mark.parametrize(("key", "near", "far"), [(0, 4.9, 5.2), (4, 92.4, 92.5)])
def test_a_score_may_lie_three_standard_deviations_apart(key, near, far):
    """The other three of a kind, 1, 2 and 3, have an SD of 1; one alone takes it of another."""
    table = pd.DataFrame({"score": [2, 1, 2, 3, 90.0], "kind": [*"aaaab"], "content": [*"vwxyz"]})
    table["function"] = "fit"
    given = [("", near), ("", far), ("vwxyz"[key], far)]
    found = [verdict({"key": key, "content": one, "score": at}, table) for one, at in given]
    assert found == [WITHIN, NEITHER, EQUAL]


def test_nothing_is_published_of_a_folder_without_units(tmp_path):
    results.write_entry(tmp_path, "old", {"config": {}})
    assert read_published(tmp_path).empty


def test_what_is_published_is_one_run_of_one_source(root):
    """Each fit was computed for one of the notebooks that share it, and is the same in all."""
    assert [run.experiment for run in results.published_runs(root) if not run.current] == []
    entries, now = results.read_manifest(root / "results"), source_hash("lib.training.fit")
    fits = {}
    for name, entry in entries.items():
        if "fits" in entry:
            units = pd.read_csv(root / "results" / name / "units.csv")
            fits[name] = units[units["function"] == FITS].set_index("key")["content"]
            assert len(fits[name]) == entry["fits"] == entry["fits_computed"] + entry["fits_shared"]
            assert (entry["dtype"], entry["fit_source"]) == ("float32", now[:DIGITS]), name
    every = pd.concat(fits.values())
    assert (every.groupby(level=0).nunique() == 1).all()
    assert every.index.nunique() == sum(entries[name]["fits_computed"] for name in fits)
