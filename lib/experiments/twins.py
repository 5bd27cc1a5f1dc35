"""Simulated twins of real shifts: forecasts that are sealed before labels are scored.

In: measured severities of real shifts and the curves of :mod:`lib.experiments.twin_curves`. Out:
for each real shift the change of coverage, error and calibration that the simulator forecasts at
that severity, with the spread between simulated worlds. :mod:`lib.experiments.sealed` scores them.

What a forecast may know is the severity alone, in the units of :mod:`lib.simulator.severity`, and
how good the network is in distribution. That real cells may not behave as the simulator says is in
no interval: the score tells.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import norm
from scipy.stats import t as student_t

from lib.experiments.sealed import require, score_sealed, sealed_summary
from lib.experiments.twin_curves import (
    LEVEL,
    METRICS,
    UNITS,
    Curve,
    Curves,
    no_change,
    read_curves,
)

__all__ = [
    "FAMILIES",
    "METRICS",
    "TWINS",
    "Curve",
    "Forecast",
    "forecast",
    "read_curves",
    "score_sealed",
    "seal",
    "sealed_summary",
]

# Real shifts and the simulated ones they are read off: the first that reaches the severity, else
# the last. Shifts in BATCHED change gain and offset too: what of their distance is no rewiring is
# read off ``batch``.
TWINS: Final[dict[str, tuple[str, ...]]] = {
    "genotype": ("effect_rewiring",),
    "promoter": ("cell_type", "effect_rewiring"),
    "assay": ("cell_type", "effect_rewiring"),
    "species": ("gc",),
    "batch": ("batch",),
    "design": ("motif_density",),
    "depth": ("depth",),
    "noise": ("noise",),
    "gc_high": ("gc",),
    "gc_low": ("gc",),
    "gc_tilt": ("gc",),
    "placebo": ("none",),
}
BATCHED: Final = ("genotype", "promoter")
DOWNWARDS: Final = {"gc": "gc_low"}  # the curve of negative severities
FAMILIES: Final = {
    "genotype": "concept",
    "promoter": "technical",
    "assay": "concept",
    "species": "covariate",
    "batch": "technical",
    "design": "covariate",
    "depth": "technical",
    "noise": "technical",
    "gc_high": "covariate",
    "gc_low": "covariate",
    "gc_tilt": "covariate",
    "placebo": "",
}
DISTANCE, NOISE = UNITS["batch"], UNITS["noise"]


class Forecast(NamedTuple):
    """A forecast change with its predictive s.d. and 95 % interval.

    ``beyond``: the severity lies off a curve, which was read at its end: no extrapolation.
    """

    mean: float
    std: float
    lower: float
    upper: float
    twin: str
    beyond: bool


def forecast(
    curves: Curves,
    shift: str,
    severity: float,
    metric: str = "coverage_drop",
    *,
    rewiring: float | None = None,
    baseline: float | None = None,
    ends: tuple[float, float] | None = None,
) -> Forecast:
    """The change that a real shift's twin forecasts at a measured severity.

    Linear interpolation between doses. The predictive s.d. joins the spread between worlds at that
    dose, that of worlds in distribution, the uncertainty of a mean over finitely many worlds and
    that of the severity.

    Gain and offset besides rewiring (genotype, promoter) are combined by adding doses, not effects:
    mean squares of independent parts add, so both curves are read at the whole distance and
    weighted by their share of it.

    Parameters
    ----------
    curves : mapping
        From :func:`lib.experiments.twin_curves.read_curves`.
    shift : str
        A key of ``TWINS``.
    severity : float
        As in :func:`seal`.
    metric : str
    rewiring : float, optional
        The part of the severity that is rewiring; needed for genotype and promoter.
    baseline : float, optional
        Noise share in distribution, for depth and noise; default that of the simulator.
    ends : (float, float), optional
        95 % interval of the severity.

    Raises
    ------
    ValueError
        Unknown shift, a severity that is not finite, a part that is missing, no such curve.

    Examples
    --------
    >>> dose, drop = np.array([0.0, 1.0]), np.array([0.0, 0.2])
    >>> curve = Curve("batch", "coverage_drop", "", dose, drop, drop / 10, 0.01, 10, 2.0)
    >>> found = forecast({("batch", "coverage_drop"): curve}, "batch", 0.5)
    >>> found.mean, found.beyond
    (0.1, False)
    """
    if shift not in TWINS:
        raise ValueError(f"shift {shift!r} has no simulated twin; there are {', '.join(TWINS)}")
    if not np.isfinite(severity):
        raise ValueError(f"severity of {shift} is {severity}; a finite one would do")
    share = _share(shift, severity, rewiring)
    main, batch = _twin(curves, shift, metric, severity), None
    if shift in BATCHED:
        batch = _reaching(curves, ["batch"], metric, severity)
    mean, std, beyond = _read(main, batch, share, severity)
    if ends is not None and np.all(np.isfinite(ends)):
        low, high = (_read(main, batch, share, end)[0] for end in ends)
        std = float(np.hypot(std, (high - low) / (2 * norm.ppf((1 + LEVEL) / 2))))
    if baseline is not None and np.isfinite(baseline) and main.unit == NOISE:
        before = main.at(baseline)[0]
        ratio = no_change(metric) != 0
        mean, std = (mean / before, std / before) if ratio else (mean - before, std)
    whole = float(np.hypot(std, main.floor) * (1 + 1 / main.worlds) ** 0.5)
    half = float(student_t.ppf((1 + LEVEL) / 2, main.worlds - 1)) * whole
    twin = main.shift if batch is None else f"{main.shift} + batch"
    return Forecast(mean, whole, mean - half, mean + half, twin, beyond)


def _share(shift: str, severity: float, rewiring: float | None) -> float:
    """Share of the distance that is rewiring; 1 where the twin has no other part."""
    if shift not in BATCHED:
        return 1.0
    if rewiring is None or not np.isfinite(rewiring):
        raise ValueError(f"{shift} needs the part of its distance that is rewiring")
    return float(np.clip(rewiring / severity, 0, 1)) if severity > 0 else 1.0


def _twin(curves: Curves, shift: str, metric: str, severity: float) -> Curve:
    names = [DOWNWARDS.get(name, name) if severity < 0 else name for name in TWINS[shift]]
    signed = UNITS[names[0]] == UNITS["gc"]
    return _reaching(curves, names, metric, abs(severity) if signed else severity)


def _reaching(curves: Curves, names: list[str], metric: str, severity: float) -> Curve:
    """The first of the curves that reaches a severity, else the last."""
    missing = [name for name in names if (name, metric) not in curves]
    if missing:
        raise ValueError(f"there is no curve of {metric} for {', '.join(missing)}")
    own = [curves[name, metric] for name in names]
    return next((curve for curve in own if not curve.at(severity)[2]), own[-1])


def _read(
    main: Curve, batch: Curve | None, share: float, severity: float
) -> tuple[float, float, bool]:
    """Mean, s.d. and beyond at a severity, of one curve or of two weighted by their share."""
    size = abs(severity) if main.unit == UNITS["gc"] else severity
    mean, std, beyond = main.at(size)
    if batch is None:
        return mean, std, beyond
    other, spread, off = batch.at(size)
    mixed = share * mean + (1 - share) * other, share * std + (1 - share) * spread
    return *mixed, (beyond and share > 0) or (off and share < 1)


class _Dose(NamedTuple):
    """What is known of a real shift's strength; see :func:`forecast`."""

    severity: float
    rewiring: float | None
    baseline: float | None
    ends: tuple[float, float]


