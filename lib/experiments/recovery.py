"""Do networks look where activity is made, and do they agree on where they look?

In: finished networks. Out: measures of a world (:mod:`lib.experiments.worlds`): areas against the
sites that act, agreement of networks; and the unit of an assay:
known motifs beside the same matrices with their positions in random order, which hold as much
information and no biology. A shift that leaves the sequences as they are leaves the scores too;
what may change is which sites have an effect.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.stats import spearmanr

from lib.arrays import BoolArray, FloatArray, group_codes
from lib.assays.sources import fetch
from lib.data.dataset import Result, SequenceDataset, Stored
from lib.data.splits import Split
from lib.experiments.worlds import TEST_SEED, Condition, Judge, test_data, world_of
from lib.metrics.columns import bootstrap_totals, draw_variance, group_totals
from lib.motifs.binding import scan, score_threshold
from lib.motifs.pwm import PWM, jaspar, make_pwm, read_meme
from lib.sequences import Codes
from lib.simulator import planted_sites
from lib.simulator.activity import Program
from lib.simulator.assay import Assay
from lib.simulator.programs import MOTIFS
from lib.simulator.sample import known_truth
from lib.simulator.shifts import ACTIVE, apply
from lib.training import attribution
from lib.training.attribution import cover, gradient_input
from lib.training.fit import network_of
from lib.training.fitted import FittedModel, predict

CHANCE_P_VALUE: Final = 1e-4  # at which a window passes for a site
SITE_P_VALUE: Final = 1e-3  # the same on assays: core promoters are short, few windows reach 1e-4
SHUFFLES: Final = 5
LEAST_SITES: Final = 10  # below it nothing is printed
EXAMPLES: Final = 2  # elements whose scores are shown position by position
PUBLISHED: Final[Mapping[str, tuple[str, str]]] = {
    "plant_leaf": ("plant", "data/misc/CPEs.meme"),
    "retina_libraries": ("retina", "Library_Details/photoreceptorAndEnrichedMotifs.meme"),
}


class Sites(NamedTuple):
    """Where the truth lies, (n, L) each.

    ``sites``: in a planted site of a motif that acts, as ``table`` lists them. ``masked``: in a
    site that stands there by chance, or a planted one whose motif does not act.
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
    acts = active_motifs(program)
    motifs = [pwm for pwm, active in zip(program.motifs, acts, strict=True) if active]
    acting = planted["motif"].isin([pwm.name for pwm in motifs])
    hits = scan(codes, motifs, np.array([score_threshold(pwm, CHANCE_P_VALUE) for pwm in motifs]))
    width = np.array([pwm.width for pwm in motifs])[hits["motif"]]
    tables = planted[acting], planted[~acting], hits.assign(end=hits["start"] + width)
    sites, idle, chance = (
        cover(codes.shape, table["element"], table["start"], table["end"]) for table in tables
    )
    return Sites(codes, sites, (idle | chance) & ~sites, planted[acting])


def areas(judge: Judge, condition: Condition) -> dict[str, pd.DataFrame]:
    """Area of each method and its base; ``examples``, scores of the first elements, at home."""
    truth = true_sites(judge.arm.world_seed, condition, judge.sizes.test)
    scores: dict[str, FloatArray] = judge.kept(
        ("scores", condition.sequences),
        lambda: {
            name: score(judge.network(), truth.codes) for name, score in attribution.SCORERS.items()
        },
    )
    found = {
        name: attribution.auprc_sites(score, truth.sites, truth.masked)
        for name, score in scores.items()
    }
    wide = pd.DataFrame(found, index=pd.Index(["auprc_sites", "auprc_base"], name="metric"))
    tables = {"areas": wide.reset_index().melt("metric", var_name="method")}
    if condition == Condition():
        tables["examples"] = pd.concat(_examples(truth, scores))
    return tables


def _examples(truth: Sites, scores: Mapping[str, FloatArray]) -> Iterator[pd.DataFrame]:
    """Scores of the first elements position by position, with the site each lies in."""
    for element, codes in enumerate(truth.codes[:EXAMPLES]):
        motif = np.full(len(codes), "", object)
        for site in truth.table[truth.table["element"] == element].itertuples():
            motif[site.start : site.end] = str(site.motif)
        columns = {"position": np.arange(len(codes)), "code": codes, "motif": motif}
        columns |= {name: score[element] for name, score in scores.items()}
        yield pd.DataFrame(columns).assign(element=element)


