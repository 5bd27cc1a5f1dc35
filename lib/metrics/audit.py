"""How far is too far: null bands of the metrics, and curves that show where a forecast is off.

In: ``mean``, ``std``, ``target``, vectors ``(n,)``. Out: tables, ready to plot, without a value of
a single element. Bands are pointwise at 95 %: of 20 points one is expected outside. Elements are
taken as independent: with few large groups the bands are too narrow. Memory: about 150 bytes per
element at the peak.

Null bands are what each calibration metric shows for a perfect forecaster of this size and std, a
table ``metric, lower, upper``. Metrics that are best at a value get a two-sided band; distances,
best at 0 (``zve``: at 1), get an upper limit, since only large values speak against a forecast.

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

from lib.arrays import FloatArray, as_forecast, as_labels, as_std, ranks
from lib.metrics import calibration
from lib.metrics.calibration import BINS, CHI2_MEDIAN, POINTS, bin_distances, bin_starts, zve_of
from lib.metrics.columns import LEVELS, Climatology, Values, half_width, rank_correlation
from lib.metrics.evaluate import MIN_BIN, all_metrics

DRAWS = 200  # of a null band: a 95 % limit is then itself good to about 1.5 %
RANK_ROWS = 5_000  # rank metrics are drawn on at most this many elements, their spread scaled
SHAPE_ROWS = 100_000  # as RANK_ROWS, for sums under the residual-shape null
LEVEL = 0.9  # of the intervals whose coverage is told by subset
_BAND = 0.95
_ENDS = np.array([(1 - _BAND) / 2, (1 + _BAND) / 2])
_TWO_SIDED = ("zms", "unc_error_spearman")


def _evenly(ordered: FloatArray, most: int) -> FloatArray:
    """At most ``most`` entries, evenly spaced: the law of the whole without sampling error."""
    n = len(ordered)
    return ordered if n <= most else ordered[((np.arange(most) + 0.5) * n / most).astype(np.int64)]


def _curve_draws(n: int, rng: np.random.Generator) -> Values:
    """Distances of the calibration curve: counts of a uniform PIT in the cells of the grid."""
    counts = rng.multinomial(n, np.full(POINTS - 1, 1 / (POINTS - 1)), size=DRAWS)
    shares = np.cumsum(counts, axis=1) / n
    return calibration.curve_distances(np.hstack([np.zeros((DRAWS, 1)), shares]))


def _bin_draws(std: FloatArray, rng: np.random.Generator) -> Values:
    """Closed form per bin: MSE / MV is chi-squared over its degrees of freedom.

    With one std in the bin they are its size; otherwise (sum s^2)^2 / sum s^4, which matches the
    variance (Satterthwaite). var z is chi-squared with size - 1 degrees exactly.
    """
    variance = np.sort(std) ** 2
    start, _ = bin_starts(len(variance), BINS)
    total = np.add.reduceat(variance, start)
    freedom = total**2 / np.add.reduceat(variance**2, start)
    ratio = rng.chisquare(freedom, size=(DRAWS, len(start))) / freedom
    out = bin_distances((ratio * total).T, total[:, None], len(std))
    pairs = bin_starts(len(variance), BINS, 2)[1] - 1
    if len(pairs):
        out["zve"] = zve_of((rng.chisquare(pairs, size=(DRAWS, len(pairs))) / pairs).T)
    return out


def _rank_draws(std: FloatArray, rng: np.random.Generator) -> Values:
    """``unc_error_spearman``; above RANK_ROWS on even quantiles of ``std``."""
    part = _evenly(np.sort(std), RANK_ROWS)
    errors = (np.abs(part * rng.standard_normal(len(part))) for _ in range(DRAWS))
    own = ranks(part)
    values = np.array([rank_correlation(ranks(error), own) for error in errors])
    shrink = np.sqrt(len(part) / len(std))
    return {"unc_error_spearman": values.mean() + shrink * (values - values.mean())}


def _band(closed: Values, drawn: Values) -> pd.DataFrame:
    """From limits, and from draws that are all known."""
    rows = [(name, float(low), float(high)) for name, (low, high) in closed.items()]
    for name, values in drawn.items():
        if not np.isnan(values).any():
            low, high = np.quantile(values, _ENDS)
            if name not in _TWO_SIDED:
                low, high = 1.0 if name == "zve" else 0.0, np.quantile(values, _BAND)
            rows.append((name, float(low), float(high)))
    return pd.DataFrame(rows, columns=["metric", "lower", "upper"])


def gaussian_band(std: ArrayLike, rng: np.random.Generator) -> pd.DataFrame:
    """Bands under targets drawn from the forecast itself; ``std`` ``(n,)`` is all that matters.

    ``zms``, ``zvar``, ``zms_robust``, ``pit_ks`` and ``picp_*`` in closed form; the rest from 200
    draws. Coverage is a count, so its band holds at least 95 %. Columns ``metric, lower, upper``;
    no rows for n = 0.
    """
    std = as_std("std", std)
    n = len(std)
    if n == 0:
        return _band({}, {})
    median = beta.ppf(_ENDS, (n + 1) / 2, (n + 1) / 2)
    closed: Values = {
        "zms": chi2.ppf(_ENDS, n) / n,
        "zms_robust": ndtri((1 + median) / 2) ** 2 / CHI2_MEDIAN,
        "pit_ks": np.array([0.0, kstwo.ppf(_BAND, n)]),
    }
    closed |= {f"picp_{round(100 * level)}": binom.ppf(_ENDS, n, level) / n for level in LEVELS}
    if n > 1:
        closed["zvar"] = chi2.ppf(_ENDS, n - 1) / (n - 1)
    drawn = _curve_draws(n, rng) | _bin_draws(std, rng)
    if n > 1 and np.ptp(std) > 0:
        drawn |= _rank_draws(std, rng)
    return _band(closed, drawn)


def residual_band(
    mean: ArrayLike, std: ArrayLike, target: ArrayLike, rng: np.random.Generator
) -> pd.DataFrame:
    """Bands for ``zms``, ``ence``, ``uce``, ``zve`` under the observed shape at the right scale.

    Standardised residuals are drawn with replacement from z / sqrt(ZMS), so ZMS is 1 in expectation
    and std says all there is to know. Above 100,000 elements each draw takes a subsample of that
    size, in equal shares of the bins, and deviations from 1 are scaled by sqrt(m / n). Columns
    ``metric, lower, upper``; no rows for n < 2 or where all residuals are 0.
    """
    mean, std, target = as_forecast(mean, std, target)
    z = (target - mean) / std
    if len(z) < 2 or not np.any(z):
        return _band({}, {})
    shape = z / np.sqrt(np.mean(z * z))
    variance = _evenly(np.sort(std), SHAPE_ROWS) ** 2
    n = len(variance)
    shrink = np.sqrt(n / len(z))
    (first, _), (first_pair, size_pair) = bin_starts(n, BINS), bin_starts(n, BINS, 2)
    total = np.add.reduceat(variance, first)
    zms = np.empty(DRAWS)
    ratio, spread = np.empty((len(first), DRAWS)), np.empty((len(first_pair), DRAWS))
    for draw in range(DRAWS):
        z = shape[rng.integers(0, len(shape), n)]
        zms[draw] = np.mean(z * z)
        ratio[:, draw] = np.add.reduceat(variance * z * z, first) / total
        centre = np.add.reduceat(z, first_pair)
        spread[:, draw] = np.add.reduceat(z * z, first_pair) - centre**2 / size_pair
    spread /= size_pair[:, None] - 1
    ratio = 1 + shrink * (ratio - 1)
    if shrink < 1:
        spread = np.median(spread) + shrink * (spread - np.median(spread))
    drawn = bin_distances(ratio * total[:, None], total[:, None], n)
    return _band({}, drawn | {"zms": 1 + shrink * (zms - 1), "zve": zve_of(spread)})


def _share_band(n: ArrayLike, share: ArrayLike) -> dict[str, FloatArray]:
    """Where the share of ``n`` elements lies that each have their chance of ``share``."""
    low, high = (binom.ppf(end, n, share) / np.asarray(n, float) for end in _ENDS)
    return {"band_lower": low, "band_upper": high}


def pit_histogram(mean: ArrayLike, std: ArrayLike, target: ArrayLike) -> pd.DataFrame:
    """Density of the PIT in even bins with its binomial band; 1 everywhere when calibrated.

    Columns ``left, right, density, band_lower, band_upper``; no rows for n = 0. U: overconfident;
    hump: underconfident; slope: biased. Source: Gneiting, Balabdaoui & Raftery 2007.
    """
    u = calibration.pit(mean, std, target)
    edges = np.linspace(0, 1, BINS + 1)
    seen = np.bincount(np.minimum((u * BINS).astype(np.int64), BINS - 1), minlength=BINS)
    shares = {"density": seen / max(len(u), 1)} | _share_band(max(len(u), 1), 1 / BINS)
    table = pd.DataFrame({"left": edges[:-1], "right": edges[1:]})
    return table.assign(**{k: v * BINS for k, v in shares.items()}).iloc[: BINS if len(u) else 0]


def reliability(mean: ArrayLike, std: ArrayLike, target: ArrayLike) -> pd.DataFrame:
    """Observed against expected coverage at even levels, with its binomial band.

    Columns ``expected, observed, band_lower, band_upper``; no rows for n = 0. Observed below
    expected is overconfident.
    """
    mean, std, target = as_forecast(mean, std, target)
    expected = np.linspace(0, 1, BINS + 1)
    observed = calibration.observed_shares((target - mean) / std, len(expected))
    band = _share_band(max(len(mean), 1), expected)
    return pd.DataFrame({"expected": expected, "observed": observed} | band).dropna()


def coverage_by(
    mean: ArrayLike, std: ArrayLike, target: ArrayLike, labels: ArrayLike
) -> pd.DataFrame:
    """Coverage of 90 % intervals per subset: by predicted std, GC, activity decile, species, batch.

    Columns ``bin, n, coverage, mpiw, rmse, zms, band_lower, band_upper`` (the binomial band of
    ``coverage``). Subsets of fewer than 10 elements are dropped. Take deciles of the *predicted*
    activity: given the measured one, not even the true law covers at its level, because a high
    measurement is partly noise.
    """
    mean, std, target = as_forecast(mean, std, target)
    z, half = (target - mean) / std, half_width(LEVEL)
    covered, squared = np.abs(z) <= half, (target - mean) ** 2
    columns = {"coverage": covered, "mpiw": 2 * half * std, "rmse": squared, "zms": z * z}
    subsets = pd.DataFrame(columns).groupby(as_labels("labels", labels, len(mean)))
    table = subsets.mean().rename_axis("bin").reset_index()
    table.insert(1, "n", subsets.size().to_numpy())
    table = table[table["n"] >= MIN_BIN].reset_index(drop=True)
    return table.assign(rmse=np.sqrt(table["rmse"]), **_share_band(table["n"], LEVEL))


def audit(
    mean: ArrayLike,
    std: ArrayLike,
    target: ArrayLike,
    rng: np.random.Generator,
    *,
    climatology: Climatology | None = None,
) -> dict[str, pd.DataFrame]:
    """All metrics with both null bands, and the curves of calibration, without a bootstrap.

    ``mean``, ``std``, ``target`` are ``(n,)`` with n >= 1; ``rng`` draws the null bands;
    ``climatology`` is mean and std of the training targets. Tables: ``bands``, with columns
    ``metric, value, band_lower, band_upper`` (Gaussian null), ``shape_lower, shape_upper``
    (residual-shape null), NaN where a metric has no such band; ``pit`` and ``reliability``, as the
    functions above.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> tables = audit(np.zeros(200), np.ones(200), 2 * rng.normal(size=200), rng)
    >>> row = tables["bands"].set_index("metric").loc["zms"]
    >>> bool(row["value"] > row["band_upper"])  # std half as large as it should be
    True
    """
    mean, std, target = forecast = as_forecast(mean, std, target)
    values = all_metrics(*forecast, climatology=climatology)
    bands = pd.DataFrame({"metric": list(values), "value": list(values.values())})
    nulls = {"band": gaussian_band(std, rng), "shape": residual_band(*forecast, rng)}
    for name, null in nulls.items():
        ends = {"lower": f"{name}_lower", "upper": f"{name}_upper"}
        bands = bands.merge(null.rename(columns=ends), on="metric", how="left")
    tables = {"pit": pit_histogram(*forecast), "reliability": reliability(*forecast)}
    return {"bands": bands, **tables}
