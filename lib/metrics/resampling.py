"""Whole groups resampled, whole folds left out, and the intervals that both give.

In: a group label per row, and where forecasts are those of cross-validation the fold that tested
it. Out: :class:`Resampling`, weights of the groups whose first column is the sample itself, and
ends of intervals from a statistic under all columns. The unit is always the group (leak group,
parent element), never the row.

Without folds an interval is a bootstrap's percentiles. With folds it is that of the procedure's
performance on new groups: its variance is the larger of two, the bootstrap's over groups of the
pooled forecasts and that of delete-one-fold pseudo-values (:func:`fold_variance`), plus what
refitting adds. The bootstrap alone takes forecasts as given and covers too rarely; pseudo-values
alone are ten numbers. Student's t has one degree of freedom less than there are folds with rows,
or effective groups where a part has fewer.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import sparse
from scipy.special import expit, logit
from scipy.stats import t as student_t

from lib.arrays import FloatArray, GroupCodes, IntArray, as_count, as_labels, as_level, group_codes

MOST_GROUPS = 2000  # sets into which more groups are merged


class Scale(NamedTuple):
    """A scale on which an interval is symmetric: there, its slope, and back."""

    to: Callable[[FloatArray], FloatArray]
    slope: Callable[[FloatArray], FloatArray]
    back: Callable[[FloatArray], FloatArray]


# So that correlations and shares stay in range, and what is above 0 stays there.
SCALES: Final = {
    "plain": Scale(lambda v: v, np.ones_like, lambda v: v),
    "log": Scale(np.log, lambda v: 1 / v, np.exp),
    "fisher": Scale(np.arctanh, lambda v: 1 / (1 - v**2), np.tanh),
    "logit": Scale(logit, lambda v: 1 / (v * (1 - v)), expit),
}


class Resampling(NamedTuple):
    """Sets of whole groups that are drawn together: the set of each row, and each set's fold."""

    codes: IntArray
    n_sets: int
    fold: IntArray | None = None

    @property
    def folds(self) -> int:
        """How many folds there are; 0 where forecasts are not those of cross-validation."""
        return 0 if self.fold is None else int(self.fold.max()) + 1

    @property
    def df(self) -> int:
        """Folds with rows, or effective sets if these are fewer, less one; -1 without folds."""
        if self.fold is None:
            return -1
        return min(len(np.unique(self.fold[self.codes])), int(self.effective)) - 1

    @property
    def effective(self) -> float:
        """Effective number of sets with rows, (sum n)^2 / sum n^2 over their sizes."""
        sizes = np.unique(self.codes, return_counts=True)[1]
        return float(sizes.sum() ** 2 / np.sum(sizes**2))

    def take(self, rows: ArrayLike) -> "Resampling":
        """The same for some of the rows: equal weights of equal groups."""
        return self._replace(codes=self.codes[np.asarray(rows)])

    def weights(self, draws: int, rng: np.random.Generator) -> FloatArray:
        """``(sets, 1 + folds + draws)``: the sample, it without each fold, then the bootstrap.

        A column of the bootstrap counts how often each set was drawn with replacement.
        """
        left = np.empty((self.n_sets, 0))
        if self.fold is not None:
            left = (self.fold[:, None] != np.arange(self.folds)).astype(np.float64)
        picks = rng.integers(0, self.n_sets, size=(self.n_sets, draws))
        cells = (picks * draws + np.arange(draws)).ravel()
        drawn = np.bincount(cells, minlength=picks.size).reshape(picks.shape)
        return np.hstack([np.ones((self.n_sets, 1)), left, drawn])


