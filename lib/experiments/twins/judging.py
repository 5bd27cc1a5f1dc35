"""Networks of the real shifts judged on what they are asked about.

In: fitted networks, whose forecasts of all folds are stitched. Out: per network the measured scores
of every forecast, and long tables: what the measured noise explains of the errors (``noise``),
coverage under a paired shift after each correction (``ladder``), and what ``few_shot`` with ``k=``
makes of a forecast: a line and a scale learned from so many labelled elements (``mitigation``).
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lib.arrays import FloatArray
from lib.experiments.assays import FittedArm, scaled
from lib.experiments.forecasters import BASELINES
from lib.experiments.repairs import Budget, averages, labelled
from lib.experiments.scoring import Measured, Scored, score
from lib.experiments.twins.assays import HOME
from lib.experiments.twins.networks import MODEL, Asked, Network, RealCondition
from lib.statistics.paired import decompose, forecast_ladder, paired_assay

# Networks that stand beside the baselines on the same split; on the GC arms notebook 02 has them.
WITH_BASELINES = ("retina", "batch", "design", "plant")
METRICS = ("rmse", "crps_gaussian", "crps_skill", "zms", "picp_90", "mpiw_90", "pearson_r", "aurc")
MOST_DRAWS = 300  # of intervals but those of the scores
FEWEST_GROUPS = 20  # a smaller part is not judged
REPAIR_METRICS = ("picp_90", "mpiw_90", "within_tolerance")
# Quantities of the noise, by their names in a decomposition.
NOISE = {
    "reliability_b": "reliability",
    "pearson_r_deattenuated": "pearson_r_deattenuated",
    "share_noise": "noise_share",
}
TOLERANCE = 0.03  # of coverage, within which it counts as restored


class Judged(NamedTuple):
    """One network: scores of its forecasts, and tables ``noise, ladder, mitigation``."""

    measured: list[Measured]
    tables: dict[str, pd.DataFrame]


def has_baselines(network: Network) -> bool:
    """Whether simple models stand beside it."""
    return network.kind in WITH_BASELINES or network.condition == " ".join(HOME)


def _forecasts(
    fitted: FittedArm, together: FloatArray, by_scale: FloatArray, simple: Mapping[str, FloatArray]
) -> Iterator[tuple[dict[str, Any], FloatArray, int]]:
    """Every forecast of a network, and how many fits it averages."""
    members = len(fitted.members)
    if fitted.uncertainty == "ensemble":
        for seed, member in enumerate(fitted.members):
            yield {"uncertainty": "single", "seed": seed}, member, 1
    yield {"uncertainty": fitted.uncertainty}, together, members
    if fitted.arm.kind == "gc":
        return  # notebook 02 has the rest
    yield {"uncertainty": "std_scaling"}, by_scale, members
    yield {"uncertainty": "constant_sigma"}, scaled(fitted.arm, together)[1], members
    for name, forecast in simple.items():
        yield {"model": name, "uncertainty": "single"}, forecast, 0
        if name not in BASELINES:
            yield {"model": name, "uncertainty": "std_scaling"}, scaled(fitted.arm, forecast)[0], 0


def _noise(network: Network, asked: Asked, forecast: FloatArray, draws: int) -> pd.DataFrame:
    """What measured noise explains: a forecast is as a measurement without noise beside another."""
    if asked.noise is None:
        return pd.DataFrame()
    mean, fold = asked.table(forecast)["mean"].to_numpy(), network.tested[asked.rows]
    pair = paired_assay(mean, asked.target, 0 * mean, asked.noise, asked.group, fold=fold)
    found = decompose(pair, np.random.default_rng(0), draws=draws)
    # Libraries have replicates; of the genotypes the spread between barcodes is known.
    source = "replicates" if network.data.noise_std is not None else "barcodes"
    found = found.assign(**asked.keys, errors=source, quantity=found["quantity"].map(NOISE))
    return found[found["quantity"].notna()]


def _ladder(asked: Asked, by_scale: FloatArray, draws: int) -> pd.DataFrame:
    """Under another genotype or promoter, by forecasts with the std scaled on calibration parts.

    What a rung closes is then shift and not ordinary overconfidence.
    """
    if asked.pair is None:
        return pd.DataFrame()
    mean, std = by_scale[:, asked.rows]
    table = forecast_ladder(asked.pair, mean, std, np.random.default_rng(0), draws=draws)
    return table.assign(**asked.keys)


def _mitigation(
    network: Network, asked: Asked, forecast: FloatArray, budget: Budget, draws: int
) -> pd.DataFrame:
    """What a few labels of a shifted part, each of another group, make of the rest.

    Of GC shifts not the tilts, of a promoter the wild type alone, and no choice of labels. Labels
    are of elements of all folds; intervals take what was learned from them as given.
    """
    name, choice = RealCondition.parse(asked.condition)
    beside = choice or asked.shift == "gc_tilt" or (asked.shift == "promoter" and " " in name)
    found = {}
    if asked.split == "shifted" and not beside:
        found = labelled(asked.table(forecast), budget, np.random.default_rng([0, 3]))
    if not found:
        return pd.DataFrame()
    table = averages(found, network.plan.take(asked.rows), draws)
    few = table["metric"].isin(REPAIR_METRICS) & (table["uncertainty"] == "few_shot")
    return table[few].assign(**asked.keys)


def judge(
    fitted: FittedArm, simple: Mapping[str, FloatArray], budget: Budget, draws: int
) -> Judged:
    """One network on all its parts; ``simple`` are other forecasters on its splits, by name."""
    network, fewer = fitted.arm, min(draws, MOST_DRAWS)
    assert isinstance(network, Network)
    together = np.stack(fitted.forecast[:2])
    by_scale = scaled(network, together)[0]
    made = [
        (keys, network.stitched(forecast), members)
        for keys, forecast, members in _forecasts(fitted, together, by_scale, simple)
    ]
    together, by_scale = network.stitched(together), network.stitched(by_scale)
    train = np.concatenate([network.data.activity[split["train"]] for split in network.splits])
    climatology = float(train.mean()), float(train.std())
    own = {"seed": None, "model": MODEL, "prior": "none"}
    measured: list[Measured] = []
    found: dict[str, list[pd.DataFrame]] = {name: [] for name in ("noise", "ladder", "mitigation")}
    for part in network.asked:
        if len(np.unique(part.group)) < FEWEST_GROUPS:
            continue
        plan = network.plan.take(part.rows)
        usual = climatology if part.less is None else None  # of no difference
        items = [
            Scored(own | part.keys | keys, part.table(forecast), plan, usual, members=members)
            for keys, forecast, members in made
        ]
        measured += [score(item, draws) for item in items]
        found["noise"].append(_noise(network, part, together, fewer))
        found["ladder"].append(_ladder(part, by_scale, fewer))
        found["mitigation"].append(_mitigation(network, part, together, budget, fewer))
    return Judged(measured, {name: pd.concat(tables) for name, tables in found.items()})
