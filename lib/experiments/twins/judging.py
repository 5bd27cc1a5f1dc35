"""Networks of the real shifts fitted, and judged on what they are asked about.

In: networks and a store of finished fits. Out: :class:`Fitted`, and per network long tables, a row
per split: scores of every forecast (``scores``), what the measured noise explains of the errors and
whether the predicted aleatoric std allows for it (``noise``), scores under a paired shift after
each correction (``ladder``), and what repairs buy (``mitigation``): ``centring`` moves the forecast
so that its mean is that of the measurements it is judged on, an oracle and an upper bound for any
repair of the level; ``anchored`` maps it by the line through labels that the new condition shares
with the old one; ``few_shot`` (line and std), ``std_scaling`` (std alone) and ``norm_cp`` with
``k=`` learn from so many labelled elements.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lib.arrays import FloatArray, IndexArray
from lib.data.dataset import Result, SequenceDataset
from lib.experiments import repairs
from lib.experiments.assays import (
    BASELINES,
    baseline_forecast,
    baselines,
    fitting,
    forecasting,
    forecasts,
    scales,
    together,
)
from lib.experiments.scoring import Scored, score
from lib.experiments.twins.assays import HOME, Assays, barcode_std
from lib.experiments.twins.networks import MODEL, Network
from lib.experiments.twins.parts import FAMILIES, Asked
from lib.experiments.twins.severity import controls, law_pair, library_pair
from lib.metrics.scores import interval
from lib.repair.detection import density_ratio
from lib.repair.recalibration import Interval, std_scaling
from lib.statistics.noise import noise_account
from lib.statistics.paired import FEWEST, line_between
from lib.statistics.paired_ladder import forecast_ladder
from lib.study.units import Placement, Store, run_fits, run_units
from lib.training.fitted import EnsemblePrediction
from lib.training.units import Forecast

# Networks that stand beside the baselines on the same split; on the GC arms notebook 02 has them.
WITH_BASELINES = ("retina", "batch", "design", "plant")
METRICS = (
    *("rmse", "bias", "pearson_r", "r2_cod", "sd_target", "crps_gaussian", "crps_skill"),
    *("nll_gaussian", "zms", "zms_robust", "aurc"),
    *("picp_50", "picp_80", "picp_90", "picp_95", "mpiw_90"),
)
MOST_DRAWS = 300  # of intervals of each split but those of the scores; splits are pooled after
REPAIRED = frozenset(FAMILIES) - {"", "gc_tilt"}
REPAIRS = ("single", "std_scaling", "weighted_cp", "centring", "anchored", "few_shot", "norm_cp")
REPAIR_METRICS = ("picp_90", "mpiw_90", "interval_score_90", "within_tolerance")
TOLERANCE = 0.03  # of coverage, within which it counts as restored
GC_BINS = 5
Line = tuple[float, float]  # intercept and slope


class Fitted(NamedTuple):
    """A network, or an ensemble of them, after training.

    ``own`` are the members' forecasts of their own data, NaN on rows they have seen, ``foreign`` of
    the genotypes' elements; ``scale`` is a factor on the std and ``sigma`` a constant std, both
    from the calibration part.
    """

    network: Network
    own: list[Forecast]
    foreign: list[Forecast]
    scale: float
    sigma: float
    baselines: Result | None

    def members(self, asked: Asked) -> list[Forecast]:
        """The forecasts that a part reads."""
        return self.foreign if asked.foreign else self.own

    @property
    def names(self) -> dict[str, int]:
        """Columns of the rows of its split."""
        split = self.network.split
        return {"split_seed": split.seed, "n_train": len(split["train"])}


def fit_all(
    networks: Sequence[Network], elements: SequenceDataset, store: Store, where: Placement
) -> tuple[list[Fitted], dict[str, int]]:
    """Fit what is not fitted yet and forecast; how many fits there are and were computed.

    Networks that differ in their seed alone are one ensemble; those of the retina libraries are
    also asked about ``elements``, the genotypes'.
    """
    units = [fitting(each.config, each.data, each.split) for each in networks]
    fitted, counts = run_fits(units, store, where)
    own = forecasts(map(forecasting, fitted), store, where)
    abroad = [i for i, network in enumerate(networks) if network.kind == "retina"]
    asked = [forecasting(fitted[i], elements) for i in abroad]
    foreign = dict(zip(abroad, forecasts(asked, store, where), strict=True))
    groups: dict[tuple[Any, ...], list[int]] = {}
    for i, each in enumerate(networks):
        key = (each.kind, each.condition, each.split.seed, each.data.name)
        groups.setdefault(key, []).append(i)
    firsts = {group[0]: networks[group[0]] for group in groups.values()}
    beside = {
        index: baselines(each.data, each.split)
        for index, each in firsts.items()
        if each.kind in WITH_BASELINES or each.condition == HOME.name
    }
    results = run_units(list(beside.values()), store, where, "baselines")
    simple = dict(zip(beside, results, strict=True))
    found = []
    for group in groups.values():
        first, members = networks[group[0]], [own[i] for i in group]
        mixed = together(members)
        scale, sigma = scales(first, mixed.mean, mixed.std)
        others = [foreign[i] for i in group if i in foreign]
        found.append(Fitted(first, members, others, scale, sigma, simple.get(group[0])))
    return found, counts


def _forecasts(
    fitted: Fitted, asked: Asked, found: EnsemblePrediction
) -> Iterator[tuple[dict[str, Any], FloatArray, FloatArray]]:
    """Every forecast of a part, over all rows of its table."""
    members = fitted.members(asked)
    base = "ensemble" if len(members) > 1 else "single"
    if base == "ensemble":
        for seed, member in enumerate(members):
            yield {"uncertainty": "single", "seed": seed}, *member
    yield {"uncertainty": base}, found.mean, found.std
    if fitted.network.kind == "gc":
        return  # notebook 02 has the rest
    yield {"uncertainty": "std_scaling"}, found.mean, fitted.scale * found.std
    constant = np.full(len(found.mean), fitted.sigma)
    yield {"uncertainty": "constant_sigma"}, found.mean, constant
    if fitted.baselines is not None and not asked.foreign:
        for name in BASELINES:
            keys = {"model": name, "uncertainty": "single"}
            yield keys, *baseline_forecast(fitted.baselines, name)


def _places(fitted: Fitted, asked: Asked, mean: FloatArray) -> IndexArray:
    """Positions into the part: all of them, or resampled to resemble other elements.

    Likeness is in predicted activity and GC content, by an estimated density ratio.
    """
    n = len(asked.rows)
    if asked.like is None:
        return np.arange(n)
    gc = fitted.network.data.gc
    here, like = (np.column_stack([mean[rows], gc[rows]]) for rows in (asked.rows, asked.like))
    (ratio,) = density_ratio(here, like, here)
    rng = np.random.default_rng(fitted.network.split.seed)
    return np.sort(rng.choice(n, n, p=ratio / ratio.sum()))


def _scores(
    fitted: Fitted, asked: Asked, found: EnsemblePrediction, draws: int, seed: int
) -> Iterator[pd.DataFrame]:
    network = fitted.network
    train = network.data.activity[network.split["train"]]
    climatology = float(train.mean()), float(train.std())
    at = _places(fitted, asked, found.mean)
    own = {"split_seed": network.split.seed, "seed": None, "model": MODEL, "prior": "none"}
    for place, (keys, mean, std) in enumerate(_forecasts(fitted, asked, found)):
        chosen = asked.rows[at]
        columns = {"target": asked.target[at], "mean": mean[chosen], "std": std[chosen]}
        table = pd.DataFrame(columns | {"group": asked.group[at]})
        item = Scored(own | asked.keys | keys, table, len(train), climatology)
        rows = score(item, draws, seed + place)
        yield rows[rows["metric"].isin(METRICS)]


def _noise(
    fitted: Fitted, asked: Asked, found: EnsemblePrediction, draws: int
) -> Iterator[pd.DataFrame]:
    """By where the measured error comes from; elements of one barcode are left out there."""
    if asked.noise is None:
        return
    errors, table = {"barcodes": asked.noise}, fitted.network.data.metadata
    if "barcode_cv" in table and not asked.foreign:
        errors = {"replicates": asked.noise, "barcodes": barcode_std(table.iloc[asked.rows])}
    for source, error in errors.items():
        known = np.isfinite(error)
        rows, group = asked.rows[known], asked.group[known]
        if len(np.unique(group)) >= FEWEST:
            account = noise_account(
                found.mean[rows],
                found.std_aleatoric[rows],
                asked.target[known],
                error[known],
                group,
                np.random.default_rng(fitted.network.split.seed),
                draws=draws,
            )
            yield account.assign(**asked.keys, **fitted.names, errors=source)


def _ladder(
    assays: Assays, fitted: Fitted, asked: Asked, found: EnsemblePrediction, draws: int
) -> Iterator[pd.DataFrame]:
    """Under another genotype or promoter; the std is first scaled on the calibration part.

    What a rung closes is then shift and not ordinary overconfidence. The scrambled elements all
    serve as anchors: only their labels are read.
    """
    plain = not asked.condition.is_choice and not asked.condition.pool
    if asked.split != "shifted" or asked.shift not in ("genotype", "promoter") or not plain:
        return
    usable, control = assays.quantified, controls(assays)
    elements = asked.rows if asked.foreign else usable[asked.rows]
    chosen = np.union1d(elements, usable[control[usable]])
    pair = law_pair(assays, assays.law(asked.shift, asked.condition.name), chosen)
    mean, std = np.zeros(len(control)), np.ones(len(control))
    mean[elements], std[elements] = found.mean[asked.rows], fitted.scale * found.std[asked.rows]
    rng = np.random.default_rng(0)
    table = forecast_ladder(pair, mean[chosen], std[chosen], rng, draws=draws)
    yield table.assign(**asked.keys, **fitted.names, n=int((~pair.anchors).sum()))


def anchor_line(assays: Assays, fitted: Fitted, asked: Asked) -> Line | None:
    """The line of a part's condition on the old one, from labels it shares with it.

    A batch: labels of other origins than those judged. A genotype or promoter: the scrambled
    elements.
    """
    if asked.shift == "batch":
        labels, table = assays.labels, fitted.network.data.metadata
        judged_on = labels["origin"].isin(set(table["origin"].iloc[asked.rows]))
        pair = library_pair(labels[~judged_on], asked.condition.name, assays.first)
        rows = ~pair.anchors
    elif asked.shift in ("genotype", "promoter"):
        law = assays.law(asked.shift, asked.condition.name)
        pair = law_pair(assays, law, assays.quantified)
        rows = pair.anchors
    else:
        return None
    line = line_between(pair, rows) if rows.any() else (np.nan, np.nan)
    return line if np.isfinite(line).all() and line[1] > 0 else None


def worth_repairing(asked: Asked) -> bool:
    """Whether a part goes through the repairs: shifted, and of a promoter only the wild type."""
    plain = asked.shift != "promoter" or " " not in asked.condition.name
    wanted = asked.split == "shifted" and asked.shift in REPAIRED
    return wanted and plain and not asked.condition.is_choice


def _moved(part: pd.DataFrame, line: Line | None, scale: float) -> Iterator[repairs.Repaired]:
    """Repairs of the mean; the std is first scaled as the calibration part in distribution asks."""
    mean, std, target = repairs.triple(part)
    yield repairs.gaussian("centring", mean + (target.mean() - mean.mean()), scale * std)
    if line is not None:
        intercept, slope = line
        yield repairs.gaussian("anchored", intercept + slope * mean, slope * (scale * std))


def _from_labels(known: pd.DataFrame, rest: pd.DataFrame) -> Iterator[tuple[str, Interval]]:
    """As :func:`lib.experiments.repairs.from_labels`, and the std alone scaled."""
    yield from repairs.from_labels(known, rest)
    (mean, std, _), own = repairs.triple(rest), repairs.triple(known)
    scaled = std_scaling(*own).scale * std
    yield "std_scaling", Interval(*interval(mean, scaled, repairs.LEVEL))


def _mitigation(
    fitted: Fitted,
    asked: Asked,
    found: EnsemblePrediction,
    line: Line | None,
    budget: repairs.Budget,
    draws: int,
) -> pd.DataFrame:
    """What each repair makes of a part; the calibration part has one row per group."""
    data, home, rows = fitted.network.data, together(fitted.own), fitted.network.calibration
    own = {"target": data.activity[rows], "gc": data.gc[rows], "group": data.group[rows]}
    held = pd.DataFrame({"mean": home.mean[rows], "std": home.std[rows], **own})
    own = {"target": asked.target, "gc": asked.gc, "group": asked.group}
    part = pd.DataFrame({"mean": found.mean[asked.rows], "std": found.std[asked.rows], **own})
    every = chain(repairs.calibrated(held, part, GC_BINS), _moved(part, line, fitted.scale))
    known = repairs.judged((each for each in every if each.uncertainty in REPAIRS), part)
    seed = fitted.network.split.seed
    more = repairs.labelled(part, budget, np.random.default_rng([seed, 3]), repairs=_from_labels)
    values = repairs.averages(known | more, asked.group, draws, seed)
    values = values[values["metric"].isin(REPAIR_METRICS) & (values["by"] == "")]
    return values.assign(**asked.keys, **fitted.names)


def judge(
    assays: Assays,
    fitted: Fitted,
    asked: Sequence[Asked],
    lines: Sequence[Line | None],
    budget: repairs.Budget,
    draws: int,
    seed: int,
) -> dict[str, list[pd.DataFrame]]:
    """Tables ``scores, noise, ladder, mitigation`` of one network, piece by piece.

    ``lines`` are those of :func:`anchor_line`, one per part.
    """
    tables: dict[str, list[pd.DataFrame]] = {"scores": [], "noise": [], "ladder": []}
    tables["mitigation"] = []
    fewer = min(draws, MOST_DRAWS)
    mixed = {False: together(fitted.own)}
    if fitted.foreign:
        mixed[True] = together(fitted.foreign)
    for part, line in zip(asked, lines, strict=True):
        found = mixed[part.foreign]
        tables["scores"] += _scores(fitted, part, found, draws, seed)
        tables["noise"] += _noise(fitted, part, found, fewer)
        tables["ladder"] += _ladder(assays, fitted, part, found, fewer)
        if worth_repairing(part):
            tables["mitigation"].append(_mitigation(fitted, part, found, line, budget, fewer))
    return tables
