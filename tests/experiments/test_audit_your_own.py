import warnings

import numpy as np
import pandas as pd
import pytest

from lib.experiments import audit_measures, audit_your_own, mpra_gc_ood
from lib.experiments.audit_table import prepare
from lib.experiments.audit_your_own import Config, as_rename, audit, derive, run
from lib.metrics.evaluate import evaluate
from lib.study import results
from lib.study.config import ParameterError
from lib.study.units import Store, provenance
from tests.refusals import refused

NET = """
import torch
class Net(torch.nn.Module):
    def __init__(self, length, n_features):
        super().__init__()
        self.out = torch.nn.Linear(4, 2)
    def forward(self, one_hot, features):
        return self.out(one_hot.mean(dim=2))
"""


def table(n=300, seed=0, **columns):
    """Forecasts whose errors have the predicted std, in pairs of relatives."""
    rng = np.random.default_rng(seed)
    mean, std = rng.normal(size=n), np.exp(0.3 * rng.normal(size=n))
    base = {"id": np.arange(n).astype(str), "mean": mean, "std": std}
    base |= {"target": mean + std * rng.normal(size=n), "group": np.arange(n) // 2}
    return pd.DataFrame(base | columns)


def parts(n=300):
    """A calibration part, one in distribution and one shifted; relatives stay together."""
    place = (np.arange(n) // 2) % 3
    split = np.array(["calibration", "test", "shifted"])[place]
    return {"split": split, "shift": np.where(place == 2, "heat", "")}


def audited(frame, **more):
    return audit([prepare(frame, "mine", **more)], draws=100)


def value(rows, metric, shift="", by=""):
    kept = rows[(rows["metric"] == metric) & (rows["shift"] == shift) & (rows["by"] == by)]
    assert len(kept) == 1
    return kept.iloc[0]


def test_our_own_networks_give_the_values_of_their_chapter(smoke):
    theirs, ours = smoke(mpra_gc_ood), smoke(audit_your_own)  # on the stand-in
    keys = ["shift", "condition", "metric", "by", "bin"]
    rows = theirs.rows[theirs.rows["seed"].isna()]
    rows = rows[(rows["uncertainty"] == "ensemble") & rows["split"].isin(["test", "shifted"])]
    both = ours.rows.merge(rows[rows["model"] == "cnn"], on=keys)
    assert set(both["condition"]) == {"", *(f"{sd:+g} SD" for sd in (0.5, 1.0, 1.5))}
    assert {"rmse", "pearson_r", "crps_skill", "zms", "picp_90", "ence"} <= set(both["metric"])
    assert (both["by"] == "gc_decile").any()
    assert np.allclose(both["value_x"], both["value_y"], rtol=1e-12, equal_nan=True)
    assert (both["n_x"] == both["n_y"]).all()


def test_an_assay_and_a_network_of_one_s_own(store, tmp_path, monkeypatch, random_dna):
    """Its shared ends are cut off, and coverage is asked by what its table says beside."""
    cores = random_dna(240, 40, 1)
    frame = pd.DataFrame({"sequence": ["GGTACCAGTCTAGC" + core for core in cores]})
    y, species = np.random.default_rng(0).normal(size=240), [f"{i % 2:03d}" for i in range(240)]
    frame.assign(y=y, species=species).to_csv(tmp_path / "mine.csv", index=False)
    (tmp_path / "mynet.py").write_text(NET, "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    given = {"profile": "smoke", "workers": 1, "table": str(tmp_path / "mine.csv")}
    given |= {"rename": "y=activity", "model": "mynet:Net"}
    config = Config.create(by="species", **given)
    found = run(config, own := Store(store.root))
    assert set(found.rows["data"]) == {"mine"} and set(found.rows["model"]) == {"mynet:Net"}
    assert provenance(own)["fits"] == 2 * config.folds
    assert set(found.rows["shift"]) == {"", "gc_tilt"}
    assert "+0.5 SD" in set(found.rows["condition"])
    asked = found.rows[(found.rows["by"] == "species") & (found.rows["metric"] == "picp_90")]
    assert set(asked["bin"]) == {"000", "001"}
    assert set(asked.loc[asked["shift"] == "", "n"]) == {120}
    notes = found.tables["notes"]["note"].tolist()
    assert any("mynet:Net" in note for note in notes)  # what could not be known of it
    assert "shared start GGTACCAGTCTAGC trimmed: 240 rows." in notes
    frame.assign(activity=y).to_csv(tmp_path / "bare.csv", index=False)  # nothing to ask by
    bare = {**given, "table": str(tmp_path / "bare.csv"), "rename": None}
    assert set(run(Config.create(**bare), store).rows["by"]) >= {"", "gc_decile"}
    with pytest.raises(ValueError, match="mine has no column 'site'"):
        run(Config.create(by="site", **given), store)


def test_repairs_learn_from_other_groups():
    found = audited(table(400)).tables
    repaired = found["repairs"]
    assert set(repaired.loc[repaired["metric"] == "picp_90", "n"]) == {200}
    assert any("drawn at random in distribution" in note for note in found["notes"]["note"])
    frame = table(300, **parts())
    frame.loc[frame["split"] == "calibration", "group"] += 1  # now those of the test part
    notes = audited(frame).tables["notes"]["note"]
    assert any("No repair: there are 0 groups" in note for note in notes)


def test_forecasts_of_folds_get_intervals_over_folds_and_repairs_of_their_own():
    frame = table(600).assign(fold=np.arange(600) // 2 % 5)
    frame["std"] /= 1 + frame["fold"] % 2  # the models of two folds are too sure by half
    found, plain = audited(frame), audited(frame.drop(columns="fold"))
    row, bare = (value(each.rows, "rmse") for each in (found, plain))
    assert row["value"] == pytest.approx(bare["value"])
    again = evaluate(frame, rng=np.random.default_rng(0), draws=100)
    again = again[(again["metric"] == "rmse") & (again["by"] == "")].iloc[0]
    ends = ["lower", "upper"]
    assert row[ends].tolist() == pytest.approx(again[ends].tolist())
    assert not np.allclose(row[ends].tolist(), bare[ends].tolist())
    repaired = found.tables["repairs"]
    assert set(repaired.loc[repaired["metric"] == "picp_90", "n"]) == {600}
    held = pd.concat([frame, frame.assign(split="calibration", fold=(frame["fold"] + 1) % 5)])
    held = held.assign(id=np.arange(1200).astype(str), split=held["split"].fillna("test"))
    trained = held.head(50).assign(id=[f"t{i}" for i in range(50)], split="train", fold=np.nan)
    own = audited(pd.concat([trained, held], ignore_index=True)).tables
    scaled = own["repairs"].set_index(["metric", "uncertainty"]).loc["picp_90"]
    assert scaled.loc["std_scaling", "value"].item() < 0.87  # learned from the neighbour's forecast
    assert (own["audit"]["metric"] == "fixed_coverage").any()
    for notes in (found.tables["notes"], own["notes"]):
        assert any("Forecasts are those of 5 folds" in note for note in notes["note"])


def test_pairs_are_decomposed():
    n = 100
    rng = np.random.default_rng(0)
    a = rng.normal(size=n)
    own, pair = {"cold": a, "warm": 2 * a + 1}, np.arange(n).astype(str)
    both = pd.concat(table(n, pair=pair, condition=k, target=y, mean=a) for k, y in own.items())
    both["id"], both["noise_std"] = np.arange(2 * n).astype(str), 0.0
    found = audited(both.reset_index(drop=True)).tables["decomposition"].set_index("quantity")
    assert set(found["reference"]) == {"cold"} and set(found["condition"]) == {"warm"}
    assert found.loc["slope", "value"] == pytest.approx(2)
    assert found.loc["share_rewiring", "value"] == pytest.approx(0, abs=1e-9)
    unknown = audited(both.drop(columns="noise_std").reset_index(drop=True)).tables
    known = {"total", "share_offset", "change_rmse"}
    known |= {"predicted_change_rmse", "predicted_change_pearson_r"}
    assert set(unknown["decomposition"]["quantity"]) == known
    assert unknown["notes"]["note"].str.contains("noise lowers the slope and passes for").any()
    # The forecast does not change: its error in the change is the change itself.
    assert found.loc["predicted_change_rmse", "value"] == found.loc["change_rmse", "value"]


@pytest.mark.parametrize(
    "frame",
    [
        table(3),
        table(1),
        table(60).assign(group="one"),
        table(60).assign(std=1.0),
        table(60).assign(mean=0.0),
        table(60).assign(target=0.0),
        table(60).assign(mean=0.0, target=0.0),
        table(60).drop(columns="group"),
        table(60).assign(gc=0.5),
        table(60, **parts(60)).assign(shift=""),
    ],
    ids=["n3", "n1", "group", "std", "mean", "target", "perfect", "no_group", "gc", "no_shift"],
)
def test_poor_tables_give_a_result(frame, tmp_path):
    frame.to_csv(tmp_path / "mine.csv", index=False)
    config = Config.create(profile="smoke", workers=1, predictions=str(tmp_path / "mine.csv"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = run(config, Store(tmp_path / "store"))
    part = frame[frame["split"] == "test"] if "split" in frame else frame
    rmse = float(np.sqrt(((part["target"] - part["mean"]) ** 2).mean()))
    rows = found.rows[(found.rows["shift"] == "") & (found.rows["split"] == "test")]
    overall = rows.loc[(rows["metric"] == "rmse") & (rows["by"] == ""), "value"]
    assert overall.item() == pytest.approx(rmse)
    if set(part.get("group", [])) == {"one"}:  # one group resampled is itself
        assert rows.loc[rows["metric"] == "rmse", "lower"].isna().all()
    results.write(tmp_path / "out", config.experiment, found.rows, found.tables, {})


def test_large_parts_go_without_a_bootstrap(monkeypatch):
    frame = table(300, **parts())
    small = audited(frame).rows
    monkeypatch.setattr(audit_measures, "BOOTSTRAP_ROWS", 10)
    monkeypatch.setattr(audit_measures, "RANKED_ROWS", 50)
    large = audited(frame).rows
    for metric in ("rmse", "zms", "picp_90", "crps_skill", "ence", "mace", "prr"):
        left, right = value(large, metric), value(small, metric)
        assert left["value"] == pytest.approx(right["value"]) and np.isnan(left["lower"])
    kept = large[(large["by"] == "std_decile") & (large["metric"] == "picp_90")]
    again = small[(small["by"] == "std_decile") & (small["metric"] == "picp_90")]
    pair = kept.merge(again, on=["shift", "bin"])
    assert len(pair) == len(kept) >= 10 and np.allclose(pair["value_x"], pair["value_y"])


def test_columns_are_renamed_by_a_mapping_or_text():
    assert as_rename({"y": "target"}) == as_rename("y=target") == {"y": "target"}
    assert as_rename("y(t=0)=a, log\n(b,c)=d") == {"y(t=0)": "a", "log\n(b,c)": "d"}
    assert as_rename(None) is None is as_rename("")
    wrong = dict.fromkeys(("y", "y=a,", "y=a, b"), "rename is 'y") | {"y=a,y=b": "'y' two names"}
    for rename, said in wrong.items():
        with pytest.raises(ValueError, match=said):
            as_rename(rename)
    asked = Config.create(table="a.csv", rename="dna=sequence,y=activity").networks
    assert (asked.sequence_column, asked.activity_column) == ("dna", "y")
    for rename, said in (
        ("y=target", "rename='y=target' leads nowhere; sequence, activity, noise, group or weight"),
        ("a=activity,b=activity", "columns 'a' and 'b' would both be 'activity'"),
    ):
        with pytest.raises(ValueError, match=said):
            _ = Config.create(table="a.csv", rename=rename).networks
    trimmed = Config.create(table="a.csv", trim_prefix="ACGT", keep_shared_ends=True).networks
    assert (trimmed.trim_prefix, trimmed.keep_shared_ends) == ("ACGT", True)


test_what_would_not_be_used_is_refused = refused(
    ({"predictions": "a.csv", "table": "b.csv"}, "give one of predictions, table"),
    ({"predictions": "a.csv", "model": "cnn"}, "predictions need none"),
    ({"predictions": "a.csv", "group_column": "parent"}, "group_column would do nothing with"),
    ({"predictions": "a.csv", "seeds": 3}, "seeds would do nothing with predictions"),
    ({"predictions": "a.csv", "trim_prefix": "ACGT"}, "trim_prefix would do nothing"),
    ({"dataset": "standin", "rename": "a=activity"}, "rename would do nothing with dataset"),
    ({"dataset": "standin", "oriented": True}, "oriented would do nothing with dataset"),
    ({"epochs": 3}, "epochs would do nothing with the networks of notebook 02"),
    act=lambda given: Config.create(**given).source,
    error=ParameterError,
)


NONE = float("nan")


def derived(metric, value, lower, upper, band, shift=""):
    where = {"data": ["mine"], "metric": metric, "value": value}
    rows = pd.DataFrame(where).assign(lower=lower, upper=upper, n=100, condition="", by="")
    rows = rows.assign(split="shifted" if shift else "test", shift=shift)
    bands = pd.DataFrame(where).assign(part=shift or "in distribution")
    bands = bands.assign(band_lower=band[0], band_upper=band[1])
    tables = derive(rows, {"bands": bands})
    return tables["readings"].iloc[0], tables["bands"]["lies"].iloc[0]


@pytest.mark.parametrize(
    ("metric", "value", "lower", "upper", "band", "reading", "lies"),
    [
        # the interval knows of relatives
        ("picp_90", 0.88, 0.85, 0.91, (0.89, 0.91), "fits", "below"),
        ("picp_90", 0.80, 0.75, 0.85, (0.70, 0.95), "below", "within"),
        ("picp_90", 0.97, 0.95, 0.99, (0.88, 0.92), "above", "above"),
        ("picp_90", 0.80, NONE, NONE, (0.88, 0.92), "below", "below"),  # no interval: by the band
        ("zms", 1.2, NONE, np.inf, (0.9, 1.1), "above", "above"),
        ("zms", 9.0, NONE, NONE, (0.9, np.inf), "fits", ""),  # nor a band: nothing can be said
        ("zms", NONE, NONE, NONE, (0.9, 1.1), "fits", "within"),
    ],
)
def test_a_value_is_told_from_what_was_promised(metric, value, lower, upper, band, reading, lies):
    found = derived(metric, value, lower, upper, band)
    assert (found[0]["reading"], found[1]) == (reading, lies)


def test_bands_are_those_of_the_part():
    read, lies = derived("zms", 0.5, NONE, NONE, (0.9, 1.1), shift="heat_<b>")
    assert (read["part"], read["band_lower"], lies) == ("heat_<b>", 0.9, "below")
