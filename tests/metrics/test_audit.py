"""The audit: equal to the single metrics, complete and fast; its tables by hand."""

import time

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lib.metrics import audit, calibration, scores, selective
from lib.metrics.audit import coverage_by, pit_histogram, reliability
from lib.metrics.columns import LEVELS


def sample(n, seed=0, digits=None):
    rng = np.random.default_rng(seed)
    mean, noise = rng.normal(size=(2, n))
    std = rng.uniform(0.3, 1.2, n)
    forecast = mean, std, mean + std * noise
    return tuple(np.round(v, digits) for v in forecast) if digits is not None else forecast


@pytest.mark.parametrize(("n", "digits"), [(1, None), (2, None), (47, None), (47, 1), (70_000, 2)])
def test_equals_the_single_functions(n, digits):
    mean, std, target = sample(n, digits=digits)
    std = np.maximum(std, 0.1)
    values = audit.all_metrics(mean, std, target, climatology=(0.1, 1.3))
    loss = (target - mean) ** 2
    expected = {}
    for name in ("pearson_r", "spearman_r", "rmse", "mae", "bias", "r2_cod", "r2_pearson"):
        expected[name] = getattr(scores, name)(mean, target)
    expected["sd_target"] = scores.sd_target(target)
    for name in ("pit_ks", "mace", "rmsce", "miscal_area", "ence", "uce", "zve", "zms_robust"):
        expected[name] = getattr(calibration, name)(mean, std, target)
    by_forecast = ("zms", "zvar", "unc_error_spearman", "nll_gaussian", "crps_gaussian")
    for name in (*by_forecast, "check_score", "interval_score_mean"):
        expected[name] = getattr(scores, name)(mean, std, target)
    expected["crps_skill"] = scores.crps_skill(mean, std, target, (0.1, 1.3))
    for name in ("sharpness", "dispersion_cv"):
        expected[name] = getattr(scores, name)(std)
    for level in LEVELS:
        percent = round(100 * level)
        expected[f"picp_{percent}"] = scores.picp(mean, std, target, level)
        expected[f"mpiw_{percent}"] = scores.mpiw(std, level)
        expected[f"coverage_gap_{percent}"] = scores.coverage_gap(mean, std, target, level)
        expected[f"interval_score_{percent}"] = scores.interval_score(mean, std, target, level)
    for name in ("aurc", "e_aurc", "augrc", "prr", "naurc", "ause"):
        expected[name] = getattr(selective, name)(loss, std)
    assert set(values) == set(expected)
    for name, value in expected.items():
        assert values[name] == pytest.approx(value, rel=1e-9, abs=1e-9, nan_ok=True), name


# what a change of unit by a factor does to each metric; the rest stays as it is
SCALED = {"rmse", "mae", "bias", "sd_target", "crps_gaussian", "sharpness"}
SCALED |= {"check_score", "interval_score_mean"}
SQUARED = {"uce", "aurc", "e_aurc", "augrc"}


@pytest.mark.parametrize(("factor", "offset"), [(3.0, 0.0), (0.01, 5.0), (1.0, -1e4)])
def test_change_of_unit(factor, offset):
    mean, std, target = sample(500)
    before = audit.all_metrics(mean, std, target)
    after = audit.all_metrics(factor * mean + offset, factor * std, factor * target + offset)
    for name, value in before.items():
        if name == "nll_gaussian":
            expected = value + np.log(factor)
        elif name in SCALED or name.startswith(("mpiw", "interval_score")):
            expected = factor * value
        else:
            expected = factor**2 * value if name in SQUARED else value
        assert after[name] == pytest.approx(expected, rel=1e-7, abs=1e-9), name


def test_order_of_rows_does_not_matter():
    mean, std, target = sample(300)
    std = np.round(std, 6)
    shuffled = np.random.default_rng(1).permutation(300)
    before = audit.all_metrics(mean, std, target)
    after = audit.all_metrics(mean[shuffled], std[shuffled], target[shuffled])
    assert after == pytest.approx(before, rel=1e-9)


