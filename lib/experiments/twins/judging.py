"""Networks of the real shifts judged on what they are asked about.

In: fitted networks. Out: per network long tables, a row per split: scores of every forecast
(``scores``), what the measured noise explains of the errors (``noise``), coverage under a paired
shift after each correction (``ladder``), and what ``few_shot`` with ``k=`` makes of a forecast: a
line and a scale learned from so many labelled elements (``mitigation``).
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from lib.arrays import FloatArray
from lib.data.dataset import Result
from lib.experiments import assays
from lib.experiments.assays import AssayArm, FittedArm, scales
from lib.experiments.repairs import Budget, averages, labelled
from lib.experiments.scoring import Scored, score
from lib.experiments.twins.assays import HOME
from lib.experiments.twins.networks import MODEL, Asked, Network, RealCondition
from lib.statistics.paired import decompose, forecast_ladder, paired_assay
from lib.study.units import Placement, Store, run_units

# Networks that stand beside the baselines on the same split; on the GC arms notebook 02 has them.
WITH_BASELINES = ("retina", "batch", "design", "plant")
METRICS = ("rmse", "crps_gaussian", "crps_skill", "zms", "picp_90", "mpiw_90", "pearson_r", "aurc")
MOST_DRAWS = 300  # of intervals of each split but those of the scores; splits are pooled after
FEWEST_GROUPS = 20  # a smaller part is not judged
REPAIR_METRICS = ("picp_90", "mpiw_90", "within_tolerance")
# Quantities of the noise, by their names in a decomposition.
NOISE = {
    "reliability_b": "reliability",
    "pearson_r_deattenuated": "pearson_r_deattenuated",
    "share_noise": "noise_share",
}
TOLERANCE = 0.03  # of coverage, within which it counts as restored


def baselines(
    networks: Iterable[Network], store: Store, where: Placement
) -> dict[AssayArm, Result]:
    """Simple models on the split of each network that is held beside some."""
    home = " ".join(HOME)
    beside = [one for one in networks if one.kind in WITH_BASELINES or one.condition == home]
    units = [assays.baselines(one.data, one.split) for one in beside]
    return dict(zip(beside, run_units(units, store, where, "baselines"), strict=True))


def _forecasts(
    fitted: FittedArm, scale: float, sigma: float, simple: Result | None
) -> Iterator[tuple[dict[str, Any], FloatArray, FloatArray]]:
    """Every forecast, over all rows of the network's data."""
    mean, std = fitted.forecast.mean, fitted.forecast.std
    if fitted.uncertainty == "ensemble":
        for seed, member in enumerate(fitted.members):
            yield {"uncertainty": "single", "seed": seed}, *member
    yield {"uncertainty": fitted.uncertainty}, mean, std
    if fitted.arm.kind == "gc":
        return  # notebook 02 has the rest
    yield {"uncertainty": "std_scaling"}, mean, scale * std
    yield {"uncertainty": "constant_sigma"}, mean, np.full(len(mean), sigma)
    if simple is None:
        return
    for name in assays.BASELINES:
        yield {"model": name, "uncertainty": "single"}, *assays.baseline_forecast(simple, name)


def _noise(fitted: FittedArm, asked: Asked, draws: int) -> Iterator[pd.DataFrame]:
    """What measured noise explains: a forecast is as a measurement without noise beside another."""
    if asked.noise is None:
        return
    mean = fitted.forecast.mean[asked.rows]
    pair = paired_assay(mean, asked.target, 0 * mean, asked.noise, asked.group)
    found = decompose(pair, np.random.default_rng(fitted.arm.split.seed), draws=draws)
    # Libraries have replicates; of the genotypes the spread between barcodes is known.
    source = "replicates" if fitted.arm.data.noise_std is not None else "barcodes"
    found = found.assign(**asked.keys, errors=source, quantity=found["quantity"].map(NOISE))
    yield found[found["quantity"].notna()]


def _ladder(fitted: FittedArm, asked: Asked, scale: float, draws: int) -> Iterator[pd.DataFrame]:
    """Under another genotype or promoter; the std is first scaled on the calibration part.

    What a rung closes is then shift and not ordinary overconfidence. The scrambled elements all
    serve as anchors: only their labels are read.
    """
    if asked.pair is not None:
        pair, rows = asked.pair
        mean, std = (values[rows] for values in fitted.forecast[:2])
        table = forecast_ladder(pair, mean, scale * std, np.random.default_rng(0), draws=draws)
        yield table.assign(**asked.keys)


def _mitigation(
    fitted: FittedArm, asked: Asked, budget: Budget, draws: int
) -> Iterator[pd.DataFrame]:
    """What a few labels of a shifted part, each of another group, make of the rest.

    Of GC shifts not the tilts, of a promoter the wild type alone, and no choice of labels.
    """
    name, choice = RealCondition.parse(asked.condition)
    beside = choice or asked.shift == "gc_tilt" or (asked.shift == "promoter" and " " in name)
    if beside or asked.split != "shifted":
        return
    seed = fitted.arm.split.seed
    part = asked.table(fitted.forecast.mean, fitted.forecast.std)
    found = labelled(part, budget, np.random.default_rng([seed, 3]))
    if found:
        table = averages(found, asked.group, draws, seed)
        few = table["metric"].isin(REPAIR_METRICS) & (table["uncertainty"] == "few_shot")
        yield table[few].assign(**asked.keys)


def judge(
    fitted: FittedArm, simple: Result | None, budget: Budget, draws: int, seed: int
) -> dict[str, pd.DataFrame]:
    """Tables ``scores, noise, ladder, mitigation`` of one network.

    ``simple`` are the baselines of its split, if any; bootstraps of the scores start at ``seed``.
    """
    network, fewer = fitted.arm, min(draws, MOST_DRAWS)
    assert isinstance(network, Network)
    scale, sigma = scales(network, fitted.forecast.mean, fitted.forecast.std)
    train = network.data.activity[network.split["train"]]
    climatology = float(train.mean()), float(train.std())
    own = {"seed": None, "model": MODEL, "prior": "none"}
    names = ("scores", "noise", "ladder", "mitigation")
    tables = {name: [pd.DataFrame()] for name in names}
    for part in network.asked:
        if len(np.unique(part.group)) < FEWEST_GROUPS:
            continue
        made = _forecasts(fitted, scale, sigma, simple)
        for place, (keys, mean, std) in enumerate(made):
            named = own | part.keys | keys
            item = Scored(named, part.table(mean, std), len(train), climatology)
            rows = score(item, draws, seed + place)
            tables["scores"].append(rows[rows["metric"].isin(METRICS)])
        tables["noise"] += _noise(fitted, part, fewer)
        tables["ladder"] += _ladder(fitted, part, scale, fewer)
        tables["mitigation"] += _mitigation(fitted, part, budget, fewer)
    more = {"split_seed": network.split.seed, "n_train": len(train)}
    return {name: pd.concat(found).assign(**more) for name, found in tables.items()}
