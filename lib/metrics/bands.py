"""Null bands: what each calibration metric shows for a perfect forecaster of this size and std.

In: ``std`` (Gaussian null) or a forecast (residual-shape null). Out: a table ``metric, lower,
upper`` at a level (95 % unless told otherwise). Metrics that are best at a value get a two-sided
band; distances, best at 0 (``zve``: at 1), get an upper limit, since only large values speak
against a forecast. Elements are taken as independent: with few large groups the bands are too
narrow.

*Gaussian*: targets drawn from the forecast itself. *Residual shape*: standardised residuals drawn
with replacement from the observed z / sqrt(ZMS), so that heavy tails are not read as wrong
variance. The second knows nothing of metrics that compare the shape with a Gaussian (``mace``,
``pit_ks``, coverage), which are left out.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import ndtri
from scipy.stats import beta, binom, chi2, kstwo

from lib.arrays import FloatArray, as_count, as_forecast, as_level, as_std
from lib.metrics.calibration import CHI2_MEDIAN, area_between, binned_by_std, unc_error_spearman
from lib.metrics.moments import level_name
from lib.metrics.selective import prr

RANK_ROWS = 5_000  # rank metrics are drawn on at most this many elements, their spread scaled
SHAPE_ROWS = 100_000  # as RANK_ROWS, for sums under the residual-shape null
_POINTS = 100
_FLOORS = {"zve": 1.0}
_COLUMNS = ["metric", "lower", "upper"]

Draws = dict[str, FloatArray]


def _evenly(ordered: FloatArray, most: int) -> FloatArray:
    """At most ``most`` entries, evenly spaced: the law of the whole without sampling error."""
    n = len(ordered)
    return ordered if n <= most else ordered[((np.arange(most) + 0.5) * n / most).astype(np.int64)]


def _curve_draws(n: int, draws: int, rng: np.random.Generator) -> Draws:
    """``mace``, ``rmsce``, ``miscal_area``: counts of a uniform PIT in the cells of the grid."""
    grid = np.linspace(0, 1, _POINTS)
    counts = rng.multinomial(n, np.full(_POINTS - 1, 1 / (_POINTS - 1)), size=draws)
    observed = np.concatenate([np.zeros((draws, 1)), np.cumsum(counts, axis=1) / n], axis=1)
    gap = np.abs(observed - grid)
    return {
        "mace": gap.mean(axis=1),
        "rmsce": np.sqrt((gap**2).mean(axis=1)),
        "miscal_area": area_between(grid, observed),
    }


def _from_ratios(ratio: FloatArray, variance: FloatArray, size: FloatArray) -> Draws:
    """``ence`` and ``uce`` from MSE / MV per draw and bin ``(draws, bins)``."""
    share = size / size.sum()
    return {
        "ence": np.abs(np.sqrt(np.maximum(ratio, 0)) - 1).mean(axis=1),
        "uce": (np.abs(ratio - 1) * variance * share).sum(axis=1),
    }


def _zve(variances: FloatArray) -> FloatArray:
    with np.errstate(divide="ignore"):
        return np.exp(np.abs(np.log(np.maximum(variances, 0))).mean(axis=1))


def _gaussian_bins(std: FloatArray, bins: int, draws: int, rng: np.random.Generator) -> Draws:
    """Closed form per bin: MSE / MV is chi-squared over its degrees of freedom.

    With one std in the bin they are its size; otherwise (sum s^2)^2 / sum s^4, which matches the
    variance (Satterthwaite). var z is chi-squared with size - 1 degrees exactly.
    """
    variance = std * std
    rows = binned_by_std(std, bins)
    size = np.array([len(r) for r in rows], float)
    total = np.array([variance[r].sum() for r in rows])
    freedom = total**2 / np.array([(variance[r] ** 2).sum() for r in rows])
    ratio = rng.chisquare(freedom, size=(draws, len(rows))) / freedom
    out = _from_ratios(ratio, total / size, size)
    pairs = np.array([len(r) for r in binned_by_std(std, bins, least=2)], float) - 1
    if len(pairs):
        out["zve"] = _zve(rng.chisquare(pairs, size=(draws, len(pairs))) / pairs)
    return out


def _rank_draws(std: FloatArray, draws: int, rng: np.random.Generator) -> Draws:
    """``unc_error_spearman`` and ``prr``; above RANK_ROWS on even quantiles of ``std``."""
    n = len(std)
    part = _evenly(np.sort(std), RANK_ROWS)
    shrink = np.sqrt(len(part) / n)
    zeros = np.zeros(len(part))
    values = np.empty((draws, 2))
    for draw in range(draws):
        target = part * rng.standard_normal(len(part))
        values[draw] = unc_error_spearman(zeros, part, target), prr(target**2, part)
    centre = values.mean(axis=0)
    scaled = centre + shrink * (values - centre)
    return {"unc_error_spearman": scaled[:, 0], "prr": scaled[:, 1]}


def _limits(
    draws: Draws, tail: float, two_sided: tuple[str, ...]
) -> list[tuple[str, float, float]]:
    rows = []
    for name, values in draws.items():
        if np.isnan(values).any():
            continue
        if name in two_sided:
            low, high = np.quantile(values, [tail / 2, 1 - tail / 2])
        else:
            low, high = _FLOORS.get(name, 0.0), np.quantile(values, 1 - tail)
        rows.append((name, float(low), float(high)))
    return rows


def gaussian_band(
    std: ArrayLike,
    rng: np.random.Generator,
    *,
    draws: int = 200,
    level: float = 0.95,
    levels: tuple[float, ...] = (0.5, 0.8, 0.9, 0.95),
    bins: int = 20,
) -> pd.DataFrame:
    """Bands under targets drawn from the forecast itself.

    ``zms``, ``zvar``, ``zms_robust``, ``pit_ks`` and ``picp_*`` in closed form; the rest from
    ``draws`` draws, which is what their limits are worth: with 200, a 95 % limit is itself good to
    about 1.5 %.

    Parameters
    ----------
    std : (n,) array
    levels : tuple of float
        Levels of ``picp_*``; coverage is a count, so its band holds at least ``level``.

    Returns
    -------
    DataFrame
        ``metric, lower, upper``. No rows for n = 0.

    Examples
    --------
    >>> band = gaussian_band(np.ones(100), np.random.default_rng(0)).set_index("metric")
    >>> band.loc["zms"].round(3).tolist()  # chi-squared with 100 degrees over 100
    [0.742, 1.296]
    """
    std = as_std("std", std)
    n, tail = len(std), 1 - as_level(level)
    draws = as_count("draws", draws)
    if n == 0:
        return pd.DataFrame(columns=_COLUMNS)
    ends = np.array([tail / 2, 1 - tail / 2])
    closed: dict[str, FloatArray] = {"zms": chi2.ppf(ends, n) / n}
    if n > 1:
        closed["zvar"] = chi2.ppf(ends, n - 1) / (n - 1)
    median = beta.ppf(ends, (n + 1) / 2, (n + 1) / 2)
    closed["zms_robust"] = ndtri((1 + median) / 2) ** 2 / CHI2_MEDIAN
    for share in levels:
        closed[level_name("picp", share)] = binom.ppf(ends, n, as_level(share, "levels")) / n
    closed["pit_ks"] = np.array([0.0, kstwo.ppf(level, n)])
    drawn = _curve_draws(n, draws, rng) | _gaussian_bins(std, bins, draws, rng)
    if n > 1 and np.ptp(std) > 0:
        drawn |= _rank_draws(std, draws, rng)
    rows = [(name, float(low), float(high)) for name, (low, high) in closed.items()]
    rows += _limits(drawn, tail, ("unc_error_spearman", "prr"))
    return pd.DataFrame(rows, columns=_COLUMNS)


def residual_band(
    mean: ArrayLike,
    std: ArrayLike,
    target: ArrayLike,
    rng: np.random.Generator,
    *,
    draws: int = 200,
    level: float = 0.95,
    bins: int = 20,
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
    n, tail = len(std), 1 - as_level(level)
    z = (target - mean) / std
    if n < 2 or not np.any(z):
        return pd.DataFrame(columns=_COLUMNS)
    shape = z / np.sqrt(np.mean(z * z))
    ordered = _evenly(np.sort(std), SHAPE_ROWS)
    shrink = np.sqrt(len(ordered) / n)
    drawn = _shape_draws(ordered, shape, bins, as_count("draws", draws), shrink, rng)
    return pd.DataFrame(_limits(drawn, tail, ("zms",)), columns=_COLUMNS)


def _shape_draws(
    ordered: FloatArray,
    shape: FloatArray,
    bins: int,
    draws: int,
    shrink: float,
    rng: np.random.Generator,
) -> Draws:
    """Metrics of ``draws`` tables with std ``ordered`` (ascending) and z drawn from ``shape``."""
    m = len(ordered)
    variance = ordered * ordered

    def starts(least: int) -> tuple[np.ndarray, FloatArray]:
        sizes = [len(rows) for rows in binned_by_std(ordered, bins, least)]
        return np.cumsum([0, *sizes[:-1]]), np.array(sizes, float)

    (first, size), (first_pair, size_pair) = starts(1), starts(2)
    total = np.add.reduceat(variance, first)
    ratio = np.empty((draws, len(first)))
    spread = np.empty((draws, len(first_pair)))
    zms = np.empty(draws)
    for draw in range(draws):
        z = shape[rng.integers(0, len(shape), m)]
        square = z * z
        zms[draw] = square.mean()
        ratio[draw] = np.add.reduceat(variance * square, first) / total
        centre = np.add.reduceat(z, first_pair)
        spread[draw] = np.add.reduceat(square, first_pair) - centre**2 / size_pair
    spread /= size_pair - 1
    out: Draws = {"zms": 1 + shrink * (zms - 1)}
    out |= _from_ratios(1 + shrink * (ratio - 1), total / size, size)
    middle = np.median(spread)
    out["zve"] = _zve(middle + shrink * (spread - middle) if shrink < 1 else spread)
    return out


def outside(values: Mapping[str, float], band: pd.DataFrame) -> list[str]:
    """Names of the metrics whose value lies outside its band, in the order of the band.

    Examples
    --------
    >>> table = pd.DataFrame({"metric": ["zms", "ence"], "lower": [0.9, 0], "upper": [1.1, 0.2]})
    >>> outside({"zms": 1.5, "ence": 0.1}, table)
    ['zms']
    """
    limits = zip(
        band["metric"].tolist(), band["lower"].tolist(), band["upper"].tolist(), strict=True
    )
    return [
        name for name, low, high in limits if name in values and not low <= values[name] <= high
    ]
