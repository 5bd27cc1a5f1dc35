"""One model on one part, as a tidy table: every metric with its interval.

In: a predictions table (``target, mean, std``, optional ``group``). Out: rows ``metric, by, bin,
value, lower, upper, n, oracle, variance``; ``by`` and ``bin`` are empty for the whole part.
Intervals are 95 % intervals of ``lib.metrics.resampling``, percentiles of a bootstrap over groups
or, of cross-validated forecasts, Student's t over folds; ``variance`` is what they rest on. Metrics
of means go through sums per group and one matrix product for all draws, those of an order through
repeated rows.
"""

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from lib import arrays
from lib.arrays import FloatArray, IntArray, as_count, as_forecast, ranks, stable_order
from lib.metrics import calibration, columns
from lib.metrics.columns import Climatology, Columns, Metric, Triple, Values, mean_metrics, needed
from lib.metrics.resampling import Resampling, ends, fold_variance, percentiles, resampling, totals
from lib.metrics.selective import areas, ranking_values, rankings

MIN_BIN = 10  # smaller bins are dropped: no aggregate of fewer elements is published
DECILES = 10
COLUMNS = ["metric", "by", "bin", "value", "lower", "upper", "n", "oracle", "variance"]
CONDITIONAL = ("rmse", "bias", "crps_gaussian", "zms", "picp_90", "mpiw_90")  # printed per bin
ORDERED_DRAWS = 200  # draws of metrics that need the order of elements, not only sums
FEWER_DRAWS = 100  # the same above MANY_ROWS
MANY_ROWS = 5000
_RANKED = ("spearman_r", "unc_error_spearman")


def quantile_bins(values: ArrayLike, bins: int = DECILES) -> IntArray:
    """Bin numbers 0 to ``bins - 1`` by the quantiles of ``values`` ``(n,)``, one at least.

    Equal values share a bin, so bins of a covariate with ties differ in size and some may be empty.
    """
    values = arrays.as_vector("values", values)
    count = as_count("bins", bins)
    edges = np.quantile(values, np.arange(1, count) / count)
    return np.searchsorted(edges, values, side="left").astype(np.int64)


def _mean_values(forecast: Triple, climatology: Climatology | None) -> dict[str, float]:
    """The metrics of means."""
    metrics = mean_metrics(skill=climatology is not None)
    metrics = {name: metric for name, metric in metrics.items() if name not in _RANKED}
    given, n = Columns(forecast, climatology), len(forecast[0])
    means = {key: given[key].mean() for key in needed(metrics.values())}
    return {name: float(value) for name, value in columns.values_of(metrics, means, n).items()}


def _order_values(forecast: Triple) -> dict[str, float]:
    """The metrics that need an order of elements; whatever is sorted is sorted once."""
    mean, std, target = forecast
    z, order, size = (target - mean) / std, stable_order(std), np.abs(target - mean)
    curve = calibration.curve_distances(calibration.observed_shares(z))
    found = {name: float(value) for name, value in curve.items()}
    found |= calibration.binned_metrics(z, std, order)
    for metric in (calibration.pit_ks, calibration.zms_robust):
        found[metric.__name__] = metric(mean, std, target)
    found["spearman_r"] = columns.rank_correlation(ranks(mean), ranks(target))
    found["unc_error_spearman"] = columns.rank_correlation(ranks(size), ranks(std, order))
    return found | rankings(size * size, std)


def all_metrics(
    mean: ArrayLike, std: ArrayLike, target: ArrayLike, *, climatology: Climatology | None = None
) -> dict[str, float]:
    """Every metric of a forecast, by name.

    ``mean``, ``std``, ``target`` are ``(n,)``, n >= 1. ``climatology`` is mean and std of the
    training targets, for ``crps_skill``.
    ``picp_*``, ``mpiw_*``, ``coverage_gap_*`` and ``interval_score_*`` are at 50, 80, 90 and 95 %;
    selective metrics take squared error ranked by std. No elements or bad values are a
    ``ValueError``.

    Examples
    --------
    >>> values = all_metrics([1, 2, 3], [0.1, 0.5, 1], [1.5, 3, 2])
    >>> round(values["nll_gaussian"], 9), round(values["mace"], 9)
    (4.920361109, 0.373333333)
    """
    mean, std, target = forecast = as_forecast(mean, std, target)
    if not len(mean):
        raise ValueError("mean has no elements; at least one would do")
    return _mean_values(forecast, climatology) | _order_values(forecast)


