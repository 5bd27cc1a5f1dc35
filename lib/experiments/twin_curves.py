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

from lib.data.dataset import FloatArray
from lib.metrics.columns import half_width
from lib.study.results import read

METRICS: Final = ("coverage_drop", "zms_ratio", "rmse_ratio", "crps_ratio", "aurc_ratio")
LEVEL: Final = 0.95
PRIMARY: Final = {"model": "cnn", "prior": "none", "uncertainty": "single", "data": "simulation"}
UNITS: Final = {
    "effect_rewiring": "distance over Var f",
    "cell_type": "distance over Var f",
    "batch": "distance over Var f",
    "gc": "mean GC, in-distribution s.d.",
    "gc_low": "mean GC, in-distribution s.d.",
    "motif_density": "mean sites, in-distribution s.d.",
    "depth": "noise share",
    "noise": "noise share",
    "none": "none",
}
_PAIRED = {"coverage_drop": "picp_90", "zms_ratio": "zms", "rmse_ratio": "rmse"}
_POOLED = {"crps_ratio": "crps_gaussian", "aurc_ratio": "aurc"}


def no_change(metric: str) -> float:
    """The value of a metric where nothing changes: 0 for a drop, 1 for a ratio.

    Examples
    --------
    >>> no_change("coverage_drop"), no_change("zms_ratio")
    (0.0, 1.0)
    """
    return 0.0 if metric.endswith("_drop") else 1.0


class Curve(NamedTuple):
    """Change of one metric with the measured severity of one simulated shift.

    Attributes
    ----------
    shift, metric, unit : str
    dose : (k,) float array
        Measured severity (magnitude), ascending; the first is that in distribution.
    mean, std : (k,) float arrays
        Of the change over worlds; the s.d. is that of one world, not of the mean.
    floor : float
        S.d. between worlds in distribution: what a change can be where nothing changed.
    worlds : int
    signal : float
        Var f over the predicted variance, in distribution: how good the network is.
    """

    shift: str
    metric: str
    unit: str
    dose: FloatArray
    mean: FloatArray
    std: FloatArray
    floor: float
    worlds: int
    signal: float

    def at(self, severity: float) -> tuple[float, float, bool]:
        """Mean, s.d. of a world and whether the severity lies beyond the last dose.

        Examples
        --------
        >>> dose, drop = np.array([0.0, 1.0]), np.array([0.0, 0.2])
        >>> curve = Curve("batch", "coverage_drop", "", dose, drop, drop / 10, 0.01, 10, 2.0)
        >>> curve.at(0.5), curve.at(3.0)
        ((0.1, 0.01, False), (0.2, 0.02, True))
        """
        mean = float(np.interp(severity, self.dose, self.mean))
        beyond = self.shift != "none" and severity > self.dose[-1]
        return mean, float(np.interp(severity, self.dose, self.std)), bool(beyond)


Curves = Mapping[tuple[str, str], Curve]


def read_curves(folder: Path) -> dict[tuple[str, str], Curve]:
    """Curves by (simulated shift, metric), from the folder of published results.

    Coverage drop, ZMS ratio and RMSE ratio are paired within world. CRPS and AURC are published as
    means over worlds with intervals: their ratio's spread takes numerator and denominator as
    independent, which is too wide where worlds are easy or hard under both. AURC is published for
    GC and noise alone.

    Parameters
    ----------
    folder : Path
        With ``simulation_shifts.csv``, ``simulation_shifts/severities.csv`` and, for AURC,
        ``selective_prediction.csv``.

    Returns
    -------
    dict
        Simulated shifts: effect_rewiring, cell_type, motif_density, batch, depth, noise, gc,
        gc_low, none.

    Raises
    ------
    FileNotFoundError
        If notebook 01 was not run into the folder.
    ValueError
        If its tables hold no values per world: those of profile full do.
    """
    rows = _primary(read(folder, "simulation_shifts"))
    doses = _text(pd.read_csv(folder / "simulation_shifts" / "severities.csv"))
    oracle = rows[(rows["split"] == "test") & (rows["metric"] == "pearson_r")]["oracle"]
    start = 1 - float(oracle.max()) ** 2  # the noise share in distribution
    signal = _signal(rows, 1 - start)
    selective = folder / "selective_prediction.csv"
    pooled = [rows[rows["metric"] == "crps_gaussian"]]
    if selective.exists():
        more = _primary(read(folder, "selective_prediction"))
        pooled.append(
            more[(more["metric"] == "aurc") & (more["by"] == "score") & (more["bin"] == "std")]
        )
    found = [*_paired_curves(rows, doses, start), *_pooled_curves(pd.concat(pooled), doses, start)]
    return {(curve.shift, curve.metric): curve._replace(signal=signal) for curve in found}


def _signal(rows: pd.DataFrame, share: float) -> float:
    """Var f over the predicted variance in distribution, from spread and width of intervals."""
    home = rows[(rows["split"] == "test") & rows["seed"].isna()].set_index("metric")["value"]
    predicted = float(home["mpiw_90"]) / (2 * half_width(0.9))
    return share * float(home["sd_target"]) ** 2 / predicted**2


