"""Notebook 01: what is trained and judged, the tables it writes and the effects it derives."""

import numpy as np
import pandas as pd
import pytest

from lib.experiments import simulation_shifts
from lib.experiments.simulation_shifts import Config, beyond_gc, hidden_effects, plan
from lib.experiments.worlds import NOISY, Condition
from lib.page.grammar import pick
from lib.study import results
from lib.study.config import ParameterError

EXPERIMENT = simulation_shifts
GIVEN = {"shifts": ("gc", "effect_rewiring", "noise", "batch"), "n_train": 300, "sizes": (150,)}


def test_the_full_profile_keeps_its_promises():
    config = Config.create(profile="full")
    planned = plan(config)
    arms = [arm for arm, _ in planned]
    plain = [arm for arm in arms if arm.law == Condition() and arm.size == config.n_train]
    worlds = pd.Series([arm.model for arm in plain]).value_counts()
    assert worlds["cnn"] == 20 and worlds["bilstm"] == worlds["transformer"] == 10
    # Rules were written on worlds below 100; a network on the shifted law stands in ten of these.
    assert min(arm.world_seed for arm in arms) == 100
    for law in (NOISY, simulation_shifts.MILD):
        assert sum(arm.law == law for arm in arms) >= 10
    assert config.n_train >= 30_000 and config.n_test >= 5_000
    assert len(config.severities) >= 4 and config.epochs >= 20
    # C5 speaks of at least 30 networks trained in distribution and judged under rewiring.
    rewired = [arm for arm, conditions in planned if any(c.distance for c in conditions)]
    assert sum(arm.law == Condition() for arm in rewired) >= 30
    curves = {(arm.model, arm.size) for arm in arms if arm.law == Condition()}
    of_cnn = {("cnn", n) for n in config.sizes}
    assert curves == {(m, config.n_train) for m in config.models} | of_cnn
    # Smaller samples say what fewer labels would have done, in ten worlds too.
    assert all(sum(arm.size == n for arm in arms) == 10 for n in config.sizes)
    assert len(arms) == len(set(arms))
    with pytest.raises(ParameterError, match="sizes go up to 600; below n_train, 600, would do"):
        plan(Config.create(profile="smoke", sizes=[300, 600]))


def test_every_condition_stands_once_beside_its_oracle(found):
    rows = found.rows
    means = rows[rows["metric"] == "rmse"]
    cnn = means[means["model"] == "cnn"]
    full = cnn[cnn["n_train"] == 300]
    keys = ["split", "shift", "severity", "condition"]
    assert not full.duplicated(keys).any()
    assert set(full["split"]) == {"test", "shifted", "matched"}
    assert {"", "low", "neutral"} <= set(full["condition"])
    # 600 elements: a network may beat the truth by chance only where it is as good.
    assert (means["oracle"] < means["value"] * 1.05).all()
    home = cnn[(cnn["split"] == "test") & (cnn["condition"] == "")]
    assert (home["severity"] == 0).all() and set(home["n_train"]) == {150, 300}


def test_the_frozen_oracle_stands_beside_every_network(found):
    effects = found.tables["effects"]
    at = ["shift", "severity", "condition"]
    frozen = effects[(effects["model"] == "frozen_oracle") & (effects["effect"] == "zms")]
    cnn = effects[(effects["model"] == "cnn") & (effects["effect"] == "rmse_over_frozen")]
    assert set(map(tuple, frozen[at].to_numpy())) == set(map(tuple, cnn[at].to_numpy()))