def seal(severities: pd.DataFrame, curves: Curves) -> pd.DataFrame:
    """Forecasts of real shifts, to be committed before their labels are scored.

    Parameters
    ----------
    severities : DataFrame
        ``shift, condition, severity``; one row per real shift and condition. Severity is the
        noise-free distance over Var f (``distance`` of :func:`lib.statistics.paired.decompose`) for genotype,
        promoter, assay and batch; the signed shift of mean GC in in-distribution s.d. for species
        and gc_*; that of mean motif sites for design; the noise share for depth and noise; 0 for
        placebo. Optional columns: ``lower``, ``upper`` (interval of the severity),
        ``distance_rewiring`` (needed for genotype and promoter), ``baseline`` (depth and noise: the
        noise share in distribution), ``signal_over_predicted`` (Var f over the mean predicted
        variance, both in distribution).
    curves : mapping
        From :func:`lib.experiments.twin_curves.read_curves`.

    Returns
    -------
    DataFrame
        ``shift, condition, metric, axis, family, twin, severity, unit, forecast, lower, upper,
        std, beyond``. ``axis`` is ``signal``: severities over Var f, as they come. With
        ``signal_over_predicted`` rows with axis ``predicted`` follow: distances and noise read at
        the same added mean square over the variance that the network predicts, for a weak network
        has wide intervals and loses less at one distance; other severities as they come. Metrics
        without a curve are left out.

    Raises
    ------
    ValueError
        Missing columns, a shift and condition given twice, and as :func:`forecast` says.

    Examples
    --------
    >>> dose, drop = np.array([0.0, 1.0]), np.array([0.0, 0.2])
    >>> curve = Curve("batch", "coverage_drop", "", dose, drop, drop / 10, 0.01, 10, 2.0)
    >>> severities = pd.DataFrame({"shift": ["batch"], "condition": ["3"], "severity": [0.5]})
    >>> seal(severities, {("batch", "coverage_drop"): curve})["forecast"].tolist()
    [0.1]
    """
    require(severities, ("shift", "condition", "severity"), "severities")
    rows = [
        {"shift": row["shift"], "condition": row["condition"], "metric": metric} | found
        for row in severities.to_dict("records")
        for metric in METRICS
        if _has_curves(curves, row["shift"], metric)
        for found in _sealed(row, metric, curves)
    ]
    return pd.DataFrame(rows)


