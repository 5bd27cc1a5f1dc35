import numpy as np
import pytest

from lib import assays as mpra
from lib.data.dataset import SequenceDataset
from lib.experiments import arms, mpra_gc_ood
from lib.experiments.arms import build_arms
from lib.experiments.forecasters import BASELINES, KERNELS
from lib.experiments.mpra_gc_ood import Config, load_data
from lib.page.grammar import one, pick
from lib.sequences import reverse_complement
from lib.study import results
from lib.study.config import ParameterError
from lib.study.results import run_experiment
from tests.motifs.naive import random_codes
from tests.shown import render

EXPERIMENT = mpra_gc_ood


def test_every_forecast_stands_on_every_part(found):
    rows = found.rows
    combined = pick(rows, seed=None, metric="rmse", by="")
    means, told = combined["condition"] == "element means", combined["prior"] == "motif_jaspar"
    assert set(combined[means]["model"]) == {"cnn", *KERNELS, *BASELINES, "stack", "leading"}
    assert set(combined[means]["uncertainty"]) == {"std_scaling"}
    assert set(combined[told]["shift"]) == {"", "gc_tilt"}
    combined = combined[~means & ~told]
    sides = combined.groupby(["shift", "split"])["model"].agg(set)
    simple = {"cnn", "mean", "gc_ridge", "kmer_ridge", "memoriser"}
    expected = simple | {"motif_kernel", "kmer_kernel", "stack", "leading"}
    assert sides["", "test"] == sides["gc_tilt", "shifted"] == expected
    for shift in ("gc_high", "gc_low"):
        for split in ("inside", "shifted", "matched"):
            assert sides[shift, split] == expected
    assert sides["", "random_leaky"] == simple
    names = ["split", "shift", "condition", "model", "uncertainty"]
    assert not combined.duplicated(names).any()
    group = pick(combined, split="test", model="cnn", condition="")
    sources = {"single", "ensemble", "std_scaling", "constant_sigma", "mc_dropout"}
    assert set(group["uncertainty"]) == sources
    assert group["value"].nunique() == len(group) - 2  # two repairs keep the ensemble's mean
    assert (combined["lower"] < combined["upper"]).all()
    test = combined[combined["split"] == "test"]
    assert (test["oracle"] < test["value"]).all() and (test["severity"] == 0).all()
    assert set(test["n"]) == {600} and set(test["folds"]) == {3}


def test_its_page_warns_of_a_smoke_run_of_the_stand_in(store, tmp_path, monkeypatch):
    """Of two arms, by fits of the run above."""
    monkeypatch.setenv("SHIFT_STORE", str(store.root))
    asked = {"profile": "smoke", "arm": ["group", "tail"], "workers": 1}
    text = "\n".join(render("02_mpra_gc_ood", **asked, run_folder=str(tmp_path)))
    assert 'id="standin-banner"' in text and "not for conclusions" in text
    rows = results.read_csv(tmp_path / "mpra_gc_ood.csv")
    assert set(rows["profile"]) == {"smoke"} and {"gc_high", "placebo"} <= set(rows["shift"])


def test_the_mean_s_error_is_the_spread_of_the_part(found):
    """An independent truth: squared errors of each fold's training mean, pooled."""
    rows = pick(found.rows, model="mean", uncertainty="single", by="")
    for _, part in rows.groupby(["split", "shift", "condition"]):
        value = part.set_index("metric")["value"]
        variance = value["sd_target"] ** 2 * (1 - 1 / part["n"].iloc[0])  # over n, not n - 1
        # Means of training parts differ by less than a tenth of the spread.
        assert value["rmse"] ** 2 == pytest.approx(variance + value["bias"] ** 2, rel=0.05)
        assert abs(value["crps_skill"]) < 0.02


def test_contrasts_set_a_shift_against_what_it_left(found):
    table = found.tables["contrasts"]
    network = pick(table, model="cnn", prior="none", metric="rmse")
    against = pick(network, uncertainty=["ensemble", "single"])
    pairs = set(zip(against["shift"].str.split(" ").str[0], against["against"], strict=True))
    tails = {(tail, side) for tail in ("gc_high", "gc_low") for side in ("inside", "matched")}
    assert pairs == tails | {("placebo", "inside"), ("gc_tilt", "test"), ("leak", "test")}
    leading = {"metric": "rmse", "model": "leading", "uncertainty": "single"}
    value = pick(found.rows, by="", **leading).set_index(["shift", "split"])["value"]
    ratio = pick(table, against="matched", **leading)
    expected = value["gc_high", "shifted"] / value["gc_high", "matched"]
    assert ratio["value"].iloc[0] == pytest.approx(expected)
    assert (table["lower"] <= table["value"]).all() and table["upper"].notna().all()
    home = table[table["shift"] == ""]
    assert set(home["against"]) == {"cnn"}
    at_home = {"by": "", "metric": "rmse", "split": "test", "seed": None, "condition": ""}
    value = pick(found.rows, **at_home)
    assert set(home["model"]) == set(value["model"])
    assert set(pick(home, model="cnn")["prior"]) == {"motif_jaspar"}
    value = pick(value, prior="none", uncertainty=["single", "ensemble"])
    value = value.set_index(["model", "uncertainty"])["value"]
    ridge = one(home, model="kmer_ridge", metric="rmse")["value"]
    assert ridge == pytest.approx(value["kmer_ridge", "single"] / value["cnn", "ensemble"])


