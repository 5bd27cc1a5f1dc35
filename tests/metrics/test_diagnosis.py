"""Diagnosis tables: hand-worked rows, bands, dropped bins."""

import numpy as np
import pytest
from scipy import stats

from lib.metrics import calibration
from lib.metrics.diagnosis import coverage_by, pit_histogram, reliability, std_bins


def sample(n=2000, seed=0):
    rng = np.random.default_rng(seed)
    std = rng.uniform(0.5, 1.5, n)
    mean = rng.normal(size=n)
    return mean, std, mean + std * rng.normal(size=n)


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
    forecast = sample()
    for table, column in (
        (pit_histogram(*forecast), "density"),
        (reliability(*forecast), "observed"),
        (std_bins(*forecast), "rmse"),
        (coverage_by(*forecast, labels=np.arange(2000) % 20), "coverage"),
    ):
        inside = (table["band_lower"] <= table[column]) & (table[column] <= table["band_upper"])
        assert inside.mean() >= 0.8
    mean, std, target = forecast
    wrong = (mean, std / 2, target)
    assert reliability(*wrong)["observed"].iloc[10] < reliability(*wrong)["band_lower"].iloc[10]
    assert (std_bins(*wrong)["rmse"] > std_bins(*wrong)["band_upper"]).all()


def test_std_bins_give_ence():
    forecast = sample(100)
    table = std_bins(*forecast, bins=7)
    ratio = np.abs(table["rmse"] / table["rmv"] - 1)
    assert ratio.mean() == pytest.approx(calibration.ence(*forecast, bins=7))
    assert table["n"].sum() == 100
    assert table["n"].max() - table["n"].min() <= 1


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


def test_empty_and_bad_input():
    for table in (pit_histogram([], [], []), reliability([], [], []), std_bins([], [], [])):
        assert table.empty
    assert coverage_by([], [], [], []).empty
    with pytest.raises(ValueError, match="labels has shape"):
        coverage_by([0], [1], [0], ["a", "b"])
    with pytest.raises(ValueError, match=r"band_level is 95"):
        std_bins([0], [1], [0], band_level=95)
