"""What the networks of a simulated world found: sites, occupancies, and whether they agree.

In: finished networks of a world and conditions. Out: stored units. A shift that leaves the
sequences as they are leaves the scores too; what may change is which sites have an effect.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from lib.data.dataset import FloatArray, IndexArray
from lib.experiments.sim_arms import TEST_SEED, Arm, Condition, test_data, world_of
from lib.metrics.scores import r2_cod
from lib.models import build
from lib.models.baselines import feature_ridge
from lib.motifs.binding import scan, score_threshold
from lib.sequences import Codes
from lib.simulator import planted_sites
from lib.simulator.activity import Program, responses
from lib.simulator.assay import Assay
from lib.simulator.sample import known_truth
from lib.simulator.shifts import ACTIVE, apply
from lib.study.units import Result, Stored, Unit
from lib.training.attribution import (
    SCORERS,
    BoolArray,
    agreement,
    auprc_sites,
    cover,
    gradient_input,
)
from lib.training.batches import one_thread
from lib.training.fitted import FittedModel, embed, predict

CHANCE_P_VALUE: Final = 1e-4  # at which a window passes for a site
EXAMPLES = 2  # elements whose scores are shown position by position
MEASURES: Final = ("auprc_sites", "auprc_base")


class Sites(NamedTuple):
    """Where the truth lies.

    Attributes
    ----------
    codes : (n, L) uint8 array
    sites : (n, L) bool array
        In a planted site of a motif that acts.
    masked : (n, L) bool array
        In a site that stands there by chance, or a planted one whose motif does not act.
    table : DataFrame
        ``element, motif, start, end, strand`` of the planted sites of motifs that act.
    """

    codes: Codes
    sites: BoolArray
    masked: BoolArray
    table: pd.DataFrame


def active_motifs(program: Program) -> BoolArray:
    """Which motifs act: those whose coefficient is at least ``ACTIVE``, (m,)."""
    return np.asarray(np.abs(program.coefficients[: len(program.motifs)]) >= ACTIVE)


@lru_cache(maxsize=16)
def true_sites(world_seed: int, condition: Condition, n: int) -> Sites:
    """Sites with an effect in the first ``n`` test elements of a world under a condition."""
    world = world_of(world_seed)
    shifts = condition.shifts(world)
    program = apply(shifts, world, Assay()).program
    codes = test_data(world_seed, condition, n).codes
    planted = planted_sites(world, n, TEST_SEED, shift=shifts)
    active = active_motifs(program)
    names = [pwm.name for pwm in program.motifs]
    acting = planted["motif"].isin([name for name, acts in zip(names, active, strict=True) if acts])
    shape = (len(codes), codes.shape[1])

    def covered(table: pd.DataFrame) -> BoolArray:
        return cover(shape, table["element"], table["start"], table["end"])

    motifs = [pwm for pwm, acts in zip(program.motifs, active, strict=True) if acts]
    cutoff = np.array([score_threshold(pwm, CHANCE_P_VALUE) for pwm in motifs])
    hits = scan(codes, motifs, cutoff)
    width = np.array([pwm.width for pwm in motifs])[hits["motif"]]
    sites = covered(planted[acting])
    others = covered(planted[~acting]) | covered(hits.assign(end=hits["start"] + width))
    return Sites(codes, sites, others & ~sites, planted[acting])


def _sequences(condition: Condition) -> Condition:
    return condition if condition.moves_sequences else Condition()


def _network(stored: Stored) -> FittedModel:
    return FittedModel.from_arrays(stored.result.arrays, stored.result.meta)


def sites_unit(config: Mapping[str, Any], model: Stored) -> Result:
    """Areas against the sites under each condition, and the scores of the first elements.

    Arrays: ``values`` (conditions, methods, 2): :data:`MEASURES`; ``examples`` (methods, elements,
    L) in distribution.
    """
    network, world_seed, n = _network(model), config["world_seed"], config["n"]
    conditions = [Condition(**fields) for fields in config["conditions"]]
    scores = {}
    for at in dict.fromkeys(map(_sequences, conditions)):
        codes = true_sites(world_seed, at, n).codes
        scores[at] = {name: score(network, codes) for name, score in SCORERS.items()}
    values = []
    for condition in conditions:
        truth = true_sites(world_seed, condition, n)
        found = scores[_sequences(condition)].values()
        values.append([auprc_sites(score, truth.sites, truth.masked) for score in found])
    examples = np.stack([score[:EXAMPLES] for score in scores[Condition()].values()])
    return Result({"values": np.array(values), "examples": examples})


def untrained(model: FittedModel) -> FittedModel:
    """The same network before its training, as its seed draws it."""
    with one_thread(model.config.seed):
        network = build(model.config.model, model.length, **model.config.model_options)
        state = {name: value.numpy() for name, value in network.state_dict().items()}
    return replace(model, state=state)


def probe(embedding: FloatArray, occupancy: FloatArray, parts: Sequence[IndexArray]) -> FloatArray:
    """R² of a linear probe for each motif's response, on the third part, ``(m,)``.

    Parameters
    ----------
    embedding : (n, d) array
    occupancy : (n, m) array
    parts : three int arrays
        Rows to fit on, to choose the penalty on, and to judge on.
    """
    train, validation, test = parts
    found = []
    for column in occupancy.T:
        forecast = feature_ridge(embedding, column, train, validation).mean
        found.append(r2_cod(forecast[test], column[test]))
    return np.array(found)


def probe_unit(config: Mapping[str, Any], model: Stored) -> Result:
    """R² of each motif's response read off the embedding, trained and before training.

    Arrays: ``values`` (2, m) and ``coefficient`` (m,).
    """
    network, n = _network(model), config["n"]
    world = world_of(config["world_seed"])
    codes = test_data(config["world_seed"], Condition(), 2 * n).codes
    motifs = len(world.program.motifs)
    occupancy = responses(codes, world.program)[:, :motifs]
    parts = np.split(np.arange(2 * n), [n, n + n // 4])
    values = [
        probe(embed(each, codes).astype(float), occupancy, parts)
        for each in (network, untrained(network))
    ]
    return Result({"values": np.array(values), "coefficient": world.program.coefficients[:motifs]})


def warning_signs(
    networks: Sequence[FittedModel], codes: Codes, target: FloatArray
) -> dict[str, float]:
    """How far networks agree on an element, and what their disagreement says of the error.

    Returns
    -------
    dict
        ``agreement``: mean over elements of the correlation between the networks' scores.
        ``disagreement_error``: rank correlation of its negative with the error of the networks'
        mean. ``spread_error``: the same of the s.d. of their forecasts, which costs no gradient.
    """
    means = np.stack([predict(network, codes)[0] for network in networks])
    agreed = agreement([gradient_input(network, codes) for network in networks])
    error = np.abs(means.mean(axis=0) - target)
    known = np.isfinite(agreed)
    return {
        "agreement": float(agreed[known].mean()),
        "disagreement_error": float(spearmanr(-agreed[known], error[known]).statistic),
        "spread_error": float(spearmanr(means.std(axis=0), error).statistic),
    }


SIGNS: Final = ("agreement", "disagreement_error", "spread_error")


def agreement_unit(config: Mapping[str, Any], **models: Stored) -> Result:
    """:data:`SIGNS` of a world's networks under each condition: ``values`` (conditions, 3)."""
    networks = [_network(model) for _, model in sorted(models.items())]
    values = []
    for fields in config["conditions"]:
        test = test_data(config["world_seed"], Condition(**fields), config["n"])
        found = warning_signs(networks, test.codes, known_truth(test).activity)
        values.append([found[name] for name in SIGNS])
    return Result({"values": np.array(values)})


