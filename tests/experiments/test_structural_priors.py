"""Notebook 03: priors and placebos by name, what is planned, one run."""

import numpy as np
import pytest

from lib.data.splits import Split
from lib.experiments import (
    motif_recovery,
    mpra_gc_ood,
    priors,
    selective_prediction,
    structural_priors,
    uncertainty_repair,
)
from lib.experiments.arms import build_arms
from lib.experiments.assays import fitting
from lib.experiments.structural_priors import PRIMARY, Config, assay_plan, plan
from lib.experiments.worlds import NOISY, Arm, Condition, Sizes, fit_arm
from lib.motifs.priors import check_motifs
from lib.motifs.pwm import RELEASE as GENERATOR_RELEASE
from lib.motifs.pwm import jaspar
from lib.simulator import draw_world, standin
from lib.simulator.programs import MOTIFS
from lib.study import results
from lib.study.units import Placement, Result, Store
from lib.training.simple import components_unit

HOME = Condition()
SIZES = Sizes(300, 60, 60, 200)


def net(size, prior):
    """The main network of world 0 with a prior."""
    return Arm(0, "cnn", size, prior=prior)


def test_decoys_are_no_matrices_of_the_generator_and_features_are_checked():
    world, motifs = draw_world(0), priors.decoy_set()
    assert len(motifs) == 4 * len(MOTIFS) and priors.RELEASE != GENERATOR_RELEASE
    related = jaspar(priors.RELATED, priors.RELEASE)
    assert [pwm.name for pwm in motifs[::4]] == [pwm.name for pwm in related]
    check_motifs([*motifs, *world.program.motifs], 200)  # no matrix twice, true ones included
    assert len(priors.unrelated_set()) == len(motifs)
    check_motifs([*priors.unrelated_set(), *motifs], 200)
    codes = world.reference[:50]
    assert priors.prior_features("motif_true", codes, world).shape == (50, len(MOTIFS))
    with pytest.raises(ValueError, match="prior gc is constant"):
        priors.prior_features("gc", np.repeat(codes[:1], 5, axis=0))


def test_placebos_have_the_width_and_values_of_the_prior_and_enter_alike():
    own = priors.arm_features(net(300, "motif_decoy"), None, SIZES)
    permuted = priors.arm_features(net(300, "permuted"), None, SIZES)
    assert own.shape == permuted.shape == (420, 3 * 4 * len(MOTIFS))
    for part in (slice(0, 300), slice(300, 360), slice(360, 420)):
        assert np.array_equal(np.sort(own[part], axis=0), np.sort(permuted[part], axis=0))
        assert not np.array_equal(own[part], permuted[part])
    config = Config.create(profile="smoke", entry="narrow", side_dropout=0.2)
    for prior in ("motif_decoy", "permuted"):
        own = priors.arm_settings(net(400, prior), config)
        assert own.model_options == {"channels": 8, "entry": "narrow", "side_dropout": 0.2}
    assert priors.fit_prior(net(400, "none"), config).key == fit_arm(net(400, "none"), config).key


def test_small_samples_are_trained_for_more_epochs():
    def epochs(size, asked):
        config = Config.create(profile="full", epochs=asked)
        return priors.arm_settings(net(size, "none"), config).epochs

    # 1,000 steps of 64: 31 an epoch; 7 an epoch would need 143.
    assert [epochs(n, 15) for n in (8000, 2000, 500)] == [15, 33, 100]
    assert epochs(2000, 1) == 16  # one epoch of the largest sample has 468 steps, 15 * 31 are 465


