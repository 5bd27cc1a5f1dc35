"""Grouped cross-validation: which fold tests an element, and what each fold trains on.

In: leak groups ``(n,)``. Out: :class:`Folds`, and for each fold a :class:`lib.data.splits.Split`.
Groups stay whole and every tested element is tested once. Families of ten or more elements and
above 1 % of an assay, six at most, are in training in every fold: one of them in a test part would
be most of what the part says. What is estimated is thus the score on elements outside those
families; each of them is also left out once, as a shift of its own.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from lib.arrays import BoolArray, IndexArray
from lib.data.splits import Split

FOLDS = 10
FEWEST_FOLDS = 3
LARGE = 0.01  # of the elements: a family above it is never tested in the headline
FEWEST_LARGE = 10  # elements of such a family: of fewer nothing is published
MOST_LARGE = 6
MOST_UNTESTED = 0.1
LARGEST = 0.2  # share of one group
TRAINED = -1  # the fold of an element that is in training everywhere
# Of the groups that a fold does not test: what stops training early, what chooses among
# forecasters and weighs them, and what calibrates the choice. The rest trains.
HELD = {"validation": 0.1, "choice": 0.06, "calibration": 0.06}


class Folds(NamedTuple):
    """An assignment of elements to folds.

    ``fold`` (n,) is the number of the fold that tests an element, or ``TRAINED``; ``families`` are
    the labels of the large families, the largest first; ``n_folds`` counts the folds.
    """

    fold: IndexArray
    families: IndexArray
    n_folds: int

    @property
    def tested(self) -> IndexArray:
        """Rows that a fold tests."""
        return np.flatnonzero(self.fold != TRAINED)


def group_folds(group: IndexArray, seed: int, count: int = FOLDS) -> Folds:
    """Deal whole groups into folds of nearly equal size, large families into none.

    Of ``count`` folds there are fewer where there are fewer groups. A ``ValueError`` says that one
    group holds over 20 % of the elements, large families together hold over 10 %, or fewer than 3
    folds can be filled.
    """
    labels, index, sizes = np.unique(group, return_inverse=True, return_counts=True)
    if (share := sizes.max() / len(group)) > LARGEST:
        raise ValueError(
            f"the largest leak group holds {share:.0%} of the {len(group)} elements (limit "
            f"{LARGEST:.0%}); trim adapters and constant flanks, or give a column of smaller groups"
        )
    rng = np.random.default_rng([seed, *b"folds"])
    order = np.lexsort([rng.random(len(labels)), -sizes])
    most = MOST_LARGE if len(labels) > 1 / LARGE else 0  # of fewer groups the mean is above 1 %
    above = (sizes > LARGE * len(group)) & (sizes >= FEWEST_LARGE)
    large = order[: np.count_nonzero(above[order[:most]])]
    rest = order[len(large) :]
    count = min(count, len(rest))
    if count < FEWEST_FOLDS:
        raise ValueError(
            f"{len(rest)} leak groups outside the large families fill {count} folds; 3 are needed: "
            "check the group column"
        )
    if (untested := sizes[large].sum() / len(group)) > MOST_UNTESTED:
        raise ValueError(
            f"{len(large)} large families hold {untested:.0%} of the {len(group)} elements, which "
            f"would never be tested (limit {MOST_UNTESTED:.0%}): trim adapters and constant "
            "flanks, or give a group column"
        )
    fold = np.full(len(labels), TRAINED)
    filled = np.zeros(count, np.int64)
    for place in rest:
        fold[place] = np.argmin(filled)
        filled[fold[place]] += sizes[place]
    return Folds(fold[index], labels[large], count)


def fold_split(
    folds: Folds, group: IndexArray, number: int, seed: int, held_out: BoolArray | None = None
) -> Split:
    """What fold ``number`` trains on, holds back and tests.

    Rows ``held_out`` (n,) and their relatives train nothing. Those that the fold tests, if any, are
    its part ``shifted``: they too are tested once, by a network that has seen none of their fold.
    Parts that cannot be filled are a ``ValueError``.
    """
    own, shifted = folds.fold == number, {}
    barred = own if held_out is None else own | np.isin(group, group[held_out])
    test = own if held_out is None else own & ~np.isin(group, group[held_out])
    if held_out is not None and (own & held_out).any():
        shifted = {"shifted": np.flatnonzero(own & held_out)}
    return _held("fold", folds, group, test, barred, [seed, number], shifted)


def family_split(folds: Folds, group: IndexArray, family: int, seed: int) -> Split:
    """One large family left out, everything else as in a fold: an unseen family."""
    own = group == family
    return _held("family", folds, group, own, own, [seed, FOLDS, family], {})


def _held(
    name: str,
    folds: Folds,
    group: IndexArray,
    test: BoolArray,
    barred: BoolArray,
    seed: list[int],
    more: Mapping[str, IndexArray],
) -> Split:
    """Whole groups of what is not barred, dealt into training and the parts of :data:`HELD`.

    Of few groups each part gets one.
    """
    small = np.flatnonzero(~barred & (folds.fold != TRAINED))
    labels, index, sizes = np.unique(group[small], return_inverse=True, return_counts=True)
    order = np.random.default_rng(seed).permutation(len(labels))
    reached = (np.cumsum(sizes[order]) - sizes[order] / 2) / len(small)
    part = np.empty(len(labels), np.int64)
    part[order] = np.searchsorted(np.cumsum(list(HELD.values())), reached, side="right")
    if len(np.unique(part)) <= len(HELD):
        part[order] = np.minimum(np.arange(len(labels)), len(HELD))
    held = {name: small[part[index] == place] for place, name in enumerate(HELD)}
    train = np.setdiff1d(np.flatnonzero(~barred), np.concatenate(list(held.values())))
    return Split(name, seed[0], {"train": train, **held, "test": np.flatnonzero(test), **more})