def resampling(
    group: ArrayLike,
    rng: np.random.Generator,
    fold: ArrayLike | None = None,
    most: int = MOST_GROUPS,
) -> Resampling:
    """How rows are resampled: whole groups, above ``most`` merged at random into so many sets.

    A bootstrap over the sets has the same expected variance as one over the groups, at a cost that
    no longer grows with them: with 2,000 sets the standard error is itself good to 1.6 %. With the
    ``fold`` (n,) that tested each row, sets lie in one fold each.

    Groups in several folds, a missing label, and fewer than 3 folds or over ``most`` are refused.
    """
    groups = group_codes(group)
    if fold is None:
        return Resampling(*_merged(groups, most, rng))
    folds = group_codes(as_labels("fold", fold, len(groups.codes)))
    if not 3 <= folds.n_groups <= most:
        raise ValueError(f"{folds.n_groups} folds; an interval over folds needs 3 to {most}")
    pairs = pd.DataFrame({"group": groups.codes, "fold": folds.codes}).drop_duplicates()
    if len(pairs) > groups.n_groups:
        twice = int(pairs["group"].value_counts().index[0])
        (label,) = np.asarray(group)[groups.codes == twice][:1].tolist()
        raise ValueError(f"group {label!r} is tested in several folds; relatives must share one")
    codes = np.empty(len(groups.codes), np.int64)
    of_set: list[int] = []
    for number in range(folds.n_groups):
        own = np.flatnonzero(folds.codes == number)
        merged = _merged(group_codes(groups.codes[own]), most // folds.n_groups, rng)
        codes[own] = merged.codes + len(of_set)
        of_set += [number] * merged.n_groups
    return Resampling(codes, len(of_set), np.array(of_set))


def _merged(groups: GroupCodes, most: int, rng: np.random.Generator) -> GroupCodes:
    """Groups merged at random into at most ``most`` sets of equal number, each group kept whole."""
    if groups.n_groups <= as_count("most", most):
        return groups
    return GroupCodes((rng.permutation(groups.n_groups) % most)[groups.codes], most)


def totals(columns: FloatArray, codes: IntArray, count: int) -> FloatArray:
    """Sums ``(K, count)`` of columns ``(n, K)`` over rows with equal ``codes`` (n,)."""
    n, places = len(codes), (codes, np.arange(len(codes)))
    member = sparse.csr_array((np.ones(n), places), shape=(count, n))
    return np.ascontiguousarray((member @ columns).T)


def percentiles(resampled: FloatArray, level: float = 0.95) -> tuple[FloatArray, FloatArray]:
    """Lower and upper percentile of draws ``(K, draws)`` or ``(draws,)``, leaving NaN out."""
    tail = (1 - as_level(level)) / 2
    draws = pd.DataFrame(np.atleast_2d(resampled).T)
    with np.errstate(invalid="ignore"):  # between infinite draws
        ends = draws.quantile([tail, 1 - tail]).to_numpy()
    lower, upper = ends.reshape(2, *resampled.shape[:-1])
    return lower, upper


def spread(resampled: FloatArray) -> FloatArray:
    """Sample variance along the last axis over finite draws; NaN for fewer than two."""
    finite = np.where(np.isfinite(resampled), resampled, np.nan)
    variance = pd.DataFrame(np.atleast_2d(finite)).var(axis=1).to_numpy()
    return variance.reshape(resampled.shape[:-1])


def fold_variance(values: FloatArray, folds: int) -> FloatArray:
    """Variance ``(K,)`` of statistics of pooled out-of-fold forecasts, refits apart.

    ``values`` ``(K, 1 + folds + draws)`` are under :meth:`Resampling.weights`; without folds it is
    that of the draws. Source of the pseudo-values: Tukey 1958; that of a mean of folds is theirs
    over the number of folds.
    """
    if not folds:
        return spread(values[:, 1:])
    _, left, drawn = np.split(values, [1, 1 + folds], axis=1)
    return np.fmax(spread(drawn), (folds - 1) * np.var(left, axis=1))


def ends(
    value: ArrayLike,
    variance: ArrayLike,
    df: ArrayLike,
    scale: str = "plain",
    level: float = 0.95,
    groups: ArrayLike | None = None,
) -> tuple[FloatArray, FloatArray]:
    """Ends ``(K,)`` of Student's t intervals, symmetric on a scale of :data:`SCALES`.

    ``variance`` is that of ``value`` itself; the scale enters by the delta method. Shares of
    exactly 0 or 1 get Clopper and Pearson's interval of so many ``groups``, by default ``df + 1``.
    NaN without a degree of freedom: one group, or one fold, says nothing of others.
    """
    value, df = np.asarray(value, float), np.asarray(df)
    to, slope, back = SCALES[scale]
    half = np.sqrt(variance) * student_t.ppf((1 + as_level(level)) / 2, df)
    with np.errstate(invalid="ignore", divide="ignore"):
        centre, reach = to(value), half * slope(value)
        lower, upper = back(centre - reach), back(centre + reach)
    if scale == "logit":
        seen = df + 1 if groups is None else np.asarray(groups)
        reached = ((1 - level) / 2) ** (1 / np.where(df > 0, seen, np.nan))
        lower = np.where(value == 1, reached, np.where(value == 0, 0 * reached, lower))
        upper = np.where(value == 0, 1 - reached, np.where(value == 1, reached / reached, upper))
    return lower, upper