def test_the_assays_table_says_how_many_folds_and_what_is_never_tested(found):
    facts = found.tables["assays"].set_index("measure")["value"]
    assert facts["folds"] == 3 and facts["share_in_large_families"] == 0
    group = np.concatenate([np.repeat(0, 30), 1 + np.arange(570) // 3])
    data = SequenceDataset("made", random_codes(600, 80), np.arange(600.0), group)
    arms = build_arms(data, ("group", "leaky"), 4, 0.8, (), 0)
    facts = mpra_gc_ood.assay_table(arms).set_index("measure")["value"]
    assert facts["folds"] == 4 and facts["large_families"] == 1
    assert facts["share_in_large_families"] == pytest.approx(0.05)
    few = SequenceDataset("few", random_codes(40, 80), np.arange(40.0), np.arange(40) // 5)
    facts = mpra_gc_ood.assay_table(build_arms(few, ("group",), 10, 0.8, (), 0))
    assert facts.set_index("measure")["value"]["folds"] == 8


def assay(codes, activity, **more):
    return SequenceDataset("made", codes, activity, np.arange(len(codes)), **more)


def test_reliability_recovers_a_known_share_of_signal(rng):
    n = 4000
    codes = np.vstack([random_codes(n, 80), np.zeros((n, 80), np.uint8)])
    codes[n:] = reverse_complement(codes[:n])
    signal = rng.normal(size=n) * 0.744**0.5
    noise = rng.normal(size=2 * n) * 0.256**0.5
    found = arms.reliability(assay(codes, np.tile(signal, 2) + noise))
    assert found["reliability"] == pytest.approx(0.744, abs=4 * (1 - 0.744**2) / n**0.5)
    assert found["best_pearson_r"] == pytest.approx(found["reliability"] ** 0.5)
    # Variance of a mean of two: .744 + .256 / 2; its signal's share is .744 / .872 = .853.
    assert found["reliability_of_means"] == pytest.approx(0.853, abs=0.02)
    assert arms.reliability(assay(random_codes(50, 80), np.zeros(50))) == {}  # one orientation


def test_an_assay_of_one_gc_content_has_no_tilt_and_no_tail():
    same = np.random.default_rng(0).permuted(
        np.tile(np.arange(4, dtype=np.uint8), (400, 20)), axis=1
    )
    even = assay(same, np.arange(400.0))  # of one GC content: no tilt and no tail
    with pytest.warns(UserWarning, match="no tilt .* this tilt is left out"):
        found = build_arms(even, ("group", "tilt", "tail"), 3, 0.8, (0.5,), 0)
    kinds = {part.shift for arm in found for part in arm.parts}
    assert "gc_tilt" not in kinds and set(mpra_gc_ood.gc_deciles(even)) == {"0.500-0.500"}


def test_default_data_fall_back_to_the_standin_named_data_do_not(monkeypatch):
    monkeypatch.setattr(mpra, "available", lambda name: False)
    assert load_data(Config.create(standin_size=300))[0].name == "standin"

    def unavailable(name):
        raise mpra.DataUnavailable(f"{name} cannot be had; set MPRA_DATA_DIR")

    monkeypatch.setattr(mpra, "load", unavailable)
    with pytest.raises(mpra.DataUnavailable, match="set MPRA_DATA_DIR"):
        load_data(Config.create(dataset="wtc11"))
    with pytest.raises(ParameterError, match="either dataset or table"):
        load_data(Config.create(table="mine.csv", dataset="wtc11"))


def test_bad_data_write_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("SHIFT_STORE", str(tmp_path / "store"))
    path = tmp_path / "mine.csv"
    path.write_text("sequence,activity\n" + "ACGTACGTAC,nan\n" * 3)
    config = Config.create(profile="smoke", dataset="default", table=str(path))
    config = config.model_copy(update={"run_folder": str(tmp_path / "out")})
    with pytest.raises(ValueError, match="row"):
        run_experiment(mpra_gc_ood, config)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.csv"]