class _Bins(NamedTuple):
    """Bins of one covariate, small ones left out; the whole part is one bin."""

    by: str
    labels: list[str]
    cells: IntArray  # (n,), -1 where the bin is too small
    sizes: IntArray
    metrics: dict[str, Metric]


def _bins(by: str, labels: ArrayLike, n: int, metrics: dict[str, Metric]) -> _Bins:
    inverse, unique = pd.factorize(arrays.as_labels(f"by[{by!r}]", labels, n), sort=True)
    sizes = np.bincount(inverse, minlength=len(unique))
    kept = sizes >= MIN_BIN
    number = np.where(kept, np.cumsum(kept) - 1, -1)
    inner = {name: metrics[name] for name in CONDITIONAL}
    return _Bins(by, [str(label) for label in unique[kept]], number[inverse], sizes[kept], inner)


def _drawn_means(
    given: Columns, every: list[_Bins], plan: Resampling, weights: FloatArray
) -> Iterator[Values]:
    """Metrics of means of the bins of each covariate ``(bins, draws)``, under weights of sets."""
    keys = [needed(bins.metrics.values()) for bins in every]
    values = {key: given[key] for key in dict.fromkeys(chain(*keys))}
    for bins, own in zip(every, keys, strict=True):
        kept, (n_bins, n_sets) = bins.cells >= 0, (len(bins.labels), plan.n_sets)
        stacked = np.column_stack([np.ones(len(kept)), *(values[key] for key in own)])[kept]
        cells = (bins.cells * n_sets + plan.codes)[kept]
        sums = totals(stacked, cells, n_bins * n_sets).reshape(-1, n_sets) @ weights
        count, *others = sums.reshape(1 + len(own), n_bins, -1)
        with np.errstate(invalid="ignore", divide="ignore"):
            means = {key: total / count for key, total in zip(own, others, strict=True)}
            yield columns.values_of(bins.metrics, means, len(given.mean))


def _drawn_orders(forecast: Triple, plan: Resampling, weights: FloatArray) -> Values:
    """Metrics that need an order ``(draws,)``; NaN beyond the fewer draws they get, or none."""
    mean, std, target = forecast
    most = ORDERED_DRAWS if len(mean) <= MANY_ROWS else FEWER_DRAWS
    few = weights[:, 1 : 1 + plan.folds + most]
    loss = (target - mean) ** 2
    drawn = ranking_values(*(areas(loss, by, plan.codes, few) for by in (std, loss)))
    found = {}
    for name, value in _order_values(forecast).items():
        found[name] = np.full(weights.shape[1], np.nan)
        found[name][0] = value
        found[name][1 : 1 + few.shape[1]] = drawn.get(name, np.nan)
    del found["ause"]  # e_aurc in another unit
    return found


def measure(
    forecast: Triple,
    plan: Resampling,
    weights: FloatArray,
    climatology: Climatology | None = None,
    by: Mapping[str, ArrayLike] | None = None,
) -> tuple[pd.DataFrame, FloatArray]:
    """Every metric under weights ``(sets, draws)`` of a resampling, whose first draw is the sample.

    Rows ``metric, by, bin, n, df, groups`` (effective), and the values of each, ``(rows, draws)``.
    What :func:`evaluate` takes intervals from; contrasts take two of these under equal weights.
    """
    n, metrics = len(forecast[0]), mean_metrics(skill=climatology is not None)
    bins = [_bins(*each, n, metrics) for each in ({} if by is None else by).items()]
    whole = _Bins("", [""], np.zeros(n, np.int64), np.array([n]), metrics)
    every = [whole, *(each for each in bins if each.labels)]
    found = list(_drawn_means(Columns(forecast, climatology), every, plan, weights))
    orders = _drawn_orders(forecast, plan, weights)
    found[0] = {name: values[None] for name, values in orders.items()} | found[0]
    rows = []
    for own, values in zip(every, found, strict=True):
        plans = [plan.take(own.cells == number) for number in range(len(own.labels))]
        known = ((each.df, each.effective) for each in plans)
        sized = [(*two, *more) for *two, more in zip(own.labels, own.sizes, known, strict=True)]
        rows += [(metric, own.by, *each) for metric in values for each in sized]
    keys = pd.DataFrame(rows, columns=["metric", "by", "bin", "n", "df", "groups"])
    return keys, np.concatenate([block for values in found for block in values.values()])


