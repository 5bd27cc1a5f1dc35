"""Detection without labels: nominal rates, power, silence under a concept shift, scores."""

from functools import partial

import numpy as np
import pytest

from lib.repair import detection

DETECTORS = (detection.domain_classifier, detection.mean_discrepancy, detection.mean_distance)
TESTS = [partial(detection.shift_test, detector) for detector in DETECTORS]
CLASSIFIER, MMD, _ = TESTS
names = pytest.mark.parametrize("test", TESTS, ids=lambda test: test.args[0].__name__)


@names
def test_sees_a_shift_of_the_mean_and_none_of_constants(test, rng):
    result = test(rng.normal(size=(200, 3)), rng.normal(0.5, 1, (150, 3)), rng, permutations=200)
    assert result.p == pytest.approx(1 / 201)
    assert test(np.ones((20, 2)), np.ones((20, 2)), rng, permutations=50).p == 1


def test_what_each_can_see():
    rng = np.random.default_rng(1)
    left, right = rng.normal(size=(400, 2)), 2 * rng.normal(size=(400, 2))  # spread only
    assert CLASSIFIER(left, right, rng, permutations=200).p < 0.01
    assert MMD(left, right, rng, permutations=200).p < 0.01
    pair = rng.normal(size=400)
    dependent = np.column_stack([pair, pair + 0.1 * rng.normal(size=400)]) / 1.005**0.5
    assert MMD(left, dependent, rng, permutations=200).p < 0.01


@names
def test_concept_shift_at_fixed_x_is_silent(test):
    rng = np.random.default_rng(3)
    x, effects = rng.normal(size=(300, 4)), rng.normal(size=4)
    y_before, y_after = x @ effects, x @ -effects  # every effect flipped, features untouched
    assert np.corrcoef(y_before, y_after)[0, 1] == pytest.approx(-1)
    before = test(x[:150], x[150:], np.random.default_rng(4), permutations=100)
    after = test(x[:150], x[150:].copy(), np.random.default_rng(4), permutations=100)
    assert before == after
    assert before.p > 0.01


@names
def test_groups_of_relatives(test):
    rng = np.random.default_rng(5)
    left, right = (np.repeat(rng.normal(size=(12, 2)), 20, axis=0) for _ in range(2))
    labels = np.repeat(np.arange(12), 20)
    by_row = test(left, right, rng, permutations=200)
    by_group = test(left, right, rng, groups=(labels, labels + 100), permutations=200)
    assert by_row.p < 0.01  # twelve relatives of twenty look like 240 elements
    assert by_group.p > 0.01


@names
def test_bad_input(test, rng):
    left, right = rng.normal(size=(10, 2)), rng.normal(size=(8, 2))
    bad = np.where(np.arange(20).reshape(10, 2) == 7, np.nan, left)
    for sides, groups, message in (
        ((left, right[:, :1]), None, r"new has shape \(8, 1\)"),
        ((bad, right), None, "reference is not finite in row 3"),
        ((left, right), (np.arange(10), np.arange(8)), "is in both parts"),
    ):
        with pytest.raises(ValueError, match=message):
            test(*sides, rng, groups=groups)


@pytest.mark.slow
@names
@pytest.mark.parametrize("grouped", [False, True])
def test_nominal_rate_without_a_shift(test, grouped):
    rng = np.random.default_rng(7)
    repeats, hits = 400, 0
    labels = np.repeat(np.arange(15), 4)
    for _ in range(repeats):
        if grouped:
            left, right = (
                rng.normal(size=(15, 2))[labels] + 0.2 * rng.normal(size=(60, 2)) for _ in range(2)
            )
            groups = (labels, labels + 15)
        else:
            left, right, groups = rng.normal(size=(40, 2)), rng.normal(size=(30, 2)), None
        hits += test(left, right, rng, groups=groups, permutations=99).p <= 0.05
    assert 0.05 - 4 * 0.011 <= hits / repeats <= 0.05 + 4 * 0.011


def test_distances_and_the_density_ratio_of_a_tilt():
    assert detection.centre_distance([1, 3], [2, 5, -1]).tolist() == [0, 3, 3]
    rng = np.random.default_rng(9)
    reference = rng.normal(0.55, 0.08, 20_000)  # a GC law
    tilted = rng.normal(0.55 + 0.08, 0.08, 20_000)  # exp(lambda x), a mean shift of one sd
    grid = np.linspace(0.45, 0.7, 6)
    (ratio,) = detection.density_ratio(reference, tilted, grid)
    u = (grid - 0.55) / 0.08
    assert ratio == pytest.approx(np.exp(u - 0.5), rel=0.1)
    (alone,) = detection.density_ratio(reference, reference[::-1], grid)
    assert alone == pytest.approx(np.ones(6), abs=0.05)
