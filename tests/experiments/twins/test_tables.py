"""Tables of the real shifts: paired effects, what forecasts are held against, and their scores."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from lib.experiments.scoring import Measured, Scored, score
from lib.experiments.twins import tables as made
from lib.experiments.twins.networks import FAMILIES
from lib.metrics.resampling import resampling


def test_a_tissue_is_held_against_the_network_of_the_other_one() -> None:
    """Of several seeds the mean; errors of 2 against 1 are a ratio of 2, paired without a doubt."""
    plan = resampling(np.arange(30), np.random.default_rng(0), np.arange(30) % 3)
    error = np.random.default_rng(1).normal(size=30)

    def part(data: str, split: str, condition: str, factor: float, seed: int | None) -> Measured:
        keys = {"data": data, "split": split, "shift": "assay", "family": "concept"}
        keys |= {"condition": condition, "model": "cnn", "uncertainty": "single", "seed": seed}
        table = pd.DataFrame({"target": factor * error, "mean": 0.0, "std": 1.0})
        return score(Scored(keys, table, plan, (0.0, 1.0)), 100)

    here = ("plant_leaf", "shifted", "leaf to proto")
    measured = [part(*here, factor, seed) for seed, factor in enumerate((1.5, 2.5))]
    measured += [part("plant_leaf", "inside", "leaf to proto", 4.0, None)]
    measured += [part("plant_proto", "matched", "leaf to proto", 1.0, None)]
    found = made.effects(measured, pd.Series(dtype=float)).set_index(["against", "metric"])
    ends = found.loc[("matched", "rmse"), ["value", "lower", "upper"]]
    assert ends.tolist() == pytest.approx([2.0, 2.0, 2.0])
    assert found.loc[("reference", "rmse"), "value"] == pytest.approx(0.5)


def test_a_loss_of_coverage_is_a_fall_and_severity_that_of_the_part_or_the_sealed_one() -> None:
    row = {"shift": "batch", "condition": "3", "model": "cnn", "uncertainty": "single"}
    row |= {"against": "reference", "value": -0.2, "lower": -0.3, "upper": -0.05}
    found = made.observed(pd.DataFrame([row | {"metric": "picp_90"}, row | {"metric": "zms"}]))
    columns = ["metric", "observed", "observed_lower", "observed_upper"]
    drop, ratio = found[columns].to_numpy().tolist()
    assert drop == ["coverage_drop", 0.2, 0.05, 0.3] and ratio == ["zms_ratio", -0.2, -0.3, -0.05]
    sealed = sealed_of([("batch", "3", 0.1, 0.02)]).assign(severity=0.7)
    rows = pd.DataFrame({"shift": ["batch", "gc_tilt", "batch", ""]})
    rows["condition"], rows["split"] = [*"3x3", ""], ["shifted", "shifted", "inside", "test"]
    rows = rows.assign(severity=[np.nan, 0.5, np.nan, np.nan], metric="rmse", seed=None, variance=0)
    found = made.publishable(rows, sealed)
    assert found["severity"].tolist() == [0.7, 0.5, 0.0, 0.0]


def sealed_of(rows: list[tuple[str, str, float, float]]) -> pd.DataFrame:
    """``shift, condition, forecast, std`` as a sealed table of coverage drops."""
    table = pd.DataFrame(rows, columns=["shift", "condition", "forecast", "std"])
    table = table.assign(metric="coverage_drop", axis="signal", beyond=False)
    table["family"], reach = table["shift"].map(FAMILIES), 2 * table["std"]
    return table.assign(lower=table["forecast"] - reach, upper=table["forecast"] + reach)


def test_score_by_hand() -> None:
    sealed = sealed_of([("gc_high", "wtc11", 0.1, 0.02), ("batch", "3", 0.3, 0.02)])
    seen = sealed[["shift", "condition", "metric"]].assign(observed=[0.1, 0.4])
    scored = made.score_sealed(sealed, seen)
    assert scored["inside"].tolist() == [True, False]
    # at its mean a normal forecast scores (sqrt 2 - 1) / sqrt pi of its s.d.
    assert scored.loc[0, "crps"] == pytest.approx(0.02 * (2**0.5 - 1) / np.pi**0.5)
    # the climatology of .1 and .3 is a normal of mean .2 and s.d. .1: one s.d. off
    one_off = 2 * norm.cdf(1) - 1 + 2 * norm.pdf(1) - np.pi**-0.5
    assert scored.loc[0, "crps_climatology"] == pytest.approx(0.1 * one_off)
    # five and twenty s.d. off, the score is the distance less s.d. / sqrt pi
    expected = [0.1 - 0.02 / np.pi**0.5, 0.4 - 0.02 / np.pi**0.5]
    assert scored["crps_no_change"].tolist() == pytest.approx(expected, rel=1e-6)


def test_summary_orders_shifts_not_conditions() -> None:
    said = {"gc_high": 0.0, "species": 0.02, "batch": 0.1, "noise": 0.3, "genotype": 0.2}
    rows = [(name, "a", value, 0.02) for name, value in said.items()]
    sealed = sealed_of([*rows, ("genotype", "b", 0.6, 0.02)])  # its mean is the largest
    seen = sealed[["shift", "condition", "metric"]]
    scored = made.score_sealed(sealed, seen.assign(observed=[0.01, 0.0, 0.2, 0.3, 0.3, 0.5]))
    summary = made.sealed_summary(scored, np.random.default_rng(0)).set_index("left_out")
    own = summary.loc[""]
    assert (own["n"], own["shifts"]) == (6, 5)
    # ranks 1 2 3 4 5 against 2 1 3 4 5: 1 - 6 * 2 / 120; five of 120 pairings reach that
    assert own["spearman_r"] == pytest.approx(0.9)
    assert own["p"] == pytest.approx(5 / 120, abs=0.01)
    assert own["crps"] == pytest.approx(scored["crps"].mean())
    assert summary.loc["covariate", "spearman_r"] == pytest.approx(1)
    assert summary.loc["covariate", "n"] == 4
    assert np.isnan(summary.loc["technical", "p"])
