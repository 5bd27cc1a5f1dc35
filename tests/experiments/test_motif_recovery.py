"""Notebook 07: sites by hand, perfect and random scores, known motifs, one run."""

import numpy as np
import pandas as pd
import pytest

from lib.experiments import motif_recovery, simulation_shifts
from lib.experiments.worlds import TEST_SEED, Condition, fit_arm, world_of
from lib.metrics.resampling import resampling
from lib.simulator.sample import planted_sites
from lib.simulator.shifts import ACTIVE
from lib.study import results
from lib.training.attribution import auprc_sites


def test_sites_are_those_planted_whose_motif_acts_which_rewiring_changes():
    n = 40
    truth = motif_recovery.true_sites(0, Condition(), n)
    program = world_of(0).program
    pairs = zip(program.motifs, program.coefficients, strict=False)
    active = {pwm.name for pwm, coefficient in pairs if abs(coefficient) >= ACTIVE}
    assert 0 < len(active) < len(program.motifs)
    expected = np.zeros(truth.codes.shape, bool)
    idle = expected.copy()
    for site in planted_sites(world_of(0), n, TEST_SEED).itertuples():
        (expected if site.motif in active else idle)[site.element, site.start : site.end] = True
    assert np.array_equal(truth.sites, expected)
    assert not (truth.sites & truth.masked).any()
    assert truth.masked[idle & ~expected].all()
    perfect = truth.sites + 0.5 * truth.masked  # what is masked may score high
    assert auprc_sites(perfect, truth.sites, truth.masked)[0] == pytest.approx(1.0)
    home, away = (
        motif_recovery.true_sites(0, Condition(*at), 40) for at in ((), ("effect_rewiring", 1.0))
    )
    assert np.array_equal(home.codes, away.codes)
    assert not np.array_equal(home.sites, away.sites)


def test_enrichment_by_hand_and_area_changes_are_paired_within_worlds():
    scores = np.array([[2.0, -2.0, 1.0, 1.0]] * 30)
    hits = np.array([[True, True, False, False]] * 30)
    plan = resampling(np.arange(30), np.random.default_rng(0), np.arange(30) % 3)
    weights = plan.weights(20, np.random.default_rng(0))
    values = motif_recovery.enrichment(scores, hits, ~hits, plan, weights)
    assert values == pytest.approx(np.full(24, np.log(2)))  # all elements are alike
    keys = {"model": "cnn", "condition": "", "replicate": [0, 1]}
    areas = [
        pd.DataFrame(keys | {"method": "m", "shift": shift, "metric": metric, "value": values})
        for shift, values in (("", (0.5, 0.7)), ("gc", (0.4, 0.5)))
        for metric, values in (("auprc_sites", values), ("auprc_base", 0.1))
    ]
    table = motif_recovery.effects(pd.concat(areas)).set_index(["effect", "shift"])["value"]
    assert table["auprc_change", "gc"] == pytest.approx(-0.15)


def test_networks_are_those_of_the_experiment_on_shifts_in_the_full_profile_too():
    config = motif_recovery.Config.create(profile="smoke", world_seeds=[0], n_train=600)
    given = simulation_shifts.Config.create(profile="smoke", world_seeds=[0])
    theirs = {fit_arm(arm, given).key for arm, _ in simulation_shifts.plan(given)}
    assert {fit_arm(arm, config).key for arm in motif_recovery.world_arms(config)} <= theirs
    full, given = (
        each.create(profile="full") for each in (motif_recovery.Config, simulation_shifts.Config)
    )
    for name in ("n_train", "n_validation", "n_calibration", "epochs"):
        assert getattr(full, name) == getattr(given, name)
    assert set(full.world_seeds) <= set(given.world_seeds)
    assert set(full.models) <= set(given.models) and full.other_worlds <= given.other_worlds
    assert full.shifts == given.shifts


def test_rows_are_tidy_and_every_method_stands_beside_chance(smoke):
    found = smoke(motif_recovery, models=("cnn", "reference_cnn"), n_train=200, n_test=4)
    table = results.tidy(found.rows)
    areas = table[table["by"] == "method"]
    assert set(areas["metric"]) == {"auprc_sites", "auprc_base"}
    assert set(areas["bin"]) == {"gradient_input", "integrated_gradients", "mutagenesis"}
    values = areas.groupby("metric")["value"]
    assert (values.min() > 0).all() and (values.max() < 1).all()
