"""Any model's predictions under the audit that the book gives its own.

In: :class:`Config`, which names a table of predictions, or an assay to train on, or neither: then
the networks of notebook 02 are audited. Out: :class:`Tables`. What a table does not hold switches a
section off and a note on.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import pandas as pd
from pydantic import BeforeValidator, Field

from lib.data import predictions
from lib.data.cells import as_rename, labels, no_missing, require_columns, require_roles
from lib.data.dataset import SequenceDataset
from lib.data.folds import FOLDS
from lib.data.reading import placed
from lib.experiments import audit_measures as measures
from lib.experiments import mpra_gc_ood
from lib.experiments.assays import FittedArm, fit_arms
from lib.experiments.audit_parts import AuditedPart
from lib.experiments.audit_table import Audited, covariates, prepare
from lib.experiments.ranking import all_tables
from lib.experiments.scoring import side_by_side
from lib.study.config import AnyNames, ExperimentConfig, Numbers, ParameterError, Tables
from lib.study.units import Store

UNSEEN = (  # of a network of one's own
    "An edit of {} trains it anew. Whether it reads files, such as weights, could not be known: "
    "after a change of one, set SHIFT_STORE to a new folder."
)
OF_NETWORKS = ("gc_tilts", "folds", "standin_size", "channels")
PROMISED = {"picp_90": 0.9, "zms": 1.0}


Rename = Annotated[dict[str, str] | None, BeforeValidator(as_rename)]


class Config(ExperimentConfig, mpra_gc_ood.TrainingConfig):
    """Parameters of notebook 08, which says what each of them is.

    One of ``predictions`` (a table of predictions, see :mod:`lib.data.predictions`), ``table`` (an
    assay to train on, see :mod:`lib.data.table`) and ``dataset`` (one of the book's), or none: then
    the networks of notebook 02 are audited. ``rename`` is from their column names to ours.
    """

    experiment: ClassVar[str] = "audit_your_own"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {"epochs": 1, "standin_size": 600, "draws": 100, "folds": 3},
        "quick": {"epochs": 6, "folds": 3, "channels": 0},
        "full": {},
    }

    predictions: str | None = None
    rename: Rename = None
    by: AnyNames = ()
    dataset: str | None = None
    model: str | None = None
    gc_tilts: Numbers = (0.5, 1.0, 1.5)
    folds: int = Field(default=FOLDS, ge=3, le=20)
    standin_size: int = Field(default=6000, ge=200, le=1_000_000)

    @property
    def source(self) -> str:
        """``predictions``, ``network`` (trained here) or ``chapter`` (those of notebook 02)."""
        given = [name for name in ("predictions", "table", "dataset") if getattr(self, name)]
        if len(given) > 1:
            raise ParameterError(f"give one of {', '.join(given)}, not {len(given)}")
        if self.predictions and self.model:
            raise ParameterError("model is trained on table or dataset; predictions need none")
        usual = type(self).create(profile=self.profile)
        idle = {"rename": not (self.predictions or self.table)}
        idle |= dict.fromkeys(mpra_gc_ood.OF_TABLE, not self.table)
        unfitted = bool(self.predictions) or not (given or self.model)
        idle |= dict.fromkeys((*mpra_gc_ood.FITTING, *OF_NETWORKS), unfitted)
        for name, unused in idle.items():
            if unused and getattr(self, name) != getattr(usual, name):
                what = given[0] if given else "the networks of notebook 02"
                raise ParameterError(f"{name} would do nothing with {what}; leave it out")
        return "predictions" if self.predictions else "chapter" if unfitted else "network"

    def _columns(self) -> dict[str, str]:
        """The columns of an assay of one's own, by parameter, under ``rename``."""
        require_roles(self.rename or {})
        found: dict[str, str] = {}
        for theirs, ours in (self.rename or {}).items():
            name = f"{ours}_column"
            if name in found or getattr(self, name) not in (None, ours):
                other = found.get(name, getattr(self, name))
                raise ParameterError(f"columns {other!r} and {theirs!r} would both be {ours!r}")
            found[name] = theirs
        return found

    @property
    def networks(self) -> mpra_gc_ood.Config:
        """The fits of notebook 02 that are audited, or others set up in the same way."""
        if self.source == "chapter":
            kept = {"profile", "draws", "precision", *self.placement}
            return mpra_gc_ood.Config.create(**self.model_dump(include=kept))
        more = {} if self.table is None else {"dataset": "default", **self._columns()}
        return mpra_gc_ood.Config.like(self, arm=("group", "tilt"), **more)


def _of_network(fitted: FittedArm, model: str, by: Sequence[str]) -> Audited:
    """The folds of the group arm, and its tilts."""
    arm, data = fitted.arm, fitted.arm.data
    # Of each fold what its own network forecasts; a tilt repeats rows.
    held = [split["calibration"] for split in arm.splits]
    rows = [*held, *(part.rows for part in arm.parts)]
    own = [np.full(len(each), place) for place, each in enumerate(held)]
    fold = np.concatenate([*own, *(arm.tested[part.rows] for part in arm.parts)])
    bounds, every = np.cumsum([len(each) for each in rows]), np.concatenate(rows)
    mean, std, aleatoric, epistemic = np.stack(fitted.forecast)[:, fold, every]
    judged = data.take(every)
    table = predictions.of_elements(judged, mean, std).assign(fold=fold)
    beside = judged.metadata.reindex(table.index)  # of which there may be no column
    beside = beside.assign(gc_decile=mpra_gc_ood.gc_deciles(data)[every])  # of all that is judged
    if len(fitted.members) > 1:
        table = table.assign(std_aleatoric=aleatoric, std_epistemic=epistemic)
    places = np.split(np.arange(len(table)), bounds[:-1])
    known = np.concatenate([data.activity[split["train"]] for split in arm.splits])
    return Audited(
        data.name,
        table,
        tuple(map(AuditedPart, places[len(held) :], (part.keys for part in arm.parts))),
        np.concatenate(places[: len(held)]),
        covariates(table, ("gc_decile", *by), beside),
        (
            *(f"{what}: {n:,} rows." for what, n in data.repairs.items() if "shared" in what),
            *([UNSEEN.format(model)] if ":" in model else []),
        ),
        model=model,
        uncertainty=fitted.uncertainty,
        climatology=(float(known.mean()), float(known.std())),
        plan=arm.plan.take(every),
    )


def network_forecasts(
    config: mpra_gc_ood.Config, store: Store, by: Sequence[str] = ()
) -> tuple[list[SequenceDataset], list[Audited]]:
    """Networks of notebook 02, whose stored fits they share, or others trained in the same way."""
    design, data = config.design, mpra_gc_ood.load_data(config)
    for assay in data:
        require_columns(assay.metadata, by, f"what is known of {assay.name}")
        for name in by:
            no_missing(labels(assay.metadata[name]), "every row needs one to be asked by")
    arms = [arm.headline for arm in design.build(data) if arm.main]
    fitted = fit_arms(arms, design.settings, store, config.where)
    return data, [_of_network(arm, config.model, by) for arm in fitted]


def audit(forecasts: Sequence[Audited], draws: int, workers: int | None = 1) -> Tables:
    """Every table of an audit of prepared parts."""
    jobs = [(one, draws) for one in forecasts]
    workers = 1 if len(jobs) == 1 else workers  # one table is not copied to another process
    scores = side_by_side(measures.scores, jobs, workers)
    repaired = side_by_side(measures.repairs, jobs, workers)
    pairs = [measures.decomposition(one, draws) for one in forecasts]
    diagnosed = [measures.diagnoses(one) for one in forecasts]
    tables = {name: measures.stacked(found[name] for found in diagnosed) for name in diagnosed[0]}
    tables["repairs"] = measures.stacked(table for table, _ in repaired)
    tables["decomposition"] = measures.stacked(table for table, _ in pairs)
    rows = measures.stacked(scores)
    ranked = [part for one in forecasts for part in measures.ranked(one, draws)]
    if ranked:
        more, found = all_tables(ranked)
        rows, tables = pd.concat([rows, more], ignore_index=True), tables | found
    said = [
        (one.data, note)
        for one, own, both in zip(forecasts, repaired, pairs, strict=True)
        for note in (*one.notes, *own[1], *both[1])
    ]
    tables["notes"] = pd.DataFrame(said, columns=["data", "note"]).drop_duplicates()
    return Tables(rows, tables, {})


def run(config: Config, store: Store) -> Tables:
    """Read or forecast, then audit.

    Tables: ``bands``, ``pit``, ``reliability``, ``coverage``, ``repairs``, ``effects``, ``audit``,
    ``curves``, ``decomposition``, ``notes``; those that the input does not allow are
    left out. A ``ValueError`` names bad input and the remedy.
    """
    if config.source == "predictions":
        path = Path(str(config.predictions))
        table, notes = predictions.read(path, rename=config.rename, more=config.by)
        with placed(path, [*predictions.REQUIRED, *config.by], config.rename or {}):
            forecasts = [prepare(table, path.name.split(".")[0], config.by, notes)]
        marks = {forecasts[0].data: f"{len(table)} rows"}
    else:
        data, forecasts = network_forecasts(config.networks, store, config.by)
        marks = {assay.name: assay.fingerprint for assay in data}
    found = audit(forecasts, config.draws, config.workers)
    filled = {name: table for name, table in found.tables.items() if len(table)}
    return Tables(found.rows, filled, marks)


def derive(rows: pd.DataFrame, tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Of each value of ``bands`` where it ``lies``, empty without a band; and ``readings``.

    These are coverage and mean squared z of each part beside what was promised: ``below``,
    ``above`` or ``fits``, judged by the value's interval, which knows of relatives, or by the null
    band where there is no interval.
    """
    bands, keys, ends = tables["bands"], ["data", "part", "metric"], ["band_lower", "band_upper"]
    banded = np.isfinite(bands[ends]).all(axis=1)
    value, low, high = (bands[name] for name in ("value", *ends))
    lies = np.select([~banded, value < low, value > high], ["", "below", "above"], "within")
    whole = rows[(rows["by"] == "") & rows["metric"].isin(PROMISED)]
    part = (whole["shift"] + " " + whole["condition"]).str.strip()
    whole = whole.assign(part=part.replace("", "in distribution"))
    found = whole.merge(bands[banded][[*keys, *ends]], on=keys, how="left")
    wanted = found["metric"].map(PROMISED)
    known = np.isfinite(found[["lower", "upper"]]).all(axis=1)
    below = np.where(known, found["upper"] < wanted, found["value"] < found["band_lower"])
    above = np.where(known, found["lower"] > wanted, found["value"] > found["band_upper"])
    found["reading"] = np.select([below, above], ["below", "above"], "fits")
    return {"readings": found, "bands": bands.assign(lies=lies)}
