"""Dose-response curves of the simulated shifts, from published tables.

In: the tables of notebooks 01 and 04. Out: a :class:`Curve` per simulated shift and metric: the
change against the measured severity, mean and spread over worlds.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import t as student_t

from lib.arrays import FloatArray
from lib.study.results import read

PRIMARY: Final = {"model": "cnn", "prior": "none", "uncertainty": "single", "data": "simulation"}
DISTANCE: Final = "distance over Var f"
NOISE: Final = "noise share"
GC: Final = "mean GC, in-distribution s.d."
UNITS: Final = {
    "effect_rewiring": DISTANCE,
    "cell_type": DISTANCE,
    "batch": DISTANCE,
    "gc": GC,
    "gc_low": GC,
    "motif_density": "mean sites, in-distribution s.d.",
    "depth": NOISE,
    "noise": NOISE,
    "none": "none",
}
# Of these metrics there are values per world, paired within it; of the others means over worlds.
PAIRED: Final = {"coverage_drop": "picp_90", "zms_ratio": "zms", "rmse_ratio": "rmse"}
POOLED: Final = {"crps_ratio": "crps_gaussian", "aurc_ratio": "aurc"}
METRICS: Final = PAIRED | POOLED


def no_change(metric: str) -> float:
    """The value of a metric where nothing changes: 0 for a drop, 1 for a ratio."""
    return 0.0 if metric.endswith("_drop") else 1.0


class Curve(NamedTuple):
    """Change of one metric with the measured severity of one simulated shift.

    ``dose`` (k,) is the magnitude of the severity, ascending, first that in distribution; ``mean``
    and ``std`` (k,) are of the change over ``worlds``, the s.d. that of one world. ``floor`` is the
    s.d. between worlds in distribution: what a change can be where nothing changed.
    """

    shift: str
    metric: str
    unit: str
    dose: FloatArray
    mean: FloatArray
    std: FloatArray
    floor: float
    worlds: int

    def at(self, severity: float) -> tuple[float, float, bool]:
        """Mean, s.d. of a world and whether the severity lies beyond the last dose."""
        mean, std = (float(np.interp(severity, self.dose, y)) for y in (self.mean, self.std))
        return mean, std, bool(self.shift != "none" and severity > self.dose[-1])


Curves = Mapping[tuple[str, str], Curve]


def read_curves(folder: Path) -> dict[tuple[str, str], Curve]:
    """Curves by (simulated shift, metric), from the folder of published results.

    Coverage drop, ZMS ratio and RMSE ratio are paired within world. CRPS and AURC are published as
    means over worlds with intervals: their ratio's spread takes numerator and denominator as
    independent, which is too wide where worlds are easy or hard under both. AURC is published for
    GC and noise alone.
    """
    rows = _primary(read(folder, "simulation_shifts"))
    doses = _text(pd.read_csv(folder / "simulation_shifts" / "severities.csv"))
    home = rows[rows["split"] == "test"]
    # The noise share in distribution.
    start = 1 - float(home[home["metric"] == "pearson_r"]["oracle"].max()) ** 2
    rows = rows[rows["metric"] != "aurc"]  # those of notebook 04 know what they rank by
    if (folder / "selective_prediction.csv").exists():
        more = _primary(read(folder, "selective_prediction"))
        by_std = (more["metric"] == "aurc") & (more["by"] == "score") & (more["bin"] == "std")
        rows = pd.concat([rows, more[by_std]])
    if rows["seed"].isna().all():
        raise ValueError(
            "simulation_shifts holds no values per world; results of profile full would do"
        )
    found: dict[tuple[str, str], Curve] = {}
    for metric, source in METRICS.items():
        own = rows[(rows["metric"] == source) & (rows["seed"].notna() == (metric in PAIRED))]
        for curve in _curves(metric, own, doses, start) if len(own) else ():
            found[curve.shift, metric] = curve
    return found


def _text(table: pd.DataFrame) -> pd.DataFrame:
    """Columns of text with empty strings for missing values, so that they can be compared."""
    columns = [name for name in ("shift", "condition", "by", "bin") if name in table]
    return table.assign(
        **{name: table[name].astype(object).fillna("").astype(str) for name in columns}
    )


def _primary(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of the primary network, of the largest training sample, without special conditions."""
    rows = _text(rows)
    for column, wanted in PRIMARY.items():
        rows = rows[rows[column] == wanted]
    rows = rows[rows["split"].isin(["test", "shifted"]) & rows["condition"].isin(["", "low"])]
    if "n_train" in rows:
        rows = rows[rows["n_train"].fillna(np.inf) >= rows["n_train"].max()]
    return rows


def _curves(metric: str, rows: pd.DataFrame, doses: pd.DataFrame, start: float) -> Iterator[Curve]:
    """The curves of one metric, that of no shift at all first."""
    home = rows[rows["split"] == "test"].set_index("seed")
    one, level = np.zeros(1), no_change(metric)
    floor, worlds = _floor(metric, home)
    yield Curve("none", metric, UNITS["none"], one, one + level, one, floor, worlds)
    for name, unit in UNITS.items():
        shift, condition = ("gc", "low") if name == "gc_low" else (name, "")
        own = (doses["shift"] == shift) & (doses["condition"] == condition)
        arm = doses.loc[own, ["severity", "measured"]].abs().sort_values("measured")
        at = (rows["shift"] == shift) & (rows["condition"] == condition)
        away = rows[(rows["split"] == "shifted") & at]
        changes = [(start if unit == NOISE else 0.0, level, 0.0, worlds)]
        for dial, measured in arm.to_numpy(float):
            there = away[away["severity"] == dial].set_index("seed")
            if metric in PAIRED or len(there) == 1:
                changes.append((measured, *_change(metric, home, there)))
        if len(changes) == len(arm) + 1 > 1:
            dose, mean, std, counts = np.array(sorted(changes)).T
            fewest = int(counts.min())
            yield Curve(name, metric, unit, dose, mean, std, floor, fewest)


def _floor(metric: str, home: pd.DataFrame) -> tuple[float, int]:
    """S.d. between worlds in distribution, relative for a ratio, and their number."""
    if metric in POOLED:
        return _relative_std(home.iloc[0]), int(_worlds(home.iloc[0]))
    scale = 1.0 if metric == "coverage_drop" else home["value"].mean()
    return float(home["value"].std(ddof=1) / scale), len(home)


def _change(metric: str, home: pd.DataFrame, away: pd.DataFrame) -> tuple[float, float, int]:
    """Mean and s.d. over worlds of the change at one dial, and the number of worlds."""
    if metric in PAIRED:
        drop = metric == "coverage_drop"
        before, after = home["value"], away["value"]
        change = (before - after if drop else after / before).dropna()
        return float(change.mean()), float(change.std(ddof=1)), len(change)
    before, after = home.iloc[0], away.iloc[0]
    ratio = float(after["value"] / before["value"])
    spread = float(np.hypot(_relative_std(after), _relative_std(before)))
    return ratio, ratio * spread, int(_worlds(before))


def _worlds(row: pd.Series) -> float:
    return float(row["worlds"] if pd.notna(row.get("worlds")) else row["splits"])


def _relative_std(row: pd.Series) -> float:
    """S.d. between worlds over the mean, from the t interval of the mean."""
    worlds = _worlds(row)
    half = (row["upper"] - row["lower"]) / 2
    error = half / student_t.ppf(0.975, worlds - 1)
    return float(error * worlds**0.5 / row["value"])