def _has_curves(curves: Curves, shift: str, metric: str) -> bool:
    """True also for an unknown shift, which :func:`forecast` then names."""
    names = [*TWINS.get(shift, ()), *(["batch"] if shift in BATCHED else [])]
    return all((name, metric) in curves for name in names)


def _sealed(row: Mapping[Any, Any], metric: str, curves: Curves) -> Iterator[dict[str, Any]]:
    """The forecast on the axis of the signal and, where it can be had, of the prediction."""
    dose = _Dose(
        float(row["severity"]),
        row.get("distance_rewiring"),
        row.get("baseline"),
        (row.get("lower", np.nan), row.get("upper", np.nan)),
    )
    main = curves[TWINS[row["shift"]][0], metric] if row["shift"] in TWINS else None
    doses = {"signal": dose}
    if main is not None and "signal_over_predicted" in row:
        signal = float(row["signal_over_predicted"])
        if main.unit not in (DISTANCE, NOISE):
            doses["predicted"] = dose
        elif np.isfinite(signal):
            doses["predicted"] = _rescaled(dose, main, signal)
    for axis, dose in doses.items():
        found = forecast(
            curves,
            row["shift"],
            dose.severity,
            metric,
            rewiring=dose.rewiring,
            baseline=dose.baseline,
            ends=dose.ends,
        )
        yield {
            "axis": axis,
            "family": FAMILIES[row["shift"]],
            "twin": found.twin,
            "severity": dose.severity,
            "unit": UNITS[found.twin.split(" + ")[0]],
            "forecast": found.mean,
            "lower": found.lower,
            "upper": found.upper,
            "std": found.std,
            "beyond": found.beyond,
        }


def _rescaled(dose: _Dose, curve: Curve, signal: float) -> _Dose:
    """The dose at which the simulator adds the same mean square over the predicted variance."""
    scale = signal / curve.signal
    if curve.unit == DISTANCE:
        rewiring = None if dose.rewiring is None else scale * dose.rewiring
        return _Dose(
            scale * dose.severity, rewiring, None, (scale * dose.ends[0], scale * dose.ends[1])
        )
    start = float(curve.dose[0])
    known = dose.baseline is not None and np.isfinite(dose.baseline)
    base = float(dose.baseline) if known and dose.baseline is not None else start

    def moved(share: float) -> float:
        added = _odds(share) - _odds(base)
        return 1 - 1 / (1 + _odds(start) + scale * added)

    return _Dose(moved(dose.severity), None, None, (moved(dose.ends[0]), moved(dose.ends[1])))


def _odds(noise_share: float) -> float:
    """Noise over signal."""
    return noise_share / max(1 - noise_share, 1e-9)
