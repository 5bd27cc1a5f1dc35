"""The score of sealed forecasts, once the changes they speak of are known.

In: the forecasts of :func:`lib.experiments.twins.seal` and the observed changes. Out: the CRPS of
each forecast beside alternatives that need no simulator, and whether the simulated order of shifts
is the real one.
"""

from typing import Any, Final

import numpy as np
import pandas as pd

from lib.arrays import as_count, ranks
from lib.data.dataset import FloatArray
from lib.experiments.twin_curves import no_change
from lib.metrics.scores import crps_gaussian, spearman_r

KEYS: Final = ["shift", "condition", "metric", "axis"]


def score_sealed(sealed: pd.DataFrame, observed: pd.DataFrame) -> pd.DataFrame:
    """Score sealed forecasts once the changes are known.

    Beside the forecast two alternatives that need no twin: ``no_change``, with the same s.d., and
    ``climatology``, the mean and s.d. of all sealed forecasts of the metric.

    Parameters
    ----------
    sealed : DataFrame
        From :func:`seal`.
    observed : DataFrame
        ``shift, condition, metric, value``. Only rows in both are scored.

    Returns
    -------
    DataFrame
        The columns of ``sealed``, then ``observed, inside, crps, crps_no_change,
        crps_climatology``; ``inside`` says whether the 95 % interval holds the change.

    Raises
    ------
    ValueError
        Missing columns, a row given twice, values not finite, nothing in common.

    Examples
    --------
    >>> row = {"shift": "batch", "condition": "3", "metric": "coverage_drop"}
    >>> own = {"axis": "signal", "forecast": 0.2, "lower": 0.16, "upper": 0.24, "std": 0.02}
    >>> scored = score_sealed(pd.DataFrame([row | own]), pd.DataFrame([row | {"value": 0.22}]))
    >>> bool(scored["inside"][0]), bool(scored["crps"][0] < scored["crps_no_change"][0])
    (True, True)
    """
    require(sealed, (*KEYS, "forecast", "lower", "upper", "std"), "sealed")
    require(observed, ("shift", "condition", "metric", "value"), "observed")
    known = observed[["shift", "condition", "metric", "value"]].rename(
        columns={"value": "observed"}
    )
    table = sealed.merge(known, on=["shift", "condition", "metric"], how="inner")
    if table.empty:
        raise ValueError("sealed and observed have no shift, condition and metric in common")
    if not np.isfinite(table["observed"]).all():
        row = table.loc[~np.isfinite(table["observed"]), KEYS].iloc[0].tolist()
        raise ValueError(f"the observed value of {row} is not finite")
    table["inside"] = table["observed"].between(table["lower"], table["upper"])
    parts = []
    for (metric, _), own in table.groupby(["metric", "axis"], sort=False):
        centre, width = own["forecast"].mean(), max(own["forecast"].std(ddof=0), own["std"].min())
        n = len(own)
        parts.append(
            own.assign(
                crps=_crps(own["forecast"], own["std"], own["observed"]),
                crps_no_change=_crps(
                    np.full(n, no_change(str(metric))), own["std"], own["observed"]
                ),
                crps_climatology=_crps(np.full(n, centre), np.full(n, width), own["observed"]),
            )
        )
    return pd.concat(parts).sort_index().reset_index(drop=True)


def _crps(mean: Any, std: Any, observed: Any) -> list[float]:
    """CRPS of each forecast by itself."""
    columns = (np.asarray(values, float) for values in (mean, std, observed))
    return [crps_gaussian([m], [s], [y]) for m, s, y in zip(*columns, strict=True)]


def sealed_summary(
    scored: pd.DataFrame, rng: np.random.Generator, *, draws: int = 10_000
) -> pd.DataFrame:
    """Scores over shifts and the agreement of the orders; descriptive, see SCIENCE.md.

    Parameters
    ----------
    scored : DataFrame
        From :func:`score_sealed`.
    rng : Generator
    draws : int
        Permutations of the pairing of forecasts with observed changes.

    Returns
    -------
    DataFrame
        One row per ``metric, axis`` and ``left_out`` (a family, or empty for all): ``n, shifts,
        crps, crps_no_change, crps_climatology, inside, beyond, spearman_r, p``. Scores are means
        over conditions. ``spearman_r`` is that of the shifts' means, for conditions of one shift
        are no independent cases; ``p`` is the share of pairings with a correlation as high, and
        stands in the rows of all families. NaN below three shifts.
    """
    as_count("draws", draws)
    rows = []
    for (metric, axis), own in scored.groupby(["metric", "axis"], sort=False):
        families = [family for family in dict.fromkeys(own["family"]) if family]
        for left_out in ["", *families]:
            part = own[own["family"] != left_out] if left_out else own
            if part.empty:
                continue
            means = part.groupby("shift", sort=False)[["forecast", "observed"]].mean()
            r, p = _order(means.to_numpy(float), rng, 0 if left_out else draws)
            scores = ["crps", "crps_no_change", "crps_climatology", "inside", "beyond"]
            rows.append(
                {"metric": metric, "axis": axis, "left_out": left_out, "n": len(part)}
                | {"shifts": len(means), **part[scores].astype(float).mean().to_dict()}
                | {"spearman_r": r, "p": p}
            )
    return pd.DataFrame(rows)


def _order(pairs: FloatArray, rng: np.random.Generator, draws: int) -> tuple[float, float]:
    """Rank correlation of two columns and the share of pairings that reach it."""
    if len(pairs) < 3 or np.any(np.ptp(pairs, axis=0) == 0):
        return float("nan"), float("nan")
    first, second = pairs.T
    r = spearman_r(first, second)
    if not draws:
        return r, float("nan")
    left, right = (ranks(column) - ranks(column).mean() for column in (first, second))
    pairings = rng.permuted(np.tile(right, (draws, 1)), axis=1) @ left
    reached = np.sum(pairings >= right @ left - 1e-9)
    return r, float((1 + reached) / (1 + draws))


def require(table: pd.DataFrame, columns: tuple[str, ...], name: str) -> None:
    """Refuse a table without its columns, or with two rows for one shift and condition."""
    missing = [column for column in columns if column not in table]
    if missing:
        raise ValueError(f"{name} lacks the columns {missing}")
    keys = [column for column in columns if column in KEYS]
    twice = table.duplicated(keys)
    if twice.any():
        raise ValueError(f"{name} holds {table.loc[twice, keys].iloc[0].tolist()} twice")
