"""Rejection thresholds: fixed in distribution, controlled for risk, audited elsewhere.

In: ``loss`` and ``score`` of a calibration part, then of the part to audit; an element is kept when
its score is at most the threshold. Out: a threshold (-inf keeps none, inf keeps all) or an audit.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import binom

from lib.arrays import FloatArray, as_level, as_vector, stable_order


def threshold_at(score: ArrayLike, coverage: float) -> float:
    """The score that keeps ``coverage`` of these elements: their ceil(coverage * n)-th smallest.

    Elements tied with it are kept too, so realised coverage may exceed ``coverage``. No guarantee
    on the risk: that is what the audit is for. NaN for n = 0.

    Examples
    --------
    >>> threshold_at([0.1, 0.2, 0.3, 0.4], coverage=0.5)
    0.2
    """
    score = np.sort(as_vector("score", score))
    share = coverage if coverage == 1 else as_level(coverage, "coverage")
    if not len(score):
        return float("nan")
    return float(score[int(np.ceil(share * len(score) - 1e-9)) - 1])


def _bounded(loss: ArrayLike, score: ArrayLike, bound: float) -> tuple[FloatArray, FloatArray]:
    loss = as_vector("loss", loss)
    if len(loss) and not (loss.min() >= 0 and loss.max() <= bound):
        raise ValueError(
            f"loss spans [{loss.min()}, {loss.max()}] outside [0, {bound}]; a larger bound, or a "
            "clipped loss (whose risk is then controlled), would do"
        )
    return loss, as_vector("score", score, len(loss))


def crc_threshold(loss: ArrayLike, score: ArrayLike, risk: float, bound: float) -> float:
    """Conformal risk control: the largest threshold with E[loss * kept] <= ``risk``.

    The controlled quantity is the *generalised* risk (loss counted 0 where rejected), in
    expectation over calibration and one new element, for exchangeable elements and losses in [0,
    ``bound``]. -inf where even keeping none cannot be certified (bound / (n + 1) > risk). Source:
    Angelopoulos et al. 2022 (2208.02814).

    Examples
    --------
    >>> crc_threshold([0, 0, 1, 1], [1, 2, 3, 4], risk=0.5, bound=1)  # (0 + 0 + 1 + 1) / 5 <= .5
    3.0
    """
    loss, score = _bounded(loss, score, bound)
    if bound > risk * (len(loss) + 1):
        return float("-inf")
    order = stable_order(score)
    upper = (np.cumsum(loss[order]) + bound) / (len(loss) + 1)
    # ties are kept together: a threshold counts with the last element that shares it
    last = np.append(score[order][1:] != score[order][:-1], True)
    allowed = np.flatnonzero((upper <= risk) & last)
    if len(allowed) and allowed[-1] == len(loss) - 1:
        return float("inf")
    return float(score[order][allowed[-1]]) if len(allowed) else float("-inf")


def hoeffding_bentkus_p(mean_loss: float, n: int, risk: float) -> float:
    """p-value for "expected loss exceeds ``risk``" from n independent losses in [0, 1].

    Source: Bates et al. 2021 (2101.02703), proposition 3.

    Examples
    --------
    >>> hoeffding_bentkus_p(0.0, 100, 0.1) < 1e-3, hoeffding_bentkus_p(0.2, 100, 0.1)
    (True, 1.0)
    """
    if n == 0 or mean_loss >= risk:
        return 1.0
    a, b = mean_loss, risk
    divergence = (a * np.log(a / b) if a > 0 else 0.0) + (1 - a) * np.log((1 - a) / (1 - b))
    bentkus = np.e * binom.cdf(np.ceil(n * a - 1e-9), n, b)
    return float(min(np.exp(-n * divergence), bentkus, 1.0))


def ltt_threshold(
    loss: ArrayLike,
    score: ArrayLike,
    risk: float,
    thresholds: ArrayLike,
    bound: float,
    delta: float = 0.1,
) -> float:
    """Learn then test: the largest threshold certified to have selective risk <= ``risk``.

    With probability at least 1 - ``delta`` over the calibration part, E[loss | kept] <= ``risk``,
    for independent elements and losses in [0, ``bound``] (draw one element per group first).
    Thresholds are tested from the strictest on, stopping at the first that fails, so they must be
    chosen without the calibration losses, and the strictest must keep enough elements to pass. -inf
    where none passes. Source: Angelopoulos et al. 2021 (2110.01052), fixed-sequence testing.

    Examples
    --------
    >>> loss, score = np.repeat([0.0, 1.0], 200), np.repeat([1.0, 2.0], 200)
    >>> ltt_threshold(loss, score, risk=0.1, thresholds=[1.0, 2.0], bound=1)
    1.0
    """
    loss, score = _bounded(loss, score, bound)
    if not 0 < risk < bound:
        raise ValueError(f"risk is {risk}; a value inside (0, bound = {bound}) would do")
    level = as_level(delta, "delta")
    certified = float("-inf")
    for threshold in np.sort(as_vector("thresholds", thresholds)):
        kept = loss[score <= threshold] / bound
        mean = float(kept.mean()) if len(kept) else 0.0
        if hoeffding_bentkus_p(mean, len(kept), risk / bound) > level:
            break
        certified = float(threshold)
    return certified


class ThresholdAudit(NamedTuple):
    """What a threshold fixed elsewhere does here; ``violated`` is ``risk > target_risk``."""

    coverage: float
    risk: float
    risk_rejected: float
    full_risk: float
    violated: bool
    n: int


def audit_threshold(
    loss: ArrayLike, score: ArrayLike, threshold: float, target_risk: float
) -> ThresholdAudit:
    """Realised coverage and risk of a threshold that was fixed on other data.

    The violation rate is the share of worlds or splits whose audit is violated. Keeping nothing
    violates nothing: read ``coverage`` first. Risks of empty sides are NaN.

    Examples
    --------
    >>> audit_threshold([1.0, 3.0, 8.0], [0.1, 0.2, 0.9], threshold=0.5, target_risk=1.5)[:3]
    (0.6666666666666666, 2.0, 8.0)
    """
    loss = as_vector("loss", loss)
    kept = as_vector("score", score, len(loss)) <= threshold

    def mean(part: FloatArray) -> float:
        return float(part.mean()) if len(part) else float("nan")

    risk = mean(loss[kept])
    coverage = mean(kept.astype(np.float64))
    return ThresholdAudit(
        coverage, risk, mean(loss[~kept]), mean(loss), bool(risk > target_risk), len(loss)
    )
