"""Contrasts over worlds that the claims are judged on, and the same for every shift and network.

In: every metric of every forecast in every world (:func:`lib.experiments.sim_tables.long_values`).
Out: one row per effect with its 95 and 90 % intervals, paired within a world; ratios on the log
scale.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import beta

from lib.data.dataset import FloatArray
from lib.experiments.baseline_fits import SIMULATED_BASELINES
from lib.metrics.bootstrap import percentile_interval
from lib.statistics.intervals import paired_contrast

CALIBRATED, LARGE_DROP = 0.03, 0.15  # of C5: off nominal by at most; coverage lost


def _by_world(values: pd.DataFrame, metric: str, **keys: Any) -> pd.Series:
    """One metric by world, for one model under one condition."""
    rows = values[values["metric"] == metric]
    for column, wanted in keys.items():
        rows = rows[rows[column] == wanted]
    return rows.set_index("seed")["value"]


def _effect(name: str, by_world: pd.Series, *, log: bool = False, **keys: Any) -> dict[str, Any]:
    """Mean of a paired effect over worlds, with both intervals and the sign-flip p."""
    effect = by_world.dropna()
    if effect.empty:
        return {}
    rng = np.random.default_rng(0)
    wide, narrow = (paired_contrast(effect, level, rng) for level in (0.95, 0.9))
    row = {
        "value": wide.value,
        "lower": wide.lower,
        "upper": wide.upper,
        "lower_90": narrow.lower,
        "upper_90": narrow.upper,
    }
    if log:
        row = {key: float(np.exp(value)) for key, value in row.items()}
    return (
        {"effect": name, "data": "simulation"}
        | keys
        | row
        | {"n": len(effect), "df": wide.df, "p": wide.p}
    )


def _pair(
    left: pd.DataFrame, right: pd.DataFrame, keys: dict[str, Any], against: str
) -> Iterator[dict[str, Any]]:
    """Effects of one condition (left) against another (right) of the same worlds."""

    def both(metric: str) -> tuple[pd.Series, pd.Series]:
        return _by_world(left, metric), _by_world(right, metric)

    for metric, name in (("rmse", "rmse"), ("rmse_f", "rmse_f"), ("mpiw_90", "width")):
        one, other = both(metric)
        yield _effect(f"{name}_{against}", np.log(one) - np.log(other), log=True, **keys)
    one, other = both("picp_90")
    drop = "coverage_drop" if against == "ratio" else "coverage_drop_over_matched"
    yield _effect(drop, other - one, **keys)


def _shift_effects(single: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Every shifted condition against the same networks in distribution, and against matched."""
    home = single[single["split"] == "test"]
    matched = single[single["split"] == "matched"]
    shifted = single[single["split"] == "shifted"]
    columns = ["model", "shift", "severity", "condition"]
    for values, part in shifted.groupby(columns, sort=False):
        keys: dict[str, Any] = dict(zip(columns, values, strict=True))
        model, shift, severity, condition = values
        blind = "term_off" if condition == "term_off" else ""
        own = home[(home["model"] == model) & (home["condition"] == blind)]
        yield from _pair(part, own, keys, "ratio")
        yield _effect("zms", _by_world(part, "zms"), **keys)
        yield _effect("picp_90", _by_world(part, "picp_90"), **keys)
        same = (matched["shift"] == shift) & (matched["severity"] == severity)
        twin = matched[same & (matched["condition"] == condition) & (matched["model"] == model)]
        if not twin.empty:
            yield from _pair(part, twin, keys, "over_matched")
    noisy = matched[matched["shift"] == "noise"]
    if not noisy.empty:
        keys = {"shift": "noise", "severity": 1.0, "condition": "trained", "model": "cnn"}
        own = home[(home["model"] == "cnn") & (home["condition"] == "")]
        yield from _pair(noisy, own, keys, "ratio")
        yield _effect("zms", _by_world(noisy, "zms"), **keys)
        yield _effect("picp_90", _by_world(noisy, "picp_90"), **keys)