def curve_table(curves: Curves) -> pd.DataFrame:
    """Curves as rows, for figures and published tables.

    Returns
    -------
    DataFrame
        ``shift, metric, unit, severity, value, lower, upper, worlds``: mean over worlds and its
        95 % t interval. Shifts without a dose are left out.

    Examples
    --------
    >>> dose, drop = np.array([0.0, 1.0]), np.array([0.0, 0.2])
    >>> curve = Curve("batch", "coverage_drop", "", dose, drop, drop / 10, 0.01, 10, 2.0)
    >>> curve_table({("batch", "coverage_drop"): curve})["value"].tolist()
    [0.0, 0.2]
    """
    parts = []
    for curve in curves.values():
        if curve.shift == "none":
            continue
        reach = float(student_t.ppf((1 + LEVEL) / 2, curve.worlds - 1))
        half = reach * curve.std / curve.worlds**0.5
        parts.append(
            pd.DataFrame(
                {
                    "shift": curve.shift,
                    "metric": curve.metric,
                    "unit": curve.unit,
                    "severity": curve.dose,
                    "value": curve.mean,
                    "lower": curve.mean - half,
                    "upper": curve.mean + half,
                    "worlds": curve.worlds,
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


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


def _arms(doses: pd.DataFrame, start: float) -> Iterator[tuple[str, pd.DataFrame]]:
    """Each simulated shift with its dials and doses, the unshifted one first."""
    for name in UNITS:
        if name == "none":
            continue
        shift, condition = ("gc", "low") if name == "gc_low" else (name, "")
        own = doses[(doses["shift"] == shift) & (doses["condition"] == condition)]
        if own.empty:
            continue
        first = start if UNITS[name] == "noise share" else 0.0
        zero = pd.DataFrame({"severity": [0.0], "measured": [first]})
        arm = pd.concat([zero, own[["severity", "measured"]].abs()]).sort_values("measured")
        yield name, arm.assign(shift=shift, condition=condition)


def _paired_curves(rows: pd.DataFrame, doses: pd.DataFrame, start: float) -> Iterator[Curve]:
    rows = rows[rows["seed"].notna()]
    if rows.empty:
        raise ValueError(
            "simulation_shifts holds no values per world; results of profile full would do"
        )
    for metric, source in _PAIRED.items():
        own = rows[rows["metric"] == source]
        home = own[own["split"] == "test"].set_index("seed")["value"]
        scale = 1.0 if metric == "coverage_drop" else home.mean()
        floor = float(home.std(ddof=1) / scale)
        yield _nothing(metric, floor, len(home))
        for name, arm in _arms(doses, start):
            changes = [
                _change(metric, home, _at_dial(own, dial)["value"]) for _, dial in arm.iterrows()
            ]
            yield Curve(
                name,
                metric,
                UNITS[name],
                arm["measured"].to_numpy(float),
                np.array([change.mean() for change in changes]),
                np.array([change.std(ddof=1) for change in changes]),
                floor,
                min(len(change) for change in changes),
                np.nan,
            )


def _at_dial(rows: pd.DataFrame, dial: pd.Series) -> pd.DataFrame:
    """Rows at one severity of one shift, by world."""
    if dial["severity"] == 0:
        return rows[rows["split"] == "test"].set_index("seed")
    own = (rows["shift"] == dial["shift"]) & (rows["condition"] == dial["condition"])
    at = rows[(rows["split"] == "shifted") & own & (rows["severity"] == dial["severity"])]
    return at.set_index("seed")


def _change(metric: str, home: pd.Series, away: pd.Series) -> pd.Series:
    return (home - away if metric == "coverage_drop" else away / home).dropna()


def _pooled_curves(rows: pd.DataFrame, doses: pd.DataFrame, start: float) -> Iterator[Curve]:
    rows = rows[rows["seed"].isna()]
    for metric, source in _POOLED.items():
        own = rows[rows["metric"] == source]
        if own.empty:
            continue
        home = own[own["split"] == "test"].iloc[0]
        worlds = int(_worlds(home))
        floor = _relative_std(home)
        yield _nothing(metric, floor, worlds)
        for name, arm in _arms(doses, start):
            found = [_at_dial(own, dial) for _, dial in arm.iterrows()]
            if any(len(at) != 1 for at in found):
                continue
            ratios = np.array([at["value"].iloc[0] / home["value"] for at in found])
            spread = np.array([np.hypot(_relative_std(at.iloc[0]), floor) for at in found])
            spread[arm["severity"].to_numpy() == 0] = 0
            dose = arm["measured"].to_numpy(float)
            yield Curve(
                name, metric, UNITS[name], dose, ratios, ratios * spread, floor, worlds, np.nan
            )


def _worlds(row: pd.Series) -> float:
    return float(row["worlds"] if pd.notna(row.get("worlds")) else row["splits"])


def _relative_std(row: pd.Series) -> float:
    """S.d. between worlds over the mean, from the t interval of the mean."""
    worlds = _worlds(row)
    half = (row["upper"] - row["lower"]) / 2
    error = half / student_t.ppf((1 + LEVEL) / 2, worlds - 1)
    return float(error * worlds**0.5 / row["value"])


def _nothing(metric: str, floor: float, worlds: int) -> Curve:
    """The curve of no shift at all."""
    one = np.zeros(1)
    level = one + no_change(metric)
    return Curve("none", metric, UNITS["none"], one, level, one, floor, worlds, np.nan)
