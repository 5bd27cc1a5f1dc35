"""Twins: curves from small tables, forecasts by hand, scores against closed forms, bad input."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm, t

from lib.experiments.twin_curves import curve_table, read_curves
from lib.experiments.twins import (
    FAMILIES,
    TWINS,
    Curve,
    forecast,
    score_sealed,
    seal,
    sealed_summary,
)
from lib.study.results import COLUMNS

WORLDS = 4
T = t.ppf(0.975, WORLDS - 1)


def curve(shift: str, metric: str, unit: str, dose: list[float], mean: list[float]) -> Curve:
    k = len(dose)
    std = np.where(np.arange(k) > 0, 0.03, 0.0)
    return Curve(shift, metric, unit, np.array(dose), np.array(mean), std, 0.04, WORLDS, 2.0)


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


def test_forecast_interpolates_and_joins_the_spreads():
    found = forecast(CURVES, "batch", 0.5)
    assert found.mean == pytest.approx(0.2)
    # half of the s.d. at dose 1, the floor, and a mean over four worlds
    std = np.hypot(0.015, 0.04) * (1 + 1 / WORLDS) ** 0.5
    assert found.std == pytest.approx(std)
    assert (found.lower, found.upper) == pytest.approx((0.2 - T * std, 0.2 + T * std))
    assert (found.twin, found.beyond) == ("batch", False)


def test_beyond_the_last_dose_the_curve_is_read_at_its_end():
    found = forecast(CURVES, "batch", 7.0)
    assert (found.mean, found.beyond) == (0.4, True)
    assert not forecast(CURVES, "batch", 1.0).beyond
    below = forecast(CURVES, "batch", -0.1)  # noise taken out of no distance
    assert (below.mean, below.beyond) == (0.0, False)


def test_rewiring_and_batch_are_weighted_at_the_whole_distance():
    # at distance 1: .2 from rewiring, .4 from batch, 3 to 1
    found = forecast(CURVES, "genotype", 1.0, rewiring=0.75)
    assert found.mean == pytest.approx(0.75 * 0.2 + 0.25 * 0.4)
    assert (found.twin, found.beyond) == ("effect_rewiring + batch", False)
    far = forecast(CURVES, "genotype", 2.0, rewiring=2.0)
    assert (far.mean, far.beyond) == (pytest.approx(0.3), False)  # no part of batch is asked
    assert forecast(CURVES, "genotype", 2.0, rewiring=1.0).beyond
    with pytest.raises(ValueError, match="genotype needs the part of its distance"):
        forecast(CURVES, "genotype", 1.0)


def test_a_twin_that_ends_hands_over_to_the_next():
    assert forecast(CURVES, "assay", 0.5).twin == "cell_type"
    found = forecast(CURVES, "assay", 1.5)
    assert (found.twin, found.mean) == ("effect_rewiring", pytest.approx(0.25))


def test_gc_is_signed():
    assert forecast(CURVES, "species", 1.0).mean == pytest.approx(0.01)
    down = forecast(CURVES, "gc_tilt", -1.0)
    assert (down.mean, down.twin) == (pytest.approx(0.03), "gc_low")
    assert forecast(CURVES, "gc_low", -3.0).beyond


def test_noise_counts_from_where_the_assay_starts():
    assert forecast(CURVES, "noise", 0.75).mean == pytest.approx(0.5)
    assert forecast(CURVES, "noise", 0.75, baseline=0.5).mean == pytest.approx(0.25)
    assert forecast(CURVES, "noise", 0.75, "rmse_ratio", baseline=0.5).mean == pytest.approx(3 / 2)
    assert forecast(CURVES, "noise", 0.5, baseline=0.1).mean == pytest.approx(0.25)


def test_uncertain_severity_widens_the_forecast():
    sure = forecast(CURVES, "batch", 0.5)
    unsure = forecast(CURVES, "batch", 0.5, ends=(0.4, 0.7))
    # .4 per unit of distance over 2 x 1.96 s.d.
    extra = 0.4 * 0.3 / (2 * norm.ppf(0.975))
    assert unsure.std**2 - sure.std**2 == pytest.approx(extra**2 * (1 + 1 / WORLDS))
    assert unsure.mean == sure.mean


def test_sealed_table():
    severities = pd.DataFrame(
        {
            "shift": ["genotype", "noise", "placebo"],
            "condition": ["Rhom", "9a", ""],
            "severity": [1.0, 0.5, 0.0],
            "distance_rewiring": [0.5, np.nan, np.nan],
            "baseline": [np.nan, 0.25, np.nan],
        }
    )
    sealed = seal(severities, CURVES)
    assert sealed[["shift", "metric"]].to_numpy().tolist() == [
        ["genotype", "coverage_drop"],
        ["noise", "coverage_drop"],
        ["noise", "rmse_ratio"],  # the only other curve
        ["placebo", "coverage_drop"],
    ]
    assert sealed["forecast"].tolist() == pytest.approx([0.3, 0.25, 2.0, 0.0])
    assert set(sealed["axis"]) == {"signal"}
    assert sealed["family"].tolist() == ["concept", "technical", "technical", ""]


def test_a_weak_network_is_read_at_a_smaller_dose():
    # Var f is one predicted variance, not two: half the distance, half the added noise
    severities = pd.DataFrame(
        {
            "shift": ["batch", "noise", "design"],
            "condition": "",
            "severity": [1.0, 0.6, 0.5],
            "lower": [0.8, np.nan, np.nan],
            "upper": [1.2, np.nan, np.nan],
            "signal_over_predicted": [1.0, 1.0, 1.0],
        }
    )
    sealed = seal(severities, CURVES).set_index(["shift", "metric", "axis"]).sort_index()
    own = sealed.loc[("batch", "coverage_drop", "predicted")]
    assert (own["severity"], own["forecast"]) == pytest.approx((0.5, 0.2))
    # noise over signal: 1/3 in distribution, 3/2 here; 1/3 + (3/2 - 1/3) / 2 = 11/12
    assert sealed.loc[("noise", "coverage_drop", "predicted"), "severity"] == pytest.approx(11 / 23)
    covariate = sealed.loc[("design", "coverage_drop")]
    assert covariate.loc["predicted", "forecast"] == covariate.loc["signal", "forecast"]


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
    observed = sealed[["shift", "condition", "metric"]].assign(value=[0.1, 0.4])
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
        value=[0.01, 0.0, 0.2, 0.3, 0.3, 0.5]
    )
    scored = score_sealed(sealed, observed)
    summary = sealed_summary(scored, np.random.default_rng(0), draws=4000).set_index("left_out")
    own = summary.loc[""]
    assert (own["n"], own["shifts"]) == (6, 5)
    # ranks 1 2 3 4 5 against 2 1 3 4 5: 1 - 6 * 2 / 120; five of 120 pairings reach that
    assert own["spearman_r"] == pytest.approx(0.9)
    assert own["p"] == pytest.approx(5 / 120, abs=0.01)
    assert own["crps"] == pytest.approx(scored["crps"].mean())
    assert summary.loc["covariate", "spearman_r"] == pytest.approx(1)
    assert summary.loc["covariate", "n"] == 4
    assert np.isnan(summary.loc["technical", "p"])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"shift": "weather"}, "shift 'weather' has no simulated twin; there are genotype"),
        ({"severity": np.nan}, "severity of batch is nan"),
    ],
)
def test_bad_severities(change: dict[str, object], message: str):
    table = pd.DataFrame([{"shift": "batch", "condition": "", "severity": 1.0} | change])
    with pytest.raises(ValueError, match=message):
        seal(table, CURVES)


def test_bad_tables():
    table = pd.DataFrame({"shift": ["batch"] * 2, "condition": "", "severity": 1.0})
    with pytest.raises(ValueError, match=r"severities holds \['batch', ''\] twice"):
        seal(table, CURVES)
    with pytest.raises(ValueError, match=r"severities lacks the columns \['severity'\]"):
        seal(table[["shift", "condition"]], CURVES)
    with pytest.raises(ValueError, match="there is no curve of aurc_ratio for batch"):
        forecast(CURVES, "batch", 1.0, "aurc_ratio")
    sealed = sealed_of([("batch", "3", 0.3, 0.02)])
    observed = sealed[["shift", "condition", "metric"]].assign(value=np.nan)
    with pytest.raises(ValueError, match=r"the observed value of \['batch', '3'.* is not finite"):
        score_sealed(sealed, observed)
    with pytest.raises(ValueError, match="in common"):
        score_sealed(sealed, observed.assign(shift="gc_high", value=1.0))


def write_results(folder: Path) -> None:
    """Three worlds of a batch shift at two dials: what notebook 01 publishes, in small."""
    keys = {"experiment": "simulation_shifts", "profile": "full", "data": "simulation"}
    keys |= {"model": "cnn", "prior": "none", "uncertainty": "single", "n_train": 30000}
    home = {"split": "test", "severity": 0.0}
    rows = [
        home | {"metric": "pearson_r", "value": 0.8, "oracle": 0.75**0.5},
        home | {"metric": "sd_target", "value": 2.0},
        # predicted s.d. of 1
        home | {"metric": "mpiw_90", "value": 2 * norm.ppf(0.95)},
        home | {"metric": "crps_gaussian", "value": 0.5, "lower": 0.4, "upper": 0.6, "worlds": 3},
    ]
    rows += [
        {"split": "shifted", "shift": "batch", "severity": dial, "metric": "crps_gaussian"}
        | {"value": 0.5 * (1 + dial), "lower": 0.4, "upper": 0.6, "worlds": 3}
        for dial in (0.5, 1.0)
    ]
    for world, covered in enumerate([0.9, 0.92, 0.88]):
        rows.append(home | {"seed": world, "metric": "picp_90", "value": covered})
        for dial, drop in ((0.5, 0.1), (1.0, 0.2 + 0.05 * world)):
            rows.append(
                {"split": "shifted", "shift": "batch", "severity": dial, "seed": world}
                | {"metric": "picp_90", "value": covered - drop}
            )
    table = pd.DataFrame([keys | row for row in rows]).reindex(
        columns=[*COLUMNS, "n_train", "worlds"]
    )
    table.to_csv(folder / "simulation_shifts.csv", index=False)
    (folder / "simulation_shifts").mkdir()
    pd.DataFrame(
        {"shift": "batch", "severity": [0.5, 1.0], "condition": None, "measured": [0.11, 0.43]}
    ).to_csv(folder / "simulation_shifts" / "severities.csv", index=False)


def test_curves_from_tables(tmp_path: Path):
    write_results(tmp_path)
    curves = read_curves(tmp_path)
    own = curves["batch", "coverage_drop"]
    assert own.dose.tolist() == [0, 0.11, 0.43]
    assert own.mean == pytest.approx([0, 0.1, 0.25])
    assert own.std == pytest.approx([0, 0, 0.05])  # drops of .2 .25 .3, paired
    assert (own.floor, own.worlds) == (pytest.approx(0.02), 3)
    assert own.signal == pytest.approx(0.75 * 2**2)  # Var f of 3 over a predicted variance of 1
    pooled = curves["batch", "crps_ratio"]
    assert pooled.mean == pytest.approx([1, 1.5, 2])
    # a t interval of half-width .1 over three worlds: the s.d. between them over the mean of 1
    spread = 0.1 / t.ppf(0.975, 2) * 3**0.5
    assert pooled.std[2] == pytest.approx(2 * np.hypot(spread / 1, spread / 0.5))
    assert curves["none", "coverage_drop"].mean == 0
    assert ("gc", "coverage_drop") not in curves


def test_tables_without_worlds_are_refused(tmp_path: Path):
    write_results(tmp_path)
    path = tmp_path / "simulation_shifts.csv"
    table = pd.read_csv(path)
    table[table["seed"].isna()].to_csv(path, index=False)
    with pytest.raises(ValueError, match="no values per world"):
        read_curves(tmp_path)
    with pytest.raises(FileNotFoundError, match="run its notebook first"):
        read_curves(tmp_path / "elsewhere")


def test_published_tables_hold_every_twin(root: Path):
    curves = read_curves(root / "results")
    named = {name for chain in TWINS.values() for name in chain} | {"batch", "gc_low"}
    for metric in ("coverage_drop", "zms_ratio", "rmse_ratio", "crps_ratio"):
        assert named <= {shift for shift, own in curves if own == metric}
    for (shift, metric), own in curves.items():
        if shift != "none":
            assert len(own.dose) >= 5, (shift, metric)
            assert (np.diff(own.dose) > 0).all(), (shift, metric)
    assert set(FAMILIES) == set(TWINS)


def test_curve_table_gives_the_interval_of_the_mean():
    table = curve_table(CURVES)
    own = table[(table["shift"] == "batch") & (table["severity"] == 1)].iloc[0]
    half = T * 0.03 / WORLDS**0.5
    assert (own["lower"], own["upper"]) == pytest.approx((0.4 - half, 0.4 + half))
    assert "none" not in set(table["shift"])