def test_tables():
    mean, std, target = sample(3000)
    species = np.arange(3000) % 3
    result = audit.audit(mean, std, target, np.random.default_rng(0), by={"species": species})
    metrics = result["bands"].set_index("metric")
    assert metrics.loc["zms", ["band_lower", "shape_upper"]].notna().all()
    assert metrics.loc["rmse", ["band_lower", "shape_upper"]].isna().all()
    assert metrics["value"].notna().sum() >= 45 - 1  # all but crps_skill, which is absent
    assert set(result["coverage"]["by"]) == {"std_decile", "mean_decile", "species"}
    assert len(result["pit"]) == 20
    again = audit.audit(mean, std, target, np.random.default_rng(0), by={"species": species})
    pd.testing.assert_frame_equal(result["bands"], again["bands"])


def test_bad_input():
    with pytest.raises(ValueError, match="no elements"):
        audit.all_metrics([], [], [])
    with pytest.raises(ValueError, match=r"std is 0.0 in row 0"):
        audit.audit([0], [0], [0], np.random.default_rng(0))


def test_audit_of_100k_is_quick():
    forecast = sample(100_000)
    seconds = []
    for _ in range(3):
        start = time.process_time()
        audit.audit(*forecast, np.random.default_rng(0))
        seconds.append(time.process_time() - start)
    assert min(seconds) < 2


def test_pit_histogram():
    # u = .1, .3, .35, .9 in four bins: 1, 2, 0, 1 of 4
    z = stats.norm.ppf([0.1, 0.3, 0.35, 0.9])
    table = pit_histogram(np.zeros(4), np.ones(4), z, bins=4)
    assert table["density"].tolist() == [1, 2, 0, 1]
    assert table["left"].tolist() == [0, 0.25, 0.5, 0.75]
    band = stats.binom.ppf([0.025, 0.975], 4, 0.25) / 4 * 4
    assert table[["band_lower", "band_upper"]].iloc[0].tolist() == band.tolist()
    extreme = pit_histogram([0, 0], [1, 1], [-50, 50], bins=3)  # u is 0 and 1 exactly
    assert extreme["density"].tolist() == [1.5, 0, 1.5]


def test_most_points_lie_in_their_band():
    forecast = sample(2000)
    for table, column in (
        (pit_histogram(*forecast), "density"),
        (reliability(*forecast), "observed"),
        (coverage_by(*forecast, labels=np.arange(2000) % 20), "coverage"),
    ):
        inside = (table["band_lower"] <= table[column]) & (table[column] <= table["band_upper"])
        assert inside.mean() >= 0.8
    mean, std, target = forecast
    wrong = (mean, std / 2, target)
    assert reliability(*wrong)["observed"].iloc[10] < reliability(*wrong)["band_lower"].iloc[10]


def test_coverage_by_drops_small_subsets():
    labels = np.repeat(["a", "b"], [12, 9])
    table = coverage_by(np.zeros(21), np.ones(21), np.r_[np.full(3, 5.0), np.zeros(18)], labels)
    assert table["bin"].tolist() == ["a"]
    row = table.iloc[0]
    assert row["n"] == 12
    assert row["coverage"] == 9 / 12
    assert row["rmse"] == pytest.approx((3 * 25 / 12) ** 0.5)
    assert row["zms"] == pytest.approx(75 / 12)
    assert row["mpiw"] == pytest.approx(2 * stats.norm.ppf(0.95))


def test_tables_of_nothing_and_bad_labels():
    for table in (pit_histogram([], [], []), reliability([], [], [])):
        assert table.empty
    assert coverage_by([], [], [], []).empty
    with pytest.raises(ValueError, match="labels has shape"):
        coverage_by([0], [1], [0], ["a", "b"])
