"""Simulated twins of real shifts: forecasts that are sealed before labels are scored, and scores.

In: measured severities of real shifts and the curves of :mod:`lib.experiments.twins.curves`. Out:
for each real shift the change of coverage, error and calibration that the simulator forecasts at
that severity, with the spread between simulated worlds; and, once the changes are known, the CRPS
of each forecast beside alternatives that need no simulator.

What a forecast may know is the severity alone, in the units of :mod:`lib.simulator.severity`, and
how good the network is in distribution. That real cells may not behave as the simulator says is in
no interval: the score tells.
"""

from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import norm
from scipy.stats import t as student_t

from lib.arrays import FloatArray, ranks
from lib.experiments.twins.curves import (
    GC,
    METRICS,
    NOISE,
    UNITS,
    Curves,
    no_change,
)
from lib.experiments.twins.parts import FAMILIES
from lib.metrics.scores import crps_gaussian, spearman_r

# Real shifts and the simulated ones they are read off: the first that reaches the severity, else
# the last. Shifts in BATCHED change gain and offset too: what of their distance is no rewiring is
# read off ``batch``.
TWINS: Final[dict[str, tuple[str, ...]]] = {
    "genotype": ("effect_rewiring",),
    **dict.fromkeys(("promoter", "assay"), ("cell_type", "effect_rewiring")),
    **dict.fromkeys(("species", "gc_high", "gc_low", "gc_tilt"), ("gc",)),
    **{shift: (shift,) for shift in ("batch", "depth", "noise")},
    "design": ("motif_density",),
    "placebo": ("none",),
}
BATCHED: Final = ("genotype", "promoter")
DOWNWARDS: Final = {"gc": "gc_low"}  # the curve of negative severities
DRAWS: Final = 10_000  # permutations of the pairing of forecasts with observed changes
SCORES: Final = ["crps", "crps_no_change", "crps_climatology", "inside", "beyond"]


class Dose(NamedTuple):
    """What is known of a real shift's strength; ``ends`` is the 95 % interval of the severity.

    ``rewiring`` is the part of it that is rewiring, ``baseline`` the noise share in distribution.
    """

    severity: float
    rewiring: float = np.nan
    baseline: float = np.nan
    ends: tuple[float, float] = (np.nan, np.nan)


def forecast(curves: Curves, shift: str, dose: Dose, metric: str) -> dict[str, Any]:
    """The change that a real shift's twin forecasts at a measured severity.

    Linear interpolation between doses; off a curve (``beyond``) it is read at its end. The
    predictive s.d. joins the spread between worlds at that dose, that of worlds in distribution,
    the uncertainty of a mean over finitely many worlds and that of the severity. Gain and offset
    besides rewiring (genotype, promoter) are combined by adding doses, not effects: mean squares of
    independent parts add, so both curves are read at the whole distance and weighted by their share
    of it. Noise counts from the assay's ``baseline``, or the simulator's where there is none.
    """
    severity, share = dose.severity, 1.0
    if shift in BATCHED:
        if not np.isfinite(dose.rewiring):
            raise ValueError(f"{shift} needs the part of its distance that is rewiring")
        share = float(np.clip(dose.rewiring / severity, 0, 1)) if severity > 0 else 1.0
    names = [DOWNWARDS.get(name, name) if severity < 0 else name for name in TWINS[shift]]
    size = abs(severity) if UNITS[names[0]] == GC else severity
    own = [curves[name, metric] for name in names]
    main = next((curve for curve in own if not curve.at(size)[2]), own[-1])
    batch = curves["batch", metric] if shift in BATCHED else None

    def read(at: float) -> tuple[float, float, bool]:
        mean, std, beyond = main.at(abs(at) if main.unit == GC else at)
        if batch is None:
            return mean, std, beyond
        other, spread, off = batch.at(at)
        mixed = share * mean + (1 - share) * other, share * std + (1 - share) * spread
        return *mixed, (beyond and share > 0) or (off and share < 1)

    mean, std, beyond = read(severity)
    if np.all(np.isfinite(dose.ends)):
        low, high = (read(end)[0] for end in dose.ends)
        std = float(np.hypot(std, (high - low) / (2 * norm.ppf(0.975))))
    if main.unit == NOISE and np.isfinite(dose.baseline):
        before = main.at(dose.baseline)[0]
        ratio = no_change(metric) != 0
        mean, std = (mean / before, std / before) if ratio else (mean - before, std)
    whole = float(np.hypot(std, main.floor) * (1 + 1 / main.worlds) ** 0.5)
    half = float(student_t.ppf(0.975, main.worlds - 1)) * whole
    return {
        "twin": main.shift if batch is None else f"{main.shift} + batch",
        "severity": severity,
        "unit": UNITS[main.shift],
        "forecast": mean,
        "lower": mean - half,
        "upper": mean + half,
        "std": whole,
        "beyond": beyond,
    }