def test_the_full_profile_keeps_its_promises():
    config = Config.create(profile="full")
    planned = plan(config)
    arms = [arm for arm, _ in planned]
    assert len(arms) == len(set(arms)) and min(config.world_seeds) >= 100
    assert {arm.model for arm in arms} == {"cnn"}

    def worlds(prior, size, law=HOME):
        return sum((a.prior, a.size, a.law) == (prior, size, law) for a in arms)

    table = {"none": [10, 10, 10, 10], "motif_decoy": [10, 10, 10, 0]}
    table |= {placebo: [0, 0, 10, 0] for placebo in ("permuted", "motif_unrelated")}
    for prior, counts in table.items():
        assert [worlds(prior, n) for n in (500, 2_000, 8_000, 30_000)] == counts
    noisy = [worlds(prior, 8_000, NOISY) for prior in ("none", "motif_decoy", "permuted")]
    assert noisy == [10, 10, 10] and len(arms) == 120  # C8
    assert all(set(PRIMARY) <= set(at) for arm, at in planned if arm.law == HOME)
    alone = [at for arm, at in planned if arm.size == 8_000 and arm.law == HOME]
    assert all(NOISY in at for at in alone)  # noise at test alone
    assert config.n_test >= 5_000 and config.folds >= 10 and config.assay_epochs >= 20


def test_each_arm_of_an_assay_has_every_prior_and_its_placebo():
    told = list(assay_plan(Config.create(profile="smoke", assay_priors=["none", "gc", "permuted"])))
    for shift in ("gc_tilt", "gc_high", "gc_low"):
        own = [one for one in told if one.arm.parts[-1].shift == shift]
        assert {one.prior for one in own} == {"none", "gc", "permuted"}
    assert len({one.arm for one in told}) == 3 == len(told[0].arm.splits)
    assert all(part.sampled for one in told for part in one.arm.parts)


def test_the_first_networks_of_an_assay_are_one_fit_in_all_notebooks(tmp_path):
    assay, given = standin(n=600, seed=0), {"profile": "full", "dataset": "standin"}
    read = [mpra_gc_ood.Config.create(**given).design, Config.create(**given).assays.design]
    read.append(selective_prediction.Config.create(**given).assays.design)
    read.append(uncertainty_repair.Config.create(**given).assays.design)
    read.append(motif_recovery.Config.create(**given).design)
    keys = []
    for design in read:
        arm = design.build([assay])[0]
        fit = design.settings(arm)[0]
        assert (fit.precision, fit.model_options) == ("float32", {})
        keys.append([fitting(fit, assay, split).key for split in arm.splits])
    assert all(own == keys[0] for own in keys)
    (arm,) = build_arms(assay, ("group",), 10, 0.8, (), 0)
    told = priors.Told(arm, "none").fitting(fit, Store(tmp_path), Placement(1))
    assert [unit.key for unit in told] == keys[0]


def test_permuted_gc_keeps_its_law_in_every_part(tmp_path):
    assay = standin(n=600, seed=0)
    (arm,) = build_arms(assay, ("group",), 3, 0.8, (), 0)
    where = Store(tmp_path), Placement(1)
    permuted = priors.Told(arm, "permuted").features(*where)
    assert len(permuted) == 3
    for split, found in zip(arm.splits, permuted, strict=True):
        for rows in split.parts.values():
            assert np.sort(found[rows, 0]) == pytest.approx(np.sort(assay.gc[rows]), rel=1e-6)
        train = split["train"]
        assert abs(np.corrcoef(found[train, 0], assay.gc[train])[0, 1]) < 0.2


def test_motif_scores_are_reduced_by_what_the_training_part_shows(rng):
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
    found = smoke(structural_priors, n_train=200, main_train=200, sizes=(80, 130), n_test=200)
    table = results.tidy(found.rows)
    assert {"simulation", "simulation_misspecified", "standin"} == set(table["data"])
    effects = found.tables["effects"]
    ratios = effects[effects["effect"] == "rmse_f_ratio"]
    pairs = {("motif_decoy", "permuted"), ("motif_decoy", "none"), ("permuted", "none")}
    assert pairs <= set(zip(ratios["prior"], ratios["against"], strict=True))
    wanted = {"gain_ends_at", "rmse_f_over_line", "clean_n"}
    assert wanted <= set(effects["effect"])
    told = found.tables["assay_effects"]
    crossed = told[told["prior"] == "motif_jaspar"]
    assert set(crossed["against"]) == {"permuted", "none"}
    assert set(crossed["shift"]) == {"", "gc_tilt"}
    assert (told["lower"] < told["value"]).all() and (told["value"] < told["upper"]).all()
    networks = table[(table["data"] == "simulation") & (table["metric"] == "rmse_f")]
    assert (networks["oracle"] == 0).all()  # the oracle's mean is f where no batch moves it
