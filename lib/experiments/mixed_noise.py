"""What does a minority of noise-dominated elements in training do to a network?

In: worlds in which :data:`SHARE` of the elements are measured at noise share .8, in training and
test alike, and what a network can tell of that class: nothing, the sequence (the richest in GC
belong to it) or a side feature, as a depth would be. Out: a table of its excess over the best
Gaussian forecast that knows what it knows: f, the error's variance at f and, where it can be told,
the class. Depth within a class nobody knows.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final

import numpy as np
import pandas as pd

from lib.arrays import BoolArray
from lib.data.dataset import SequenceDataset, Truth
from lib.experiments import worlds
from lib.experiments.assays import fitting, of_networks
from lib.experiments.worlds import NOISY, Arm, Condition, Judge
from lib.metrics.columns import metric
from lib.metrics.evaluate import all_metrics
from lib.simulator.assay import TYPICAL_DEPTH, Assay, error_variance
from lib.simulator.sample import known_truth
from lib.simulator.shifts import NOISE_LIMIT
from lib.statistics.effects import Effect, against
from lib.study.units import Store, Unit
from lib.training.config import tuned
from lib.training.fit import Forecast
from lib.training.fitted import predict

SHARE: Final = 0.15
RICH: Final = 0.6725  # GC content that such a share of elements exceeds in worlds 50 to 53
VISIBLE: Final = ("nothing", "sequence", "feature")  # by what the class can be told
OVER_BEST: Final = (
    Effect("crps_over_best", "crps_gaussian", "ratio"),
    Effect("zms_over_best", "zms", "ratio"),
    Effect("coverage_drop_over_best", "picp_90", "drop"),
    Effect("rmse_f", "rmse_f"),
    Effect("zms", "zms"),
    Effect("picp_90", "picp_90"),
)
KEPT: Final = ("rmse_f", "crps_gaussian", "zms", "picp_90")


def mixed(
    clean: SequenceDataset, noisy: SequenceDataset, visible: str, rng: np.random.Generator
) -> tuple[SequenceDataset, BoolArray]:
    """Two measurements of the same elements as one, and which ``(n,)`` are of the noisy class."""
    by_chance = rng.random(len(clean)) < SHARE
    dominated = clean.gc > RICH if visible == "sequence" else by_chance
    either = [
        np.where(dominated, b, a)
        for a, b in zip(known_truth(clean), known_truth(noisy), strict=True)
    ]
    told = dominated[:, None].astype(np.float32) if visible == "feature" else None
    activity = np.where(dominated, noisy.activity, clean.activity)
    return replace(clean, activity=activity, truth=Truth(*either), features=told), dominated


def best(test: SequenceDataset, dominated: BoolArray, visible: str) -> Forecast:
    """The best Gaussian forecast of :func:`mixed` elements: its mean and s.d."""
    f = known_truth(test).activity
    depth = np.full(len(f), TYPICAL_DEPTH)
    clean, noisy = (error_variance(f, depth, a) for a in (Assay(), Assay(1 - NOISE_LIMIT)))
    share = SHARE if visible == "nothing" else dominated
    return f, np.sqrt((1 - share) * clean + share * noisy)


def mixed_metrics(judge: Judge, condition: Condition) -> Mapping[str, pd.DataFrame]:
    """Metrics of the network and of the best forecast, of all elements and of either class."""
    visible = judge.settings["visible"]
    rng = np.random.default_rng([judge.arm.world_seed, worlds.TEST_SEED])
    test, dominated = mixed(judge.test(condition), judge.test(NOISY), visible, rng)
    network = predict(judge.network(), test.codes, test.features)
    truth, tables = known_truth(test), []
    parts = {"all": np.ones(len(test), bool), "clean": ~dominated, "noisy": dominated}
    made = {judge.arm.model: network, "best": best(test, dominated, visible)}
    for model, forecast in made.items():
        for part, rows in parts.items():
            mean, std = (values[rows] for values in forecast)
            values = all_metrics(mean, std, test.activity[rows])
            values |= {"rmse_f": metric("rmse", mean, truth.activity[rows])}
            table = pd.Series(values, name="value").loc[list(KEPT)].rename_axis("metric")
            tables.append(table.reset_index().assign(model=model, part=part, visible=visible))
    return {"mixed": pd.concat(tables)}


def fit_mixed(visible: str, arm: Arm, config: Any) -> Unit:
    """The unit that fits an arm on a mixed training sample."""
    clean, split = worlds.training_data(arm, config.parts)
    noisy, _ = worlds.training_data(replace(arm, law=NOISY), config.parts)
    rng = np.random.default_rng([arm.world_seed, worlds.TRAIN_SEED])
    data, _ = mixed(clean, noisy, visible, rng)
    own = {"epochs": config.epochs, "seed": arm.world_seed}
    settings = tuned(arm.model, **own, **of_networks(config, arm.model))
    return fitting(settings, data, split)


def judge_mixed(arms: list[Arm], config: Any, store: Store) -> pd.DataFrame:
    """Effects of all arms in every visibility, over worlds; empty without an arm."""
    if not arms:
        return pd.DataFrame(columns=["effect", "visible", "part", "model"])
    given = [(arm, [Condition()]) for arm in arms], mixed_metrics, config, store
    rows: list[dict[str, Any]] = []
    for visible in VISIBLE:
        fit = partial(fit_mixed, visible)
        judged = worlds.judge_arms(*given, fit, visible=visible)["mixed"]
        parts = dict(iter(judged.groupby(["part", "model"], sort=False)))
        for (part, model), own in parts.items():
            if model != "best":
                keys = {"visible": visible, "part": part, "model": model}
                rows += against(own, parts[part, "best"], OVER_BEST, **keys)
    return pd.DataFrame(rows).assign(data="simulation", n_train=arms[0].size)
