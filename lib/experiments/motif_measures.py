"""What scores of positions say of an assay: known motifs in them, and how far networks agree.

In: networks of the folds of an arm (:mod:`lib.experiments.arms`). Out: tables with intervals over
folds. Each element is scored by networks that saw none of its group.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from lib.arrays import BoolArray, FloatArray
from lib.assays.sources import fetch
from lib.data.dataset import Result, SequenceDataset
from lib.data.splits import Split
from lib.experiments.arms import AssayArm
from lib.metrics.columns import spearman_column
from lib.metrics.evaluate import with_ends
from lib.metrics.resampling import Resampling, totals
from lib.motifs.binding import scan, score_threshold
from lib.motifs.pwm import PWM, jaspar, make_pwm, read_meme
from lib.sequences import Codes
from lib.simulator.programs import MOTIFS
from lib.statistics.paired import estimate
from lib.training import attribution
from lib.training.attribution import cover, gradient_input
from lib.training.fit import network_of
from lib.training.fitted import FittedModel, predict

SITE_P_VALUE: Final = 1e-3  # the same on assays: core promoters are short, few windows reach 1e-4
SHUFFLES: Final = 5
LEAST_SITES: Final = 10  # below it nothing is printed
KNOWN_MOTIFS: Final[Mapping[str, tuple[str, str]]] = {
    "plant_leaf": ("plant", "data/misc/CPEs.meme"),
    "retina_libraries": ("retina", "Library_Details/photoreceptorAndEnrichedMotifs.meme"),
}


def signs(
    networks: Sequence[FittedModel], scores: Sequence[FloatArray], codes: Codes, target: FloatArray
) -> dict[str, FloatArray]:
    """Of each element (n,): ``agreed``, mean correlation between the networks' scores (n, L) of it;
    the ``error`` of their mean forecast; the ``spread`` (s.d.) of their forecasts.
    """
    means = np.stack([predict(network, codes)[0] for network in networks])
    error, spread = np.abs(means.mean(axis=0) - target), means.std(axis=0)
    return {"agreed": attribution.agreement(scores), "error": error, "spread": spread}


def warning_signs(agreed: FloatArray, error: FloatArray, spread: FloatArray) -> pd.DataFrame:
    """Columns whose means say how far networks agree, and what their disagreement tells of errors.

    ``agreement``: mean of :func:`signs`. ``disagreement_error``: rank correlation of its negative
    with the error. ``spread_error``: the same of the spread, which costs no gradient.
    """
    return pd.DataFrame(
        {
            "agreement": agreed,
            "disagreement_error": spearman_column(-agreed, error),
            "spread_error": spearman_column(spread, error),
        }
    )


def _cover(data: SequenceDataset, pwm: PWM) -> BoolArray:
    """Positions in windows that reach the threshold, on the forward strand where it matters."""
    hits = scan(data.codes, [pwm], score_threshold(pwm, SITE_P_VALUE))
    hits = hits[hits["strand"] > 0] if data.oriented else hits
    return cover(data.codes.shape, hits["element"], hits["start"], hits["start"] + pwm.width)


def enrichment(
    scores: FloatArray, hits: ArrayLike, control: ArrayLike, plan: Resampling, weights: FloatArray
) -> FloatArray:
    """Mean |score| at hits over that at control hits, as a logarithm, under weights ``(sets, K)``.

    ``hits`` and ``control`` (n, L) say how often a position counts.
    """
    sides = [part for where in (hits, control) for part in (np.abs(scores) * where, where)]
    columns = np.stack([np.sum(part, axis=1) for part in sides], axis=1).astype(float)
    sums = totals(columns, plan.codes, plan.n_sets) @ weights
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.log(sums[0] / sums[1]) - np.log(sums[2] / sums[3]))


def known_enrichment(
    test: SequenceDataset, scores: FloatArray, plan: Resampling, weights: FloatArray
) -> pd.DataFrame:
    """:func:`enrichment` of motifs with at least :data:`LEAST_SITES` sites, with its interval.

    The motifs are known to matter in the assay; where nobody published any, the simulator's. ``n``
    elements are hit.
    """
    rng, rows, named = np.random.default_rng(0), [], KNOWN_MOTIFS.get(test.name)
    for pwm in read_meme(fetch(*named)) if named else jaspar(MOTIFS):
        own = _cover(test, pwm)
        orders = [rng.permutation(pwm.width) for _ in range(SHUFFLES)]
        mixed = [make_pwm(pwm.name, pwm.probabilities[:, order]) for order in orders]
        control = np.sum([_cover(test, other) for other in mixed], axis=0)
        found = int(own.any(axis=1).sum())
        if min(found, (control > 0).any(axis=1).sum()) >= LEAST_SITES:
            ends = np.exp(estimate(enrichment(scores, own, control, plan, weights), plan))
            row = dict(zip(("value", "lower", "upper"), ends, strict=True))
            rows.append({"motif": pwm.name, **row, "n": found})
    return pd.DataFrame(rows)


def scores_unit(
    _: Mapping[str, Any], data: SequenceDataset, split: Split, **members: Result
) -> Result:
    """Of the test part: ``scores`` (n, L) of the first network, and of several :func:`signs`."""
    networks = [network_of(model) for _, model in sorted(members.items())]
    test = data.take(split["test"])
    scores = [gradient_input(network, test.codes) for network in networks]
    more = signs(networks, scores, test.codes, test.activity) if len(networks) > 1 else {}
    return Result({"scores": scores[0], **more})


def judged_arm(
    arm: AssayArm, results: Sequence[Result], draws: int
) -> Iterator[tuple[str, pd.DataFrame]]:
    """Tables ``known_motifs`` and ``agreements`` of an arm, from :func:`scores_unit` of each fold.

    A table there is nothing for is left out.
    """
    rows = np.concatenate([split["test"] for split in arm.splits])
    found = {
        name: np.concatenate([each.arrays[name] for each in results]) for name in results[0].arrays
    }
    plan, scores = arm.plan.take(rows), found.pop("scores")
    weights = plan.weights(draws, np.random.default_rng(0))
    known = known_enrichment(arm.data.take(rows), scores, plan, weights)
    if len(known):
        yield "known_motifs", known
    if found:
        kept = np.isfinite(found["agreed"])
        table = warning_signs(**{name: values[kept] for name, values in found.items()})
        plan = plan.take(kept)
        columns = np.column_stack([np.ones(len(table)), table])
        count, *sums = totals(columns, plan.codes, plan.n_sets) @ weights
        values = pd.DataFrame({"metric": [*table], "n": len(table)})
        yield "agreements", with_ends(values, np.array(sums) / count, plan)
