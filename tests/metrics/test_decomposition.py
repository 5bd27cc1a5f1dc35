"""The split of E[z^2] - 1: exact sums, and each cause lands in its own term."""

import numpy as np
import pytest

from lib.metrics.decomposition import zms_decomposition


def test_terms_by_hand():
    # s^2 = 4 + 0 = 4 twice, sigma^2 = 1: aleatoric (1 - 4)/4 = -3/4
    # f - mean = (+1, -1), mean = (0, 0) is constant, so g = 0: bias 0, missing ((1 + 1)/2)/4 = 1/4
    split = zms_decomposition([0, 0], [2, 2], [0, 0], [1, -1], [1, 1])
    assert split == pytest.approx((-0.5, -0.75, 0.25, 0.0, 0.25))


def test_sum_is_the_expected_excess_over_fresh_noise():
    rng = np.random.default_rng(0)
    n, repeats = 500, 400
    f, mean = rng.normal(size=(2, n))
    aleatoric, epistemic, sigma = rng.uniform(0.3, 1.5, size=(3, n))
    split = zms_decomposition(mean, aleatoric, epistemic, f, sigma)
    y = f + sigma * rng.normal(size=(repeats, n))
    z2 = (y - mean) ** 2 / (aleatoric**2 + epistemic**2)
    per_repeat = z2.mean(axis=1) - 1
    assert split.excess == pytest.approx(per_repeat.mean(), abs=4 * per_repeat.std() / repeats**0.5)
    assert split.excess == pytest.approx(split.aleatoric + split.epistemic, abs=1e-12)
    assert split.epistemic == pytest.approx(split.bias + split.missing, abs=1e-12)


def test_each_cause_in_its_place():
    rng = np.random.default_rng(1)
    n = 20_000
    f = rng.normal(size=n)
    ones, zeros = np.ones(n), np.zeros(n)
    perfect = zms_decomposition(f, ones, zeros, f, ones)
    assert perfect == pytest.approx(np.zeros(5), abs=1e-12)
    louder = zms_decomposition(f, ones, zeros, f, 2 * ones)  # sigma^2 = 4
    assert louder == pytest.approx((3, 3, 0, 0, 0), abs=1e-12)
    shifted = zms_decomposition(0.5 * f - 1, ones, zeros, f, ones)  # f = 2 mean + 2: affine
    assert shifted.missing == pytest.approx(0, abs=1e-12)
    assert shifted.bias == pytest.approx(np.mean((f - 0.5 * f + 1) ** 2))
    scattered = zms_decomposition(f + 0.5 * rng.normal(size=n), ones, 0.5 * ones, f + 0, ones)
    assert scattered.epistemic == pytest.approx(0, abs=0.01)


def test_heteroscedastic_split_has_no_cross_term():
    rng = np.random.default_rng(2)
    mean, f = rng.normal(size=(2, 300))
    a, e = rng.uniform(0.1, 2, size=(2, 300))
    split = zms_decomposition(mean, a, e, f, a)
    weight = 1 / (a**2 + e**2)
    design = np.column_stack([np.ones(300), mean]) * np.sqrt(weight)[:, None]
    g = (
        np.column_stack([np.ones(300), mean])
        @ np.linalg.lstsq(design, f * np.sqrt(weight), rcond=None)[0]
    )
    missing = np.mean(((f - g) ** 2 - e**2) * weight)
    assert split.missing == pytest.approx(missing, abs=1e-10)


def test_edges_and_bad_input():
    assert all(np.isnan(zms_decomposition([], [], [], [], [])))
    with pytest.raises(ValueError, match=r"true_std is -1.0 in row 0"):
        zms_decomposition([0], [1], [0], [0], [-1])
    with pytest.raises(ValueError, match=r"together is 0.0 in row 1"):
        zms_decomposition([0, 0], [1, 0], [0, 0], [0, 0], [1, 1])
    with pytest.raises(ValueError, match="true_activity has 1 rows"):
        zms_decomposition([0, 0], [1, 1], [0, 0], [0], [1, 1])
