"""Selective prediction: what risk remains when the least certain elements are set aside.

In: ``loss`` ``(n,)`` (squared error unless the caller says otherwise) and ``score`` ``(n,)``,
higher meaning less certain; any score will do (total, epistemic or aleatoric std, a distance). Out:
floats or curves. Elements that share a score are kept or rejected in random order and every value
is the expectation over it: their losses are replaced by the mean of the tie. A constant score is
therefore exactly the random order. ``n = 0`` gives NaN.

MSE risk favours rejecting active, variable elements: print ``retained_r2`` and
``retained_profile``.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from lib.arrays import FloatArray, as_level, as_vector, stable_order
from lib.metrics.accuracy import r2_cod


def _inputs(loss: ArrayLike, score: ArrayLike) -> tuple[FloatArray, FloatArray]:
    loss = as_vector("loss", loss)
    return loss, as_vector("score", score, len(loss))


def average_ties(ordered: FloatArray, values: FloatArray) -> FloatArray:
    """``values`` with each run of equal ``ordered`` entries replaced by its mean."""
    if len(ordered) < 2:
        return values
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    if len(starts) == len(ordered):
        return values
    sizes = np.diff(np.append(starts, len(ordered)))
    return np.repeat(np.add.reduceat(values, starts) / sizes, sizes)


def by_confidence(loss: FloatArray, score: FloatArray) -> FloatArray:
    """Losses from the most to the least certain element, ties averaged."""
    order = stable_order(score)
    return average_ties(score[order], loss[order])


def area_under_risk(ordered: FloatArray) -> float:
    """Mean over k of the mean of the first k losses."""
    if not len(ordered):
        return float("nan")
    return float(np.mean(np.cumsum(ordered) / np.arange(1, len(ordered) + 1)))


def area_under_generalised_risk(ordered: FloatArray) -> float:
    """Mean over k = 0 .. n of the sum of the first k losses over n."""
    n = len(ordered)
    return float(np.sum(np.cumsum(ordered)) / (n * (n + 1))) if n else float("nan")


class RiskCoverage(NamedTuple):
    """Risk of the most certain share ``coverage``; both ``(n,)``."""

    coverage: FloatArray
    risk: FloatArray


def risk_coverage(loss: ArrayLike, score: ArrayLike) -> RiskCoverage:
    """Mean loss of the k most certain elements, for k = 1 .. n.

    The first points rest on few elements and are noisy. Source: El-Yaniv & Wiener, JMLR 11 (2010).

    Examples
    --------
    >>> risk_coverage([4.0, 1.0], [0.9, 0.1]).risk.tolist()
    [1.0, 2.5]
    """
    loss, score = _inputs(loss, score)
    count = np.arange(1, len(loss) + 1)
    return RiskCoverage(count / max(len(loss), 1), np.cumsum(by_confidence(loss, score)) / count)


def aurc(loss: ArrayLike, score: ArrayLike) -> float:
    """Area under the risk-coverage curve.

    Lower is better, in the unit of the loss; a random order has the mean loss. It mixes accuracy
    with ranking (``e_aurc`` takes part of the accuracy out) and weights the most certain few
    heavily (Traub 2024; estimator bias: Zhou 2025). Source: Geifman & El-Yaniv 2017.

    Examples
    --------
    >>> aurc([4.0, 1.0], [0.9, 0.1])  # (1 + 2.5) / 2
    1.75
    """
    return area_under_risk(by_confidence(*_inputs(loss, score)))


def e_aurc(loss: ArrayLike, score: ArrayLike) -> float:
    """Excess AURC over the order of the losses themselves.

    Lower is better, at least 0, in the unit of the loss. Even the true std does not reach 0, since
    no one can foresee the noise. Source: Geifman, Uziel & El-Yaniv 2019.

    Examples
    --------
    >>> e_aurc([1.0, 4.0], [0.9, 0.1])  # (4 + 2.5) / 2 - (1 + 2.5) / 2
    1.5
    """
    loss, score = _inputs(loss, score)
    return aurc(loss, score) - area_under_risk(np.sort(loss))


def augrc(loss: ArrayLike, score: ArrayLike) -> float:
    """Area under the generalised risk coverage * risk(coverage), from coverage 0 to 1.

    Lower is better, in the unit of the loss; a random order has half the mean loss, exactly. Does
    not say at which coverage the risk arises. Source: Traub et al. 2024 (2407.01032); the R-AUC of
    the Shifts benchmark is this area.

    Examples
    --------
    >>> augrc([2.0, 1.0], [1.0, 0.0])  # (0 + 1 + 3) / 2 over three points
    0.6666666666666666
    """
    return area_under_generalised_risk(by_confidence(*_inputs(loss, score)))


def relative_gain(random: float, model: float, oracle: float) -> float:
    """Share of the oracle's gain over chance; NaN where the oracle gains nothing but rounding."""
    gain = random - oracle
    return (random - model) / gain if gain > 1e-12 * abs(random) else float("nan")


