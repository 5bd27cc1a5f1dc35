"""Intervals and decisions: pooling of splits, paired contrasts, verdicts.

In: finished effects per world or split. Out: intervals, p-values and verdicts as the page on claims
rules them. Randomness comes from the caller's generator. The bootstrap over groups that gives the
variance within a split is :mod:`lib.metrics.bootstrap`.
"""

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import t as student_t

from lib.arrays import as_level, as_vector

EXACT_SIGN_FLIPS = 20  # 2^20 sums are enumerated; above that they are drawn
_FLIP_CELLS = 4_000_000  # signs held at once: 32 MB

Verdict = Literal["supported", "contradicted", "undecided"]


class Pooled(NamedTuple):
    """A value over splits with its interval, and what the interval is made of."""

    value: float
    lower: float
    upper: float
    variance_within: float
    variance_between: float
    df: float


def combine_splits(
    values: ArrayLike,
    within_variances: ArrayLike,
    n_test: float,
    n_train: float,
    level: float = 0.95,
) -> Pooled:
    """Pool one metric over repeated group-wise splits of one data set.

    Total variance = mean within-split bootstrap variance + (1 / J + n_test / n_train) S^2 with S^2
    the sample variance between the J splits: splits overlap, so S^2 / J alone is far too small
    (Nadeau & Bengio, Machine Learning 52 (2003) 239-281). The interval is Student's t with
    Welch-Satterthwaite degrees of freedom, the bootstrap part counted as known.

    S^2 already holds the sampling of the test groups where each split draws its own test part;
    adding the bootstrap variance is conservative there. It is needed where all splits are judged on
    one and the same shifted test set: S^2 then sees only the training part. With J = 1 the
    bootstrap stands alone, and says nothing of training.

    Parameters
    ----------
    values, within_variances : (J,) arrays
        The metric in each split and its bootstrap variance over groups.
    n_test, n_train : float
        Groups (or rows) in the test and training part of a split.

    Raises
    ------
    ValueError
        No split, lengths that differ, negative variances, sizes not above 0.

    Examples
    --------
    >>> pooled = combine_splits([1.0, 3.0], [0.5, 0.5], n_test=1, n_train=2)
    >>> pooled.value, pooled.variance_between  # (1/2 + 1/2) * 2
    (2.0, 2.0)
    """
    values = as_vector("values", values)
    within = as_vector("within_variances", within_variances, len(values))
    splits = len(values)
    if splits == 0:
        raise ValueError("values is empty; at least one split would do")
    if within.min() < 0:
        raise ValueError(f"within_variances holds {within.min()}; variances of at least 0 would do")
    if not (n_test > 0 and n_train > 0):
        raise ValueError(f"n_test is {n_test} and n_train {n_train}; sizes above 0 would do")
    v_within = float(within.mean())
    v_between = (
        float((1 / splits + n_test / n_train) * np.var(values, ddof=1)) if splits > 1 else 0.0
    )
    total = v_within + v_between
    df = (splits - 1) * (total / v_between) ** 2 if v_between > 0 else float("inf")
    half = float(student_t.ppf((1 + as_level(level)) / 2, df)) * total**0.5
    value = float(values.mean())
    return Pooled(value, value - half, value + half, v_within, v_between, df)


class Contrast(NamedTuple):
    """A paired contrast: mean difference, its t interval and the sign-flip p-value."""

    value: float
    lower: float
    upper: float
    p: float
    df: int


