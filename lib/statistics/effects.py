"""From values per replicate to effects with intervals, and from intervals to verdicts.

In: long tables, one row per independent replicate (world) and metric. Out: means over replicates
with Student's t; one row per :class:`Effect`, paired by replicate where it has a reference; the
verdict of an interval, and of several together (:func:`holm`). Randomness comes from the caller's
generator.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import t as student_t

from lib.arrays import BoolArray, as_vector
from lib.metrics.columns import scale_of
from lib.metrics.evaluate import over_folds
from lib.metrics.resampling import SCALES, Scale, ends

LEVELS: Final[Mapping[str, float]] = {"": 0.95, "_90": 0.9}
ENDS: Final = ("value", "lower", "upper", "lower_90", "upper_90")
MARGIN_ERROR: Final = 0.025  # one-sided, of a verdict
ROUNDED: Final = 1e-5  # tables hold five significant digits
SKEWED: Final = 0.02  # half-widths off the middle: no interval of Student's t on any scale
EXACT_SIGN_FLIPS: Final = 20  # 2^20 sums are enumerated; above that they are drawn

# What becomes of a metric (left) and its reference (right); ``ratio`` is averaged as a logarithm.
CHANGES: Final[Mapping[str, Callable[[pd.Series, pd.Series], pd.Series]]] = {
    "ratio": lambda left, right: np.log(left) - np.log(right),
    "rise": lambda left, right: left - right,
    "drop": lambda left, right: right - left,
    # Share of a squared error that is taken away.
    "closed": lambda left, right: 1 - (left / right) ** 2,
}

Verdict = Literal["supported", "contradicted", "undecided"]
Direction = Literal["greater", "less", "within"]
Margin = float | tuple[float, ...]
Rows = Iterator[dict[str, Any]]  # of a table of effects


class Estimate(NamedTuple):
    """A value with its interval."""

    value: float
    lower: float
    upper: float


class Contrast(NamedTuple):
    """A paired contrast: mean difference, its t interval and the sign-flip p-value."""

    value: float
    lower: float
    upper: float
    p: float
    df: int


class Decision(NamedTuple):
    """A verdict and, for a contradicted claim, how: no sign of it, or smaller than claimed."""

    verdict: Verdict
    note: str


class Effect(NamedTuple):
    """An effect by name: of which metric, and ``value`` or which of :data:`CHANGES`."""

    name: str
    metric: str
    how: str = "value"


def sign_flip_p(differences: ArrayLike) -> float:
    """Two-sided p-value of a mean difference under random signs.

    Up to 20 differences all 2^n sign patterns are counted, so p cannot go under 2 / 2^n (.0625 for
    n = 5). Above that 100,000 patterns are drawn with seed 0 and the observed one is counted in.
    """
    values = as_vector("differences", differences)
    if not len(values):
        raise ValueError("differences is empty; at least one pair would do")
    reach = abs(values.sum()) - 1e-12 * np.abs(values).sum()
    if len(values) <= EXACT_SIGN_FLIPS:
        sums = np.zeros(1)
        for value in values:
            sums = np.concatenate([sums + value, sums - value])
        return float(np.mean(np.abs(sums) >= reach))
    sums = np.random.default_rng(0).choice([-1.0, 1.0], size=(100_000, len(values))) @ values
    return (int(np.sum(np.abs(sums) >= reach)) + 1) / (len(sums) + 1)


def paired_contrast(differences: ArrayLike, level: float = 0.95, scale: str = "plain") -> Contrast:
    """Mean of ``(n,)`` differences paired within world or split, with t interval and sign-flip p.

    The interval is symmetric on a scale of :data:`lib.metrics.resampling.SCALES`. With one pair it
    is infinite and p is 1: one world decides nothing.
    """
    values = as_vector("differences", differences)
    p, n, value = sign_flip_p(values), len(values), float(values.mean())
    if n == 1:
        return Contrast(value, float("-inf"), float("inf"), p, 0)
    lower, upper = ends(value, values.var(ddof=1) / n, n - 1, scale, level, np.inf)
    return Contrast(value, float(lower), float(upper), p, n - 1)


def ratio_of_means(upper: ArrayLike, lower: ArrayLike) -> Estimate:
    """Ratio of two paired means with Fieller's 95 % interval.

    The interval holds every r at which the paired t test does not reject mean(upper - r lower) = 0,
    so values may be negative. It is the whole line where ``lower`` is not above 0 beyond doubt:
    there is nothing to be a share of. Source: Fieller, JRSS B 16 (1954) 175-185.
    """
    a = as_vector("upper", upper)
    b = as_vector("lower", lower, len(a))
    value = float(a.mean() / b.mean()) if b.mean() != 0 else float("nan")
    if len(a) < 2:
        return Estimate(value, -np.inf, np.inf)
    k = student_t.ppf(0.975, len(a) - 1) ** 2 / len(a)
    covariance = np.cov(a, b)
    # r lies inside where square r^2 - 2 cross r + rest <= 0
    square = b.mean() ** 2 - k * covariance[1, 1]
    cross = a.mean() * b.mean() - k * covariance[0, 1]
    rest = a.mean() ** 2 - k * covariance[0, 0]
    if square <= 0 or b.mean() <= 0:
        return Estimate(value, -np.inf, np.inf)
    half = max(cross**2 - square * rest, 0.0) ** 0.5
    return Estimate(value, float((cross - half) / square), float((cross + half) / square))


def decide(
    lower: float, upper: float, margin: Margin, direction: Direction, null: float = 0.0
) -> Decision:
    """The verdict that an interval gives on a claim.

    ``greater`` and ``less`` (superiority): *supported* when the whole interval lies beyond the
    margin, *contradicted* when the whole interval falls short of it, with the note ``no sign of
    it`` if it includes or passes ``null`` and ``smaller than claimed`` otherwise. ``within``
    (equivalence): *supported* when the interval lies inside the margin, *contradicted* when it lies
    wholly outside. Else *undecided*; an interval that touches the margin is undecided. A 95 %
    interval makes each a one-sided test at 2.5 %.

    ``margin`` is the value to pass; for ``within`` both ends, or one half-width about ``null``, the
    value of no effect: 0 for differences, 1 for ratios. Ends of the interval may be infinite.

    A NaN or crossed interval, a margin on the wrong side of ``null`` and an unknown direction are a
    ValueError.

    Examples
    --------
    >>> decide(0.01, 0.08, margin=0.1, direction="greater")
    Decision(verdict='contradicted', note='smaller than claimed')
    """
    if not lower <= upper:
        raise ValueError(f"interval is ({lower}, {upper}); lower <= upper, neither NaN, would do")
    if direction == "within":
        low, high = margin if isinstance(margin, tuple) else (null - margin, null + margin)
        if not low <= null <= high:
            raise ValueError(f"margin ({low}, {high}) does not hold null, {null}")
        if low < lower and upper < high:
            return Decision("supported", "")
        outside = upper < low or lower > high
        return Decision("contradicted", "outside margin") if outside else Decision("undecided", "")
    if direction not in ("greater", "less") or isinstance(margin, tuple):
        raise ValueError(
            f"direction is {direction!r} with margin {margin}; 'within', or 'greater' or 'less' "
            "with one number, would do"
        )
    sign = 1 if direction == "greater" else -1
    near, far = sorted((sign * lower, sign * upper))
    if sign * margin < sign * null:
        raise ValueError(
            f"margin {margin} lies on the other side of null, {null}, than {direction}"
        )
    if near > sign * margin:
        return Decision("supported", "")
    if far >= sign * margin:
        return Decision("undecided", "")
    absent = near <= sign * null
    return Decision("contradicted", "no sign of it" if absent else "smaller than claimed")


def symmetric_scale(
    value: float, lower: float, upper: float, scales: Iterable[str] = tuple(SCALES)
) -> tuple[Scale, float]:
    """The scale on which an interval is most nearly symmetric, and how far off it is there.

    That is in half-widths, beyond what rounding explains; infinite for intervals that are a point
    or not finite.
    """
    found = (SCALES["plain"], np.inf)
    for scale in map(SCALES.__getitem__, scales):
        with np.errstate(invalid="ignore", divide="ignore"):
            ends = np.array([lower, value, upper], float)
            low, centre, high = scale.to(ends)
            rounding = ROUNDED * abs(value * scale.slope(ends)[1])
            skew = max(abs(centre - (low + high) / 2) - rounding, 0) / ((high - low) / 2)
        if skew < found[1]:
            found = (scale, float(skew))
    return found


def shortfall_p(interval: Estimate, df: float, margin: Margin, direction: Direction) -> float:
    """One-sided p-value of falling short of a margin, from a 95 % interval of Student's t.

    The hypothesis is that the effect reaches the margin; of ``within``, whose ``margin`` is both
    ends, that it lies between. The scale is that on which the interval is symmetric. NaN where it
    is on none, as exact intervals and those of order statistics are, or where ``df`` is NaN.
    """
    scale, skew = symmetric_scale(*interval)
    if not (skew <= SKEWED and df > 0):
        return float("nan")
    ends = margin if isinstance(margin, tuple) else (margin,)
    with np.errstate(invalid="ignore", divide="ignore"):
        value, lower, upper = scale.to(np.array(interval, float))
        reached = scale.to(np.array(ends, float))
    # a margin off the scale cannot be reached on that side
    off = np.where(np.array(ends) < interval.value, -np.inf, np.inf)
    reached = np.where(np.isnan(reached), off, reached)
    error = (upper - lower) / 2 / student_t.ppf(1 - MARGIN_ERROR, df)
    if direction != "within":
        sign = 1 if direction == "greater" else -1
        return float(student_t.sf(sign * (reached[0] - value) / error, df))
    gap, width = max(value - reached[1], reached[0] - value), reached[1] - reached[0]
    return float(student_t.sf([gap / error, (gap + width) / error], df).sum())


def holm(p: ArrayLike, level: float = MARGIN_ERROR) -> BoolArray:
    """Which of ``(k,)`` hypotheses fall when none may fall falsely with more than ``level``.

    The smallest p-value is held against level / k, the next against level / (k - 1), until one is
    above. Source: Holm, Scand. J. Statist. 6 (1979) 65-70.

    Examples
    --------
    >>> holm([0.03, 0.001, 0.012], level=0.025).tolist()
    [False, True, True]
    """
    values = as_vector("p", p)
    order = np.argsort(values, kind="stable")
    falls = np.zeros(len(values), dtype=bool)
    steps = values[order] <= level / np.arange(len(values), 0, -1)
    falls[order] = np.logical_and.accumulate(steps)
    return falls


def effect(name: str, values: pd.Series, *, log: bool = False, **keys: Any) -> dict[str, Any]:
    """Mean over replicates with its 95 and 90 % intervals and sign-flip p; empty without values.

    ``values`` has one value per replicate, NaN where there is none; logarithms with ``log``, which
    come out as ratios. Of a metric, known by ``name``, shares and the like stay in range (of none
    but correlations of 1 there are no ends). Columns: ``effect``, keys, :data:`ENDS`, n, df, p.
    """
    known = values.dropna()
    if known.empty:
        return {}
    wide, narrow = (paired_contrast(known, each, scale_of(name)) for each in LEVELS.values())
    found = dict(zip(ENDS, (*wide[:3], *narrow[1:3]), strict=True))
    if log:
        found = {end: float(np.exp(value)) for end, value in found.items()}
    return {"effect": name, **keys, **found, "n": len(known), "df": wide.df, "p": wide.p}


def by_metric(rows: pd.DataFrame, index: str = "replicate") -> pd.DataFrame:
    """Replicates (or doses of one) by metric; each pair once."""
    return rows.pivot(index=index, columns="metric", values="value")


def against(
    left: pd.DataFrame, right: pd.DataFrame | None, wanted: Iterable[Effect], **keys: Any
) -> Rows:
    """The wanted effects of one condition, paired by replicate with another where they need one."""
    own = by_metric(left)
    other = None if right is None else by_metric(right)
    for name, metric, how in wanted:
        if how == "value":
            row = effect(name, own[metric], **keys)
        elif other is not None:
            change = CHANGES[how](own[metric], other[metric])
            row = effect(name, change, log=how == "ratio", **keys)
        else:
            continue
        if row:
            yield row


def over_replicates(
    table: pd.DataFrame, keys: Sequence[str], *, averaged: Sequence[str] = (), count: str = "worlds"
) -> pd.DataFrame:
    """Mean of ``value`` over independent replicates, 95 % t interval; none for a single one.

    It is symmetric on the scale of the ``metric``, if that is among the keys, so that shares and
    correlations stay in range.

    ``keys`` tell rows apart, missing values included; of ``averaged`` columns the mean is kept. The
    columns are ``keys, value``, ``averaged``, ``lower, upper`` and the count, rows in order of
    appearance.
    """
    groups = table.groupby(list(keys), sort=False, dropna=False)
    found = groups["value"].agg(value="mean", spread="std", size="count")
    made = found[["value"]].join(groups[list(averaged)].mean() if averaged else []).reset_index()
    size = found["size"].to_numpy()
    # A share that is 0 or 1 in every replicate is so in their mean.
    told = made[["value"]].assign(metric=made.get("metric", ""), groups=np.inf)
    told = told.assign(df=size - 1, variance=found["spread"].to_numpy() ** 2 / size)
    told = over_folds(told)
    return made.assign(**told[["lower", "upper"]], **{count: size})