def test_the_split_of_miscalibration_adds_up_and_effects_are_those_of_the_worlds(found):
    rows = pick(found.rows, model="cnn", n_train=300, split="shifted")
    for _, part in rows.groupby(["shift", "severity", "condition"]):
        value = part.set_index("metric")["value"]
        parts = value["zms_aleatoric"] + value["zms_bias"] + value["zms_missing"]
        assert value["zms"] == pytest.approx(1 + parts, rel=0.15)
        oracle = part.set_index("metric")["oracle"]
        assert oracle["zms_aleatoric"] == 0 and oracle["zms"] == pytest.approx(1, abs=0.15)
    fits, effects = found.tables["fits"], found.tables["effects"].set_index("effect")
    worlds = fits[(fits["n_train"] == 300) & (fits["model"] == "cnn")]
    rewired = effects[(effects["condition"] == "d=0.5") & (effects["model"] == "cnn")]
    effect = rewired.loc["coverage_drop"]
    assert effect["value"] == pytest.approx(worlds["drop"].mean())
    assert effect["n"] == len(worlds) == 2
    # The trained worlds under noise are judged against those trained without it.
    assert {"rmse_ratio", "zms"} <= set(effects[effects["condition"] == "trained"].index)


def test_a_shift_that_lowers_the_error_has_no_excess_to_be_equal_to():
    ratios, drops = np.array([1.0, 2.0]), np.array([0.0, 0.2])
    assert beyond_gc(1.5, 0.3, ratios, drops) == 0.2  # half-way up the GC shift
    assert beyond_gc(3.0, 0.5, ratios, drops) == 0.1  # beyond it, in proportion
    assert beyond_gc(1.5, 0.5, np.array([0.9, 0.8]), np.array([0.05, 0.02])) == 0.45


def _fits(nll, drop, picp=0.9):
    worlds = np.repeat(np.arange(len(nll) // 3), 3)
    kind = {"model": "cnn", "n_train": np.tile([1, 2, 3], len(nll) // 3)}
    return pd.DataFrame({"world": worlds, "nll": nll, "picp_90": picp, "drop": drop} | kind)


def test_hidden_effects_know_a_gap_that_nll_tells_from_one_it_does_not(rng):
    nll = rng.normal(size=60)
    told, untold = (
        pd.DataFrame(hidden_effects(_fits(nll, drop), 60)).set_index("effect")
        for drop in (0.3 + 0.05 * nll, 0.3 + 0.05 * rng.normal(size=60))
    )
    assert told.loc["explained_share", "value"] == pytest.approx(1)
    assert untold.loc["explained_share", "value"] < 0.2
    # What only the size of the training sample does is gone among networks of one size.
    by_size = _fits(np.tile([1.0, 2.0, 3.0], 20) + 0.1 * nll, np.tile([0.1, 0.2, 0.3], 20))
    by_size["drop"] += 0.01 * rng.normal(size=60)
    sized = pd.DataFrame(hidden_effects(by_size, 60)).set_index("effect")["value"]
    assert sized["explained_share"] > 0.9 and sized["explained_share_alike"] < 0.2
    assert untold.loc["hidden_share", "value"] == 1
    # All 60 of 60: the exact 95 % interval starts at .025 ** (1 / 60).
    assert untold.loc["hidden_share", "lower"] == pytest.approx(0.025 ** (1 / 60))
    spoilt = pd.DataFrame(hidden_effects(_fits(nll, 0.3 + 0.01 * nll, picp=0.8), 60))
    assert spoilt.set_index("effect").loc["hidden_share", "value"] == 0
    table = _fits(np.arange(9.0), np.repeat([0.1, 0.2, 0.4], 3))
    rows = pd.DataFrame(hidden_effects(table, 60)).set_index("effect")[["lower", "upper"]]
    assert np.isfinite(rows.loc[["hidden_share", "explained_share"]]).all(axis=None)


def test_no_published_network_beats_the_oracle(root):
    """The true mean and s.d. are the best forecast there is, up to the sample's noise."""
    rows = results.read_csv(root / "results" / "simulation_shifts.csv")
    means = rows[rows["seed"].isna() & rows["upper"].notna()]
    for metric in ("rmse", "crps_gaussian", "nll_gaussian"):
        part = means[means["metric"] == metric]
        assert len(part) and (part["upper"] >= part["oracle"]).all()
