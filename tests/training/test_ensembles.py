"""The variance of an ensemble in two parts, by hand and by the law of total variance."""

import numpy as np
import pytest

from lib.training.fitted import combine


def test_a_mixture_by_hand() -> None:
    # Means 1 and 3: mean 2, variance ((1-2)² + (3-2)²) / 2 = 1. Stds 1 and 2: mean of 1 and 4, 2.5.
    both = combine([[1.0], [3.0]], [[1.0], [2.0]])
    assert both.mean == 2.0
    assert both.std_epistemic == 1.0
    assert both.std_aleatoric**2 == pytest.approx(2.5)
    assert both.std**2 == pytest.approx(3.5)


def test_one_member_is_itself() -> None:
    one = combine([[1.0, -2.0]], [[0.5, 3.0]])
    assert one.mean.tolist() == [1.0, -2.0]
    assert one.std == pytest.approx([0.5, 3.0])
    assert one.std_epistemic.tolist() == [0.0, 0.0]


def test_total_variance_is_that_of_draws_from_the_mixture() -> None:
    rng = np.random.default_rng(0)
    means, stds = rng.normal(size=(4, 1)), rng.uniform(0.5, 2, size=(4, 1))
    member = rng.integers(0, 4, 200_000)
    draws = rng.normal(means[member, 0], stds[member, 0])
    both = combine(means, stds)
    assert both.mean[0] == pytest.approx(draws.mean(), abs=0.02)
    assert both.std[0] == pytest.approx(draws.std(), rel=0.01)


@pytest.mark.parametrize(
    ("means", "stds", "words"),
    [
        ([1.0], [1.0], "would do"),
        (np.zeros((0, 2)), np.zeros((0, 2)), "would do"),
        ([[1.0, 2.0]], [[1.0]], "would do"),
        ([[1.0], [np.nan]], [[1.0], [1.0]], "member 1 says nan ± 1.0 in row 0"),
        ([[1.0, 1.0]], [[1.0, 0.0]], "member 0 says 1.0 ± 0.0 in row 1"),
    ],
)
def test_bad_members(means, stds, words) -> None:
    with pytest.raises(ValueError, match=words):
        combine(means, stds)


def test_members_without_elements() -> None:
    assert combine(np.zeros((3, 0)), np.zeros((3, 0))).mean.shape == (0,)
