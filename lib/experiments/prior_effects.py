"""What a prior changes, paired within a world: the contrasts that C6 to C8 are judged on.

In: judged networks (:mod:`lib.experiments.prior_worlds`). Out: every metric in every world, and one
row per contrast with its 95 and 90 % t intervals over worlds; ratios on the log scale.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd

from lib.data.dataset import FloatArray
from lib.experiments.prior_worlds import PriorArm
from lib.experiments.sim_arms import Condition
from lib.experiments.sim_units import METRICS
from lib.statistics.intervals import paired_contrast
from lib.study.units import Result

AGAINST: Final = ("permuted", "none")
RATIOS: Final = ("rmse_f", "rmse", "crps_gaussian")
# What tells the networks of a contrast from others, beside the prior and the world.
ARM: Final = ("data", "model", "entry", "n_train")
CONDITION: Final = ("split", "shift", "family", "severity", "condition", "cell")
PUBLISHED: Final = ("rmse", "rmse_f", "r2_f", "crps_gaussian", "zms", "picp_90", "mpiw_90")


def cell_name(condition: Condition) -> str:
    """A condition in one word, such as ``gc 0.5`` or ``effect_rewiring d=0.5``."""
    if not condition.shift:
        return ""
    point = condition.name if condition.distance else f"{condition.severity:g}"
    side = " low" if condition.option == "low" else ""
    return f"{condition.shift}{side} {point}"


def _keys(arm: PriorArm, condition: Condition) -> dict[str, Any]:
    home = condition == Condition()
    return {
        "data": "simulation_misspecified" if arm.misspecified else "simulation",
        "split": "test" if home else "matched" if arm.noise else "shifted",
        "shift": condition.shift,
        "family": condition.family,
        "severity": condition.severity,
        "condition": condition.name,
        "cell": cell_name(condition),
        "model": arm.model,
        "prior": arm.prior,
        "entry": arm.entry,
        "n_train": arm.size,
        "seed": arm.world_seed,
    }


def long_values(
    jobs: Sequence[tuple[PriorArm, Sequence[Condition]]], results: Sequence[Result], n_test: int
) -> pd.DataFrame:
    """Every metric of every network under each condition, one row each."""
    frames = []
    for (arm, conditions), result in zip(jobs, results, strict=True):
        for index, condition in enumerate(conditions):
            columns = {name: result.arrays[name][index] for name in ("values", "oracle")}
            frame = pd.DataFrame({"metric": METRICS} | columns)
            keys = _keys(arm, condition)
            if condition.distance:
                keys["severity"] = round(float(result.arrays["dial"][index]), 4)
            frames.append(frame.assign(**keys))
    return pd.concat(frames, ignore_index=True).rename(columns={"values": "value"}).assign(n=n_test)


def effect_row(name: str, by_world: pd.Series, *, log: bool, **keys: Any) -> dict[str, Any]:
    """Mean over worlds with its intervals and the sign-flip p; ratios come in as logarithms."""
    effect = by_world.dropna()
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
    return {"effect": name, **keys, **row, "worlds": len(effect), "p": wide.p}


def share_closed(error: pd.Series, against: pd.Series) -> pd.Series:
    """Share of the mean squared error against f that a prior takes away.

    The oracle's error against f is 0, so all of it is reducible.

    Examples
    --------
    >>> share_closed(pd.Series([1.0]), pd.Series([2.0])).tolist()  # 1 - 1/4
    [0.75]
    """
    return 1 - (error / against) ** 2


def _by_world(rows: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Worlds by prior."""
    chosen = rows[rows["metric"] == metric]
    return chosen.pivot_table(index="seed", columns="prior", values="value", dropna=False)


