"""The tidy table of one model on one part: values, intervals, bins, oracle, edges."""

from functools import partial

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student_t

from lib.metrics.columns import LEVELS, METRICS, at_level, metric
from lib.metrics.evaluate import all_metrics, evaluate, quantile_bins
from lib.metrics.resampling import resampling
from tests.refusals import refused


def make(n=400, seed=0, **columns):
    rng = np.random.default_rng(seed)
    mean = rng.normal(size=n)
    std = rng.uniform(0.3, 1.2, n)
    table = {"mean": mean, "std": std, "target": mean + std * rng.normal(size=n)}
    return pd.DataFrame(table | columns)


FORECAST = ("mean", "std", "target")


def overall(frame):
    return frame[frame["by"] == ""].set_index("metric")


def run(table, **options):
    return evaluate(table, rng=np.random.default_rng(1), **{"draws": 100} | options)


@pytest.mark.parametrize("n", [5, 57, 400])
def test_values_are_those_of_all_metrics(n):
    table = make(n, group=np.arange(n) // 3)
    found = overall(run(table, climatology=(0.2, 1.4)))["value"]
    expected = all_metrics(table["mean"], table["std"], table["target"], climatology=(0.2, 1.4))
    assert set(expected) - set(found.index) == {"ause"}
    for name, value in found.items():
        assert value == pytest.approx(expected[name], abs=1e-10), name


def test_bootstrap_equals_repeating_rows():
    table = make(60, group=np.repeat(np.arange(20), 3))
    frame = overall(run(table, draws=2000))
    drawn = np.random.default_rng(5).integers(0, 20, (2000, 20, 1))
    samples = [table.iloc[rows.ravel()] for rows in 3 * drawn + np.arange(3)]
    for name in ("rmse", "pearson_r", "mae"):
        values = [metric(name, part["mean"], part["target"]) for part in samples]
        ends = np.percentile(values, [2.5, 97.5])
        found = frame.loc[name, ["lower", "upper"]].tolist()
        assert found == pytest.approx(ends, abs=0.08 * np.ptp(ends)), name
    parts = ((part[name] for name in FORECAST) for part in samples[:150])
    values = pd.DataFrame([all_metrics(*part) for part in parts])
    for name in ("spearman_r", "aurc"):  # linearised; 200 draws
        assert frame.loc[name, "variance"] ** 0.5 == pytest.approx(values[name].std(), rel=0.25)


def test_merging_many_groups_keeps_the_interval(monkeypatch):
    table = make(6000, group=np.arange(6000) // 2)
    deciles = {"activity": quantile_bins(table["mean"])}
    merged = run(table, by=deciles, draws=1500)
    monkeypatch.setattr("lib.metrics.evaluate.resampling", partial(resampling, most=10_000))
    exact = run(table, by=deciles, draws=1500)
    assert (merged["value"] - exact["value"]).abs().max() < 1e-9
    sums = exact["metric"].isin(["rmse", "crps_gaussian", "picp_90", "pearson_r", "zms"])
    ratio = (merged["variance"] / exact["variance"])[sums]
    # both variances come from 1,500 draws: s.e. of their ratio .05
    assert ratio.between(0.75, 1.3).all()
    assert ratio.mean() == pytest.approx(1, abs=0.05)


def test_conditional_rows_and_worst_bin():
    table = make(205)
    bins = np.repeat([0, 1, 2], [100, 100, 5])  # the last is smaller than 10
    table.loc[bins == 1, "target"] += 2
    frame = run(table, by={"gc_decile": bins})
    inside = frame[frame["by"] == "gc_decile"].set_index("metric")
    assert set(inside["bin"]) == {"0", "1"}
    assert set(inside["n"]) == {100}
    assert set(inside.index) == {"rmse", "bias", "picp_90", "mpiw_90", "crps_gaussian", "zms"}
    assert inside["value"].between(inside["lower"], inside["upper"]).all()
    for number in (0, 1):
        found = inside.loc[inside["bin"] == str(number), "value"]
        alone = all_metrics(*(table.loc[bins == number, name] for name in FORECAST))
        assert found.to_dict() == pytest.approx({name: alone[name] for name in found.index})


@pytest.mark.filterwarnings("error")
def test_constant_forecast_and_tiny_parts():
    constant = make(40).assign(mean=0.1, std=0.7)
    frame = overall(run(constant, climatology=(0.1, 0.7)))
    for name in ("pearson_r", "spearman_r", "r2_pearson", "unc_error_spearman"):
        assert frame.loc[name, ["value", "lower", "upper"]].isna().all()
    assert frame.loc["dispersion_cv", "value"] == 0
    assert frame.loc["crps_skill", "value"] == pytest.approx(0, abs=1e-12)
    for n in (1, 2, 3):
        assert set(overall(run(make(n)))["n"]) == {n}
    one_group = overall(run(make(30, group=1))).loc["rmse"]
    assert one_group["value"] > 0 and one_group[["lower", "upper", "variance"]].isna().all()


test_bad_input = refused(
    (lambda t: t.assign(std=0.0), {}, r"std is 0.0 in row 0"),
    (lambda t: t.assign(group=[None, *range(19)]), {}, "groups is missing in row 0"),
    (lambda t: t, {"by": {"gc": [1, 2]}}, r"by\['gc'\] has shape"),
    act=lambda change, options: run(change(make(20)), **options),
)


def test_intervals_over_folds_by_hand():
    """Nine errors in three folds: bias and RMSE with their delete-one-fold values."""
    error = np.array([0.0, 0.2, -0.2, 1.0, 0.8, 0.6, -0.6, -0.2, -0.4])
    fold = np.repeat([4, 7, 9], 3)
    table = pd.DataFrame({"mean": error, "std": 1.0, "target": 0.0, "fold": fold})
    frame = overall(run(table, draws=1000))
    # Fold means 0, .8, -.4: their variance over three is .12; a bootstrap's is about .29 / 9.
    assert frame.loc["bias", "variance"] == pytest.approx(np.var([0, 0.8, -0.4], ddof=1) / 3)
    half = student_t.ppf(0.975, 2) * 0.373333333**0.5 * (1 / 3) ** 0.5
    assert frame.loc["bias", "upper"] == pytest.approx(0.4 / 3 + half)
    # Sums of squares .08, 2, .56; RMSE without each fold, the interval on the logarithm.
    left = np.sqrt([2.56 / 6, 0.64 / 6, 2.08 / 6])
    variance = 2 * np.var(left)
    row = frame.loc["rmse"]
    assert row["value"] == pytest.approx((2.64 / 9) ** 0.5)
    assert row["variance"] == pytest.approx(variance)
    reach = np.exp(student_t.ppf(0.975, 2) * variance**0.5 / row["value"])
    assert row["lower"] == pytest.approx(row["value"] / reach)
    assert row["upper"] == pytest.approx(row["value"] * reach)


def test_the_bootstrap_decides_where_folds_hardly_differ_and_full_coverage_is_exact():
    error = np.tile([-1.0, 1.0, 2.0], 20)
    table = pd.DataFrame({"mean": error, "std": 1.0, "target": 0.0, "fold": np.arange(60) // 6})
    frame = overall(run(table, draws=4000))
    expected = np.var(error) / 60  # folds are alike
    assert frame.loc["bias", "variance"] == pytest.approx(expected, rel=0.1)
    table = pd.DataFrame({"mean": 0.0, "std": 1.0, "target": np.zeros(80)})
    table = table.assign(group=np.arange(80) // 2, fold=np.arange(80) // 8)
    row = overall(run(table)).loc["picp_90"]
    assert row["upper"] == row["value"] == 1
    assert row["lower"] == pytest.approx(0.025 ** (1 / 40))  # Clopper and Pearson, 40 of 40
    alone = overall(run(table.drop(columns="fold"))).loc["picp_90"]
    assert alone[["lower", "upper"]].tolist() == row[["lower", "upper"]].tolist()


def test_a_bin_in_few_folds_has_fewer_degrees_of_freedom():
    table = make(300, fold=np.arange(300) % 10)
    frame = run(table, by={"kind": np.where(np.arange(300) % 10 < 2, "rare", "usual")})
    rare = frame[(frame["bin"] == "rare") & (frame["metric"] == "rmse")].iloc[0]
    # Two folds leave one degree of freedom, on the logarithm.
    reach = student_t.ppf(0.975, 1) * rare["variance"] ** 0.5 / rare["value"]
    assert rare["upper"] == pytest.approx(rare["value"] * np.exp(reach))
    ordered = overall(frame).loc[["aurc", "spearman_r"]]
    assert ((ordered["lower"] < ordered["value"]) & (ordered["value"] < ordered["upper"])).all()


@pytest.mark.slow
def test_intervals_cover_the_truth():
    # perfect forecasts with known law: rmse = E[s^2]^.5, picp = level, zms = 1
    rng, std = np.random.default_rng(7), np.linspace(0.5, 1.5, 200)
    truth = pd.Series({"rmse": np.mean(std**2) ** 0.5, "picp_90": 0.9, "zms": 1.0})
    hits = 0
    for _ in range(400):
        table = pd.DataFrame({"mean": 0.0, "std": std, "target": std * rng.normal(size=200)})
        frame = overall(evaluate(table, rng=rng, draws=300)).loc[truth.index]
        hits += truth.between(frame["lower"], frame["upper"])
    assert (hits / 400).between(0.90, 0.985).all()  # .95, s.e. .011, small-sample loss below


def test_distances_from_perfect_calibration_have_no_interval():
    """Resampling itself moves them away from it, so percentiles would lie above the value."""
    frame = overall(run(make(200)))
    distances = ["mace", "rmsce", "miscal_area", "ence", "uce", "zve", "pit_ks"]
    assert frame.loc[distances, ["lower", "upper", "variance"]].isna().all().all()
    others = frame.drop([*distances, "zms_robust"])
    assert others[["lower", "upper", "variance"]].notna().all().all()


def test_bins_are_even_and_ties_stay_together():
    values = np.random.default_rng(0).permutation(1000)
    assert np.bincount(quantile_bins(values, 10)).tolist() == [100] * 10
    bins = quantile_bins(np.repeat([1.0, 2.0], [90, 10]), 10)
    assert len(np.unique(bins[:90])) == len(np.unique(bins[90:])) == 1
    assert quantile_bins([7.0], 4).tolist() == [0]
    with pytest.raises(ValueError, match="bins is 0"):
        quantile_bins([1, 2], 0)


@pytest.mark.parametrize(("n", "digits"), [(1, 15), (2, 15), (47, 15), (47, 1), (70_000, 2)])
def test_all_metrics_are_the_single_ones(n, digits):
    mean, std, target = make(n)[[*FORECAST]].round(digits).to_numpy().T
    values = all_metrics(mean, std, target)
    expected = {m: metric(m, mean, target, std) for m in METRICS if m != "crps_skill"}
    for level in LEVELS:
        for stem in at_level(level):
            expected[f"{stem}_{round(100 * level)}"] = metric(stem, mean, target, std, level)
    found = {name: values[name] for name in expected}
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-9, nan_ok=True)


# what a change of unit by a factor does to each metric; the rest stays as it is
SCALED = {"rmse", "mae", "bias", "sd_target", "crps_gaussian", "sharpness"}
SQUARED = {"uce", "aurc", "e_aurc", "augrc"}


@pytest.mark.parametrize(("factor", "offset"), [(3.0, 0.0), (0.01, 5.0), (1.0, -1e7)])
def test_change_of_unit(factor, offset):
    mean, std, target = make(500)[[*FORECAST]].to_numpy().T
    before = all_metrics(mean, std, target)
    after = all_metrics(factor * mean + offset, factor * std, factor * target + offset)
    for name, value in before.items():
        if name == "nll_gaussian":
            expected = value + np.log(factor)
        elif name in SCALED or name.startswith(("mpiw", "interval_score")):
            expected = factor * value
        else:
            expected = factor**2 * value if name in SQUARED else value
        assert after[name] == pytest.approx(expected, rel=1e-6, abs=1e-7), name
