"""Metrics that are no functions of plain means, under many resampling weights at once.

In: a forecast, its group numbering and multinomial weights ``(n_groups, draws)``. Out: values
``(draws,)`` per metric. Weights of one in every group give the metric itself (bins apart: bins of
``std`` and the grid of the calibration curve are those of the full sample in every draw).
"""

from collections.abc import Callable

import numpy as np
from scipy import sparse
from scipy.special import ndtr

from lib.arrays import FloatArray, IntArray, stable_order
from lib.metrics.calibration import CHI2_MEDIAN, area_between, binned_by_std
from lib.metrics.selective import average_ties, relative_gain

Weighted = Callable[[FloatArray], dict[str, FloatArray]]
_GRID = np.linspace(0, 1, 100)


def _indicator(cells: IntArray, codes: IntArray, n_cells: int, n_groups: int) -> sparse.csr_array:
    return sparse.csr_array((np.ones(len(cells)), (cells, codes)), shape=(n_cells, n_groups))


def _mean_of_known(values: FloatArray) -> FloatArray:
    known = ~np.isnan(values)
    return np.where(known, values, 0).sum(axis=0) / known.sum(axis=0)


def curve_metrics(z: FloatArray, codes: IntArray, n_groups: int) -> Weighted:
    """``mace``, ``rmsce``, ``miscal_area`` (interval type, 100 levels) as functions of weights."""
    inner = np.abs(2 * ndtr(z) - 1)
    cells = np.searchsorted(_GRID, inner, side="left")
    counts = _indicator(cells, codes, len(_GRID), n_groups)

    def weighted(weights: FloatArray) -> dict[str, FloatArray]:
        observed = np.cumsum(counts @ weights, axis=0).T
        observed = observed / observed[:, -1:]
        gap = np.abs(observed - _GRID)
        return {
            "mace": gap.mean(axis=1),
            "rmsce": np.sqrt((gap**2).mean(axis=1)),
            "miscal_area": area_between(_GRID, observed),
        }

    return weighted


def binned_metrics(
    z: FloatArray, std: FloatArray, codes: IntArray, n_groups: int, bins: int = 20
) -> Weighted:
    """``ence``, ``uce``, ``zve`` as functions of weights; bins that a draw empties drop out."""
    variance = std * std
    columns = (variance * z * z, variance, z * z, z, np.ones_like(z))

    def tables(least: int) -> list[sparse.csr_array]:
        rows = binned_by_std(std, bins, least)
        cells = np.empty(len(std), np.int64)
        for number, members in enumerate(rows):
            cells[members] = number
        shape = (len(rows), n_groups)
        return [sparse.csr_array((column, (cells, codes)), shape=shape) for column in columns]

    by_one, by_two = tables(1), tables(2) if len(std) > 1 else None

    def weighted(weights: FloatArray) -> dict[str, FloatArray]:
        error, spread, _, _, count = (table @ weights for table in by_one)
        with np.errstate(divide="ignore", invalid="ignore"):
            ence = _mean_of_known(np.abs(np.sqrt(error / spread) - 1))
            uce = np.sum(np.abs(error - spread), axis=0) / count.sum(axis=0)
            if by_two is None:
                return {"ence": ence, "uce": uce, "zve": np.full(len(ence), np.nan)}
            _, _, square, total, count = (table @ weights for table in by_two)
            z_variance = (square - total * total / count) / (count - 1)
            z_variance[count < 2] = np.nan
            zve = np.exp(_mean_of_known(np.abs(np.log(np.maximum(z_variance, 0)))))
        return {"ence": ence, "uce": uce, "zve": zve}

    return weighted


def ordered_metrics(z: FloatArray, codes: IntArray) -> Weighted:
    """``pit_ks`` and ``zms_robust`` as functions of weights."""
    by_z, by_size = np.argsort(z), np.argsort(np.abs(z))
    u, square = ndtr(z[by_z])[:, None], z[by_size] ** 2

    def weighted(weights: FloatArray) -> dict[str, FloatArray]:
        steps = np.cumsum(weights[codes[by_z]], axis=0)
        steps /= steps[-1]
        before = np.vstack([np.zeros(steps.shape[1]), steps[:-1]])
        distance = np.maximum((steps - u).max(axis=0), (u - before).max(axis=0))
        mass = np.cumsum(weights[codes[by_size]], axis=0)
        half = mass[-1] / 2
        low, high = (mass >= half).argmax(axis=0), (mass > half).argmax(axis=0)
        return {"pit_ks": distance, "zms_robust": (square[low] + square[high]) / 2 / CHI2_MEDIAN}

    return weighted


def selective_metrics(loss: FloatArray, score: FloatArray, codes: IntArray) -> Weighted:
    """``aurc``, ``e_aurc``, ``augrc``, ``prr``, ``naurc`` as functions of whole-number weights.

    Rows are repeated as often as drawn, so each draw is exactly the metric of the resampled table.
    """
    orders = {"model": stable_order(score), "oracle": np.argsort(loss)}
    sorted_losses = {name: loss[order] for name, order in orders.items()}
    sorted_codes = {name: codes[order] for name, order in orders.items()}
    sorted_score = score[orders["model"]]
    tied = bool(np.any(sorted_score[1:] == sorted_score[:-1]))

    def areas(name: str, weights: IntArray) -> tuple[float, float, float]:
        times = weights[sorted_codes[name]]
        ordered = np.repeat(sorted_losses[name], times)
        if tied and name == "model":
            ordered = average_ties(np.repeat(sorted_score, times), ordered)
        cumulative = np.cumsum(ordered)
        n = len(ordered)
        risk = float(np.mean(cumulative / np.arange(1, n + 1)))
        return risk, float(cumulative.sum() / (n * (n + 1))), float(cumulative[-1] / n)

    def weighted(weights: FloatArray) -> dict[str, FloatArray]:
        counts = weights.astype(np.int64)
        rows = []
        for draw in range(counts.shape[1]):
            risk, generalised, mean = areas("model", counts[:, draw])
            best, best_generalised, _ = areas("oracle", counts[:, draw])
            rows.append(
                (
                    risk,
                    risk - best,
                    generalised,
                    relative_gain(mean / 2, generalised, best_generalised),
                    relative_gain(mean, risk, best),
                )
            )
        columns = np.array(rows).T
        return dict(zip(("aurc", "e_aurc", "augrc", "prr", "naurc"), columns, strict=True))

    return weighted
