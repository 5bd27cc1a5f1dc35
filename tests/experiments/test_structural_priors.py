"""Notebook 03: priors and placebos by name, what is planned, effects worked by hand, one run."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_1samp

from lib.data.splits import Split
from lib.experiments import structural_priors
from lib.experiments.arms import build_arms
from lib.experiments.priors import (
    RELATED,
    RELEASE,
    Told,
    arm_features,
    arm_settings,
    decoy_set,
    prior_features,
    unrelated_set,
)
from lib.experiments.structural_priors import (
    PRIMARY,
    Config,
    assay_plan,
    line_effects,
    noise_effects,
    plan,
    prior_effects,
)
from lib.experiments.worlds import Arm, Condition, Sizes
from lib.motifs.priors import check_motifs
from lib.motifs.pwm import RELEASE as GENERATOR_RELEASE
from lib.motifs.pwm import jaspar
from lib.simulator import draw_world, standin
from lib.simulator.programs import MOTIFS
from lib.study import results
from lib.study.units import Placement, Result, Store
from lib.training.simple import components_unit

SIZES = Sizes(300, 60, 60, 200)


def net(size, prior):
    """The main network of world 0 with a prior."""
    return Arm(0, "reference_cnn", size, prior=prior)


def test_decoys_are_three_to_one_and_none_is_a_matrix_of_the_generator():
    world, motifs = draw_world(0), decoy_set()
    assert len(motifs) == 4 * len(MOTIFS) and RELEASE != GENERATOR_RELEASE
    assert [pwm.name for pwm in motifs[::4]] == [pwm.name for pwm in jaspar(RELATED, RELEASE)]
    check_motifs([*motifs, *world.program.motifs], 200)  # no matrix twice, true ones included
    assert len(unrelated_set()) == len(motifs)
    check_motifs([*unrelated_set(), *motifs], 200)


def test_features_are_named_and_checked():
    world = draw_world(0)
    codes = world.reference[:50]
    assert prior_features("kmer", codes).shape == (50, 136)
    assert prior_features("motif_true", codes, world).shape == (50, len(MOTIFS))
    with pytest.raises(ValueError, match="prior motif_decoy says nothing of an assay's"):
        prior_features("motif_decoy", codes)
    with pytest.raises(ValueError, match="prior gc is constant"):
        prior_features("gc", np.repeat(codes[:1], 5, axis=0))


def test_placebos_have_the_width_and_the_values_of_the_prior():
    own = arm_features(net(300, "motif_decoy"), None, SIZES)
    permuted = arm_features(net(300, "permuted"), None, SIZES)
    assert own.shape == permuted.shape == (420, 3 * 4 * len(MOTIFS))
    for part in (slice(0, 300), slice(300, 360), slice(360, 420)):
        assert np.array_equal(np.sort(own[part], axis=0), np.sort(permuted[part], axis=0))
        assert not np.array_equal(own[part], permuted[part])


def test_small_samples_are_trained_for_more_epochs():
    def epochs(size, asked):
        return arm_settings(net(size, "none"), Config.create(profile="full", epochs=asked)).epochs

    # 1,000 steps of 64: 31 an epoch; 7 an epoch would need 143.
    assert [epochs(n, 15) for n in (8000, 2000, 500)] == [15, 33, 100]
    assert epochs(2000, 1) == 5  # one epoch of all has 125 steps, and 4 * 31 are too few


def test_the_full_profile_keeps_its_promises():
    config = Config.create(profile="full")
    planned = plan(config)
    arms = [arm for arm, _ in planned]
    assert len(arms) == len(set(arms))
    grid = [a for a in arms if a.model == "reference_cnn" and a.law == Condition()]
    full = [a for a in grid if a.size == config.n_train and not a.misspecified]
    worlds = pd.Series([a.prior for a in full]).value_counts()
    for prior in ("none", "motif_decoy", "permuted"):
        assert worlds[prior] >= 10
        noisy = [a for a in arms if a.law == Condition("noise", 1.0) and a.prior == prior]
        assert len(noisy) >= 10  # C8
        sizes = {a.size for a in grid if a.prior == prior}
        assert min(sizes) <= 500 and len(sizes) >= 3  # a line needs three points
    assert worlds.min() >= 5 and config.n_train <= 20_000 and config.n_test >= 10_000
    assert {a.model for a in arms} == {"reference_cnn", "bilstm", "transformer"}
    assert all(set(PRIMARY) <= set(at) for arm, at in planned if arm.law == Condition())
    assert config.folds >= 10 and config.assay_epochs >= 20


def values_by_hand(priors, worlds=(0, 1, 2), **more):
    """RMSE against f by prior in some worlds, the other metrics alike."""
    rows = [
        {"prior": prior, "replicate": world, "metric": metric, "value": value, "severity": 0.0}
        for prior, errors in priors.items()
        for world, value in zip(worlds, errors, strict=True)
        for metric in ("rmse_f", "rmse")
    ]
    keys = {"data": "simulation", "model": "net", "entry": "late", "n_train": 100}
    keys |= {"split": "test", "shift": "", "family": "", "condition": "", "cell": ""}
    return pd.DataFrame(rows).assign(**keys | more)


def test_ratios_are_geometric_means_with_t_intervals_of_logs():
    values = values_by_hand({"permuted": [1.0, 2.0, 4.0], "motif_decoy": [0.5, 1.6, 3.6]})
    table = pd.DataFrame(prior_effects(values))
    row = table[(table["effect"] == "rmse_f_ratio") & (table["prior"] == "motif_decoy")].iloc[0]
    logs = np.log([0.5, 0.8, 0.9])
    ends = logs.mean(), *ttest_1samp(logs, 0).confidence_interval(0.95)
    assert row[["value", "lower", "upper"]].tolist() == pytest.approx(np.exp(ends))
    assert (table["against"] == "permuted").all()  # no network without a prior is here


def test_robustness_beyond_accuracy_is_measured_from_the_line():
    # Without a prior the shifted error is three times that in distribution, at three sizes.
    nets = [("none", 100, 1.0, 3.0), ("none", 50, 2.0, 6.0), ("none", 25, 4.0, 12.0)]
    # The prior halves the error in distribution, and that under shift to a quarter.
    nets.append(("motif_decoy", 100, 0.5, 0.75))
    frames = []
    for prior, size, *errors in nets:
        for cell, split, error in zip(("", "gc 0.5"), ("test", "shifted"), errors, strict=True):
            more = {"n_train": size, "cell": cell, "split": split}
            frames.append(values_by_hand({prior: [error] * 3}, **more))
    values = pd.concat(frames)
    table = pd.DataFrame(line_effects(values[values["metric"] == "rmse_f"], 100))
    assert table["value"].tolist() == pytest.approx([0.75 / 1.5])


def test_gains_at_noise_and_under_shifts_are_shares_of_squared_error():
    def cell(ratio, **more):
        return values_by_hand({"permuted": [2.0] * 3, "motif_decoy": [2.0 * ratio] * 3}, **more)

    shifted = [cell(0.5, split="shifted", cell="gc 0.5")]
    shifted.append(cell(1.0, split="shifted", cell="cell_type 0.5"))
    noisy = cell(0.5**0.5, split="matched", cell="noise 1", severity=1.0)
    errors = pd.concat([*shifted, noisy])
    errors = errors[errors["metric"] == "rmse_f"]
    table = pd.DataFrame(noise_effects(errors, 100, ["gc 0.5", "cell_type 0.5"]))
    effect = table.set_index("effect")["value"]
    assert effect["gain_at_noise"] == pytest.approx(0.5)  # 1 - 1/2
    assert effect["gain_under_shifts"] == pytest.approx((0.75 + 0) / 2)
    assert effect["gain_at_noise_beyond_half"] == pytest.approx(0.5 - 0.375 / 2)


def test_each_arm_of_an_assay_has_every_prior_and_its_placebo():
    told = list(assay_plan(Config.create(profile="smoke", assay_priors=["none", "gc", "permuted"])))
    for shift in ("gc_tilt", "gc_high", "gc_low"):
        own = [one for one in told if one.arm.parts[-1].shift == shift]
        more = {"none"} if shift == "gc_tilt" else set()
        assert {one.prior for one in own if one.entry == "late"} == {"gc", "permuted"} | more
        controls = {"residual", "residualised"} if shift == "gc_tilt" else set()
        assert {one.entry for one in own} == {"late"} | controls
    assert len({one.arm for one in told}) == 3 == len(told[0].arm.splits)
    assert all(part.sampled for one in told for part in one.arm.parts)


def test_permuted_gc_keeps_its_law_in_every_part_and_its_target(tmp_path):
    assay = standin(n=600, seed=0)
    (arm,) = build_arms(assay, ("group",), 3, 0.8, (), 0)
    where = Store(tmp_path), Placement(1)
    permuted = Told(arm, "permuted").features(*where)
    assert not Told(arm, "gc").offset.any() and len(permuted) == 3
    for split, found in zip(arm.splits, permuted, strict=True):
        for rows in split.parts.values():
            assert np.sort(found[rows, 0]) == pytest.approx(np.sort(assay.gc[rows]), rel=1e-6)
        train = split["train"]
        assert abs(np.corrcoef(found[train, 0], assay.gc[train])[0, 1]) < 0.2
    own = [unit.data["data"] for unit in Told(arm, "permuted").fitting(1, "cpu", *where)]
    assert all(np.array_equal(data.activity, assay.activity) for data in own)
    residual = Told(arm, "gc", "residual")
    assert residual.features(*where) == [None] * 3 and residual.offset.std(axis=1).all()


def test_motif_scores_are_reduced_by_what_the_training_part_shows():
    rng = np.random.default_rng(0)
    scores, train = rng.normal(size=(60, 6)), np.arange(40)
    scores[:, 1] += 3 * scores[:, 0]
    split = Split("fold", 0, {"train": train, "test": np.arange(40, 60)})
    found = [
        components_unit({"count": 2}, split, Result({"scores": given})).arrays
        for given in (scores, np.vstack([scores[:40], -5 * scores[40:]]))
    ]
    left, right = (each["features"] for each in found)
    assert np.array_equal(left[train], right[train]) and not np.array_equal(left, right)
    scaled = (scores[train] - scores[train].mean(0)) / scores[train].std(0)
    known = np.linalg.svd(scaled)[2][:2]
    assert np.abs(left[train]) == pytest.approx(np.abs(scaled @ known.T), rel=1e-4, abs=1e-4)


def test_rows_are_tidy_and_the_placebo_stands_beside_every_prior(smoke):
    found = smoke(structural_priors, n_train=200, n_test=200)
    table = results.tidy(found.rows)
    assert {"simulation", "simulation_misspecified", "standin"} == set(table["data"])
    effects = found.tables["effects"]
    late = effects[(effects["entry"] == "late") & (effects["effect"] == "rmse_f_ratio")]
    assert {("motif_decoy", "permuted"), ("motif_decoy", "none"), ("permuted", "none")} <= set(
        zip(late["prior"], late["against"], strict=True)
    )
    told = found.tables["assay_effects"]
    crossed = told[told["prior"] == "motif_jaspar"]
    assert set(crossed["against"]) == {"permuted", "none"}
    assert set(crossed["shift"]) == {"", "gc_tilt"}
    assert (told["lower"] < told["value"]).all() and (told["value"] < told["upper"]).all()
    networks = table[(table["data"] == "simulation") & (table["metric"] == "rmse_f")]
    assert (networks["oracle"] == 0).all()  # the oracle's mean is f where no batch moves it
