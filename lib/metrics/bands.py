"""Null bands: what each calibration metric shows for a perfect forecaster of this size and std.

In: ``std`` (Gaussian null) or a forecast (residual-shape null). Out: a table ``metric, lower,
upper`` at 95 %. Metrics that are best at a value get a two-sided band; distances, best at 0
(``zve``: at 1), get an upper limit, since only large values speak against a forecast. Elements are
taken as independent: with few large groups the bands are too narrow.

*Gaussian*: targets drawn from the forecast itself. *Residual shape*: standardised residuals drawn
with replacement from the observed z / sqrt(ZMS), so that heavy tails are not read as wrong
variance. The second knows nothing of metrics that compare the shape with a Gaussian (``mace``,
``pit_ks``, coverage), which are left out.
"""

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import ndtri
from scipy.stats import beta, binom, chi2, kstwo

from lib.arrays import FloatArray, as_count, as_forecast, as_std
from lib.metrics.calibration import (
    BINS,
    CHI2_MEDIAN,
    POINTS,
    bin_distances,
    bin_sizes,
    curve_distances,
    zve_of,
)
from lib.metrics.columns import LEVELS, Values, level_name
from lib.metrics.scores import unc_error_spearman
from lib.metrics.selective import prr

BAND_LEVEL = 0.95
RANK_ROWS = 5_000  # rank metrics are drawn on at most this many elements, their spread scaled
SHAPE_ROWS = 100_000  # as RANK_ROWS, for sums under the residual-shape null
_TAIL = 1 - BAND_LEVEL
_ENDS = np.array([_TAIL / 2, 1 - _TAIL / 2])
_COLUMNS = ["metric", "lower", "upper"]


def _evenly(ordered: FloatArray, most: int) -> FloatArray:
    """At most ``most`` entries, evenly spaced: the law of the whole without sampling error."""
    n = len(ordered)
    return ordered if n <= most else ordered[((np.arange(most) + 0.5) * n / most).astype(np.int64)]


def _curve_draws(n: int, draws: int, rng: np.random.Generator) -> Values:
    """Distances of the calibration curve: counts of a uniform PIT in the cells of the grid."""
    counts = rng.multinomial(n, np.full(POINTS - 1, 1 / (POINTS - 1)), size=draws)
    return curve_distances(np.hstack([np.zeros((draws, 1)), np.cumsum(counts, axis=1) / n]))


def _bins(ordered: FloatArray, least: int) -> tuple[np.ndarray, FloatArray]:
    """First rows and sizes of the bins of std ``ordered``."""
    sizes = bin_sizes(len(ordered), BINS, least)
    return np.cumsum(sizes) - sizes, sizes[:, None].astype(np.float64)


def _gaussian_bins(std: FloatArray, draws: int, rng: np.random.Generator) -> Values:
    """Closed form per bin: MSE / MV is chi-squared over its degrees of freedom.

    With one std in the bin they are its size; otherwise (sum s^2)^2 / sum s^4, which matches the
    variance (Satterthwaite). var z is chi-squared with size - 1 degrees exactly.
    """
    variance = np.sort(std) ** 2
    start, size = _bins(variance, 1)
    total = np.add.reduceat(variance, start)
    freedom = total**2 / np.add.reduceat(variance**2, start)
    ratio = rng.chisquare(freedom, size=(draws, len(start))) / freedom
    out = bin_distances((ratio * total).T, total[:, None], size)
    pairs = _bins(variance, 2)[1][:, 0] - 1
    if len(pairs):
        out["zve"] = zve_of((rng.chisquare(pairs, size=(draws, len(pairs))) / pairs).T)
    return out


def _rank_draws(std: FloatArray, draws: int, rng: np.random.Generator) -> Values:
    """``unc_error_spearman`` and ``prr``; above RANK_ROWS on even quantiles of ``std``."""
    part = _evenly(np.sort(std), RANK_ROWS)
    zeros, values = np.zeros(len(part)), np.empty((draws, 2))
    for draw in range(draws):
        target = part * rng.standard_normal(len(part))
        values[draw] = unc_error_spearman(zeros, part, target), prr(target**2, part)
    centre = values.mean(axis=0)
    scaled = centre + np.sqrt(len(part) / len(std)) * (values - centre)
    return {"unc_error_spearman": scaled[:, 0], "prr": scaled[:, 1]}


def _limits(drawn: Values, two_sided: tuple[str, ...]) -> list[tuple[str, float, float]]:
    rows = []
    for name, values in drawn.items():
        if np.isnan(values).any():
            continue
        if name in two_sided:
            low, high = np.quantile(values, _ENDS)
        else:
            low, high = 1.0 if name == "zve" else 0.0, np.quantile(values, BAND_LEVEL)
        rows.append((name, float(low), float(high)))
    return rows