def _accuracy_effects(single: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """How near each network comes to f in distribution, and how far above the baselines."""
    home = single[(single["split"] == "test") & (single["condition"] == "")]
    for model in dict.fromkeys(home["model"]):
        if model in SIMULATED_BASELINES:
            continue
        keys = {"shift": "", "severity": 0.0, "condition": "", "model": model}
        own = _by_world(home, "r2_f", model=model)
        # The oracle's forecast is f itself here: its R² against f is 1.
        yield _effect("r2_share", own, **keys)
        for baseline in ("kmer_ridge", "occupancy_linear"):
            other = _by_world(home, "r2_f", model=baseline)
            yield _effect(f"r2_above_{baseline}", own - other, **keys)


def beyond_gc(
    ratio: float, drop: float, gc_ratio: FloatArray, gc_drop: FloatArray
) -> tuple[float, bool]:
    """A shift's coverage drop beyond that of a GC shift at equal excess RMSE.

    Parameters
    ----------
    ratio, drop : float
        RMSE over that in distribution, coverage lost.
    gc_ratio, gc_drop : (s,) arrays
        The same of the GC shift at growing severity.

    Returns
    -------
    float, bool
        The difference, and whether the GC shift never reaches the ratio. Its drop is then
        extrapolated in proportion to the excess, or taken at its largest where it has no excess.

    Examples
    --------
    >>> beyond_gc(1.5, 0.3, np.array([1.0, 2.0]), np.array([0.0, 0.2]))
    (0.2, False)
    >>> beyond_gc(3.0, 0.5, np.array([1.0, 2.0]), np.array([0.0, 0.2]))
    (0.1, True)
    """
    order = np.argsort(gc_ratio, kind="stable")
    reached, lost = np.r_[1.0, gc_ratio[order]], np.r_[0.0, gc_drop[order]]
    largest = reached.max()
    if ratio <= largest:
        inside = reached >= 1
        return round(drop - float(np.interp(ratio, reached[inside], lost[inside])), 12), False
    if largest <= 1:
        return drop - float(lost.max()), True
    scaled = lost[-1] * (ratio - 1) / (largest - 1)
    return round(drop - float(scaled), 12), True


def _beyond_gc_effect(single: pd.DataFrame) -> Iterator[dict[str, Any]]:
    for model in dict.fromkeys(single["model"]):
        own = single[single["model"] == model]
        home = own[(own["split"] == "test") & (own["condition"] == "")]
        rewired = own[(own["shift"] == "effect_rewiring") & own["condition"].str.startswith("d=")]
        natural = (own["shift"] == "gc") & (own["condition"] == "") & (own["split"] == "shifted")
        gc = own[natural]
        if rewired.empty or gc.empty:
            continue
        rmse, covered = _by_world(home, "rmse"), _by_world(home, "picp_90")
        found, far = {}, 0
        for world in _by_world(rewired, "rmse").index:
            mine = gc[gc["seed"] == world]
            by_severity = [
                mine[mine["metric"] == metric].sort_values("severity")["value"].to_numpy()
                for metric in ("rmse", "picp_90")
            ]
            found[world], beyond = beyond_gc(
                _by_world(rewired, "rmse")[world] / rmse[world],
                covered[world] - _by_world(rewired, "picp_90")[world],
                by_severity[0] / rmse[world],
                covered[world] - by_severity[1],
            )
            far += beyond
        keys = {
            "shift": "effect_rewiring",
            "severity": 0.0,
            "condition": rewired["condition"].iloc[0],
            "model": model,
        }
        row = _effect("coverage_drop_beyond_gc", pd.Series(found), **keys)
        yield row | {"extrapolated": far}


def fits(values: pd.DataFrame) -> pd.DataFrame:
    """One row per network trained in distribution: what a test set shows, and what rewiring does.

    Columns ``world, model, n_train, nll, picp_90, shifted_picp_90, drop``.
    """
    single = values[(values["uncertainty"] == "single")]
    single = single[~single["model"].isin(SIMULATED_BASELINES)]
    home = single[(single["split"] == "test") & (single["condition"] == "")]
    rewired = single[single["condition"].str.startswith("d=")]
    keys = ["seed", "model", "n_train"]
    wide = home[home["metric"].isin(["nll_gaussian", "picp_90"])].pivot_table(
        index=keys, columns="metric", values="value"
    )
    shifted = rewired[rewired["metric"] == "picp_90"].set_index(keys)["value"]
    table = wide.rename(columns={"nll_gaussian": "nll"}).join(shifted.rename("shifted_picp_90"))
    table["drop"] = table["picp_90"] - table["shifted_picp_90"]
    table = table.dropna().rename_axis(columns=None).reset_index()
    return table.rename(columns={"seed": "world"})


def _explained(table: pd.DataFrame) -> float:
    """R² of the drop on NLL and coverage in distribution."""
    design = np.column_stack([np.ones(len(table)), table["nll"], table["picp_90"]])
    drop = table["drop"].to_numpy()
    rest = drop - design @ np.linalg.lstsq(design, drop, rcond=None)[0]
    # A draw may hold one world alone, again and again: there is nothing to explain then.
    return float(1 - rest.var() / drop.var()) if drop.var() > 0 else float("nan")


def _explained_alike(table: pd.DataFrame) -> float:
    """The same among networks of one architecture and training size."""
    columns = ["nll", "picp_90", "drop"]
    centred = table[columns] - table.groupby(["model", "n_train"])[columns].transform("mean")
    return _explained(centred)


def _hidden(table: pd.DataFrame) -> float:
    calibrated = (table["picp_90"] - 0.9).abs() <= CALIBRATED
    return float((calibrated & (table["drop"] >= LARGE_DROP)).mean())


def hidden_effects(table: pd.DataFrame, draws: int) -> list[dict[str, Any]]:
    """Whether in-distribution evaluation tells which fits will fail: the effects of C5.

    Fits of a world share its test sample and its rewiring, so intervals draw whole worlds; that of
    a share is never narrower than Clopper and Pearson's over fits, as all of them may agree.
    """
    worlds = table["world"].unique()
    if len(worlds) < 3:
        return []
    rng = np.random.default_rng(0)
    parts = [table[table["world"] == world] for world in worlds]
    drawn = [
        pd.concat([parts[i] for i in rng.integers(0, len(parts), len(parts))]) for _ in range(draws)
    ]
    rows = []
    statistics = {
        "hidden_share": _hidden,
        "explained_share": _explained,
        "explained_share_alike": _explained_alike,
    }
    for name, statistic in statistics.items():
        value = statistic(table)
        found = np.array([statistic(part) for part in drawn])
        row: dict[str, Any] = {"value": value}
        for level, ending in ((0.95, ""), (0.9, "_90")):
            low, high = (float(end) for end in percentile_interval(found, level))
            if name == "hidden_share":
                exact = _clopper_pearson(round(value * len(table)), len(table), level)
                low, high = min(low, exact[0]), max(high, exact[1])
            row |= {f"lower{ending}": low, f"upper{ending}": high}
        keys = {"shift": "effect_rewiring", "severity": 0.0, "condition": "d=0.5", "model": "all"}
        rows.append({"effect": name, "data": "simulation"} | keys | row | {"n": len(table)})
    return rows


def _clopper_pearson(hits: int, n: int, level: float) -> tuple[float, float]:
    tail = (1 - level) / 2
    low = beta.ppf(tail, hits, n - hits + 1) if hits else 0.0
    high = beta.ppf(1 - tail, hits + 1, n - hits) if hits < n else 1.0
    return float(low), float(high)


def effects(values: pd.DataFrame, n_train: int, draws: int) -> pd.DataFrame:
    """Every contrast that claims are judged on, and the same for the other shifts and models."""
    single = values[(values["uncertainty"] == "single") & (values["n_train"] == n_train)]
    networks = single[~single["model"].isin(SIMULATED_BASELINES)]
    rows = [
        *_accuracy_effects(single),
        *_shift_effects(networks),
        *_beyond_gc_effect(networks[networks["split"] != "matched"]),
        *hidden_effects(fits(values), draws),
    ]
    return pd.DataFrame([row for row in rows if row])