def _config(world_seed: int, conditions: Sequence[Condition], n: int) -> dict[str, Any]:
    return {"world_seed": world_seed, "conditions": [asdict(at) for at in conditions], "n": n}


def finding_sites(
    arm: Arm, conditions: Sequence[Condition], n: int, fit: Unit, result: Result
) -> Unit:
    """The unit that scores a finished network against the sites."""
    config = _config(arm.world_seed, conditions, n)
    return Unit(sites_unit, config, {"model": Stored(result, fit.key)}, fit.modules)


def probing(arm: Arm, n: int, fit: Unit, result: Result) -> Unit:
    """The unit that reads occupancies off a finished network's embedding."""
    config = {"world_seed": arm.world_seed, "n": n}
    return Unit(probe_unit, config, {"model": Stored(result, fit.key)}, fit.modules)


def agreeing(
    world_seed: int,
    conditions: Sequence[Condition],
    n: int,
    fits: Mapping[str, tuple[Unit, Result]],
) -> Unit:
    """The unit that compares the scores of a world's networks, named by their model."""
    given = {name: Stored(result, unit.key) for name, (unit, result) in fits.items()}
    modules = tuple(dict.fromkeys(module for unit, _ in fits.values() for module in unit.modules))
    return Unit(agreement_unit, _config(world_seed, conditions, n), given, modules)


def example_table(world_seed: int, n: int, scores: FloatArray) -> pd.DataFrame:
    """Scores of the first elements position by position, with the site each lies in.

    Parameters
    ----------
    scores : (methods, elements, L) array
        As :func:`sites_unit` gives them, in the order of ``SCORERS``.
    """
    truth = true_sites(world_seed, Condition(), n)
    tables = []
    for element in range(scores.shape[1]):
        motif = np.full(scores.shape[2], "", object)
        for site in truth.table[truth.table["element"] == element].itertuples():
            motif[site.start : site.end] = str(site.motif)
        columns = {name: scores[place, element] for place, name in enumerate(SCORERS)}
        table = pd.DataFrame({"position": np.arange(scores.shape[2])} | columns)
        tables.append(table.assign(element=element, code=truth.codes[element], motif=motif))
    return pd.concat(tables, ignore_index=True)