def seal(severities: pd.DataFrame, curves: Curves) -> pd.DataFrame:
    """Forecasts of real shifts, to be committed before their labels are scored.

    ``severities`` are those of :func:`lib.experiments.twins.severity.severities`; the axis
    ``signal`` says that distances are over Var f. Metrics without a curve are left out.
    """
    rows = []
    for row in severities.to_dict("records"):
        shift, ends = str(row["shift"]), (row["lower"], row["upper"])
        dose = Dose(row["severity"], row["distance_rewiring"], row["baseline"], ends)
        keys = {"shift": shift, "condition": row["condition"], "axis": "signal"}
        names = (*TWINS[shift], *(("batch",) if shift in BATCHED else ()))
        rows += [
            keys | {"metric": metric, "family": FAMILIES[shift]}
            | forecast(curves, shift, dose, metric)
            for metric in METRICS
            if all((name, metric) in curves for name in names)
        ]  # fmt: skip
    return pd.DataFrame(rows)


def score_sealed(sealed: pd.DataFrame, observed: pd.DataFrame) -> pd.DataFrame:
    """Every sealed forecast beside the change, where it is known, with its CRPS.

    ``inside``: whether the 95 % interval holds the change. Two alternatives need no twin: no
    change, with the same s.d., and climatology, mean and s.d. of all forecasts of the metric.
    """
    table = sealed.merge(observed, on=["shift", "condition", "metric"], how="inner")
    table["inside"] = table["observed"].between(table["lower"], table["upper"])
    found = table.groupby(["metric", "axis"], sort=False)
    centre, spread = found["forecast"].transform("mean"), found["forecast"].transform("std", ddof=0)
    width = np.maximum(spread, found["std"].transform("min"))
    nothing = table["metric"].map(no_change)
    return table.assign(
        crps=_crps(table["forecast"], table["std"], table["observed"]),
        crps_no_change=_crps(nothing, table["std"], table["observed"]),
        crps_climatology=_crps(centre, width, table["observed"]),
    )


def _crps(*columns: Any) -> list[float]:
    """CRPS of each forecast by itself."""
    rows = zip(*columns, strict=True)
    return [crps_gaussian([mean], [std], [observed]) for mean, std, observed in rows]


def sealed_summary(scored: pd.DataFrame, rng: np.random.Generator) -> pd.DataFrame:
    """Scores over shifts and the agreement of the orders; descriptive, as shifts are few.

    One row per ``metric, axis`` and ``left_out`` (a family, or empty for all). The correlation is
    that of the shifts' means, for conditions of one shift are no independent cases; ``p``, of all
    families, is the share of pairings with a correlation as high. NaN below three shifts.
    """
    rows = []
    for (metric, axis), own in scored.groupby(["metric", "axis"], sort=False):
        for left_out in ["", *filter(None, dict.fromkeys(own["family"]))]:
            part = own[own["family"] != left_out] if left_out else own
            if part.empty:
                continue
            means = part.groupby("shift", sort=False)[["forecast", "observed"]].mean()
            r, p = _order(means.to_numpy(float), rng, 0 if left_out else DRAWS)
            keys = {"metric": metric, "axis": axis, "left_out": left_out}
            keys |= {"n": len(part), "shifts": len(means)}
            scores = part[SCORES].astype(float).mean().to_dict()
            rows.append({**keys, **scores, "spearman_r": r, "p": p})
    return pd.DataFrame(rows)


def _order(pairs: FloatArray, rng: np.random.Generator, draws: int) -> tuple[float, float]:
    """Rank correlation of two columns and the share of pairings that reach it."""
    if len(pairs) < 3 or np.any(np.ptp(pairs, axis=0) == 0):
        return float("nan"), float("nan")
    r = spearman_r(*pairs.T)
    if not draws:
        return r, float("nan")
    left, right = (ranks(column) - ranks(column).mean() for column in pairs.T)
    pairings = rng.permuted(np.tile(right, (draws, 1)), axis=1) @ left
    reached = np.sum(pairings >= right @ left - 1e-9)
    return r, float((1 + reached) / (1 + draws))
