"""From values of single worlds and splits to rows, effects, audits and curves with intervals.

In: :class:`lib.experiments.selective_measures.Judged`. Out: tables. Worlds give Student's t
intervals; splits are pooled with their bootstrap variances (:func:`lib.statistics.intervals.combine_splits`).
Ratios are pooled as logarithms; a ratio of two PRR, which may be negative, gets Fieller's interval.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import t as student_t

from lib.arrays import as_level, as_vector
from lib.experiments.selective_measures import LOGS, Judged
from lib.statistics.intervals import combine_splits, paired_contrast

PART = ("data", "split", "shift", "family", "condition", "cell", "model", "uncertainty")
POINT = (*PART, "metric", "score", "target", "rule")
ENDS = ("lower", "upper", "lower_90", "upper_90")
# Effects by name, with the rule they are read at; of these the claims are judged.
EFFECTS = {
    "risk_ratio_50": "",
    "risk_over_trivial": "",
    "risk_ratio_fixed": "coverage_50",
    "risk_over_trivial_fixed": "coverage_50",
    "risk_over_target": "coverage_50",
    "fixed_coverage": "coverage_50",
}
AUDITED = (
    *("fixed_coverage", "fixed_risk", "risk_ratio_fixed", "risk_over_target", "violated"),
    "risk_over_trivial_fixed",
)
EFFECT_COLUMNS = (
    *("effect", "data", "shift", "severity", "condition", "model", "value", *ENDS, "n", "df", "p"),
    *("target", "score", "cell", "noise", "uncertainty"),
)


class Pool(NamedTuple):
    """A value over worlds or splits, with its 95 % and 90 % interval."""

    value: float
    lower: float
    upper: float
    lower_90: float
    upper_90: float
    df: float
    p: float


def pool(values: ArrayLike, variances: ArrayLike | None, n_test: float, n_train: float) -> Pool:
    """Pool over independent worlds (``variances`` is None) or over splits of one data set.

    Where a value is not finite (a threshold that keeps nothing has no risk) the interval is the
    whole line: nothing is decided. ``p`` is two-sided against 0: exact sign flips over worlds, t
    over splits.

    Examples
    --------
    >>> pool([1.0, 2.0, 3.0], None, 10, 100)[:2], paired_contrast([1.0, 2.0, 3.0])[:2]
    ((2.0, -0.484137711...), (2.0, -0.484137711...))
    """
    values = np.asarray(values, float)
    finite = np.isfinite(values)
    if not finite.all() or (variances is not None and not np.isfinite(variances).all()):
        value = float(values[finite].mean()) if finite.any() else float("nan")
        return Pool(value, -np.inf, np.inf, -np.inf, np.inf, len(values) - 1, 1.0)
    if variances is None:
        wide, narrow = (paired_contrast(values, level) for level in (0.95, 0.9))
        return Pool(*wide[:3], *narrow[1:3], wide.df, wide.p)
    pools = [combine_splits(values, variances, n_test, n_train, level) for level in (0.95, 0.9)]
    first = pools[0]
    error = (first.variance_within + first.variance_between) ** 0.5
    p = 2 * student_t.sf(abs(first.value) / error, first.df) if error > 0 else float("nan")
    return Pool(first.value, *first[1:3], *pools[1][1:3], first.df, float(p))


def pooled(points: pd.DataFrame) -> pd.DataFrame:
    """One row per :data:`POINT` over its worlds or splits; logarithms are turned back.

    Returns
    -------
    DataFrame
        :data:`POINT`, ``severity`` and ``n`` (means), ``units``, ``oracle`` and the fields of
        :class:`Pool`.
    """
    rows = []
    for key, part in points.groupby(list(POINT), sort=False, dropna=False):
        variances = part["variance"] if part["resampled"].iloc[0] else None
        found = pool(part["value"], variances, part["n"].mean(), part["n_train"].mean())
        row: dict[str, Any] = dict(zip(POINT, key, strict=True)) | found._asdict()
        if row["metric"] in LOGS:
            row |= {name: float(np.exp(row[name])) for name in ("value", *ENDS)}
        row |= {"severity": round(part["severity"].mean(), 4), "n": round(part["n"].mean())}
        rows.append(row | {"units": len(part), "oracle": part["oracle"].mean()})
    return pd.DataFrame(rows)


def tidy_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Rows for the tidy results: ranked metrics, ``by`` score; ``_f`` is against the truth.

    Where there is one world only, ends are empty.
    """
    rows = table[table["rule"] == ""].copy()
    rows["metric"] += np.where(rows["target"] == "noise_free", "_f", "")
    rows["by"] = np.where(rows["score"] == "", "", "score")
    rows = rows.rename(columns={"score": "bin"})
    rows = _without_boundless(rows)
    rows["prior"] = "none"
    rows["splits"] = rows["units"]
    dropped = ["target", "rule", "cell", "lower_90", "upper_90", "df", "p", "units"]
    return rows.drop(columns=dropped)