def gaussian_band(std: ArrayLike, rng: np.random.Generator, *, draws: int = 200) -> pd.DataFrame:
    """Bands under targets drawn from the forecast itself.

    ``zms``, ``zvar``, ``zms_robust``, ``pit_ks`` and ``picp_*`` in closed form; the rest from
    ``draws`` draws, which is what their limits are worth: with 200, a 95 % limit is itself good to
    about 1.5 %. Coverage is a count, so its band holds at least 95 %.

    Parameters
    ----------
    std : (n,) array
    rng : Generator
    draws : int

    Returns
    -------
    DataFrame
        ``metric, lower, upper``. No rows for n = 0.

    Raises
    ------
    ValueError
        A std that is not above 0, or fewer than one draw.

    Examples
    --------
    >>> band = gaussian_band(np.ones(100), np.random.default_rng(0)).set_index("metric")
    >>> band.loc["zms"].round(3).tolist()  # chi-squared with 100 degrees over 100
    [0.742, 1.296]
    """
    std = as_std("std", std)
    n, draws = len(std), as_count("draws", draws)
    if n == 0:
        return pd.DataFrame(columns=_COLUMNS)
    closed: Values = {"zms": chi2.ppf(_ENDS, n) / n}
    if n > 1:
        closed["zvar"] = chi2.ppf(_ENDS, n - 1) / (n - 1)
    median = beta.ppf(_ENDS, (n + 1) / 2, (n + 1) / 2)
    closed["zms_robust"] = ndtri((1 + median) / 2) ** 2 / CHI2_MEDIAN
    for level in LEVELS:
        closed[level_name("picp", level)] = binom.ppf(_ENDS, n, level) / n
    closed["pit_ks"] = np.array([0.0, kstwo.ppf(BAND_LEVEL, n)])
    drawn = _curve_draws(n, draws, rng) | _gaussian_bins(std, draws, rng)
    if n > 1 and np.ptp(std) > 0:
        drawn |= _rank_draws(std, draws, rng)
    rows = [(name, float(low), float(high)) for name, (low, high) in closed.items()]
    rows += _limits(drawn, ("unc_error_spearman", "prr"))
    return pd.DataFrame(rows, columns=_COLUMNS)


def residual_band(
    mean: ArrayLike,
    std: ArrayLike,
    target: ArrayLike,
    rng: np.random.Generator,
    *,
    draws: int = 200,
) -> pd.DataFrame:
    """Bands for ``zms``, ``ence``, ``uce``, ``zve`` under the observed shape at the right scale.

    Standardised residuals are drawn with replacement from z / sqrt(ZMS), so ZMS is 1 in expectation
    and std says all there is to know. Above 100,000 elements each draw takes a subsample of that
    size, in equal shares of the bins, and deviations from 1 are scaled by sqrt(m / n).

    Returns
    -------
    DataFrame
        ``metric, lower, upper``. No rows for n < 2 or where all residuals are 0.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> z = rng.standard_t(4, 2000)  # heavy tails: var z is 2, and ZMS varies far more
    >>> band = residual_band(np.zeros(2000), np.full(2000, 2**0.5), z, rng).set_index("metric")
    >>> wide = gaussian_band(np.ones(2000), rng).set_index("metric")
    >>> bool(band.loc["zms", "upper"] > wide.loc["zms", "upper"])
    True
    """
    mean, std, target = as_forecast(mean, std, target)
    draws, z = as_count("draws", draws), (target - mean) / std
    if len(z) < 2 or not np.any(z):
        return pd.DataFrame(columns=_COLUMNS)
    shape = z / np.sqrt(np.mean(z * z))
    ordered = _evenly(np.sort(std), SHAPE_ROWS)
    drawn = _shape_draws(ordered, shape, draws, np.sqrt(len(ordered) / len(z)), rng)
    return pd.DataFrame(_limits(drawn, ("zms",)), columns=_COLUMNS)


def _shape_draws(
    ordered: FloatArray, shape: FloatArray, draws: int, shrink: float, rng: np.random.Generator
) -> Values:
    """Metrics of ``draws`` tables with std ``ordered`` (ascending) and z drawn from ``shape``."""
    variance = ordered * ordered
    (first, size), (first_pair, size_pair) = _bins(ordered, 1), _bins(ordered, 2)
    total = np.add.reduceat(variance, first)[:, None]
    zms = np.empty(draws)
    ratio, spread = np.empty((len(first), draws)), np.empty((len(first_pair), draws))
    for draw in range(draws):
        z = shape[rng.integers(0, len(shape), len(ordered))]
        square = z * z
        zms[draw] = square.mean()
        ratio[:, draw] = np.add.reduceat(variance * square, first) / total[:, 0]
        centre = np.add.reduceat(z, first_pair)
        spread[:, draw] = np.add.reduceat(square, first_pair) - centre**2 / size_pair[:, 0]
    spread /= size_pair - 1
    ratio = 1 + shrink * (ratio - 1)
    if shrink < 1:
        spread = np.median(spread) + shrink * (spread - np.median(spread))
    out: Values = {"zms": 1 + shrink * (zms - 1)}
    return out | bin_distances(ratio * total, total, size) | {"zve": zve_of(spread)}