def prr(loss: ArrayLike, score: ArrayLike, oracle_score: ArrayLike | None = None) -> float:
    """Prediction rejection ratio: (random - model) / (random - oracle) on the generalised curve.

    Higher is better: 1 orders as the oracle does, 0 as chance, below 0 worse; NaN where the oracle
    gains nothing (equal losses). The oracle is the order of the losses, which no forecast can
    reach, or that of ``oracle_score``, such as the true std in a simulation. Invariant to the scale
    of the loss, so it does not say whether the risk is acceptable. Source: Malinin 2020
    (2006.10562).

    Examples
    --------
    >>> prr([1.0, 2.0, 3.0], [0.1, 0.2, 0.3]), prr([1.0, 2.0, 3.0], [1, 1, 1])
    (1.0, 0.0)
    """
    loss, score = _inputs(loss, score)
    best = loss if oracle_score is None else as_vector("oracle_score", oracle_score, len(loss))
    random = float(loss.mean()) / 2 if len(loss) else float("nan")
    return relative_gain(random, augrc(loss, score), augrc(loss, best))


def naurc(loss: ArrayLike, score: ArrayLike, oracle_score: ArrayLike | None = None) -> float:
    """As ``prr`` on the risk-coverage curve: (random - AURC) / (random - oracle AURC).

    Higher is better, at most 1 for the loss oracle; NaN where the oracle gains nothing. Weights the
    most certain few more than ``prr``.

    Examples
    --------
    >>> naurc([1.0, 2.0, 3.0], [0.1, 0.2, 0.3])
    1.0
    """
    loss, score = _inputs(loss, score)
    best = loss if oracle_score is None else as_vector("oracle_score", oracle_score, len(loss))
    random = float(loss.mean()) if len(loss) else float("nan")
    return relative_gain(random, aurc(loss, score), aurc(loss, best))


def ause(loss: ArrayLike, score: ArrayLike) -> float:
    """Area under the sparsification error, (risk by score - risk by loss) / full risk.

    Lower is better, at least 0; NaN for zero mean loss. Equals ``e_aurc`` over the mean loss.
    Source: Ilg et al. 2018 (1802.07095).

    Examples
    --------
    >>> ause([1.0, 4.0], [0.9, 0.1])  # 1.5 / 2.5
    0.6
    """
    loss, score = _inputs(loss, score)
    full = float(loss.mean()) if len(loss) else float("nan")
    return e_aurc(loss, score) / full if full != 0 else float("nan")


def risk_at(loss: ArrayLike, score: ArrayLike, coverage: float) -> float:
    """Mean loss of the most certain ``coverage`` of the elements, ceil(coverage * n) of them.

    Lower is better, in the unit of the loss. Says nothing of other operating points.

    Examples
    --------
    >>> risk_at([1.0, 2.0, 9.0, 9.0], [1, 2, 3, 4], coverage=0.5)
    1.5
    """
    loss, score = _inputs(loss, score)
    share = coverage if coverage == 1 else as_level(coverage, "coverage")
    kept = int(np.ceil(share * len(loss) - 1e-9))
    return float(by_confidence(loss, score)[:kept].mean()) if kept else float("nan")


def coverage_at(loss: ArrayLike, score: ArrayLike, risk: float) -> float:
    """Largest coverage at which the mean loss is at most ``risk``; 0 where none is.

    Higher is better, in [0, 1]. Read off the same data it is optimistic: fix the threshold
    elsewhere (``threshold_at``, ``crc_threshold``) and audit it.

    Examples
    --------
    >>> coverage_at([1.0, 2.0, 9.0, 9.0], [1, 2, 3, 4], risk=1.5)
    0.5
    """
    curve = risk_coverage(loss, score)
    if not len(curve.risk):
        return float("nan")
    within = np.flatnonzero(curve.risk <= risk)
    return float(curve.coverage[within[-1]]) if len(within) else 0.0


