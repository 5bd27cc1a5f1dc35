import numpy as np
import pandas as pd
import pytest

from lib import assays as mpra
from lib.data.dataset import SequenceDataset
from lib.experiments import mpra_gc_ood
from lib.experiments.assays import build_arms
from lib.experiments.mpra_gc_ood import Config, load_data
from lib.sequences import decode, reverse_complement
from lib.study.config import ParameterError
from lib.study.results import run_experiment

EXPERIMENT = mpra_gc_ood


def test_every_forecast_stands_on_every_part(found):
    rows = found.rows
    combined = rows[rows["split_seed"].isna() & (rows["metric"] == "rmse") & (rows["by"] == "")]
    sides = combined.groupby(["shift", "split"])["model"].agg(set)
    expected = {"cnn", "mean", "gc_ridge", "kmer_ridge", "memoriser"}
    assert sides["", "test"] == expected | {"bilstm"}
    for shift in ("gc_high", "gc_low"):
        for split in ("inside", "shifted", "matched"):
            assert sides[shift, split] == expected
    group = combined[(combined["split"] == "test") & (combined["model"] == "cnn")]
    group = group[group["condition"] == ""]
    sources = {"single", "ensemble", "std_scaling", "constant_sigma", "mc_dropout"}
    assert set(group["uncertainty"]) == sources
    assert group["value"].nunique() == len(group) - 2  # two repairs keep the ensemble's mean
    assert (combined["lower"] <= combined["upper"]).all()
    test = combined[combined["split"] == "test"]
    assert (test["oracle"] < test["value"]).all() and (test["severity"] == 0).all()


def test_the_mean_s_error_is_the_spread_of_the_part(found):
    """An independent truth: RMSE² of a constant is the variance plus the squared bias."""
    rows = found.rows
    rows = rows[(rows["model"] == "mean") & rows["split_seed"].isna() & (rows["by"] == "")]
    for _, part in rows.groupby(["split", "shift", "condition"]):
        value = part.set_index("metric")["value"]
        variance = value["sd_target"] ** 2 * (1 - 1 / part["n"].iloc[0])  # over n, not n - 1
        assert value["rmse"] ** 2 == pytest.approx(variance + value["bias"] ** 2, rel=1e-4)


def assay(codes, activity, **more):
    return SequenceDataset("made", codes, activity, np.arange(len(codes)), **more)


def random_codes(n, length=80, seed=0):
    return np.random.default_rng(seed).integers(0, 4, (n, length)).astype(np.uint8)


def test_reliability_recovers_a_known_share_of_signal():
    rng = np.random.default_rng(0)
    n = 4000
    codes = np.vstack([random_codes(n), np.zeros((n, 80), np.uint8)])
    codes[n:] = reverse_complement(codes[:n])
    signal = rng.normal(size=n) * 0.744**0.5
    noise = rng.normal(size=2 * n) * 0.256**0.5
    found = mpra_gc_ood.reliability(assay(codes, np.tile(signal, 2) + noise))
    assert found["reliability"] == pytest.approx(0.744, abs=4 * (1 - 0.744**2) / n**0.5)
    assert found["best_pearson_r"] == pytest.approx(found["reliability"] ** 0.5)
    assert mpra_gc_ood.reliability(assay(random_codes(50), np.zeros(50))) == {}  # one orientation


def test_no_aggregate_of_fewer_than_ten_elements():
    data = assay(random_codes(900), np.random.default_rng(0).normal(size=900))
    arms = build_arms(data, ("group", "tail"), 0.8, (), 0)
    assert mpra_gc_ood.gc_histogram(arms)["count"].min() >= 10


def test_default_data_fall_back_to_the_standin_named_data_do_not(monkeypatch):
    monkeypatch.setattr(mpra, "available", lambda name: False)
    assert load_data(Config.create(standin_size=300))[0].name == "standin"

    def unavailable(name):
        raise mpra.DataUnavailable(f"{name} cannot be had; set MPRA_DATA_DIR")

    monkeypatch.setattr(mpra, "load", unavailable)
    with pytest.raises(mpra.DataUnavailable, match="set MPRA_DATA_DIR"):
        load_data(Config.create(dataset="wtc11"))


def test_an_assay_of_one_s_own(tmp_path):
    standin = load_data(Config.create(dataset="standin", standin_size=300))[0]
    path = tmp_path / "mine.csv"
    table = pd.DataFrame({"dna": decode(standin.codes), "y": standin.activity})
    table.assign(g=standin.group).to_csv(path, index=False)
    named = {"sequence_column": "dna", "activity_column": "y", "group_column": "g"}
    mine = load_data(Config.create(table=str(path), **named))[0]
    assert (mine.codes == standin.codes).all() and mine.name == "mine"
    with pytest.raises(ValueError, match="dna"):
        load_data(Config.create(table=str(path), activity_column="y"))
    with pytest.raises(ParameterError, match="either dataset or table"):
        load_data(Config.create(table=str(path), dataset="wtc11"))


def test_bad_data_write_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("SHIFT_STORE", str(tmp_path / "store"))
    path = tmp_path / "mine.csv"
    path.write_text("sequence,activity\n" + "ACGTACGTAC,nan\n" * 3)
    config = Config.create(profile="smoke", dataset="default", table=str(path))
    config = config.model_copy(update={"run_folder": str(tmp_path / "out")})
    with pytest.raises(ValueError, match="row"):
        run_experiment(mpra_gc_ood, config)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.csv"]


@pytest.mark.parametrize("arm", ["sideways", "group,tails"])
def test_unknown_arms_are_named(arm):
    with pytest.raises(ParameterError, match=r"no arm .*use all, group, tilt"):
        Config.create(arm=arm)
