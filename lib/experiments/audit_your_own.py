"""Any model's predictions under the audit that the book gives its own.

In: :class:`Config`, which names a table of predictions, or an assay to train on, or neither: then
the networks of notebook 02 are audited and must give the numbers of that notebook. Out:
:class:`Tables`. What a table does not hold switches a section off and a note on.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, NamedTuple

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from pydantic import BeforeValidator, Field

from lib.experiments import mpra_gc_ood
from lib.experiments.audit_measures import diagnoses, scores, selective
from lib.experiments.audit_networks import forecasts as network_forecasts
from lib.experiments.audit_networks import shift_name, with_conditions
from lib.experiments.audit_pairs import decomposition
from lib.experiments.audit_reading import as_rename, read
from lib.experiments.audit_repairs import detection, repairs
from lib.experiments.audit_table import Forecasts, prepare
from lib.experiments.scoring import combine
from lib.experiments.selective_tables import all_tables
from lib.study.config import AnyNames, ExperimentConfig, Numbers, ParameterError, Seeds
from lib.study.found import Tables
from lib.study.units import Store, cores
from lib.training.config import FitConfig

CHAPTER = "mpra_gc_ood"
COMPARED = ["metric", "by", "bin", "value", "lower", "upper", "n"]

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


class _Measured(NamedTuple):
    """Tables of one :class:`Forecasts`."""

    rows: pd.DataFrame
    repairs: pd.DataFrame
    notes: list[str]


def _measure(forecasts: Forecasts, draws: int) -> _Measured:
    repaired, notes = repairs(forecasts, draws)
    return _Measured(scores(forecasts, draws), repaired, [*forecasts.notes, *notes])


def _stacked(tables: Iterable[pd.DataFrame]) -> pd.DataFrame:
    kept = [table for table in tables if len(table)]
    return pd.concat(kept, ignore_index=True) if kept else pd.DataFrame()


def _combined(rows: pd.DataFrame) -> pd.DataFrame:
    """Pool the splits of each data set, which may have been split differently often."""
    if rows.empty:
        return rows
    return _stacked(combine(part) for _, part in rows.groupby("data", sort=False))


def audit(forecasts: Sequence[Forecasts], draws: int, workers: int | None = 1) -> Tables:
    """Every table of the audit.

    Parameters
    ----------
    forecasts : sequence of Forecasts
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
    side_by_side = min(len(forecasts), cores() if workers is None else workers)
    parallel = Parallel(n_jobs=side_by_side)
    measured = list(parallel(delayed(_measure)(one, draws) for one in forecasts))
    first: dict[str, Forecasts] = {}
    said: list[tuple[str, str]] = []
    for one, found in zip(forecasts, measured, strict=True):
        if one.data not in first:
            first[one.data] = one
            said += [(one.data, note) for note in found.notes]
    tables: dict[str, pd.DataFrame] = {}
    diagnosed = [diagnoses(one) for one in first.values()]
    for name in diagnosed[0]:
        tables[name] = _stacked(found[name] for found in diagnosed)
    tables["repairs"] = _combined(_stacked(found.repairs for found in measured))
    for name, function in (
        ("detection", detection),
        ("decomposition", lambda one: decomposition(one, draws)),
    ):
        answers = [(one.data, *function(one)) for one in first.values()]
        tables[name] = _stacked(table for _, table, _ in answers)
        said += [(data, note) for data, _, notes in answers for note in notes]
    judged = [part for one in forecasts for part in selective(one, draws)]
    rows = _combined(_stacked(found.rows for found in measured))
    if judged:
        ranked, more = all_tables(judged)
        no_gc = {name for name, one in first.items() if "gc" not in one.table}
        ranked, *others = (_without_gc(table, no_gc) for table in (ranked, *more.values()))
        rows = pd.concat([rows, ranked], ignore_index=True)
        tables |= dict(zip(more, others, strict=True))
    else:
        tables |= {name: pd.DataFrame() for name in ("effects", "audit", "curves", "rejected")}
    tables["notes"] = pd.DataFrame(said, columns=["data", "note"]).drop_duplicates()
    return Tables(rows, tables, {}, False)


def _without_gc(table: pd.DataFrame, data: set[str]) -> pd.DataFrame:
    """Leave out what stands in for the GC distance where no GC content is known."""
    if not data or table.empty:
        return table
    drop = pd.Series(False, table.index)
    for column in {"score", "bin", "curve"} & set(table.columns):
        drop |= table[column] == "gc_distance"
    if "column" in table:
        drop |= table["column"] == "GC"
    return table[~(drop & table["data"].isin(data))].reset_index(drop=True)


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


def _inputs(config: Config, store: Store) -> tuple[list[Forecasts], dict[str, str], dict[str, int]]:
    """What is audited; for the manifest, its data and how many fits there are."""
    if config.predictions is not None and config.source == "predictions":
        path = Path(config.predictions)
        table, notes = read(path, config.rename, config.by)
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
        ``curves``, ``rejected``, ``detection``, ``decomposition``, ``notes`` and, for the networks
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
    standin = config.source != "predictions" and mpra_gc_ood.STANDIN in data
    return Tables.of(config, rows, filled, data=data, counts=counts, standin=standin)
