"""Null bands: closed forms, stated rates, power, tails. Curves by hand; the audit is quick."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from lib.metrics.audit import audit, coverage_by, gaussian_band, pit_histogram, residual_band
from lib.metrics.evaluate import all_metrics

DISTANCES = {"mace", "rmsce", "miscal_area", "pit_ks", "ence", "uce", "zve"}


def sample(n):
    rng = np.random.default_rng(0)
    mean, noise = rng.normal(size=(2, n))
    std = rng.uniform(0.3, 1.2, n)
    return mean, std, mean + std * noise


def test_tables_are_whole_and_repeat_themselves_and_bad_input_is_named():
    result = audit(*sample(3000), np.random.default_rng(0))
    metrics = result["bands"].set_index("metric")
    assert metrics.loc["zms", ["band_lower", "shape_upper"]].notna().all()
    assert metrics.loc["rmse", ["band_lower", "shape_upper"]].isna().all()
    assert metrics["value"].notna().all()
    assert len(result["pit"]) == 20
    again = audit(*sample(3000), np.random.default_rng(0))
    pd.testing.assert_frame_equal(result["bands"], again["bands"])
    with pytest.raises(ValueError, match="no elements"):
        audit([], [], [], np.random.default_rng(0))


def test_pit_histogram_and_coverage_by_hand():
    # u = .12, .31, .34, .91 in twenty bins: 1, 2 and 1 of 4
    z = stats.norm.ppf([0.12, 0.31, 0.34, 0.91])
    table = pit_histogram(np.zeros(4), np.ones(4), z)
    assert table["density"].sum() == 20 and table["density"][[2, 6, 18]].tolist() == [5, 10, 5]
    assert table["left"][[0, 2, 18]].tolist() == pytest.approx([0, 0.1, 0.9])
    band = stats.binom.ppf([0.025, 0.975], 4, 0.05) / 4 * 20
    assert table[["band_lower", "band_upper"]].iloc[0].tolist() == band.tolist()
    extreme = pit_histogram([0, 0], [1, 1], [-50, 50])  # u is 0 and 1 exactly
    assert extreme["density"].iloc[[0, -1]].tolist() == [10, 10]
    labels = np.repeat(["a", "b"], [12, 9])
    table = coverage_by(np.zeros(21), np.ones(21), np.r_[np.full(3, 5.0), np.zeros(18)], labels)
    assert table["bin"].tolist() == ["a"]
    row = table.iloc[0]
    assert row["n"] == 12
    assert row["coverage"] == 9 / 12
    assert row["rmse"] == pytest.approx((3 * 25 / 12) ** 0.5)
    assert row["zms"] == pytest.approx(75 / 12)
    assert row["mpiw"] == pytest.approx(2 * stats.norm.ppf(0.95))


def as_dict(band):
    return {row.metric: (row.lower, row.upper) for row in band.itertuples()}


def test_closed_forms_and_edges(rng):
    band = as_dict(gaussian_band(np.linspace(0.5, 2, 50), np.random.default_rng(0)))
    assert band["zms"] == pytest.approx(tuple(stats.chi2.ppf([0.025, 0.975], 50) / 50))
    assert band["zvar"] == pytest.approx(tuple(stats.chi2.ppf([0.025, 0.975], 49) / 49))
    assert band["picp_90"] == pytest.approx(tuple(stats.binom.ppf([0.025, 0.975], 50, 0.9) / 50))
    assert band["pit_ks"] == (0, pytest.approx(stats.kstwo.ppf(0.95, 50)))
    assert {name for name, (low, _) in band.items() if low in (0, 1)} == DISTANCES
    assert gaussian_band([], rng).empty
    assert "zvar" not in as_dict(gaussian_band([1.0], rng))
    constant = as_dict(gaussian_band(np.ones(30), rng))
    assert "unc_error_spearman" not in constant  # a constant std ranks nothing
    assert "ence" in constant
    assert residual_band([0.0], [1.0], [1.0], rng).empty
    assert residual_band([0.0] * 3, [1.0] * 3, [0.0] * 3, rng).empty


def outside(values, band):
    limits = as_dict(band).items()
    return [name for name, (low, high) in limits if not low <= values[name] <= high]


def test_misfits_are_seen():
    rng = np.random.default_rng(1)
    n = 3000
    std = rng.uniform(0.5, 1.5, n)
    target = std * rng.normal(size=n)
    zeros = np.zeros(n)
    for forecast in (0.8 * std, 1.25 * std):
        band = gaussian_band(forecast, rng)
        seen = outside(all_metrics(zeros, forecast, target), band)
        assert {"zms", "zvar", "picp_90", "mace", "ence", "zve"} <= set(seen)
    # std of the right size on average that says nothing about single elements
    shuffled = rng.permutation(std)
    values = all_metrics(zeros, shuffled, target)
    assert {"ence", "zve", "unc_error_spearman"} <= set(outside(values, gaussian_band(std, rng)))


def test_heavy_tails_are_not_read_as_wrong_variance(monkeypatch):
    monkeypatch.setattr("lib.metrics.audit.DRAWS", 100)
    rng = np.random.default_rng(2)
    n, misread, kept = 2000, 0, 0
    std = rng.uniform(0.5, 1.5, n)
    for _ in range(40):
        target = std * rng.standard_t(5, n) / (5 / 3) ** 0.5  # var z is 1
        values = all_metrics(np.zeros(n), std, target)
        misread += "ence" in outside(values, gaussian_band(std, rng))
        kept += "ence" not in outside(values, residual_band(np.zeros(n), std, target, rng))
    assert misread > 15
    assert kept >= 34  # 95 % of 40 is 38, s.e. 1.4


def test_subsampled_bands_agree_with_full_ones(monkeypatch):
    monkeypatch.setattr("lib.metrics.audit.DRAWS", 400)
    rng = np.random.default_rng(3)
    std = rng.uniform(0.3, 1, 4000)
    target = std * rng.normal(size=4000)
    full = as_dict(gaussian_band(std, rng))
    shape = as_dict(residual_band(np.zeros(4000), std, target, rng))
    monkeypatch.setattr("lib.metrics.audit.RANK_ROWS", 1000)
    monkeypatch.setattr("lib.metrics.audit.SHAPE_ROWS", 1000)
    part = as_dict(gaussian_band(std, rng))
    part_shape = as_dict(residual_band(np.zeros(4000), std, target, rng))
    whole = full["unc_error_spearman"]
    assert part["unc_error_spearman"] == pytest.approx(whole, abs=0.25 * (whole[1] - whole[0]))
    for name in ("zms", "ence", "uce", "zve"):
        assert part_shape[name][1] == pytest.approx(shape[name][1], rel=0.15)


@pytest.mark.slow
@pytest.mark.parametrize("n", [200, 1500])
def test_perfect_forecaster_stays_inside_at_the_stated_rate(n):
    rng = np.random.default_rng(n)
    std = rng.uniform(0.3, 1, n)
    repeats = 300
    inside = {"gaussian": {}, "shape": {}}
    for _ in range(repeats):
        target = std * rng.normal(size=n)
        values = all_metrics(np.zeros(n), std, target)
        both = gaussian_band(std, rng), residual_band(np.zeros(n), std, target, rng)
        for kind, band in zip(inside, both, strict=True):
            seen = outside(values, band)
            for metric in band["metric"]:
                inside[kind][metric] = inside[kind].get(metric, 0) + (metric not in seen)
    for kind, counts in inside.items():
        for metric, count in counts.items():
            # binomial s.e. .0126; limits from 200 draws add .015; coverage is discrete, so above
            assert 0.95 - 3 * 0.02 <= count / repeats <= 1, (kind, metric)
            if not metric.startswith("picp"):
                assert count / repeats <= 0.95 + 3 * 0.015, (kind, metric)
