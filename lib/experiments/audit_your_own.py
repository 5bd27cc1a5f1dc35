"""Any model's predictions under the audit that the book gives its own.

In: :class:`Config`, which names a table of predictions, or an assay to train on, or neither: then
the networks of notebook 02 are audited and must give the numbers of that notebook. Out:
:class:`Tables`. What a table does not hold switches a section off and a note on.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from pydantic import BeforeValidator, Field

from lib.data import predictions
from lib.data.dataset import SequenceDataset
from lib.experiments import audit_measures as measures
from lib.experiments import mpra_gc_ood
from lib.experiments.assays import STANDIN, FittedArm, fit_arms
from lib.experiments.audit_table import Audited, prepare
from lib.experiments.gc_tables import gc_deciles
from lib.experiments.ranking_tables import all_tables
from lib.experiments.scoring import combine
from lib.study.config import AnyNames, ExperimentConfig, Numbers, ParameterError, Seeds
from lib.study.found import Tables
from lib.study.units import Store, cores
from lib.training.config import FitConfig

TILT = "gc_tilt"  # a label of the audit for what notebook 02 keys by shift and condition
CHAPTER = "mpra_gc_ood"
COMPARED = ["metric", "by", "bin", "value", "lower", "upper", "n"]


def as_rename(given: object) -> dict[str, str] | None:
    """Column names, theirs to ours, from a mapping, its JSON, or ``"theirs=ours,theirs=ours"``.

    Raises
    ------
    ValueError
        For text that is neither.

    Examples
    --------
    >>> as_rename("y=target, y_hat=mean")
    {'y': 'target', 'y_hat': 'mean'}
    """
    if given is None or given == "":
        return None
    content: Any = given
    if isinstance(given, str):
        try:
            content = json.loads(given)
        except json.JSONDecodeError:
            pairs = [part.split("=") for part in given.split(",")]
            if all(len(pair) == 2 for pair in pairs):
                content = {theirs.strip(): ours.strip() for theirs, ours in pairs}
    if not isinstance(content, Mapping):
        raise ValueError(f"rename is {given!r}; 'theirs=ours,theirs=ours' would do")
    return {str(theirs): str(ours) for theirs, ours in content.items()}


Rename = Annotated[dict[str, str] | None, BeforeValidator(as_rename)]


class Config(ExperimentConfig):
    """Parameters of notebook 08.

    Attributes
    ----------
    predictions : str or None
        A table of predictions: CSV, TSV (also gzipped) or Parquet with the columns ``id, target,
        mean, std`` and optional ones, see :mod:`lib.data.predictions`.
    rename : mapping or None
        Their column names to ours; as text ``"theirs=ours,theirs=ours"``. Of ``table``, ours are
        ``sequence, activity, noise, group`` and ``weight``.
    by : tuple of str
        Further columns of the table to ask coverage by.
    table : str or None
        Instead, a file of sequences and activities to train on; its columns are named by the
        parameters after it, see :mod:`lib.data.table`.
    dataset : str or None
        Instead, names of :func:`lib.assays.names` or ``standin``, comma-separated.
    model : str or None
        The network trained on either: a name of :data:`lib.models.MODELS`, or
        ``"package.module:Class"``.
    gc_tilts, split_seeds, seeds, standin_size
        As in :class:`lib.experiments.mpra_gc_ood.Config`.
    epochs, batch_size, learning_rate
        See :class:`lib.training.config.FitConfig`.
    """

    experiment: ClassVar[str] = "audit_your_own"
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = {
        "smoke": {"epochs": 1, "standin_size": 600, "draws": 100},
        "quick": {"epochs": 5},
        "full": {"split_seeds": (0, 1, 2, 3, 4), "seeds": (0, 1, 2, 3, 4)},
    }

    predictions: str | None = None
    rename: Rename = None
    by: AnyNames = ()
    table: str | None = None
    sequence_column: str = "sequence"
    activity_column: str = "activity"
    noise_column: str | None = None
    group_column: str | None = None
    weight_column: str | None = None
    oriented: bool = False
    dataset: str | None = None
    model: str | None = None
    gc_tilts: Numbers = (0.5, 1.0, 1.5)
    split_seeds: Seeds = (0,)
    seeds: Seeds = (0, 1)
    epochs: int = Field(default=FitConfig().epochs, ge=1, le=10_000)
    batch_size: int = Field(default=FitConfig().batch_size, ge=2, le=65_536)
    learning_rate: float = Field(default=FitConfig().learning_rate, gt=0, le=1)
    standin_size: int = Field(default=6000, ge=200, le=1_000_000)

    @property
    def source(self) -> str:
        """``predictions``, ``network`` (trained here) or ``chapter`` (those of notebook 02).

        Raises
        ------
        ParameterError
            For more than one way in.
        """
        given = [name for name in ("predictions", "table", "dataset") if getattr(self, name)]
        if len(given) > 1:
            raise ParameterError(f"give one of {', '.join(given)}, not {len(given)}")
        if self.predictions and self.model:
            raise ParameterError("model is trained on table or dataset; predictions need none")
        if self.predictions:
            return "predictions"
        return "network" if given or self.model else "chapter"

    @property
    def networks(self) -> mpra_gc_ood.Config:
        """The fits of notebook 02 that are audited, or others set up in the same way."""
        placed = {name: getattr(self, name) for name in self.placement - {"run_folder"}}
        if self.source == "chapter":
            # Its every parameter: the bootstrap is seeded by the place among all its forecasts.
            return mpra_gc_ood.Config.create(profile=self.profile, draws=self.draws, **placed)
        shared = ("gc_tilts", "split_seeds", "seeds", "epochs", "batch_size", "learning_rate")
        columns = [name for name in type(self).model_fields if name.endswith("_column")]
        more = (*shared, *columns, "table", "dataset", "model", "oriented", "standin_size", "draws")
        given = {name: getattr(self, name) for name in more}
        if self.table is not None:
            given |= {f"{ours}_column": theirs for theirs, ours in (self.rename or {}).items()}
        return mpra_gc_ood.Config.create(arm=("group", "tilt"), **given, **placed)


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


def _of_network(fitted: FittedArm, seeds: Mapping[str, int], model: str) -> Audited:
    """The group arm of one split; ``seeds`` are those of the bootstrap of its parts."""
    data, split, own = fitted.arm.data, fitted.arm.split, fitted.forecast
    every = predictions.of_elements(data, own.mean, own.std).assign(gc_decile=gc_deciles(data))
    if len(fitted.members) > 1:
        every = every.assign(std_aleatoric=own.std_aleatoric, std_epistemic=own.std_epistemic)
    pieces = [every.iloc[split["calibration"]].assign(split="calibration", shift="")]
    severity = {}
    for part in fitted.arm.parts:
        name = shift_name(part.shift, part.condition)
        pieces.append(every.iloc[part.rows].assign(split=part.split, shift=name))
        severity[name] = float(str(part.keys["severity"]))
    home = every["target"].iloc[split["train"]]
    return prepare(
        pd.concat(pieces, ignore_index=True),
        data.name,
        by=("gc_decile",),
        model=model,
        uncertainty=fitted.uncertainty,
        split_seed=split.seed,
        n_train=len(home),
        climatology=(float(home.mean()), float(home.std(ddof=0))),
        seeds=seeds,
        severity=severity,
    )


def network_forecasts(
    config: mpra_gc_ood.Config, store: Store
) -> tuple[list[SequenceDataset], list[Audited], dict[str, int]]:
    """Networks of notebook 02, or others trained in the same way, as forecasts to audit.

    Fits and forecasts are the stored units of notebook 02, and so is the seed of every bootstrap:
    where nothing else is asked for, the audit gives the numbers of that notebook.

    Returns
    -------
    data : list of SequenceDataset
    forecasts : list of Audited
        By data set, then by split.
    counts : dict of str to int
        ``fits`` and, of these, ``fits_computed`` now.
    """
    data = mpra_gc_ood.load_data(config)
    design = config.design
    fitted, counts = fit_arms(design.build(data), design, store, config.where)
    others, more = mpra_gc_ood.fit_others(config, fitted, store)
    found, place = [], 0
    for arm, named in zip(fitted, others, strict=True):
        seeds = {}
        for item in mpra_gc_ood.scored_items(arm, named, config):
            own = item is not None and (item.keys["model"], item.keys["uncertainty"])
            if own == (config.model, arm.uncertainty):
                seeds[shift_name(item.keys["shift"], item.keys["condition"])] = place
            place += 1
        if arm.arm.main:
            found.append(_of_network(arm, seeds, config.model))
    return data, found, {name: counts[name] + more[name] for name in counts}


def _stacked(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    kept = [table for table in tables if len(table)]
    return pd.concat(kept, ignore_index=True) if kept else pd.DataFrame()


def _combined(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    """Pool the splits of each data set, which may have been split differently often."""
    rows = _stacked(tables)
    if rows.empty:
        return rows
    return _stacked(combine(part) for _, part in rows.groupby("data", sort=False))


def audit(forecasts: Sequence[Audited], draws: int, workers: int | None = 1) -> Tables:
    """Every table of the audit.

    Parameters
    ----------
    forecasts : sequence of Audited
        By data set; several of one data set are repeats, and pooled. Bins, curves and tests are
        those of the first of each.
    draws : int
        Of the bootstrap.
    workers : int or None
        Forecasts measured side by side; all cores by default.

    Returns
    -------
    Tables
        With an empty ``entry``.
    """
    parallel = Parallel(n_jobs=min(len(forecasts), cores() if workers is None else workers))
    measured = list(parallel(delayed(measures.scores)(one, draws) for one in forecasts))
    repaired = list(parallel(delayed(measures.repairs)(one, draws) for one in forecasts))
    first = {one.data: place for place, one in reversed([*enumerate(forecasts)])}
    notes = {data: list(forecasts[place].notes) for data, place in first.items()}
    places = sorted(first.values())
    answers = {
        "repairs": repaired,
        "detection": {place: measures.detection(forecasts[place]) for place in places},
        "decomposition": {
            place: measures.decomposition(forecasts[place], draws) for place in places
        },
    }
    diagnosed = [measures.diagnoses(forecasts[place]) for place in places]
    tables = {name: _stacked(found[name] for found in diagnosed) for name in diagnosed[0]}
    tables["repairs"] = _combined(table for table, _ in repaired)
    for name in ("detection", "decomposition"):
        tables[name] = _stacked(answers[name][place][0] for place in places)
    rows = _combined(measured)
    ranked = [part for one in forecasts for part in measures.ranked(one, draws)]
    if ranked:
        more, found = all_tables(ranked)
        rows = pd.concat([rows, more], ignore_index=True)
        tables |= {name: found[name] for name in ("effects", "audit", "curves")}
    for answer in answers.values():
        for place in places:
            notes[forecasts[place].data] += answer[place][1]
    said = [(data, note) for data, own in notes.items() for note in own]
    tables["notes"] = pd.DataFrame(said, columns=["data", "note"]).drop_duplicates()
    return Tables(rows, tables, {}, False)


def chapter_rows(rows: pd.DataFrame, chapter: pd.DataFrame) -> pd.DataFrame:
    """The audit's rows beside those of notebook 02.

    Parameters
    ----------
    rows : DataFrame
        Combined rows of the audit.
    chapter : DataFrame
        Results of notebook 02 as its file holds them, or as they were before.

    Returns
    -------
    DataFrame
        ``data, part, metric, by, bin`` with ``value, lower, upper, n`` as ``audit_*`` and
        ``chapter_*`` text of five significant digits, and ``equal``.
    """
    chapter = chapter.copy()
    for name in ("shift", "condition", "by", "bin"):
        chapter[name] = chapter[name].fillna("").astype(str)
    whole = chapter["seed"].isna() & chapter["split_seed"].isna()
    chapter = chapter[whole & chapter["split"].isin(["test", "shifted"])]
    sides = []
    for side in (rows, chapter):
        names = zip(side["shift"], side["condition"], strict=True)
        text = side.assign(part=[shift_name(*pair) for pair in names])[
            ["data", "part", "model", "uncertainty", *COMPARED]
        ].copy()
        for name in ("value", "lower", "upper"):
            text[name] = [f"{value:.5g}" for value in text[name].astype(float)]
        text["n"] = text["n"].round().astype(int).astype(str)
        sides.append(text)
    keyed = ["data", "part", "model", "uncertainty", "metric", "by", "bin"]
    both = sides[0].merge(sides[1], on=keyed, suffixes=("_audit", "_chapter"))
    values = ("value", "lower", "upper", "n")
    both["equal"] = np.all([both[f"{v}_audit"] == both[f"{v}_chapter"] for v in values], axis=0)
    return both


def _read_chapter(config: Config) -> pd.DataFrame | None:
    """Results of notebook 02 at this profile: of the same run, else the published ones."""
    places = [config.folder / f"{CHAPTER}.csv"]
    if config.profile == "full":
        places.append(Path(__file__).resolve().parents[2] / "results" / f"{CHAPTER}.csv")
    for path in places:
        if path.is_file():
            return pd.read_csv(path)
    return None


def _inputs(config: Config, store: Store) -> tuple[list[Audited], dict[str, str], dict[str, int]]:
    """What is audited; for the manifest, its data and how many fits there are."""
    if config.predictions is not None and config.source == "predictions":
        path = Path(config.predictions)
        table, notes = predictions.read(path, rename=config.rename, more=config.by)
        name = path.name.split(".")[0]
        found = [prepare(table, name, config.by, notes)]
        return found, {found[0].data: f"{len(table)} rows"}, {}
    data, found, counts = network_forecasts(config.networks, store)
    return found, {assay.name: assay.fingerprint for assay in data}, counts


def run(config: Config, store: Store) -> Tables:
    """Read or forecast, then audit.

    Parameters
    ----------
    config : Config
    store : Store
        Where finished fits lie.

    Returns
    -------
    Tables
        With ``bands``, ``pit``, ``reliability``, ``coverage``, ``repairs``, ``effects``, ``audit``,
        ``curves``, ``detection``, ``decomposition``, ``notes`` and, for the networks
        of notebook 02, ``chapter``; those that the input does not allow are left out.

    Raises
    ------
    ValueError
        For bad input, naming it and the remedy.
    """
    forecasts, data, counts = _inputs(config, store)
    found = audit(forecasts, config.draws, config.workers)
    # A user's own shift keeps its name whole.
    rows = found.rows if config.source == "predictions" else with_conditions(found.rows)
    tables = dict(found.tables)
    chapter = _read_chapter(config) if config.source == "chapter" else None
    if chapter is not None:
        tables["chapter"] = chapter_rows(rows, chapter)
    filled = {name: table for name, table in tables.items() if len(table)}
    standin = config.source != "predictions" and STANDIN in data
    return Tables.of(config, rows, filled, data=data, counts=counts, standin=standin)
