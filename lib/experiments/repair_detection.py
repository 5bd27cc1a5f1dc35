"""Is a shift seen without labels? Two-sample tests and scores per element, on sequences alone.

In: :class:`Seen`, what is known of elements before anything is measured. Out: values by
``detector`` and ``quantity``: ``statistic`` and ``p`` of a test, ``auroc`` of a score. Targets
never enter, so a shift that leaves sequences as they are leaves every value as it is.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lib.data.dataset import FloatArray, IndexArray
from lib.repair.detection import (
    ShiftTest,
    auroc_ood,
    centre_distance,
    domain_classifier_test,
    knn_distance,
    mean_distance_test,
    mmd_test,
)

NEIGHBOURS = 10
Test = Callable[..., ShiftTest]


class Seen(NamedTuple):
    """What is seen of n elements: GC content, embedding ``(n, d)``, predicted std, group."""

    gc: FloatArray
    embedding: NDArray[np.float32]
    std: FloatArray
    group: IndexArray

    def take(self, rows: IndexArray) -> "Seen":
        """The rows ``rows``, in that order."""
        return Seen(self.gc[rows], self.embedding[rows], self.std[rows], self.group[rows])


def _halves(n: int, most: int, rng: np.random.Generator) -> tuple[IndexArray, IndexArray]:
    order = rng.permutation(n)
    size = min(n // 2, most)
    return np.sort(order[:size]), np.sort(order[size : 2 * size])


def detect(held: Seen, new: Seen, most: int, permutations: int, seed: int) -> pd.DataFrame:
    """Tests of held against new elements, and how well scores tell the two apart.

    Parameters
    ----------
    held : Seen
        In-distribution elements, one per group: a half is the reference of tests and scores, the
        other the in-distribution side of ``auroc``.
    new : Seen
        Of groups that ``held`` does not have.
    most : int
        Elements of each part that are used.
    permutations, seed : int

    Returns
    -------
    DataFrame
        ``detector, quantity, value, n``.
    """
    rng = np.random.default_rng(seed)
    first, second = _halves(len(held.gc), most, rng)
    size = min(len(new.gc), most)
    asked = new.take(np.sort(rng.choice(len(new.gc), size, replace=False)))
    reference, inside = held.take(first), held.take(second)
    groups = (reference.group, asked.group)
    gc, embedding = (reference.gc, asked.gc), (reference.embedding, asked.embedding)
    tests: dict[str, tuple[Test, tuple[NDArray[Any], NDArray[Any]]]] = {
        "classifier on GC": (domain_classifier_test, gc),
        "classifier on embedding": (domain_classifier_test, embedding),
        "MMD of embedding": (mmd_test, embedding),
        "mean embedding": (mean_distance_test, embedding),
    }
    rows: list[tuple[str, str, float]] = []
    for name, (test, sides) in tests.items():
        found = test(*sides, rng, groups=groups, permutations=permutations)
        rows += [(name, "statistic", found.statistic), (name, "p", found.p)]
    near = min(NEIGHBOURS, len(reference.gc))
    scores = {
        "GC distance": [centre_distance(reference.gc, side.gc) for side in (inside, asked)],
        "embedding distance": [
            knn_distance(reference.embedding, side.embedding, near) for side in (inside, asked)
        ],
        "predicted std": [inside.std, asked.std],
    }
    rows += [(name, "auroc", auroc_ood(*pair)) for name, pair in scores.items()]
    return pd.DataFrame(rows, columns=["detector", "quantity", "value"]).assign(n=size)
