"""Thresholds: arithmetic, guarantees by simulation, audits."""

import numpy as np
import pytest

from lib.metrics.thresholds import (
    audit_threshold,
    crc_threshold,
    hoeffding_bentkus_p,
    ltt_threshold,
    threshold_at,
)


def test_threshold_keeps_its_share():
    score = np.arange(10.0)
    assert threshold_at(score, 0.5) == 4
    assert np.mean(score <= threshold_at(score, 0.5)) == 0.5
    assert threshold_at(score, 1) == 9
    assert threshold_at(score, 0.3) == 2
    assert threshold_at([1, 1, 1, 2], 0.25) == 1  # ties are kept: realised .75
    assert np.isnan(threshold_at([], 0.5))


def test_crc_by_hand():
    loss, score = [0.0, 0.2, 0.6, 1.0], [1, 2, 3, 4]
    # (cumulative loss + 1) / 5 = .2, .24, .36, .56
    assert crc_threshold(loss, score, 0.3, bound=1) == 2
    assert crc_threshold(loss, score, 0.36, bound=1) == 3
    assert crc_threshold(loss, score, 0.56, bound=1) == np.inf
    assert crc_threshold(loss, score, 0.19, bound=1) == -np.inf
    tied = crc_threshold([0.0, 0.2, 0.6, 1.0], [1, 2, 2, 4], 0.3, bound=1)
    assert tied == 1  # 2 would keep both tied elements, .36
    with pytest.raises(ValueError, match="larger bound"):
        crc_threshold([2.0], [1], 0.5, bound=1)


def test_hoeffding_bentkus():
    # no loss in n: exp(n log(1 - risk)) = (1 - risk)^n, and e (1 - risk)^n is larger
    assert hoeffding_bentkus_p(0, 20, 0.1) == pytest.approx(0.9**20)
    assert hoeffding_bentkus_p(0.1, 20, 0.1) == 1
    assert hoeffding_bentkus_p(0.0, 0, 0.1) == 1


def test_ltt_stops_at_the_first_failure():
    loss = np.r_[np.zeros(100), np.ones(100), np.zeros(1000)]
    score = np.r_[np.full(100, 1.0), np.full(100, 2.0), np.full(1000, 3.0)]
    # 3 would pass (100 / 1200) but 2 (100 / 200) stands before it
    assert ltt_threshold(loss, score, 0.2, [1, 2, 3], bound=1) == 1
    assert ltt_threshold(loss, score, 0.2, [3], bound=1) == 3
    assert ltt_threshold(loss, score, 0.001, [1], bound=1) == -np.inf
    with pytest.raises(ValueError, match="risk is 2"):
        ltt_threshold(loss, score, 2, [1], bound=1)


def test_audit_by_hand():
    audit = audit_threshold([1.0, 3.0, 8.0], [0.1, 0.2, 0.9], 0.5, target_risk=2.0)
    assert audit == (2 / 3, 2.0, 8.0, 4.0, False, 3)
    assert audit_threshold([1.0], [0.1], 0.5, target_risk=0.5).violated
    nothing = audit_threshold([1.0], [0.9], 0.5, target_risk=0.5)
    assert nothing.coverage == 0
    assert np.isnan(nothing.risk)
    assert not nothing.violated


def draw(rng, n):
    std = rng.uniform(0.2, 1, n)
    return np.minimum((std * rng.normal(size=n)) ** 2, 4.0), std


@pytest.mark.slow
def test_crc_controls_the_generalised_risk_on_average():
    rng = np.random.default_rng(0)
    risks = []
    for _ in range(1500):
        threshold = crc_threshold(*draw(rng, 200), risk=0.2, bound=4.0)
        loss, score = draw(rng, 400)
        risks.append(np.mean(loss * (score <= threshold)))
    error = np.std(risks) / 1500**0.5
    assert np.mean(risks) <= 0.2 + 3 * error
    assert np.mean(risks) >= 0.2 - 4 / 201 - 3 * error  # tight up to bound / (n + 1)


@pytest.mark.slow
def test_ltt_violates_rarely():
    rng = np.random.default_rng(1)
    loss, score = draw(rng, 400_000)
    grid = np.quantile(draw(rng, 10_000)[1], np.linspace(0.2, 1, 17))
    violated = 0
    for _ in range(400):
        threshold = ltt_threshold(*draw(rng, 2000), risk=0.25, thresholds=grid, bound=4.0)
        violated += threshold > -np.inf and loss[score <= threshold].mean() > 0.25
    assert violated / 400 <= 0.1 + 3 * 0.015
