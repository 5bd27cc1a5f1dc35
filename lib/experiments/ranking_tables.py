"""Rankings of single worlds and splits as rows, effects, audits and curves with intervals.

In: :class:`lib.experiments.ranking.Ranked`. Out: tables. Worlds give Student's t intervals; splits
are pooled with their bootstrap variances. Ratios are pooled as logarithms; a ratio of two PRR,
which may be negative, gets Fieller's interval.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import t as student_t

from lib.experiments.ranking import HALF_RULE, LOGS, Ranked
from lib.statistics.effects import combine_splits, paired_contrast, ratio_of_means

# Effects by name, with the rule they are read at; of these the claims are judged.
EFFECTS = {
    **{"risk_ratio_50": "", "risk_over_trivial": ""},
    **dict.fromkeys(("risk_ratio_fixed", "risk_over_trivial_fixed"), HALF_RULE),
    **dict.fromkeys(("risk_over_target", "fixed_coverage"), HALF_RULE),
}
AUDITED = ("fixed_coverage", "risk_over_target", "violated")
PART = ("data", "split", "shift", "family", "condition", "cell", "model", "uncertainty")
POINT = (*PART, "metric", "score", "target", "rule")
ENDS = ("lower", "upper", "lower_90", "upper_90")
EFFECT_COLUMNS = (
    *("effect", "data", "shift", "severity", "condition", "model", "value", *ENDS, "n", "df", "p"),
    *("target", "score", "cell", "noise", "uncertainty"),
)


def pool(part: pd.DataFrame) -> dict[str, float]:
    """A value over independent worlds, or over splits of one data set where ``resampled``.

    Where a value is not finite (a threshold that keeps nothing has no risk) the interval is the
    whole line: nothing is decided. ``p`` is two-sided against 0: exact sign flips over worlds, t
    over splits. Gives ``value``, :data:`ENDS`, ``df`` and ``p``.
    """
    values, variances = part["value"].to_numpy(float), part["variance"].to_numpy(float)
    splits = bool(part["resampled"].iloc[0])
    finite = np.isfinite(values)
    if not finite.all() or (splits and not np.isfinite(variances).all()):
        value = float(values[finite].mean()) if finite.any() else np.nan
        found = [value, -np.inf, np.inf, -np.inf, np.inf, len(values) - 1, 1.0]
    elif splits:
        sizes = part["n"].mean(), part["n_train"].mean()
        wide, narrow = (combine_splits(values, variances, *sizes, level) for level in (0.95, 0.9))
        error = (wide.variance_within + wide.variance_between) ** 0.5
        p = 2 * student_t.sf(abs(wide.value) / error, wide.df) if error > 0 else np.nan
        found = [*wide[:3], *narrow[1:3], wide.df, float(p)]
    else:
        rng = np.random.default_rng(0)
        one, other = (paired_contrast(values, level, rng) for level in (0.95, 0.9))
        found = [*one[:3], *other[1:3], one.df, one.p]
    return dict(zip(("value", *ENDS, "df", "p"), found, strict=True))


def pooled(points: pd.DataFrame) -> pd.DataFrame:
    """One row per :data:`POINT` over its worlds or splits; logarithms are turned back.

    Beside :data:`POINT` and the fields of :func:`pool` stand ``severity``, ``n`` and ``oracle``
    (means) and ``units``, the number of worlds or splits.
    """
    rows = []
    for key, part in points.groupby(list(POINT), sort=False, dropna=False):
        mean = part[["severity", "n", "oracle"]].mean()
        numbers = {"severity": round(mean["severity"], 4), "n": round(mean["n"])}
        numbers |= {"oracle": mean["oracle"], "units": len(part)}
        rows.append(dict(zip(POINT, key, strict=True)) | pool(part) | numbers)
    table = pd.DataFrame(rows)
    logs = table["metric"].isin(LOGS)
    for end in ("value", *ENDS):
        table[end] = table[end].where(~logs, np.exp(table[end].where(logs)))
    return table


def _without_boundless(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows with empty ends where the interval is the whole line."""
    boundless = np.isinf(rows["upper"]) | rows["value"].isna()
    return rows.assign(**{end: rows[end].mask(boundless) for end in ("lower", "upper")})


def tidy_rows(table: pd.DataFrame) -> pd.DataFrame:
    """Rows for the tidy results: ranked metrics, ``by`` score; ``_f`` is against the truth.

    Where there is one world only, ends are empty.
    """
    rows = _without_boundless(table[table["rule"] == ""])
    rows = rows.assign(
        metric=rows["metric"] + np.where(rows["target"] == "noise_free", "_f", ""),
        by=np.where(rows["score"] == "", "", "score"),
        prior="none",
    ).rename(columns={"score": "bin", "units": "splits"})
    return rows.drop(columns=["target", "rule", "cell", "lower_90", "upper_90", "df", "p"])


def _prr_ratios(points: pd.DataFrame) -> pd.DataFrame:
    """PRR under every noise condition over that in distribution, paired by world."""
    rows = points[~points["resampled"] & points["metric"].isin(["prr", "prr_sigma"])]
    home = rows[rows["shift"] == ""]
    keys = ["metric", "score", "target", "replicate", "model"]
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
    chosen = rows[rows["metric"].map(EFFECTS) == rows["rule"]].assign(effect=rows["metric"])
    found = chosen.drop(columns="n").rename(columns={"units": "n"})
    found = pd.concat([found, _prr_ratios(points)], ignore_index=True)
    found["shift"] = found["shift"].replace("", "none")
    found["p"] = found["p"].where(found["effect"].isin(LOGS))  # 0 is no null value elsewhere
    found["noise"] = np.where(found["data"] == "simulation", "heteroscedastic", "as measured")
    return found.reindex(columns=list(EFFECT_COLUMNS))


def audit(table: pd.DataFrame) -> pd.DataFrame:
    """Every fixed threshold on every part, against the measurement."""
    rows = table[(table["target"] == "measured") & table["metric"].isin(AUDITED)]
    columns = [*PART, "severity", "rule", "metric", "score", "value", "lower", "upper"]
    rows = _without_boundless(rows[[*columns, "n", "units"]].reset_index(drop=True))
    # A share of a few worlds or splits has no t interval.
    rows.loc[rows["metric"] == "violated", ["lower", "upper"]] = np.nan
    return rows


def _averaged(table: pd.DataFrame, keys: Sequence[str]) -> pd.DataFrame:
    """Means over worlds or splits of every column of values."""
    values = [c for c in ("risk", "retained", "rejected", "difference") if c in table]
    groups = table.groupby([*PART, *keys], sort=False, dropna=False)
    found = groups[[*values, "severity", "n"]].mean().join(groups.size().rename("units"))
    found["severity"], found["n"] = found["severity"].round(4), found["n"].round().astype(int)
    return found.reset_index()


def all_tables(parts: Iterable[Ranked]) -> tuple[pd.DataFrame, dict[str, pd.DataFrame]]:
    """Tidy rows, and the tables ``effects``, ``audit``, ``curves`` and ``rejected``."""
    ranked = Ranked(*(pd.concat(tables, ignore_index=True) for tables in zip(*parts, strict=True)))
    table = pooled(ranked.points)
    lines = ranked.curves[ranked.curves["split"] != "inside"]
    found: dict[str, Any] = {
        "effects": effects(table, ranked.points),
        "audit": audit(table),
        "curves": _averaged(lines, ["target", "curve", "coverage"]),
        "rejected": _averaged(ranked.rejected, ["score", "column"]),
    }
    return tidy_rows(table), found
