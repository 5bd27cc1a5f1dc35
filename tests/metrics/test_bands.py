"""Null bands: closed forms, stated rates for a perfect forecaster, power, tails."""

import numpy as np
import pytest
from scipy import stats

from lib.metrics.audit import all_metrics
from lib.metrics.bands import gaussian_band, residual_band

DISTANCES = {"mace", "rmsce", "miscal_area", "pit_ks", "ence", "uce", "zve"}


def as_dict(band):
    return {row.metric: (row.lower, row.upper) for row in band.itertuples()}


def test_closed_forms():
    band = as_dict(gaussian_band(np.linspace(0.5, 2, 50), np.random.default_rng(0)))
    assert band["zms"] == pytest.approx(tuple(stats.chi2.ppf([0.025, 0.975], 50) / 50))
    assert band["zvar"] == pytest.approx(tuple(stats.chi2.ppf([0.025, 0.975], 49) / 49))
    assert band["picp_90"] == pytest.approx(tuple(stats.binom.ppf([0.025, 0.975], 50, 0.9) / 50))
    assert band["pit_ks"] == (0, pytest.approx(stats.kstwo.ppf(0.95, 50)))
    assert {name for name, (low, _) in band.items() if low in (0, 1)} == DISTANCES


def test_edges():
    rng = np.random.default_rng(0)
    assert gaussian_band([], rng).empty
    assert "zvar" not in as_dict(gaussian_band([1.0], rng))
    constant = as_dict(gaussian_band(np.ones(30), rng))
    assert "prr" not in constant  # a constant std ranks nothing
    assert "ence" in constant
    assert residual_band([0.0], [1.0], [1.0], rng).empty
    assert residual_band([0.0] * 3, [1.0] * 3, [0.0] * 3, rng).empty
    with pytest.raises(ValueError, match="draws is 0"):
        gaussian_band([1.0], rng, draws=0)


def outside(values, band):
    """Metrics whose value lies outside its band."""
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


def test_heavy_tails_are_not_read_as_wrong_variance():
    rng = np.random.default_rng(2)
    n, misread, kept = 2000, 0, 0
    std = rng.uniform(0.5, 1.5, n)
    for _ in range(40):
        target = std * rng.standard_t(5, n) / (5 / 3) ** 0.5  # var z is 1
        values = all_metrics(np.zeros(n), std, target)
        misread += "ence" in outside(values, gaussian_band(std, rng, draws=100))
        kept += "ence" not in outside(
            values, residual_band(np.zeros(n), std, target, rng, draws=100)
        )
    assert misread > 15
    assert kept >= 34  # 95 % of 40 is 38, s.e. 1.4


def test_subsampled_bands_agree_with_full_ones(monkeypatch):
    rng = np.random.default_rng(3)
    std = rng.uniform(0.3, 1, 4000)
    target = std * rng.normal(size=4000)
    full = as_dict(gaussian_band(std, rng, draws=400))
    shape = as_dict(residual_band(np.zeros(4000), std, target, rng, draws=400))
    monkeypatch.setattr("lib.metrics.bands.RANK_ROWS", 1000)
    monkeypatch.setattr("lib.metrics.bands.SHAPE_ROWS", 1000)
    part = as_dict(gaussian_band(std, rng, draws=400))
    part_shape = as_dict(residual_band(np.zeros(4000), std, target, rng, draws=400))
    for name in ("unc_error_spearman", "prr"):
        width = full[name][1] - full[name][0]
        assert part[name] == pytest.approx(full[name], abs=0.25 * width)
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
        both = {
            "gaussian": gaussian_band(std, rng),
            "shape": residual_band(np.zeros(n), std, target, rng),
        }
        for kind, band in both.items():
            seen = outside(values, band)
            for metric in band["metric"]:
                inside[kind][metric] = inside[kind].get(metric, 0) + (metric not in seen)
    for kind, counts in inside.items():
        for metric, count in counts.items():
            # binomial s.e. .0126; limits from 200 draws add .015; coverage is discrete, so above
            assert 0.95 - 3 * 0.02 <= count / repeats <= 1, (kind, metric)
            if not metric.startswith("picp"):
                assert count / repeats <= 0.95 + 3 * 0.015, (kind, metric)
