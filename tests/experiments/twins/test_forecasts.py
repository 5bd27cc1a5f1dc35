"""Twins: forecasts by hand, scores against closed forms."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm, t

from lib.experiments.twins import forecasts
from lib.experiments.twins.curves import Curve
from lib.experiments.twins.forecasts import Dose, score_sealed, seal, sealed_summary
from lib.experiments.twins.parts import FAMILIES

WORLDS = 4
T = t.ppf(0.975, WORLDS - 1)


def curve(shift: str, metric: str, unit: str, dose: list[float], mean: list[float]) -> Curve:
    k = len(dose)
    std = np.where(np.arange(k) > 0, 0.03, 0.0)
    return Curve(shift, metric, unit, np.array(dose), np.array(mean), std, 0.04, WORLDS)


DISTANCE, SHARE, GC = "distance over Var f", "noise share", "mean GC, in-distribution s.d."
CURVES = {
    (name, "coverage_drop"): curve(name, "coverage_drop", unit, dose, mean)
    for name, unit, dose, mean in [
        ("effect_rewiring", DISTANCE, [0, 1, 2], [0, 0.2, 0.3]),
        ("cell_type", DISTANCE, [0, 0.5], [0, 0.08]),
        ("batch", DISTANCE, [0, 1], [0, 0.4]),
        ("gc", GC, [0, 2], [0, 0.02]),
        ("gc_low", GC, [0, 2], [0, 0.06]),
        ("motif_density", "mean sites, in-distribution s.d.", [0, 1], [0, 0.01]),
        ("depth", SHARE, [0.25, 0.75], [0, 0.4]),
        ("noise", SHARE, [0.25, 0.75], [0, 0.5]),
        ("none", "none", [0], [0]),
    ]
} | {("noise", "rmse_ratio"): curve("noise", "rmse_ratio", SHARE, [0.25, 0.75], [1, 3])}


def forecast(shift: str, severity: float, metric: str = "coverage_drop", **more: Any) -> pd.Series:
    return pd.Series(forecasts.forecast(CURVES, shift, Dose(severity, **more), metric))


def severities(rows: list[dict[str, Any]]) -> pd.DataFrame:
    columns = ["shift", "condition", "severity", "lower", "upper", "distance_rewiring", "baseline"]
    table = pd.DataFrame(rows)
    return table.reindex(columns=[*columns, *table.columns.difference(columns)])


def test_forecast_interpolates_and_joins_the_spreads():
    found = forecast("batch", 0.5)
    assert found["forecast"] == pytest.approx(0.2)
    # half of the s.d. at dose 1, the floor, and a mean over four worlds
    std = np.hypot(0.015, 0.04) * (1 + 1 / WORLDS) ** 0.5
    assert found["std"] == pytest.approx(std)
    assert (found["lower"], found["upper"]) == pytest.approx((0.2 - T * std, 0.2 + T * std))
    assert (found["twin"], found["beyond"]) == ("batch", False)


def test_beyond_the_last_dose_the_curve_is_read_at_its_end():
    found = forecast("batch", 7.0)
    assert (found["forecast"], found["beyond"]) == (0.4, True)
    assert not forecast("batch", 1.0)["beyond"]
    below = forecast("batch", -0.1)  # noise taken out of no distance
    assert (below["forecast"], below["beyond"]) == (0.0, False)


def test_rewiring_and_batch_are_weighted_at_the_whole_distance():
    # at distance 1: .2 from rewiring, .4 from batch, 3 to 1
    found = forecast("genotype", 1.0, rewiring=0.75)
    assert found["forecast"] == pytest.approx(0.75 * 0.2 + 0.25 * 0.4)
    assert (found["twin"], found["beyond"]) == ("effect_rewiring + batch", False)
    far = forecast("genotype", 2.0, rewiring=2.0)
    assert (far["forecast"], far["beyond"]) == (
        pytest.approx(0.3),
        False,
    )  # no part of batch is asked
    assert forecast("genotype", 2.0, rewiring=1.0)["beyond"]
    with pytest.raises(ValueError, match="genotype needs the part of its distance"):
        forecast("genotype", 1.0)


def test_a_twin_that_ends_hands_over_to_the_next():
    assert forecast("assay", 0.5)["twin"] == "cell_type"
    found = forecast("assay", 1.5)
    assert (found["twin"], found["forecast"]) == ("effect_rewiring", pytest.approx(0.25))


def test_gc_is_signed():
    assert forecast("species", 1.0)["forecast"] == pytest.approx(0.01)
    down = forecast("gc_tilt", -1.0)
    assert (down["forecast"], down["twin"]) == (pytest.approx(0.03), "gc_low")
    assert forecast("gc_low", -3.0)["beyond"]


def test_noise_counts_from_where_the_assay_starts():
    assert forecast("noise", 0.75)["forecast"] == pytest.approx(0.5)
    assert forecast("noise", 0.75, baseline=0.5)["forecast"] == pytest.approx(0.25)
    assert forecast("noise", 0.75, "rmse_ratio", baseline=0.5)["forecast"] == pytest.approx(3 / 2)
    assert forecast("noise", 0.5, baseline=0.1)["forecast"] == pytest.approx(0.25)


def test_uncertain_severity_widens_the_forecast():
    sure = forecast("batch", 0.5)
    unsure = forecast("batch", 0.5, ends=(0.4, 0.7))
    # .4 per unit of distance over 2 x 1.96 s.d.
    extra = 0.4 * 0.3 / (2 * norm.ppf(0.975))
    assert unsure["std"] ** 2 - sure["std"] ** 2 == pytest.approx(extra**2 * (1 + 1 / WORLDS))
    assert unsure["forecast"] == sure["forecast"]


def test_sealed_table():
    table = severities(
        [
            {"shift": "genotype", "condition": "Rhom", "severity": 1.0, "distance_rewiring": 0.5},
            {"shift": "noise", "condition": "9a", "severity": 0.5, "baseline": 0.25},
            {"shift": "placebo", "condition": "", "severity": 0.0},
        ]
    )
    sealed = seal(table, CURVES)
    assert sealed[["shift", "metric"]].to_numpy().tolist() == [
        ["genotype", "coverage_drop"],
        ["noise", "coverage_drop"],
        ["noise", "rmse_ratio"],  # the only other curve
        ["placebo", "coverage_drop"],
    ]
    assert sealed["forecast"].tolist() == pytest.approx([0.3, 0.25, 2.0, 0.0])
    assert set(sealed["axis"]) == {"signal"}
    assert sealed["family"].tolist() == ["concept", "technical", "technical", ""]


def sealed_of(rows: list[tuple[str, str, float, float]]) -> pd.DataFrame:
    """``shift, condition, forecast, std`` as a sealed table of coverage drops."""
    table = pd.DataFrame(rows, columns=["shift", "condition", "forecast", "std"])
    return table.assign(
        metric="coverage_drop",
        axis="signal",
        family=table["shift"].map(FAMILIES),
        lower=table["forecast"] - 2 * table["std"],
        upper=table["forecast"] + 2 * table["std"],
        beyond=False,
    )


def test_score_by_hand():
    sealed = sealed_of([("gc_high", "wtc11", 0.1, 0.02), ("batch", "3", 0.3, 0.02)])
    observed = sealed[["shift", "condition", "metric"]].assign(observed=[0.1, 0.4])
    scored = score_sealed(sealed, observed)
    assert scored["inside"].tolist() == [True, False]
    # at its mean a normal forecast scores (sqrt 2 - 1) / sqrt pi of its s.d.
    centre = (2**0.5 - 1) / np.pi**0.5
    assert scored.loc[0, "crps"] == pytest.approx(0.02 * centre)
    # the climatology of .1 and .3 is a normal of mean .2 and s.d. .1: one s.d. off
    one_off = 2 * norm.cdf(1) - 1 + 2 * norm.pdf(1) - np.pi**-0.5
    assert scored.loc[0, "crps_climatology"] == pytest.approx(0.1 * one_off)
    # five and twenty s.d. off, the score is the distance less s.d. / sqrt pi
    assert scored["crps_no_change"].tolist() == pytest.approx(
        [0.1 - 0.02 / np.pi**0.5, 0.4 - 0.02 / np.pi**0.5], rel=1e-6
    )


def test_summary_orders_shifts_not_conditions():
    names = ["gc_high", "species", "batch", "noise", "genotype"]
    forecasts = [0.0, 0.02, 0.1, 0.3, 0.2]
    rows = [(name, "a", value, 0.02) for name, value in zip(names, forecasts, strict=True)]
    rows += [("genotype", "b", 0.6, 0.02)]  # the mean of genotype is the largest
    sealed = sealed_of(rows)
    observed = sealed[["shift", "condition", "metric"]].assign(
        observed=[0.01, 0.0, 0.2, 0.3, 0.3, 0.5]
    )
    scored = score_sealed(sealed, observed)
    summary = sealed_summary(scored, np.random.default_rng(0)).set_index("left_out")
    own = summary.loc[""]
    assert (own["n"], own["shifts"]) == (6, 5)
    # ranks 1 2 3 4 5 against 2 1 3 4 5: 1 - 6 * 2 / 120; five of 120 pairings reach that
    assert own["spearman_r"] == pytest.approx(0.9)
    assert own["p"] == pytest.approx(5 / 120, abs=0.01)
    assert own["crps"] == pytest.approx(scored["crps"].mean())
    assert summary.loc["covariate", "spearman_r"] == pytest.approx(1)
    assert summary.loc["covariate", "n"] == 4
    assert np.isnan(summary.loc["technical", "p"])