def warning_signs(
    networks: Sequence[FittedModel], codes: Codes, target: FloatArray
) -> pd.DataFrame:
    """How far networks agree on an element, and what their disagreement says of the error.

    ``agreement``: mean over elements of the correlation between the networks' scores.
    ``disagreement_error``: rank correlation of its negative with the error of the networks' mean.
    ``spread_error``: the same of the s.d. of their forecasts, which costs no gradient.
    """
    means = np.stack([predict(network, codes)[0] for network in networks])
    agreed = attribution.agreement([gradient_input(network, codes) for network in networks])
    error = np.abs(means.mean(axis=0) - target)
    known = np.isfinite(agreed)
    values = {
        "agreement": float(agreed[known].mean()),
        "disagreement_error": float(spearmanr(-agreed[known], error[known]).statistic),
        "spread_error": float(spearmanr(means.std(axis=0), error).statistic),
    }
    return pd.DataFrame({"metric": list(values), "value": list(values.values())})


def agreements(judge: Judge, condition: Condition) -> dict[str, pd.DataFrame]:
    """:func:`warning_signs` of the networks of a world."""
    test = test_data(judge.arm.world_seed, condition, judge.settings["n_agreement"])
    networks = [judge.network(name) for name in sorted(judge.stored)]
    return {"agreements": warning_signs(networks, test.codes, known_truth(test).activity)}


def known_motifs(data: str) -> Sequence[PWM]:
    """Motifs known to matter in an assay; those of the simulator where nobody published any."""
    return read_meme(fetch(*PUBLISHED[data])) if data in PUBLISHED else jaspar(MOTIFS)


def shuffled(pwm: PWM, rng: np.random.Generator) -> PWM:
    """The motif with its positions in random order."""
    return make_pwm(pwm.name, pwm.probabilities[:, rng.permutation(pwm.width)])


def _cover(data: SequenceDataset, pwm: PWM) -> BoolArray:
    """Positions in windows that reach the threshold, on the forward strand where it matters."""
    hits = scan(data.codes, [pwm], score_threshold(pwm, SITE_P_VALUE))
    hits = hits[hits["strand"] > 0] if data.oriented else hits
    return cover(data.codes.shape, hits["element"], hits["start"], hits["start"] + pwm.width)


def enrichment(
    scores: FloatArray, hits: ArrayLike, control: ArrayLike, group: ArrayLike, draws: int
) -> tuple[float, float]:
    """Mean |score| at hits over that at control hits, as a logarithm, with its variance.

    ``hits`` and ``control`` (n, L) say how often a position counts; groups are resampled.
    """
    sides = [part for where in (hits, control) for part in (np.abs(scores) * where, where)]
    columns = np.stack([np.sum(part, axis=1) for part in sides], axis=1).astype(float)
    groups = group_codes(group)
    totals = group_totals(columns, groups)
    drawn = bootstrap_totals(totals, draws, np.random.default_rng(0))
    sums = np.column_stack([columns.sum(axis=0), drawn])
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.log(sums[0] / sums[1]) - np.log(sums[2] / sums[3])
    return float(ratio[0]), float(draw_variance(ratio[1:]))


def known_enrichment(test: SequenceDataset, scores: FloatArray, draws: int) -> pd.DataFrame:
    """:func:`enrichment` of motifs with at least :data:`LEAST_SITES` sites, and their hits."""
    rng, rows = np.random.default_rng(0), []
    for pwm in known_motifs(test.name):
        own = _cover(test, pwm)
        control = np.sum([_cover(test, shuffled(pwm, rng)) for _ in range(SHUFFLES)], axis=0)
        found = int(own.any(axis=1).sum())
        if min(found, (control > 0).any(axis=1).sum()) >= LEAST_SITES:
            value, variance = enrichment(scores, own, control, test.group, draws)
            rows.append({"motif": pwm.name, "value": value, "variance": variance, "hits": found})
    return pd.DataFrame(rows)


def assay_unit(
    config: Mapping[str, Any], data: SequenceDataset, split: Split, **members: Stored
) -> Result:
    """Known motifs in the first network's scores of a test part; agreement of several networks.

    Tables: ``known_motifs`` (``motif, value, variance, hits``: log enrichment, its variance over
    groups, the number of elements with a hit) and ``agreements`` of :func:`warning_signs`.
    """
    networks = [network_of(model) for _, model in sorted(members.items())]
    test = data.take(split["test"])
    scores = gradient_input(networks[0], test.codes)
    known = known_enrichment(test, scores, config["draws"])
    tables = {"known_motifs": known} if len(known) else {}
    if len(networks) > 1:
        tables["agreements"] = warning_signs(networks, test.codes, test.activity)
    keys: dict[str, Any] = {"data": data.name, "split_seed": split.seed}
    keys |= {"n_test": len(test), "n_train": len(split["train"])}
    return Result.of_tables({name: table.assign(**keys) for name, table in tables.items()})
