"""Subsets: bins of a covariate, which way a metric is good, and the worst group.

In: covariates ``(n,)`` or finished metric values per group. Out: bin labels ``(n,)``, or the name
of the worst group. What "worst" means is written once, in ``ORIENTATION``.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from lib.arrays import IntArray, as_count, as_vector

# "lower" or "higher" is better, or the value that is best
ORIENTATION: dict[str, str | float] = {
    **dict.fromkeys(("rmse", "mae", "nll_gaussian", "crps_gaussian", "pit_ks", "mace"), "lower"),
    **dict.fromkeys(("rmsce", "miscal_area", "ence", "uce", "aurc", "e_aurc", "augrc"), "lower"),
    **dict.fromkeys(("ause", "fpr95", "sharpness"), "lower"),
    **dict.fromkeys(("pearson_r", "spearman_r", "r2_cod", "r2_pearson", "crps_skill"), "higher"),
    **dict.fromkeys(("unc_error_spearman", "prr", "naurc", "auroc_ood", "aupr_ood"), "higher"),
    **dict.fromkeys(("zms", "zms_robust", "zvar", "zve"), 1.0),
    "bias": 0.0,
}
_BY_LEVEL: dict[str, str] = {"picp": "level", "mpiw": "lower", "interval_score": "lower"}


def orientation(metric: str) -> str | float | None:
    """``"lower"`` or ``"higher"`` for what is better, the best value, or None where nothing is.

    Examples
    --------
    >>> orientation("rmse"), orientation("picp_90"), orientation("zms"), orientation("sd_target")
    ('lower', 0.9, 1.0, None)
    """
    if metric in ORIENTATION:
        return ORIENTATION[metric]
    stem, _, level = metric.rpartition("_")
    if level.isdigit() and stem in _BY_LEVEL:
        return float(level) / 100 if _BY_LEVEL[stem] == "level" else _BY_LEVEL[stem]
    return 0.0 if level.isdigit() and stem == "coverage_gap" else None


def worst_group(metric: str, values: Mapping[object, float]) -> object | None:
    """The group whose value is worst by the metric's orientation; the first one on ties.

    Where a value is best (coverage, ZMS, bias), worst is farthest from it; ratios (best at 1) are
    compared on the log scale, so that 0.5 is as far as 2. NaN groups are passed over; None where
    no group has a value or the metric has no orientation.

    Examples
    --------
    >>> worst_group("picp_90", {"low": 0.93, "high": 0.7})
    'high'
    >>> worst_group("zms", {"low": 0.25, "high": 2.0})
    'low'
    """
    best = orientation(metric)
    known = {group: value for group, value in values.items() if np.isfinite(value)}
    if best is None or not known:
        return None

    def badness(group: object) -> float:
        value = known[group]
        if best in ("lower", "higher"):
            return value if best == "lower" else -value
        if best == 1.0:
            return abs(float(np.log(value))) if value > 0 else float("inf")
        return abs(value - float(best))

    return max(known, key=badness)


def quantile_bins(values: ArrayLike, bins: int = 10) -> IntArray:
    """Bin numbers 0 to ``bins - 1`` by the quantiles of ``values``, ``(n,)``.

    Equal values share a bin, so bins of a covariate with ties differ in size and some may be empty.

    Examples
    --------
    >>> quantile_bins([1, 2, 3, 4], bins=2).tolist(), quantile_bins([5, 5, 5], bins=2).tolist()
    ([0, 0, 1, 1], [0, 0, 0])
    """
    values = as_vector("values", values)
    count = as_count("bins", bins)
    if not len(values):
        return np.empty(0, np.int64)
    edges = np.quantile(values, np.arange(1, count) / count)
    return np.searchsorted(edges, values, side="left").astype(np.int64)


class Gap(NamedTuple):
    """Change of a metric from in distribution to out of it; above 0 is worse for both parts."""

    difference: float
    relative: float


def id_ood_gap(metric: str, value_id: float, value_ood: float) -> Gap:
    """How much worse a metric is out of distribution, by its orientation.

    For metrics that are best at a value (coverage, ZMS, bias) the distance from it is compared.
    ``relative`` is the difference over the ID value (over the ID distance: NaN where that is 0).
    Say which ID arm was used: a model trained on ID tested on ID, or one trained on the shifted law
    (the difficulty-matched arm). A ``ValueError`` names a metric without orientation. Source: Koh
    et al. 2021 (2012.07421).

    Examples
    --------
    >>> id_ood_gap("rmse", 0.5, 0.75)
    Gap(difference=0.25, relative=0.5)
    >>> [round(part, 9) for part in id_ood_gap("picp_90", 0.88, 0.70)]  # .20 off against .02 off
    [0.18, 9.0]
    """
    best = orientation(metric)
    if best is None:
        known = sorted(ORIENTATION)
        raise ValueError(f"metric {metric!r} has no orientation; one of {known} would do")
    if best in ("lower", "higher"):
        sign = 1 if best == "lower" else -1
        difference, scale = sign * (value_ood - value_id), abs(value_id)
    else:
        scale = abs(value_id - float(best))
        difference = abs(value_ood - float(best)) - scale
    return Gap(difference, difference / scale if scale > 0 else float("nan"))
