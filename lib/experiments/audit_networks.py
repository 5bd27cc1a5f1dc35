"""Networks of notebook 02 as forecasts to audit: its own, or others trained in the same way.

In: :class:`lib.experiments.mpra_gc_ood.Config`. Out: :class:`lib.experiments.audit_table.Forecasts`
per data set and split: calibration part, test part, and the test part tilted in GC. Fits and
forecasts are the stored units of notebook 02, and so is the seed of every bootstrap: where nothing
else is asked for, the audit gives the numbers of that notebook.
"""

import numpy as np
import pandas as pd

from lib.data import predictions
from lib.data.dataset import SequenceDataset
from lib.experiments import mpra_gc_ood
from lib.experiments.assays import FittedArm, fit_arms
from lib.experiments.audit_table import Forecasts, prepare
from lib.experiments.gc_tables import gc_deciles
from lib.experiments.scoring import Scored
from lib.study.units import Store

# A label in a table of the audit for what notebook 02 keys by shift and condition.
TILT = "gc_tilt"


def shift_name(shift: str, condition: str) -> str:
    """The audit's name of a part of notebook 02.

    Examples
    --------
    >>> shift_name("", ""), shift_name("gc_tilt", "+0.5 SD")
    ('', 'gc_tilt +0.5 SD')
    """
    return f"{shift} {condition}".strip()


def with_conditions(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of the audit under the columns of notebook 02: the inverse of :func:`shift_name`.

    Examples
    --------
    >>> rows = pd.DataFrame({"shift": ["", "gc_tilt +0.5 SD"]})
    >>> with_conditions(rows)[["shift", "condition", "family"]].to_numpy().tolist()
    [['', '', ''], ['gc_tilt', '+0.5 SD', 'covariate']]
    """
    tilted = rows["shift"].str.startswith(f"{TILT} ")
    return rows.assign(
        shift=rows["shift"].where(~tilted, TILT),
        condition=rows["shift"].where(tilted, "").str.removeprefix(f"{TILT} "),
        family=tilted.map({True: "covariate", False: ""}),
    )


def _piece(
    data: SequenceDataset,
    rows: np.ndarray,
    forecast: tuple[np.ndarray, np.ndarray],
    parts: dict[str, np.ndarray],
    **more: str,
) -> pd.DataFrame:
    columns = {
        "id": [f"{row}.{copy}" for copy, row in enumerate(rows)],  # a tilt repeats rows
        "target": data.activity[rows],
        "mean": forecast[0][rows],
        "std": forecast[1][rows],
        "group": data.group[rows],
        "gc": data.gc[rows],
        "gc_decile": gc_deciles(data)[rows],
    }
    columns |= {name: values[rows] for name, values in parts.items()}
    return pd.DataFrame(columns).assign(**more)


def _uncertainty_parts(fitted: FittedArm) -> dict[str, np.ndarray]:
    """Aleatoric and epistemic standard deviation of an ensemble; NaN where a member saw the row."""
    if len(fitted.members) < 2:
        return {}
    found = fitted.forecast
    return {"std_aleatoric": found.std_aleatoric, "std_epistemic": found.std_epistemic}


def _forecasts(fitted: FittedArm, items: list[tuple[int, Scored]], model: str) -> Forecasts:
    """The group arm of one split; ``items`` are its parts with the seeds of their bootstrap."""
    data, split = fitted.arm.data, fitted.arm.split
    forecast = fitted.forecast[:2]
    own = _uncertainty_parts(fitted)
    held = split["calibration"]
    pieces = [_piece(data, held, forecast, own, split="calibration", shift="")]
    seeds: dict[str, int] = {}
    severity: dict[str, float] = {}
    for part, (seed, item) in zip(fitted.arm.parts, items, strict=True):
        shift = shift_name(str(item.keys["shift"]), str(item.keys["condition"]))
        named = {"split": str(item.keys["split"]), "shift": shift}
        pieces.append(_piece(data, part.rows, forecast, own, **named))
        seeds[shift], severity[shift] = seed, float(str(item.keys["severity"]))
    table = predictions.validate(pd.concat(pieces, ignore_index=True), data.name)
    first = items[0][1]
    return prepare(
        table,
        data.name,
        by=("gc_decile",),
        model=model,
        uncertainty=fitted.uncertainty,
        split_seed=split.seed,
        n_train=first.n_train,
        climatology=first.climatology,
        seeds=seeds,
        severity=severity,
    )


def forecasts(
    config: mpra_gc_ood.Config, store: Store
) -> tuple[list[SequenceDataset], list[Forecasts], dict[str, int]]:
    """Forecasts of every group split of ``config``; networks not yet stored are fitted.

    Returns
    -------
    data : list of SequenceDataset
    forecasts : list of Forecasts
        By data set, then by split.
    counts : dict of str to int
        ``fits`` and, of these, ``fits_computed`` now.
    """
    data = mpra_gc_ood.load_data(config)
    design = config.design
    fitted, counts = fit_arms(design.build(data), design, store, config.where)
    others, more = mpra_gc_ood.fit_others(config, fitted, store)
    found, seed = [], 0
    for arm, named in zip(fitted, others, strict=True):
        items = list(enumerate(mpra_gc_ood.scored_items(arm, named, config), start=seed))
        seed += len(items)
        if arm.arm.main:
            own = (config.model, arm.uncertainty)
            wanted = [
                (number, item)
                for number, item in items
                if item is not None and (item.keys["model"], item.keys["uncertainty"]) == own
            ]
            found.append(_forecasts(arm, wanted, config.model))
    return data, found, {name: counts[name] + more[name] for name in counts}
