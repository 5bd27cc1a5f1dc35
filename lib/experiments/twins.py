"""Simulated twins of real shifts: dose-response curves, sealed forecasts and their score.

In: the published tables of notebooks 01 and 04 and measured severities of real shifts. Out: for each real shift the
change that the simulator forecasts at that severity, with the spread between worlds, and a score of the forecasts
once the real changes are known.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from lib.datasets import FloatArray

METRICS = ("coverage_drop", "zms_ratio", "rmse_ratio", "crps_ratio", "aurc_ratio")


class Curve(NamedTuple):
    """Change of one metric with the measured severity of one simulated shift.

    Attributes
    ----------
    shift, metric, unit : str
    dose : (k,) float array
        Measured severity, ascending, the unshifted one first.
    change : (k, w) float array
        Per world: 0 for a drop, 1 for a ratio at the first dose.
    """

    shift: str
    metric: str
    unit: str
    dose: FloatArray
    change: FloatArray


class Forecast(NamedTuple):
    """A forecast change: mean, predictive s.d. and 95 % interval; beyond: severity off the curve."""

    mean: float
    std: float
    lower: float
    upper: float
    twin: str
    beyond: bool


def read_curves(folder: Path) -> dict[tuple[str, str], Curve]:
    """Curves by (simulated shift, metric), from the folder of published results.

    Simulated shifts: effect_rewiring, cell_type, motif_density, batch, depth, noise, gc, gc_low.
    """
    raise NotImplementedError


def forecast(
    curves: dict[tuple[str, str], Curve],
    shift: str,
    severity: float,
    metric: str = "coverage_drop",
    *,
    parts: tuple[float, float] | None = None,
    baseline: float | None = None,
) -> Forecast:
    """The change that a real shift's twin forecasts at a measured severity."""
    raise NotImplementedError


def seal(severities: pd.DataFrame, curves: dict[tuple[str, str], Curve]) -> pd.DataFrame:
    """Forecasts of real shifts, to be committed before their labels are scored.

    Parameters
    ----------
    severities : DataFrame
        ``shift, condition, severity``; one row per real shift and condition. Severity is the
        noise-free distance (``distance``) for genotype, promoter and assay; the label shift (same
        distance) for batch; the shift of mean GC in in-distribution s.d., signed, for species and
        gc_*; the shift of mean motif sites in s.d. for design; the noise share for depth and noise.
        Optional: ``distance_rewiring`` (genotype, promoter: how much of the distance is rewiring),
        ``baseline`` (depth, noise: the noise share in distribution).

    Returns
    -------
    DataFrame
        ``shift, condition, metric, twin, severity, unit, forecast, lower, upper, std, beyond``.
    """
    raise NotImplementedError


def score_sealed(
    sealed: pd.DataFrame, observed: pd.DataFrame, rng: np.random.Generator
) -> pd.DataFrame:
    """Score sealed forecasts by ``observed``: ``shift, condition, metric, value``."""
    raise NotImplementedError
