"""A forecast trained in condition A, judged in condition B, correction by correction.

In: a :class:`lib.statistics.paired.PairedAssay` and a forecast (mean, std) of y_A per element. Out:
coverage, ZMS and RMSE against y_B after each rung of a ladder of corrections.
"""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import norm

from lib.arrays import FloatArray, as_std, as_vector
from lib.statistics.paired import DRAWS, Line, PairedAssay, estimate, moments, resampled_sets

HALF_WIDTH = norm.ppf(0.95)  # of the 90 % intervals whose coverage is scored, in s.d.


def forecast_ladder(
    assay: PairedAssay,
    mean: ArrayLike,
    std: ArrayLike,
    rng: np.random.Generator,
    *,
    draws: int = DRAWS,
) -> pd.DataFrame:
    """Scores of a forecast of y_A against y_B after each of a ladder of corrections.

    A line maps the forecast into condition B: mean to intercept + slope mean, std to |slope| std.
    ``reference`` is the forecast against y_A, ``raw`` against y_B. ``anchor_offset`` and
    ``anchor_affine`` come from the anchors alone; ``matched_moments`` matches mean and s.d. of y;
    ``oracle_affine`` is the line of f_B on f_A, a diagnostic since it needs all labels.
    ``oracle_affine_noise`` adds to its variance what the measured noise grew by: what then is still
    lost is rewiring, or errors of the model that rewiring made visible.

    Parameters
    ----------
    assay : PairedAssay
    mean, std : (n,) arrays
        Forecast in the unit of y_A; rows of anchors are not looked at.
    rng : Generator
        For the bootstrap over groups; every draw refits the lines.
    draws : int

    Returns
    -------
    DataFrame
        ``rung, metric, value, lower, upper``; metrics ``picp_90``, ``zms``, ``rmse``. NaN on the
        rungs of the anchors where these vary no more than their noise.

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
    n, own = len(assay.activity_a), ~assay.anchors
    for name, values in (("mean", mean), ("std", std)):
        if np.shape(values) != (n,):
            raise ValueError(f"{name} has shape {np.shape(values)}; one value per row, ({n},)")
    forecast = as_vector("mean", np.asarray(mean)[own]), as_std("std", np.asarray(std)[own])
    sets, weights = resampled_sets(assay.groups, rng, draws)
    times = weights[:, sets.codes[own]]
    rows = []
    for rung, target, line, added in _rungs(assay._replace(groups=sets), weights):
        scores = np.array(
            [_score(target, forecast, *each) for each in zip(times, *line, added, strict=True)]
        )
        for metric, values in zip(("picp_90", "zms", "rmse"), scores.T, strict=True):
            rows.append({"rung": rung, "metric": metric, **estimate(values)._asdict()})
    return pd.DataFrame(rows)


def _rungs(
    assay: PairedAssay, weights: FloatArray
) -> Iterator[tuple[str, FloatArray, Line, FloatArray]]:
    """Each rung: its name, what is forecast, the line and the added variance of every draw."""
    own = ~assay.anchors
    elements, target = moments(assay, own, weights), assay.activity_b[own]
    none, one = np.zeros(len(weights)), np.ones(len(weights))
    best = elements.line(elements.slope)
    yield "reference", assay.activity_a[own], (none, one), none
    yield "raw", target, (none, one), none
    if assay.anchors.any():
        anchors = moments(assay, assay.anchors, weights)
        yield "anchor_offset", target, anchors.line(one), none
        yield "anchor_affine", target, anchors.line(anchors.slope), none
    matched = elements.line(np.sqrt(elements.var_b / elements.var_a))
    yield "matched_moments", target, matched, none
    yield "oracle_affine", target, best, none
    grown = np.maximum(elements.noise_b - best[1] ** 2 * elements.noise_a, 0)
    yield "oracle_affine_noise", target, best, grown


def _score(
    target: FloatArray,
    forecast: tuple[FloatArray, FloatArray],
    times: FloatArray,
    intercept: float,
    slope: float,
    added: float,
) -> tuple[float, float, float]:
    """Coverage, ZMS and RMSE of one draw, in which each element counts ``times``."""
    mean, std = forecast
    error = target - intercept - slope * mean
    z = error / np.sqrt((slope * std) ** 2 + added)
    covered = np.where(np.isfinite(z), np.abs(z) <= HALF_WIDTH, np.nan)
    count = times.sum()
    return times @ covered / count, times @ z**2 / count, np.sqrt(times @ error**2 / count)
