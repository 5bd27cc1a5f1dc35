"""Proper scores: reference values, definitions by integration, propriety, edges."""

import numpy as np
import pytest
from scipy import integrate, stats

from lib.metrics import scoring

CASE = ([1.0, 2.0, 3.0], [0.1, 0.5, 1.0], [1.5, 3.0, 2.0])


def test_reference_values():
    # z = 5, 2, -1: NLL = log(2 pi)/2 + (log .1 + log .5)/3 + (25 + 4 + 1)/6
    by_hand = 0.5 * np.log(2 * np.pi) + np.log(0.05) / 3 + 5
    assert scoring.nll_gaussian(*CASE) == pytest.approx(by_hand, abs=1e-12)
    assert scoring.nll_gaussian(*CASE) == pytest.approx(4.920361108686675, abs=1e-12)
    assert scoring.crps_gaussian(*CASE) == pytest.approx(0.59080610693, abs=1e-10)
    assert scoring.check_score(*CASE) == pytest.approx(0.29801437323836477, abs=1e-12)
    assert scoring.interval_score_mean(*CASE) == pytest.approx(3.20755700861995, abs=1e-12)


def test_crps_is_the_integral_of_its_definition():
    mean, std, target = 0.3, 0.7, 1.1

    def integrand(x: float) -> float:
        return (stats.norm.cdf(x, mean, std) - (x >= target)) ** 2

    pieces = [(-8, target), (target, 8)]
    by_definition = sum(integrate.quad(integrand, *piece)[0] for piece in pieces)
    assert scoring.crps_gaussian([mean], [std], [target]) == pytest.approx(by_definition, abs=1e-8)


def test_crps_tends_to_the_absolute_error():
    assert scoring.crps_gaussian([0.0], [1e-9], [2.0]) == pytest.approx(2.0, abs=1e-8)


def test_interval_score_by_hand():
    half = stats.norm.ppf(0.9)  # level .8, alpha .2
    # inside: width 2 half; outside at 2: width + (2 / .2) (2 - half)
    expected = (2 * half + 2 * half + 10 * (2 - half)) / 2
    assert scoring.interval_score([0, 0], [1, 1], [0, 2], level=0.8) == pytest.approx(expected)


def test_mean_scores_are_means_over_levels():
    rng = np.random.default_rng(1)
    mean, target = rng.normal(size=(2, 40)) * 2
    std = rng.uniform(0.05, 2, 40)
    levels = np.linspace(0.01, 0.99, 99)
    single = np.mean([scoring.interval_score(mean, std, target, level) for level in levels])
    assert scoring.interval_score_mean(mean, std, target) == pytest.approx(single, abs=1e-10)
    quantiles = stats.norm.ppf(levels[:, None], mean, std)
    gap = target - quantiles
    pinball = np.mean(np.maximum(levels[:, None] * gap, (levels[:, None] - 1) * gap))
    assert scoring.check_score(mean, std, target) == pytest.approx(pinball, abs=1e-10)


def test_truth_scores_best():
    rng = np.random.default_rng(2)
    std = rng.uniform(0.5, 2, 20_000)
    mean = rng.normal(size=20_000)
    target = mean + std * rng.normal(size=20_000)
    for score in (scoring.nll_gaussian, scoring.crps_gaussian, scoring.interval_score):
        right = score(mean, std, target)
        for other in ((mean, 1.5 * std), (mean, std / 1.5), (mean + 0.3, std)):
            assert score(*other, target) > right


def test_skill():
    assert scoring.crps_skill([1, -1], [1e-9, 1e-9], [1, -1], (0, 1)) == pytest.approx(1, abs=1e-8)
    assert scoring.crps_skill([0, 0], [1, 1], [3, -1], climatology=(0, 1)) == 0
    with pytest.raises(ValueError, match="climatology std is 0"):
        scoring.crps_skill([0], [1], [0], climatology=(0, 0))


def test_edges_and_bad_input():
    for name in ("nll_gaussian", "crps_gaussian", "interval_score", "check_score"):
        score = getattr(scoring, name)
        assert np.isnan(score([], [], []))
        with pytest.raises(ValueError, match=r"std is 0.0 in row 1"):
            score([0, 0], [1, 0], [0, 0])
        with pytest.raises(ValueError, match=r"std is nan in row 0"):
            score([0], [np.nan], [0])
        with pytest.raises(ValueError, match=r"std has 1 rows"):
            score([0, 0], [1], [0, 0])
    for level in (0, 1, -0.1, 90, np.nan):
        with pytest.raises(ValueError, match=r"level is .*inside \(0, 1\)"):
            scoring.interval_score([0], [1], [0], level=level)
