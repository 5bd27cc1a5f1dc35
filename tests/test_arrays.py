"""Orders, ranks and label numbering against numpy and scipy, ties and odd types included."""

import numpy as np
import pytest
from scipy import stats

from lib.arrays import group_codes, ranks, stable_order


@pytest.mark.parametrize("decimals", [0, 1, 12])
def test_order_and_ranks(decimals):
    values = np.round(np.random.default_rng(0).normal(size=500), decimals)
    assert (stable_order(values) == np.argsort(values, kind="stable")).all()
    assert (ranks(values) == stats.rankdata(values)).all()


@pytest.mark.parametrize(
    "labels",
    [
        np.array([250, 1, 250], dtype=np.uint8),
        np.array([2**63, 2**63 + 1], dtype=np.uint64),
        np.array([1.5, -1.0, 1.5]),
        np.array(["b", "a", "b"]),
        np.array([], dtype=np.int64),
    ],
)
def test_numbering_is_that_of_unique(labels):
    expected, inverse = np.unique(labels, return_inverse=True)
    assert group_codes(labels).codes.tolist() == inverse.tolist()
    assert group_codes(labels).n_groups == len(expected)


def test_missing_labels_are_named():
    with pytest.raises(ValueError, match="groups is missing in row 1"):
        group_codes(np.array(["a", None], dtype=object))
    with pytest.raises(ValueError, match="groups is missing in row 0"):
        group_codes([np.nan, 1.0])
