"""Contrasts over worlds that the claims on simulated shifts are judged on.

In: every metric of every forecast in every world, one row each. Out: one row per effect with both
intervals; the same for every shift and network.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from lib.arrays import FloatArray
from lib.experiments.worlds import SIMULATED_BASELINES
from lib.metrics.bootstrap import percentile_interval
from lib.statistics.effects import LEVELS, Effect, against, by_metric, effect

CALIBRATED, LARGE_DROP = 0.03, 0.15  # of C5: off nominal by at most; coverage lost
COST = (("rmse", "rmse"), ("rmse_f", "rmse_f"), ("mpiw_90", "width"))
SHIFT = (
    *(Effect(f"{name}_ratio", metric, "ratio") for metric, name in COST),
    Effect("coverage_drop", "picp_90", "drop"),
    Effect("zms", "zms"),
    Effect("picp_90", "picp_90"),
)
MATCHED = (
    *(Effect(f"{name}_over_matched", metric, "ratio") for metric, name in COST),
    Effect("coverage_drop_over_matched", "picp_90", "drop"),
)
NAMES = ["model", "shift", "severity", "condition"]


def _accuracy(home: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """How near each network comes to f in distribution, and how far above the baselines."""
    r2 = home[home["metric"] == "r2_f"].pivot(index="replicate", columns="model", values="value")
    for model in r2.columns.difference(list(SIMULATED_BASELINES)):
        keys: dict[str, Any] = {"shift": "", "severity": 0.0, "condition": "", "model": model}
        # The oracle's forecast is f itself here: its R² against f is 1.
        yield effect("r2_share", r2[model], **keys)
        for baseline in ("kmer_ridge", "occupancy_linear"):
            yield effect(f"r2_above_{baseline}", r2[model] - r2[baseline], **keys)


def _shifts(networks: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Every shifted condition against the same networks in distribution, and against matched."""
    home, shifted, matched = (
        networks[networks["split"] == split] for split in ("test", "shifted", "matched")
    )
    at_home = dict(iter(home.groupby(["model", "condition"])))
    trained = dict(iter(matched.groupby(NAMES)))
    for values, part in shifted.groupby(NAMES, sort=False):
        keys: dict[str, Any] = dict(zip(NAMES, values, strict=True))
        blind = "term_off" if keys["condition"] == "term_off" else ""
        yield from against(part, at_home[keys["model"], blind], SHIFT, **keys)
        if values in trained:
            yield from against(part, trained[values], MATCHED, **keys)
    noisy = trained.get(("cnn", "noise", 1.0, ""))
    if noisy is not None:
        keys = {"shift": "noise", "severity": 1.0, "condition": "trained", "model": "cnn"}
        yield from against(noisy, at_home["cnn", ""], SHIFT, **keys)


def beyond_gc(
    ratio: float, drop: float, gc_ratio: FloatArray, gc_drop: FloatArray
) -> tuple[float, bool]:
    """A shift's coverage drop beyond that of a GC shift of growing severity at equal excess RMSE.

    Also whether the GC shift never reaches the ratio. Its drop is then extrapolated in proportion
    to the excess, or taken at its largest where it has no excess.

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


def _beyond(networks: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Coverage that rewiring costs beyond a GC shift of equal error, world by world."""
    for model, own in networks[networks["split"] != "matched"].groupby("model", sort=False):
        rewired = own[own["condition"].str.startswith("d=")]
        gc = own[(own["shift"] == "gc") & (own["condition"] == "") & (own["split"] == "shifted")]
        if rewired.empty or gc.empty:
            continue
        plain = own[(own["split"] == "test") & (own["condition"] == "")]
        at: list[dict[Any, Any]] = [by_metric(part).to_dict("index") for part in (plain, rewired)]
        found, far = {}, 0
        for world, part in gc.groupby("replicate"):
            dose = part.pivot(index="severity", columns="metric", values="value")
            home, moved = (worlds[world] for worlds in at)
            found[world], beyond = beyond_gc(
                moved["rmse"] / home["rmse"],
                home["picp_90"] - moved["picp_90"],
                dose["rmse"].to_numpy() / home["rmse"],
                home["picp_90"] - dose["picp_90"].to_numpy(),
            )
            far += beyond
        first = rewired.iloc[0]
        keys = {"shift": first["shift"], "severity": 0.0, "condition": first["condition"]}
        row = effect("coverage_drop_beyond_gc", pd.Series(found), **keys, model=model)
        yield row | {"extrapolated": far}


def fit_table(values: pd.DataFrame) -> pd.DataFrame:
    """A row per network trained in distribution: what a test set shows, what rewiring does."""
    single = values[values["uncertainty"] == "single"]
    single = single[~single["model"].isin(SIMULATED_BASELINES)]
    home = single[(single["split"] == "test") & (single["condition"] == "")]
    rewired = single[single["condition"].str.startswith("d=") & (single["metric"] == "picp_90")]
    keys = ["replicate", "model", "n_train"]
    table = home.pivot(index=keys, columns="metric", values="value")[["nll_gaussian", "picp_90"]]
    table["shifted_picp_90"] = rewired.set_index(keys)["value"]
    table["drop"] = table["picp_90"] - table["shifted_picp_90"]
    table = table.dropna().rename_axis(columns=None).reset_index()
    return table.rename(columns={"replicate": "world", "nll_gaussian": "nll"})


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


def hidden_effects(table: pd.DataFrame, draws: int) -> Iterator[dict[str, Any]]:
    """Whether in-distribution evaluation tells which fits will fail: the effects of C5.

    Fits of a world share its test sample and its rewiring, so intervals draw whole worlds; that of
    a share is never narrower than Clopper and Pearson's over fits, as all of them may agree.
    """
    parts = [part for _, part in table.groupby("world", sort=False)]
    if len(parts) < 3:
        return
    rng = np.random.default_rng(0)
    drawn = [
        pd.concat([parts[i] for i in rng.integers(0, len(parts), len(parts))]) for _ in range(draws)
    ]
    statistics = {
        "hidden_share": _hidden,
        "explained_share": _explained,
        "explained_share_alike": _explained_alike,
    }
    keys = {"shift": "effect_rewiring", "severity": 0.0, "condition": "d=0.5", "model": "all"}
    for name, statistic in statistics.items():
        row: dict[str, Any] = {"effect": name, **keys, "value": statistic(table), "n": len(table)}
        found = np.array([statistic(part) for part in drawn])
        for ending, level in LEVELS.items():
            low, high = (float(end) for end in percentile_interval(found, level))
            if name == "hidden_share":
                exact = binomtest(round(row["value"] * len(table)), len(table))
                ends = exact.proportion_ci(level, "exact")
                low, high = min(low, ends.low), max(high, ends.high)
            row |= {f"lower{ending}": low, f"upper{ending}": high}
        yield row


def effects(values: pd.DataFrame, n_train: int, draws: int) -> pd.DataFrame:
    """Every contrast that claims are judged on, and the same for the other shifts and models."""
    single = values[(values["uncertainty"] == "single") & (values["n_train"] == n_train)]
    networks = single[~single["model"].isin(SIMULATED_BASELINES)]
    rows = [
        *_accuracy(single[(single["split"] == "test") & (single["condition"] == "")]),
        *_shifts(networks),
        *_beyond(networks),
        *hidden_effects(fit_table(values), draws),
    ]
    return pd.DataFrame([row for row in rows if row]).assign(data="simulation")
