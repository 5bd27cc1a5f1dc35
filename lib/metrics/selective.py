"""Selective prediction: what risk remains when the least certain elements are set aside.

In: ``loss`` ``(n,)`` (squared error unless the caller says otherwise) and ``score`` ``(n,)``,
higher meaning less certain; any score will do (total, epistemic or aleatoric std, a distance). Out:
floats, curves, or a threshold: an element is kept when its score is at most the threshold (-inf
keeps none, inf keeps all). Elements that share a score are kept or rejected in random order and
every value is the expectation over it: their losses are replaced by the mean of the tie. A constant
score is therefore exactly the random order. ``n = 0`` gives NaN; bad input is a ``ValueError``.

Areas, all of squared errors in their unit unless said:

* ``aurc``: mean over k of the mean of the first k losses, lower is better; a random order has the
  mean loss. Mixes accuracy with ranking and weights the most certain few heavily (Traub 2024;
  estimator bias: Zhou 2025). Geifman & El-Yaniv 2017.
* ``e_aurc``: AURC less that of the order of the losses themselves, at least 0, lower is better.
  Even the true std does not reach 0: no one can foresee the noise. Geifman, Uziel & El-Yaniv 2019.
* ``augrc``: area under coverage * risk(coverage), lower is better; a random order has half the mean
  loss, exactly. Traub et al. 2024 (2407.01032); the R-AUC of the Shifts benchmark.
* ``prr``: (random - model) / (random - oracle) on the generalised curve: 1 orders as the losses do,
  which no forecast can, 0 as chance; NaN for equal losses. Invariant to the scale of the loss.
  Malinin 2020 (2006.10562). ``naurc``: the same on the risk-coverage curve.
* ``ause``: ``e_aurc`` over the mean loss, lower is better, at least 0; NaN for zero mean loss. Ilg
  et al. 2018 (1802.07095).

MSE risk favours rejecting active, variable elements.

Examples
--------
>>> loss, score = [4.0, 1.0], [0.9, 0.1]
>>> risk_coverage(loss, score).tolist(), rankings(loss, score)["aurc"]
([1.0, 2.5], 1.75)
>>> found = rankings([1.0, 4.0], score)
>>> found["e_aurc"], found["ause"]  # (4 + 2.5) / 2 - (1 + 2.5) / 2; over 2.5
(1.5, 0.6)
>>> rankings([1.0, 2.0, 3.0], [1, 2, 3])["prr"], rankings([1.0, 2.0, 3.0], [1, 1, 1])["prr"]
(1.0, 0.0)
>>> threshold_at([1, 2, 3, 4], coverage=0.5)
2.0
"""

import numpy as np
from numba import njit
from numpy.typing import ArrayLike

from lib.arrays import FloatArray, IntArray, as_level, as_vector, has_ties, stable_order


def average_ties(ordered: FloatArray, values: FloatArray) -> FloatArray:
    """``values`` with each run of equal ``ordered`` entries replaced by its mean."""
    if not has_ties(ordered):
        return values
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    sizes = np.diff(np.append(starts, len(ordered)))
    return np.repeat(np.add.reduceat(values, starts) / sizes, sizes)


def _by_confidence(loss: ArrayLike, score: ArrayLike) -> FloatArray:
    """Checked losses from the most to the least certain element, ties averaged."""
    loss = as_vector("loss", loss)
    score = as_vector("score", score, len(loss))
    order = stable_order(score)
    return average_ties(score[order], loss[order])


def relative_gain(random: ArrayLike, model: ArrayLike, oracle: ArrayLike) -> FloatArray:
    """Share of the oracle's gain over chance; NaN where the oracle gains nothing but rounding."""
    gain = np.subtract(random, oracle)
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.subtract(random, model) / gain
    return np.where(gain > 1e-12 * np.abs(random), share, np.nan)


@njit(nogil=True, cache=True, error_model="numpy")
def _drawn_areas(loss, tied, group, counts):  # type: ignore[no-untyped-def]
    """Areas under risk and generalised risk, and the mean, ``(3, draws)``, in one pass a draw.

    Each loss (n,), the most certain first, stands there ``counts`` (draws, groups) times; those
    ``tied`` with the one before share their mean.
    """
    found = np.empty((3, len(counts)))
    for draw in range(len(counts)):
        times, kept, total, risk, area, start = counts[draw], 0, 0.0, 0.0, 0.0, 0
        while start < len(loss):
            stop, weight, summed = start, 0, 0.0
            while stop == start or (stop < len(loss) and tied[stop]):
                weight += times[group[stop]]
                summed += times[group[stop]] * loss[stop]
                stop += 1
            for _ in range(weight):
                total += summed / weight
                kept += 1
                risk += total / kept
                area += total
            start = stop
        found[:, draw] = risk / kept, area / (kept * (kept + 1.0)), total / kept
    return found


def areas(loss: FloatArray, score: FloatArray, codes: IntArray, weights: FloatArray) -> FloatArray:
    """Areas under risk and generalised risk, and the mean, ``(3, draws)``, ranked by ``score``.

    ``weights`` are whole numbers ``(n_groups, draws)``, ``codes`` ``(n,)`` number the groups. Rows
    count as often as they are drawn, so each draw has the areas of the resampled table.
    """
    order = stable_order(score)
    tied = np.append(False, score[order][1:] == score[order][:-1])[: len(loss)]
    counts = np.ascontiguousarray(weights.T, np.int64)
    return np.asarray(_drawn_areas(loss[order], tied, codes[order], counts))


def ranking_values(own: FloatArray, best: FloatArray) -> dict[str, FloatArray]:
    """``aurc, e_aurc, augrc, prr, naurc, ause`` of :func:`areas` by a score and by the losses."""
    (risk, area, mean), (best_risk, best_area, _) = own, best
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(mean != 0, (risk - best_risk) / mean, np.nan)
    return {
        "aurc": risk,
        "e_aurc": risk - best_risk,
        "augrc": area,
        "prr": relative_gain(mean / 2, area, best_area),
        "naurc": relative_gain(mean, risk, best_risk),
        "ause": share,
    }


def rankings(loss: ArrayLike, score: ArrayLike) -> dict[str, float]:
    """``aurc, e_aurc, augrc, prr, naurc, ause`` of losses ``(n,)`` ranked by ``score``."""
    loss = as_vector("loss", loss)
    once = np.arange(len(loss)), np.ones((len(loss), 1))
    by = areas(loss, as_vector("score", score, len(loss)), *once), areas(loss, loss, *once)
    return {name: float(value[0]) for name, value in ranking_values(*by).items()}


def risk_coverage(loss: ArrayLike, score: ArrayLike) -> FloatArray:
    """Mean loss of the k most certain elements, for k = 1 .. n, ``(n,)``.

    The first points rest on few elements and are noisy. Source: El-Yaniv & Wiener, JMLR 11 (2010).
    """
    ordered = _by_confidence(loss, score)
    return np.cumsum(ordered) / np.arange(1, len(ordered) + 1)


def threshold_at(score: ArrayLike, coverage: float) -> float:
    """The score that keeps ``coverage`` of these elements: their ceil(coverage * n)-th smallest.

    Elements tied with it are kept too, so realised coverage may exceed ``coverage``. No guarantee
    on the risk elsewhere. NaN for n = 0.
    """
    score = np.sort(as_vector("score", score))
    share = coverage if coverage == 1 else as_level(coverage, "coverage")
    kept = int(np.ceil(share * len(score) - 1e-9))
    return float(score[kept - 1]) if len(score) else float("nan")