def f1_auc(loss: ArrayLike, score: ArrayLike, acceptable: float, beta: float = 1.0) -> float:
    """Area under the F-beta of keeping elements of acceptable loss, over coverage.

    Kept is "positive", ``loss <= acceptable`` is "true". Higher is better, in [0, 1]; NaN where no
    loss is acceptable. It grows with accuracy even at a random order. The area is the trapezoid
    rule over k = 0 .. n kept, 1 / (n + 1) apart, as in the Shifts benchmark. Source: Malinin 2021
    (2107.07455).

    Examples
    --------
    >>> round(f1_auc([0.0, 9.0], [1, 2], acceptable=1), 12)  # F1 = 0, 1, 2/3: (1/2 + 5/6) / 3
    0.444444444444
    """
    loss, score = _inputs(loss, score)
    good = np.cumsum(by_confidence((loss <= acceptable).astype(np.float64), score))
    if not len(good) or good[-1] == 0:
        return float("nan")
    precision, recall = good / np.arange(1, len(good) + 1), good / good[-1]
    weight = beta**2
    total = weight * precision + recall
    f = np.divide((1 + weight) * precision * recall, total, np.zeros_like(total), where=total > 0)
    return float((f.sum() - f[-1] / 2) / (len(f) + 1))


def reference_curves(
    loss: ArrayLike, score: ArrayLike, true_std: ArrayLike | None = None, points: int = 100
) -> pd.DataFrame:
    """The risk-coverage curve beside its references, thinned to at most ``points`` rows.

    Columns ``coverage, model, random, error_oracle`` and, where the truth is known,
    ``sigma_oracle`` (rejecting by the true std).

    Examples
    --------
    >>> reference_curves([4.0, 1.0], [0.9, 0.1])["random"].tolist()
    [2.5, 2.5]
    """
    loss, score = _inputs(loss, score)
    coverage, model = risk_coverage(loss, score)
    columns = {"model": model, "random": np.full(len(loss), loss.mean() if len(loss) else np.nan)}
    columns["error_oracle"] = risk_coverage(loss, loss).risk
    if true_std is not None:
        columns["sigma_oracle"] = risk_coverage(loss, true_std).risk
    rows = np.unique(np.linspace(0, len(loss) - 1, min(points, len(loss))).round().astype(int))
    return pd.DataFrame({"coverage": coverage} | columns).iloc[rows].reset_index(drop=True)


def retained_r2(mean: ArrayLike, target: ArrayLike, score: ArrayLike, coverage: float) -> float:
    """``r2_cod`` of the most certain ``coverage`` of the elements, ties broken by row order.

    Higher is better, in (-inf, 1]. Rejecting variable elements lowers the risk and the spread
    alike; where R2 falls while risk falls, the gain came from easy elements, not from knowing the
    errors.

    Examples
    --------
    >>> retained_r2([1, 2, 9], [1, 2, 0], [0.1, 0.2, 0.3], coverage=0.6)
    1.0
    """
    mean = as_vector("mean", mean)
    kept = retained(as_vector("score", score, len(mean)), coverage)
    return r2_cod(mean[kept], as_vector("target", target, len(mean))[kept])


def retained(score: ArrayLike, coverage: float) -> np.ndarray:
    """Which of the ``(n,)`` elements are kept: the ceil(coverage * n) of lowest score, as booleans.

    Examples
    --------
    >>> retained([3.0, 1.0, 2.0], coverage=0.5).tolist()
    [False, True, True]
    """
    score = as_vector("score", score)
    share = coverage if coverage == 1 else as_level(coverage, "coverage")
    kept = np.zeros(len(score), bool)
    kept[stable_order(score)[: int(np.ceil(share * len(score) - 1e-9))]] = True
    return kept


def retained_profile(
    score: ArrayLike, coverage: float, columns: Mapping[str, ArrayLike]
) -> pd.DataFrame:
    """What was kept and what was rejected: means of columns such as activity, GC or origin.

    Columns ``column, retained, rejected, difference`` with the difference retained - rejected in
    standard deviations of all elements; NaN where a side is empty or the column constant.

    Examples
    --------
    >>> profile = retained_profile([1, 2, 3, 4], 0.5, {"gc": [0.2, 0.4, 0.6, 0.8]})
    >>> float(profile["retained"].iloc[0].round(9))
    0.3
    """
    kept = retained(score, coverage)
    rows = []
    for name, column in columns.items():
        values = as_vector(name, column, len(kept))
        sides = [float(s.mean()) if len(s) else float("nan") for s in (values[kept], values[~kept])]
        spread = float(values.std()) if len(values) and np.ptp(values) > 0 else float("nan")
        rows.append((name, *sides, (sides[0] - sides[1]) / spread))
    return pd.DataFrame(rows, columns=["column", "retained", "rejected", "difference"])
