"""Diagnosis tables: where a forecast is off, each with the band of a perfect forecaster.

In: ``mean``, ``std``, ``target``, vectors ``(n,)``, or labels of subsets. Out: small tidy tables, a
row per bin or level, ready to plot; no per-element value. Bands are pointwise at ``band_level``: of
20 points at 95 % one is expected outside. Tables of no elements have no rows.
"""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import binom, chi2

from lib.arrays import FloatArray, as_count, as_forecast, as_labels, as_level, factorise
from lib.metrics import _elements
from lib.metrics.calibration import CurveType, binned_by_std, calibration_curve, pit

MIN_BIN = 10  # smaller bins are dropped: no aggregate of fewer elements is published


def _share_band(n: ArrayLike, share: ArrayLike, band_level: float) -> tuple[FloatArray, FloatArray]:
    tail = (1 - as_level(band_level, "band_level")) / 2
    n = np.asarray(n, float)
    return binom.ppf(tail, n, share) / n, binom.ppf(1 - tail, n, share) / n


def pit_histogram(
    mean: ArrayLike, std: ArrayLike, target: ArrayLike, bins: int = 20, band_level: float = 0.95
) -> pd.DataFrame:
    """Density of the PIT in even bins with its binomial band; 1 everywhere when calibrated.

    Columns ``left, right, density, band_lower, band_upper``. U: overconfident; hump:
    underconfident; slope: biased. Source: Gneiting, Balabdaoui & Raftery 2007.

    Examples
    --------
    >>> pit_histogram([0, 0, 0, 0], [1] * 4, [-2, -2, 0.1, 2], bins=2)["density"].tolist()
    [1.0, 1.0]
    """
    u = pit(mean, std, target)
    count = as_count("bins", bins)
    edges = np.linspace(0, 1, count + 1)
    if not len(u):
        return pd.DataFrame(columns=["left", "right", "density", "band_lower", "band_upper"])
    seen = np.bincount(np.minimum((u * count).astype(np.int64), count - 1), minlength=count)
    lower, upper = _share_band(len(u), 1 / count, band_level)
    return pd.DataFrame(
        {
            "left": edges[:-1],
            "right": edges[1:],
            "density": seen / len(u) * count,
            "band_lower": lower * count,
            "band_upper": upper * count,
        }
    )


def reliability(
    mean: ArrayLike,
    std: ArrayLike,
    target: ArrayLike,
    kind: CurveType = "interval",
    points: int = 21,
    band_level: float = 0.95,
) -> pd.DataFrame:
    """Observed against expected proportions with their binomial band.

    Columns ``expected, observed, band_lower, band_upper``. For ``interval``, observed below
    expected is overconfident.

    Examples
    --------
    >>> reliability([0, 0], [1, 1], [0.1, 5], points=3)["observed"].tolist()
    [0.0, 0.5, 1.0]
    """
    expected, observed = calibration_curve(mean, std, target, kind, points)
    n = len(np.asarray(mean))
    if n == 0:
        return pd.DataFrame(columns=["expected", "observed", "band_lower", "band_upper"])
    lower, upper = _share_band(n, expected, band_level)
    return pd.DataFrame(
        {"expected": expected, "observed": observed, "band_lower": lower, "band_upper": upper}
    )


def std_bins(
    mean: ArrayLike, std: ArrayLike, target: ArrayLike, bins: int = 20, band_level: float = 0.95
) -> pd.DataFrame:
    """The bins behind ``ence``: RMSE against root mean predicted variance, by predicted std.

    Columns ``bin, n, rmv, rmse, zms, band_lower, band_upper``; the band is for ``rmse`` given
    ``rmv`` under the Gaussian null (chi-squared, Satterthwaite degrees of freedom).

    Examples
    --------
    >>> std_bins([0, 0], [1, 2], [2, 2], bins=2)["rmse"].tolist()
    [2.0, 2.0]
    """
    mean, std, target = as_forecast(mean, std, target)
    tail = (1 - as_level(band_level, "band_level")) / 2
    error, variance = (target - mean) ** 2, std * std
    rows = []
    for number, members in enumerate(binned_by_std(std, bins)):
        part = variance[members]
        freedom = part.sum() ** 2 / (part**2).sum()
        rmv = np.sqrt(part.mean())
        ends = rmv * np.sqrt(chi2.ppf([tail, 1 - tail], freedom) / freedom)
        rmse = np.sqrt(error[members].mean())
        zms = np.mean(error[members] / part)
        rows.append((number, len(members), rmv, rmse, zms, *ends))
    columns = ["bin", "n", "rmv", "rmse", "zms", "band_lower", "band_upper"]
    return pd.DataFrame(rows, columns=columns)


def coverage_by(
    mean: ArrayLike,
    std: ArrayLike,
    target: ArrayLike,
    labels: ArrayLike,
    level: float = 0.9,
    band_level: float = 0.95,
) -> pd.DataFrame:
    """Coverage per subset: by predicted std, GC or activity decile, species, batch.

    Columns ``bin, n, coverage, mpiw, rmse, zms, band_lower, band_upper`` (the binomial band of
    ``coverage``). Subsets of fewer than 10 elements are dropped. Take deciles of the *predicted*
    activity: given the measured one, not even the true law covers at its level, because a high
    measurement is partly noise.

    Examples
    --------
    >>> table = coverage_by([0] * 20, [1] * 20, [0] * 10 + [9] * 10, np.repeat(["a", "b"], 10))
    >>> table["coverage"].tolist()
    [1.0, 0.0]
    """
    mean, std, target = as_forecast(mean, std, target)
    unique, cells = factorise(as_labels("labels", labels, len(mean)))
    z = (target - mean) / std
    columns = [np.ones_like(z), _elements.covered(z, as_level(level)), std, (target - mean) ** 2]
    columns.append(z * z)
    sums = [np.bincount(cells, weights=column, minlength=len(unique)) for column in columns]
    kept = sums[0] >= MIN_BIN
    n, *means = (total[kept] for total in sums)
    inside, width, square, z2 = (total / n for total in means)
    lower, upper = _share_band(n, level, band_level)
    return pd.DataFrame(
        {
            "bin": unique[kept],
            "n": n.astype(np.int64),
            "coverage": inside,
            "mpiw": 2 * _elements.half_width(level) * width,
            "rmse": np.sqrt(square),
            "zms": z2,
            "band_lower": lower,
            "band_upper": upper,
        }
    )
