"""A forecast trained in condition A, judged in condition B rung by rung.

In: a :class:`lib.statistics.paired.PairedAssay` and a forecast (mean, std) of y_A per element. Out: RMSE, ZMS
and coverage against y_B after each line of the ladder, and the share of the loss that it closes.
"""

from collections.abc import Iterator
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from lib.arrays import FloatArray, IntArray, as_level, as_std, as_vector
from lib.metrics import _elements
from lib.metrics.moments import level_name
from lib.statistics.paired_moments import (
    DRAWS,
    RUNGS,
    Estimate,
    Line,
    PairedAssay,
    estimate,
    ladder_lines,
    moments,
    resampled,
)

FORECAST_RUNGS = ("reference", *RUNGS, "oracle_affine_noise")
_BLOCK_CELLS = 4_000_000  # elements x draws held at once: 32 MB


def forecast_ladder(
    assay: PairedAssay,
    mean: ArrayLike,
    std: ArrayLike,
    rng: np.random.Generator,
    *,
    draws: int = DRAWS,
    level: float = 0.9,
) -> pd.DataFrame:
    """Scores of a forecast of y_A against y_B after each rung.

    A rung's line maps the forecast into condition B: mean to intercept + slope mean, std to |slope|
    std. ``reference`` is the forecast against y_A. ``oracle_affine_noise`` adds to the variance of
    the oracle line what the measured noise grew by, E std_b^2 - slope^2 E std_a^2 where positive:
    what then is still lost is rewiring, or errors of the model that rewiring made visible.

    Parameters
    ----------
    assay : PairedAssay
    mean, std : (n,) arrays
        Forecast in the unit of y_A; rows of anchors are not looked at.
    rng : Generator
        For the bootstrap over groups; every draw refits the lines.
    draws : int
    level : float
        Of the intervals whose coverage is scored.

    Returns
    -------
    DataFrame
        ``rung, metric, value, lower, upper, closed, closed_lower, closed_upper``; metrics
        ``picp_90``, ``zms``, ``rmse``. ``closed`` = (raw - rung) / (raw - reference); NaN where the
        interval of raw - reference holds 0: then there is no loss to close. A rung whose line
        cannot be had (see :class:`lib.statistics.paired.Decomposition`) is NaN.

    Raises
    ------
    ValueError
        Lengths that differ, values not finite, a std that is not above 0.

    Examples
    --------
    >>> from lib.statistics.paired import paired_assay
    >>> a, exact = np.tile([-1.0, 1.0], 10), np.zeros(20)
    >>> pair = paired_assay(a, a + 3, exact, exact, np.arange(20))
    >>> table = forecast_ladder(pair, a, np.ones(20), np.random.default_rng(0), draws=9)
    >>> table[table["metric"] == "picp_90"].set_index("rung")["value"].to_dict()
    {'reference': 1.0, 'raw': 0.0, 'matched_moments': 1.0, 'oracle_affine': 1.0, \
'oracle_affine_noise': 1.0}
    """
    n = len(assay.activity_a)
    own = ~assay.anchors
    for name, values in (("mean", mean), ("std", std)):
        if np.shape(values) != (n,):
            raise ValueError(f"{name} has shape {np.shape(values)}; one value per row, ({n},)")
    kept = as_vector("mean", np.asarray(mean)[own]), as_std("std", np.asarray(std)[own])
    assay, weights = resampled(assay, rng, draws)
    scores = dict(_scores(assay, weights, *kept, as_level(level)))
    return pd.DataFrame(_rows(scores, level))


def _rows(scores: dict[str, dict[str, FloatArray]], level: float) -> Iterator[dict[str, object]]:
    for rung in (rung for rung in FORECAST_RUNGS if rung in scores):
        for metric in (level_name("picp", level), "zms", "rmse"):
            raw, reference = scores["raw"][metric], scores["reference"][metric]
            value, lost = scores[rung][metric], estimate(raw - reference)
            closed = Estimate(*3 * [float("nan")])
            if lost.lower > 0 or lost.upper < 0:
                with np.errstate(invalid="ignore", divide="ignore"):
                    closed = estimate((raw - value) / (raw - reference))
            parts = {f"closed_{end}": getattr(closed, end) for end in ("lower", "upper")}
            yield {
                "rung": rung,
                "metric": metric,
                **estimate(value)._asdict(),
                "closed": closed.value,
                **parts,
            }


def _scores(
    assay: PairedAssay, weights: FloatArray, mean: FloatArray, std: FloatArray, level: float
) -> Iterator[tuple[str, dict[str, FloatArray]]]:
    """Each rung with its metrics, ``(draws + 1,)`` each."""
    own = ~assay.anchors
    elements = moments(assay, own, weights)
    anchors = moments(assay, assay.anchors, weights) if assay.anchors.any() else None
    lines = ladder_lines(elements, anchors)
    none = np.zeros(len(weights))
    codes = assay.groups.codes[own]
    scored = partial(_score, mean=mean, std=std, weights=weights, codes=codes, level=level)
    yield "reference", scored(assay.activity_a[own], lines["raw"], none)
    target = assay.activity_b[own]
    for rung, line in lines.items():
        yield rung, scored(target, line, none)
    line = lines["oracle_affine"]
    grown = np.maximum(elements.noise_b - line.slope**2 * elements.noise_a, 0)
    yield "oracle_affine_noise", scored(target, line, grown)


def _score(
    target: FloatArray,
    line: Line,
    added: FloatArray,
    *,
    mean: FloatArray,
    std: FloatArray,
    weights: FloatArray,
    codes: IntArray,
    level: float,
) -> dict[str, FloatArray]:
    """Scores under weights ``(draws, n_groups)`` after a line and an added variance per draw."""
    out: dict[str, list[FloatArray]] = {level_name("picp", level): [], "zms": [], "rmse": []}
    size = max(1, _BLOCK_CELLS // len(mean))
    for start in range(0, len(weights), size):
        part = slice(start, start + size)
        rows = weights[part][:, codes]
        count, slope = rows.sum(axis=1), line.slope[part, None]
        error = target - line.intercept[part, None] - slope * mean
        z = error / np.sqrt((slope * std) ** 2 + added[part, None])
        inside = np.sum(rows * _elements.covered(z, level), axis=1) / count
        out[level_name("picp", level)].append(np.where(np.isfinite(slope[:, 0]), inside, np.nan))
        out["zms"].append(np.sum(rows * z**2, axis=1) / count)
        out["rmse"].append(np.sqrt(np.sum(rows * error**2, axis=1) / count))
    return {metric: np.concatenate(blocks) for metric, blocks in out.items()}
