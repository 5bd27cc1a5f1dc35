"""Selective prediction: hand-worked curves, closed forms, benchmark values, ties, edges."""

import itertools

import numpy as np
import pytest

from lib.metrics import selective
from lib.metrics.selective import threshold_at


def area(name, loss, score):
    return selective.rankings(loss, score)[name]


def test_curve_by_hand_and_values_of_public_benchmarks():
    given = [9.0, 1.0, 4.0, 0.0], [4, 1, 3, 2]
    assert selective.risk_coverage(*given).tolist() == [1, 0.5, 5 / 3, 3.5]
    assert area("aurc", *given) == pytest.approx((1 + 0.5 + 5 / 3 + 3.5) / 4)
    # k = 0 .. 4: sums 0, 1, 1, 5, 14, each over 4
    assert area("augrc", *given) == pytest.approx(21 / 4 / 5)
    # Shifts: R-AUC of errors (2, 1) and (0 .. 4) with ties; random order = mean / 2
    assert area("augrc", [2, 1], [1, 0]) == pytest.approx(2 / 3, abs=1e-12)
    assert area("augrc", range(5), [0, 0, 2, 1, 1]) == pytest.approx(0.8, abs=1e-12)
    errors = np.random.default_rng(0).uniform(size=10)
    assert area("augrc", errors, np.zeros(10)) == pytest.approx(errors.mean() / 2, abs=1e-12)
    # accuracy under rejection, labels 0, 0, 1, 1 ranked by confidence .1, .2, .8, .9
    accuracy_area = 1 - area("aurc", [1, 1, 0, 0], -np.array([0.1, 0.2, 0.8, 0.9]))
    assert accuracy_area == pytest.approx(0.7916667, abs=5e-8)


def test_uniform_sigma_in_closed_form(rng):
    # squared errors of a calibrated forecast with sigma ~ U(0, 1)
    sigma = rng.uniform(size=400_000)
    loss = (sigma * rng.normal(size=400_000)) ** 2
    # risk(c) = c^2 / 3 when rejecting by sigma: AURC 1/9, AUGRC 1/12; random 1/3 and 1/6
    assert area("aurc", loss, sigma) == pytest.approx(1 / 9, abs=2e-3)
    assert area("augrc", loss, sigma) == pytest.approx(1 / 12, abs=1e-3)
    assert area("aurc", loss, np.zeros(len(loss))) == pytest.approx(1 / 3, abs=3e-3)
    assert area("augrc", loss, np.zeros(len(loss))) == pytest.approx(1 / 6, abs=2e-3)
    assert area("aurc", loss, loss) == pytest.approx(0.048, abs=1e-3)
    assert area("e_aurc", loss, sigma) == pytest.approx(1 / 9 - 0.048, abs=2e-3)
    assert area("ause", loss, sigma) == pytest.approx((1 / 9 - 0.048) * 3, abs=6e-3)


def test_ties_are_the_mean_over_their_orders_and_edges():
    loss, score = np.array([5.0, 1.0, 3.0, 2.0]), np.array([1.0, 2.0, 2.0, 2.0])
    for name in ("aurc", "augrc"):
        areas = [area(name, loss, [0, *order]) for order in itertools.permutations([1, 2, 3])]
        assert area(name, loss, score) == pytest.approx(np.mean(areas))
    assert selective.risk_coverage(loss, score)[1] == pytest.approx((5 + 2) / 2)
    # Kept in the order 3, 1, 2 the area is 10/9, by the losses 7/9, at random 1.
    assert area("prr", np.array([1.0, 2.0, 3.0]), [2, 3, 1]) == pytest.approx(-1 / 2)
    none = selective.rankings([], [])
    assert np.isnan([*none.values()]).all()
    one = {"aurc": 4, "e_aurc": 0, "augrc": 2, "prr": np.nan, "naurc": np.nan, "ause": 0}
    assert selective.rankings([4.0], [1.0]) == pytest.approx(one, nan_ok=True)
    equal = {"aurc": 2, "e_aurc": 0, "augrc": 1, "prr": np.nan, "naurc": np.nan, "ause": 0}
    assert selective.rankings([2.0] * 3, [1, 2, 3]) == pytest.approx(equal, nan_ok=True)
    with pytest.raises(ValueError, match="score has 1 rows"):
        selective.rankings([1, 2], [1])


def test_threshold_keeps_its_share():
    score = np.arange(10.0)
    assert threshold_at(score, 0.5) == 4
    assert np.mean(score <= threshold_at(score, 0.5)) == 0.5
    assert threshold_at(score, 1) == 9
    assert threshold_at(score, 0.3) == 2
    assert threshold_at([1, 1, 1, 2], 0.25) == 1  # ties are kept: realised .75
    assert np.isnan(threshold_at([], 0.5))
