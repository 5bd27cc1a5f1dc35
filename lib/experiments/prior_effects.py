"""What a prior changes, paired within a world: the contrasts that C6 to C8 are judged on.

In: every metric of every network in every world. Out: one row per contrast with both intervals over
worlds; ratios on the log scale.
"""

from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from lib.statistics.effects import CHANGES, Effect, against, effect

AGAINST: Final = ("permuted", "none")
# The oracle's error against f is 0, so that all of it may be closed.
CHANGED: Final = (
    *(Effect(f"{name}_ratio", name, "ratio") for name in ("rmse_f", "rmse", "crps_gaussian")),
    Effect("share_closed", "rmse_f", "closed"),
    Effect("coverage_gain", "picp_90", "rise"),
)
ARM: Final = ("data", "model", "entry", "n_train")
PLACE: Final = ("split", "shift", "family", "condition", "cell")


def prior_effects(values: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Every prior against the placebo and against none, for each network and condition."""
    columns = [*ARM, *PLACE]
    for given, rows in values.groupby(columns, sort=False, dropna=False):
        keys: dict[str, Any] = dict(zip(columns, given, strict=True))
        keys["severity"] = round(float(rows["severity"].mean()), 4)
        parts = dict(iter(rows.groupby("prior")))
        for reference in AGAINST:
            for prior, part in parts.items():
                if prior != reference and reference in parts:
                    keys |= {"prior": prior, "against": reference}
                    yield from against(part, parts[reference], CHANGED, **keys)


def line_residual(x: ArrayLike, y: ArrayLike, at: float, found: float) -> float:
    """How far a point lies above the least-squares line through others, NaN below two of them.

    Examples
    --------
    >>> line_residual(np.array([0.0, 1.0]), np.array([0.0, 2.0]), at=0.5, found=0.75)
    -0.25
    """
    x, y = np.asarray(x), np.asarray(y)
    if len(x) < 2:
        return float("nan")
    slope, intercept = np.polyfit(x, y, 1)
    return round(float(found - (slope * at + intercept)), 12)


def _late(values: pd.DataFrame) -> pd.DataFrame:
    """Errors against f of networks with a prior beside the embedding, in well-specified worlds."""
    rows = values[(values["metric"] == "rmse_f") & (values["data"] == "simulation")]
    return rows[rows["entry"] == "late"]


def line_effects(values: pd.DataFrame, n_train: int) -> Iterator[dict[str, Any]]:
    """Shifted error over that which the no-prior networks promise at equal error in distribution.

    The line is that of log RMSE against f, shifted on in distribution, through the no-prior
    networks of all training sizes of a world. Below 1 a prior gives robustness beyond accuracy.
    """
    rows = _late(values)
    rows = rows[rows["split"] != "matched"]
    wide = rows.pivot(
        index=["model", "prior", "n_train", "replicate"], columns="cell", values="value"
    )
    points = wide.apply(np.log).reset_index()
    first = rows.drop_duplicates("cell").set_index("cell", drop=False)[list(PLACE)]
    places: dict[Any, dict[Any, Any]] = first.to_dict("index")
    for model, own in points.groupby("model", sort=False):
        plain = own[own["prior"] == "none"]
        full = own[(own["n_train"] == n_train) & (own["prior"] != "none")]
        if plain["n_train"].nunique() < 3:
            continue
        for cell in wide.columns.drop(""):
            lines = dict(iter(plain[["replicate", "", cell]].dropna().groupby("replicate")))
            for prior, part in full.groupby("prior", sort=False):
                found = {
                    world: line_residual(lines[world][""], lines[world][cell], at, shifted)
                    for world, at, shifted in part[["replicate", "", cell]].dropna().to_numpy()
                    if world in lines
                }
                keys: dict[str, Any] = {"data": "simulation", "model": model, "entry": "late"}
                keys |= {"n_train": n_train, "prior": prior, "against": "line"} | places[cell]
                above = pd.Series(found, dtype=float)
                yield effect("rmse_f_over_line", above, log=True, **keys)


def noise_effects(
    values: pd.DataFrame, n_train: int, cells: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """Gain of a prior where noise dominates less half its gain under the genomic shifts.

    Gains are shares of the error against f that the prior takes from its placebo's; the genomic
    one is the mean over ``cells``. Networks under noise were trained at it.
    """
    rows = _late(values)
    rows = rows[rows["n_train"] == n_train]
    noisy = (rows["split"] == "matched") & (rows["severity"] == 1)
    genomic = (rows["split"] == "shifted") & rows["cell"].isin(cells)
    rows = rows.assign(cell=rows["cell"].mask(noisy, "trained"))[noisy | genomic]
    for model, own in rows.groupby("model", sort=False):
        wide = own.pivot(index=["cell", "replicate"], columns="prior", values="value")
        for reference in AGAINST:
            if not {"motif_decoy", reference} <= set(wide):
                continue
            closed = CHANGES["closed"](wide["motif_decoy"], wide[reference]).unstack("cell")
            if not cells or not {"trained", *cells} <= set(closed):
                continue
            under = closed[list(cells)].mean(axis=1, skipna=False)
            gains = {
                "gain_at_noise": closed["trained"],
                "gain_under_shifts": under,
                "gain_at_noise_beyond_half": closed["trained"] - under / 2,
            }
            keys: dict[str, Any] = {"data": "simulation", "model": model, "entry": "late"}
            keys |= {"n_train": n_train, "prior": "motif_decoy", "against": reference}
            keys |= {"shift": "noise", "condition": "trained"}
            for name, gain in gains.items():
                yield effect(name, gain, **keys)


def effects(values: pd.DataFrame, n_train: int, cells: Sequence[str]) -> pd.DataFrame:
    """All contrasts; ``cells`` are the genomic shifts of C7 and C8."""
    rows = [
        *prior_effects(values),
        *line_effects(values, n_train),
        *noise_effects(values, n_train, cells),
    ]
    table = pd.DataFrame([row for row in rows if row])
    return table.rename(columns={"n": "worlds"}).drop(columns="df")