def prior_effects(values: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Every prior against the placebo and against none, for each network and condition."""
    columns = [*ARM, *(name for name in CONDITION if name != "severity")]
    for given, rows in values.groupby(columns, sort=False, dropna=False):
        keys: dict[str, Any] = dict(zip(columns, given, strict=True))
        keys["severity"] = round(float(rows["severity"].mean()), 4)
        tables = {metric: _by_world(rows, metric) for metric in (*RATIOS, "picp_90")}
        for against in AGAINST:
            for prior in tables["rmse_f"].columns:
                pair = keys | {"prior": prior, "against": against}
                if prior == against or against not in tables["rmse_f"].columns:
                    continue
                if tables["rmse_f"][[prior, against]].dropna().empty:
                    continue
                for metric in RATIOS:
                    ratio = np.log(tables[metric][prior]) - np.log(tables[metric][against])
                    yield effect_row(f"{metric}_ratio", ratio, log=True, **pair)
                error = tables["rmse_f"]
                closed = share_closed(error[prior], error[against])
                yield effect_row("share_closed", closed, log=False, **pair)
                gained = tables["picp_90"][prior] - tables["picp_90"][against]
                yield effect_row("coverage_gain", gained, log=False, **pair)


def line_residual(x: FloatArray, y: FloatArray, at: float, found: float) -> float:
    """How far a point lies above the least-squares line through others, NaN below two of them.

    Examples
    --------
    >>> line_residual(np.array([0.0, 1.0]), np.array([0.0, 2.0]), at=0.5, found=0.75)
    -0.25
    """
    if len(x) < 2:
        return float("nan")
    slope, intercept = np.polyfit(x, y, 1)
    return round(float(found - (slope * at + intercept)), 12)


def line_effects(values: pd.DataFrame, n_train: int) -> Iterator[dict[str, Any]]:
    """Shifted error over that which the no-prior networks promise at equal error in distribution.

    The line is that of log RMSE against f, shifted on in distribution, through the no-prior
    networks of all training sizes of a world. Below 1 a prior gives robustness beyond accuracy.
    """
    rows = values[(values["metric"] == "rmse_f") & (values["data"] == "simulation")]
    rows = rows[(rows["entry"] == "late") & rows["split"].isin(["test", "shifted"])]
    for model, own in rows.groupby("model", sort=False):
        plain = own[own["prior"] == "none"]
        if plain["n_train"].nunique() < 3:
            continue
        full = own[(own["n_train"] == n_train) & (own["prior"] != "none")]
        wide = [
            part.pivot_table(index=["prior", "n_train", "seed"], columns="cell", values="value")
            for part in (plain, full)
        ]
        for cell in sorted(set(wide[0].columns) - {""}):
            line, points = (part[["", cell]].dropna().apply(np.log) for part in wide)
            first = own[own["cell"] == cell].iloc[0]
            keys = {name: first[name] for name in CONDITION if name != "severity"}
            for prior, at in points.groupby("prior", sort=False):
                found = {}
                for world, point in at.droplevel(["prior", "n_train"]).iterrows():
                    mine = line.xs(world, level="seed")
                    found[world] = line_residual(
                        mine[""].to_numpy(), mine[cell].to_numpy(), point[""], point[cell]
                    )
                effect = pd.Series(found, dtype=float).dropna()
                if len(effect):
                    yield effect_row(
                        "rmse_f_over_line",
                        effect,
                        log=True,
                        data="simulation",
                        model=model,
                        entry="late",
                        n_train=n_train,
                        prior=prior,
                        against="line",
                        **keys,
                    )


def noise_effects(
    values: pd.DataFrame, n_train: int, cells: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """Gain of a prior where noise dominates less half its gain under the genomic shifts.

    Gains are shares of the error against f that the prior takes from its placebo's; the genomic
    one is the mean over ``cells``. Networks under noise were trained at it.
    """
    rows = values[(values["metric"] == "rmse_f") & (values["data"] == "simulation")]
    rows = rows[(rows["entry"] == "late") & (rows["n_train"] == n_train)]

    def gain(part: pd.DataFrame, prior: str, against: str) -> pd.Series:
        wide = part.pivot_table(index="seed", columns="prior", values="value")
        return share_closed(wide[prior], wide[against])

    for model, own in rows.groupby("model", sort=False):
        noisy = own[(own["split"] == "matched") & (own["severity"] == 1)]
        if "motif_decoy" not in set(noisy["prior"]):
            continue
        shifted = [own[(own["cell"] == cell) & (own["split"] == "shifted")] for cell in cells]
        if not shifted or any(part.empty for part in shifted):
            continue
        for against in AGAINST:
            if against not in set(noisy["prior"]):
                continue
            at_noise = gain(noisy, "motif_decoy", against)
            gains = [gain(part, "motif_decoy", against) for part in shifted]
            genomic = pd.concat(gains, axis=1).mean(axis=1, skipna=False)
            keys = {
                "data": "simulation",
                "model": model,
                "entry": "late",
                "n_train": n_train,
                "prior": "motif_decoy",
                "against": against,
                "shift": "noise",
                "condition": "trained",
            }
            yield effect_row("gain_at_noise", at_noise, log=False, **keys)
            yield effect_row("gain_under_shifts", genomic, log=False, **keys)
            beyond = at_noise - genomic / 2
            yield effect_row("gain_at_noise_beyond_half", beyond, log=False, **keys)


def effects(values: pd.DataFrame, n_train: int, cells: Sequence[str]) -> pd.DataFrame:
    """All contrasts; ``cells`` are the genomic shifts of C7 and C8."""
    return pd.DataFrame(
        [
            *prior_effects(values),
            *line_effects(values, n_train),
            *noise_effects(values, n_train, cells),
        ]
    )