def _without_boundless(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows with empty ends where the interval is the whole line."""
    boundless = np.isinf(rows["upper"]) | rows["value"].isna()
    rows.loc[boundless, ["lower", "upper"]] = np.nan
    return rows


def ratio_of_means(upper: ArrayLike, lower: ArrayLike, level: float = 0.95) -> tuple[float, ...]:
    """Ratio of two paired means with Fieller's interval: ``value, lower, upper``.

    The interval holds every r at which the paired t test does not reject mean(upper - r lower) = 0,
    so values may be negative. It is the whole line where ``lower`` is not above 0 beyond doubt:
    there is nothing to be a share of. Source: Fieller, JRSS B 16 (1954) 175-185.

    Examples
    --------
    >>> [round(end, 3) for end in ratio_of_means([1.0, 2.0, 1.5], [2.0, 4.0, 3.0])]
    [0.5, 0.5, 0.5]
    """
    a = as_vector("upper", upper)
    b = as_vector("lower", lower, len(a))
    value = float(a.mean() / b.mean()) if b.mean() != 0 else float("nan")
    if len(a) < 2:
        return value, -np.inf, np.inf
    k = student_t.ppf((1 + as_level(level)) / 2, len(a) - 1) ** 2 / len(a)
    covariance = np.cov(a, b)
    # r lies inside where square r^2 - 2 cross r + rest <= 0
    square = b.mean() ** 2 - k * covariance[1, 1]
    cross = a.mean() * b.mean() - k * covariance[0, 1]
    rest = a.mean() ** 2 - k * covariance[0, 0]
    if square <= 0 or b.mean() <= 0:
        return value, -np.inf, np.inf
    half = max(cross**2 - square * rest, 0.0) ** 0.5
    return value, float((cross - half) / square), float((cross + half) / square)


def _prr_ratios(points: pd.DataFrame) -> pd.DataFrame:
    """PRR under every noise condition over that in distribution, paired by world."""
    rows = points[~points["resampled"] & points["metric"].isin(["prr", "prr_sigma"])]
    home = rows[rows["shift"] == ""]
    keys = ["metric", "score", "target", "unit", "model"]
    noisy = rows[rows["shift"] == "noise"].merge(home[[*keys, "value"]], on=keys)
    found = []
    named = ["metric", "score", "target", "severity", "condition", "cell", "model"]
    for key, part in noisy.groupby(named, sort=False):
        pair = part["value_x"], part["value_y"]
        if not np.isfinite(pair).all():
            continue
        wide, narrow = (ratio_of_means(*pair, level) for level in (0.95, 0.9))
        row = dict(zip(named, key, strict=True)) | {"effect": f"{key[0]}_ratio"}
        ends = dict(zip(("value", *ENDS), (*wide, *narrow[1:]), strict=True))
        found.append(row | ends | {"n": len(part), "df": len(part) - 1})
    more = {"data": "simulation", "shift": "noise", "uncertainty": "single"}
    return pd.DataFrame(found).assign(**more) if found else pd.DataFrame()


def effects(table: pd.DataFrame, points: pd.DataFrame) -> pd.DataFrame:
    """What the claims are judged on, one row per effect, part, target and score.

    ``score`` is what ranks the elements, and for effects "over trivial" the trivial score that the
    forecast's std is compared with. ``n`` counts worlds or splits.
    """
    rows = table[table["split"].isin(["test", "shifted", "matched"])]
    chosen = [
        rows[(rows["metric"] == name) & (rows["rule"] == rule)].assign(effect=name)
        for name, rule in EFFECTS.items()
    ]
    found = pd.concat(chosen).drop(columns="n").rename(columns={"units": "n"})
    found = pd.concat([found, _prr_ratios(points)], ignore_index=True)
    found["shift"] = found["shift"].replace("", "none")
    found.loc[~found["effect"].isin(LOGS), "p"] = np.nan  # 0 is no null value there
    found["noise"] = np.where(found["data"] == "simulation", "heteroscedastic", "as measured")
    for column in EFFECT_COLUMNS:
        if column not in found:
            found[column] = np.nan
    return found[list(EFFECT_COLUMNS)]


def audit(table: pd.DataFrame) -> pd.DataFrame:
    """Every fixed threshold on every part, against the measurement."""
    rows = table[(table["rule"] != "") & table["metric"].isin(AUDITED)]
    rows = rows[rows["target"] == "measured"]
    columns = [*PART, "severity", "rule", "metric", "score", "value", "lower", "upper"]
    rows = _without_boundless(rows[[*columns, "n", "units"]].reset_index(drop=True))
    # A share of a few worlds or splits has no t interval.
    rows.loc[rows["metric"] == "violated", ["lower", "upper"]] = np.nan
    return rows


def _averaged(tables: Sequence[pd.DataFrame], keys: Sequence[str]) -> pd.DataFrame:
    """Means over worlds or splits of every column of values."""
    table = pd.concat(tables, ignore_index=True)
    values = [c for c in ("risk", "retained", "rejected", "difference") if c in table]
    numeric = dict.fromkeys([*values, "severity", "n"], "mean")
    groups = table.groupby([*PART, *keys], sort=False, dropna=False)
    found = groups.agg(numeric).join(groups.size().rename("units")).reset_index()
    found["severity"], found["n"] = found["severity"].round(4), found["n"].round().astype(int)
    return found


def all_tables(judged: Sequence[Judged]) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """Tidy rows, and the tables ``effects``, ``audit``, ``curves`` and ``rejected``."""
    points = pd.concat([part.points for part in judged], ignore_index=True)
    table = pooled(points)
    lines = [part.curves[part.curves["split"] != "inside"] for part in judged]
    return tidy_rows(table), {
        "effects": effects(table, points),
        "audit": audit(table),
        "curves": _averaged(lines, ["target", "curve", "coverage"]),
        "rejected": _averaged([part.rejected for part in judged], ["score", "column"]),
    }