def sign_flip_p(
    differences: ArrayLike, rng: np.random.Generator | None = None, draws: int = 100_000
) -> float:
    """Two-sided p-value of a mean difference under random signs.

    Up to 20 differences all 2^n sign patterns are counted, so p cannot go under 2 / 2^n (.0625 for
    n = 5). Above that ``draws`` patterns are drawn with ``rng`` and the observed one is counted in.

    Examples
    --------
    >>> sign_flip_p([1, 2, 3])  # only +++ and --- reach a sum of 6: 2 of 8
    0.25
    """
    values = as_vector("differences", differences)
    if not len(values):
        raise ValueError("differences is empty; at least one pair would do")
    observed = abs(values.sum())
    reach = observed - 1e-12 * np.abs(values).sum()
    if len(values) <= EXACT_SIGN_FLIPS:
        sums = np.zeros(1)
        for value in values:
            sums = np.concatenate([sums + value, sums - value])
        return float(np.mean(np.abs(sums) >= reach))
    if rng is None:
        raise ValueError(f"rng is needed for more than {EXACT_SIGN_FLIPS} differences")
    hits, size = 0, max(1, _FLIP_CELLS // len(values))
    for start in range(0, draws, size):
        flips = rng.choice([-1.0, 1.0], size=(min(size, draws - start), len(values)))
        hits += int(np.sum(np.abs(flips @ values) >= reach))
    return (hits + 1) / (draws + 1)


def paired_contrast(
    differences: ArrayLike, level: float = 0.95, rng: np.random.Generator | None = None
) -> Contrast:
    """Mean of differences paired within world or split, with t interval and sign-flip p.

    With one pair the interval is infinite and p is 1: one world decides nothing.

    Parameters
    ----------
    differences : (n,) array
        One difference per world or split, disjoint units only.
    level : float
        Level of the t interval: 0.95 for superiority, 0.90 for equivalence.
    rng : Generator, optional
        Needed above 20 pairs, where the sign flips are drawn.

    Examples
    --------
    >>> contrast = paired_contrast([1.0, 2.0, 3.0])
    >>> contrast.value, round(contrast.upper, 3), contrast.df  # 2 + 4.303 / sqrt(3)
    (2.0, 4.484, 2)
    """
    values = as_vector("differences", differences)
    p = sign_flip_p(values, rng)
    n, value = len(values), float(values.mean())
    if n == 1:
        return Contrast(value, float("-inf"), float("inf"), p, 0)
    half = student_t.ppf((1 + as_level(level)) / 2, n - 1) * values.std(ddof=1) / n**0.5
    return Contrast(value, value - float(half), value + float(half), p, n - 1)


def ratio_of_means(upper: ArrayLike, lower: ArrayLike, level: float = 0.95) -> tuple[float, ...]:
    """Ratio of two paired means with Fieller's interval: ``value, lower, upper``.

    The interval holds every r at which the paired t test does not reject mean(upper - r lower) = 0,
    so values may be negative. It is the whole line where ``lower`` is not above 0 beyond doubt:
    there is nothing to be a share of. Source: Fieller, JRSS B 16 (1954) 175-185.

    Examples
    --------
    >>> [round(end, 3) for end in ratio_of_means([1.0, 2.0, 1.5], [2.0, 4.0, 3.0])]
    [0.5, 0.5, 0.5]
    """
    a = as_vector("upper", upper)
    b = as_vector("lower", lower, len(a))
    value = float(a.mean() / b.mean()) if b.mean() != 0 else float("nan")
    if len(a) < 2:
        return value, -np.inf, np.inf
    k = student_t.ppf((1 + as_level(level)) / 2, len(a) - 1) ** 2 / len(a)
    covariance = np.cov(a, b)
    # r lies inside where square r^2 - 2 cross r + rest <= 0
    square = b.mean() ** 2 - k * covariance[1, 1]
    cross = a.mean() * b.mean() - k * covariance[0, 1]
    rest = a.mean() ** 2 - k * covariance[0, 0]
    if square <= 0 or b.mean() <= 0:
        return value, -np.inf, np.inf
    half = max(cross**2 - square * rest, 0.0) ** 0.5
    return value, float((cross - half) / square), float((cross + half) / square)


class Decision(NamedTuple):
    """A verdict and, for a contradicted claim, how: ``absent`` or ``present but below margin``."""

    verdict: Verdict
    note: str


def decide(
    lower: float,
    upper: float,
    margin: float | tuple[float, float],
    direction: Literal["greater", "less", "within"],
    null: float = 0.0,
) -> Decision:
    """The verdict that an interval gives on a claim.

    ``greater`` and ``less`` (superiority, 95 % interval): *supported* when the whole interval lies
    beyond the margin, *contradicted* when the whole interval falls short of it, with the note
    ``absent`` if it includes or passes ``null`` and ``present but below margin`` otherwise.
    ``within`` (equivalence, 90 % interval, which is two one-sided tests at 5 %): *supported* when
    the interval lies inside the margin, *contradicted* when it lies wholly outside. Else
    *undecided*; an interval that touches the margin is undecided.

    Parameters
    ----------
    lower, upper : float
        Interval of the effect; infinite ends are allowed.
    margin : float or (float, float)
        For ``within``: both ends, or one half-width about ``null``. Else the value to pass.
    direction : {"greater", "less", "within"}
    null : float
        The value of no effect: 0 for differences, 1 for ratios.

    Raises
    ------
    ValueError
        NaN or crossed interval, a margin on the wrong side of ``null``, an unknown direction.

    Examples
    --------
    >>> decide(0.2, 0.5, margin=0.1, direction="greater").verdict
    'supported'
    >>> decide(0.01, 0.08, margin=0.1, direction="greater")
    Decision(verdict='contradicted', note='present but below margin')
    >>> decide(0.97, 1.05, margin=(0, 1.10), direction="within", null=1).verdict
    'supported'
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
    return Decision("contradicted", "absent" if absent else "present but below margin")