def with_ends(
    rows: pd.DataFrame, values: FloatArray, plan: Resampling, level: float = 0.95
) -> pd.DataFrame:
    """Rows ``metric`` with ``value, lower, upper, variance`` of what :func:`measure` gives."""
    if values.shape[1] == 1:
        none = dict.fromkeys(("lower", "upper", "variance"), np.nan)
        return rows.assign(value=values[:, 0], **none)
    if not plan.folds:
        groups = np.asarray(rows.get("groups", plan.effective))
        drawn = [*percentiles(values[:, 1:], level), fold_variance(values, 0)]
        # One group resampled is itself, and a share of 0 or 1 is so in every draw.
        lower, upper, variance = np.where(groups <= 1, np.nan, drawn)
        rows = rows.assign(value=values[:, 0], lower=lower, upper=upper, variance=variance)
        sure = rows["value"].isin([0.0, 1.0]) & (rows["metric"].map(columns.scale_of) == "logit")
        exact = over_folds(rows.assign(df=groups - 1, groups=groups), level)
        return rows.assign(**{end: exact[end].where(sure, rows[end]) for end in ("lower", "upper")})
    rows = rows.assign(value=values[:, 0], variance=fold_variance(values, plan.folds))
    if "df" in rows:
        return over_folds(rows, level)
    rows = over_folds(rows.assign(df=plan.df, groups=plan.effective), level)
    return rows.drop(columns=["df", "groups"])


def over_folds(rows: pd.DataFrame, level: float = 0.95) -> pd.DataFrame:
    """Rows ``metric, value, variance, df, groups`` with their ends, on each metric's scale."""
    scales = np.array([columns.scale_of(metric) for metric in rows["metric"]])
    given = rows[["value", "variance", "df", "groups"]].to_numpy(float).T
    reached = np.full((2, len(rows)), np.nan)
    for scale in np.unique(scales):
        own = scales == scale
        value, variance, df, groups = given[:, own]
        reached[:, own] = ends(value, variance, df, str(scale), level, groups)
    return rows.assign(lower=reached[0], upper=reached[1])


def evaluate(
    predictions: pd.DataFrame,
    *,
    rng: np.random.Generator,
    climatology: Climatology | None = None,
    draws: int = 1000,
    by: Mapping[str, ArrayLike] | None = None,
) -> pd.DataFrame:
    """All metrics of one model on one part, overall and per bin.

    ``predictions`` has columns ``target, mean, std`` (one unit) and optionally ``group``, of any
    type; without it every row is its own group. A column ``fold`` says that forecasts are those of
    cross-validation, and which fold tested a row: intervals are then those over folds.
    ``climatology`` is mean and std of the *training* targets; without it there is no
    ``crps_skill``. ``by`` maps names of covariates to labels ``(n,)``, such as ``{"gc_decile":
    quantile_bins(gc)}``; bins of fewer than 10 elements are dropped.

    Of the bootstrap: more than 2,000 groups are first merged at random into 2,000 sets.
    ``aurc``, ``e_aurc``, ``augrc``, ``prr`` and ``naurc`` (squared error ranked by std) take up to
    200 draws, above 5,000 rows up to 100; ``spearman_r`` and ``unc_error_spearman`` are linearised
    (``spearman_column``). Distances from perfect calibration (``mace``, ``rmsce``, ``miscal_area``,
    ``ence``, ``uce``, ``zve``, ``pit_ks``) grow under resampling and have no interval, nor has
    ``zms_robust``: judge them against a null band (``lib.metrics.audit``).

    A table of ``COLUMNS``, ``oracle`` empty. Per bin: ``rmse, bias, crps_gaussian, zms, picp_90,
    mpiw_90``. Bad values and labels that do not fit are a ``ValueError``.

    Examples
    --------
    >>> table = pd.DataFrame({"target": [0.0, 1.0, 3.0], "mean": [0.0, 2.0, 2.0], "std": 1.0})
    >>> scores = evaluate(table, rng=np.random.default_rng(0), draws=50).set_index("metric")
    >>> float(scores.loc["mae", "value"]) == 2 / 3, int(scores.loc["mae", "n"])
    (True, 3)
    """
    forecast = as_forecast(predictions["mean"], predictions["std"], predictions["target"])
    rows = np.arange(len(predictions))
    plan = resampling(predictions.get("group", rows), rng, predictions.get("fold"))
    found, values = measure(forecast, plan, plan.weights(draws, rng), climatology, by)
    return with_ends(found, values, plan).assign(oracle=np.nan)[COLUMNS]
