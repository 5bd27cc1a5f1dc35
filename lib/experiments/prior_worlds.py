"""Networks with priors in simulated worlds: what each is trained on, and how it is judged.

In: :class:`PriorArm`, a network with its prior, its way in and the law of its training sample. Out:
units that fit it and judge it under conditions. All arms of a world share its samples, so that
differences between priors are paired element by element.
"""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from typing import Any, Final

import numpy as np

from lib.data.dataset import FloatArray, SequenceDataset
from lib.data.splits import Split
from lib.experiments.fits import fitting
from lib.experiments.prior_fits import Filters, fitting_from
from lib.experiments.prior_sets import PLACEBOS, motif_set, prior_features
from lib.experiments.sim_arms import TEST_SEED, TRAIN_SEED, Condition, Sizes, world_of
from lib.experiments.sim_units import measure
from lib.experiments.tuning import tuned
from lib.models import build
from lib.models.baselines import constant_sigma
from lib.motifs.priors import (
    SCORES,
    Features,
    linear_offset,
    matched_hidden,
    permuted_rows,
    pwm_filters,
    random_features,
)
from lib.motifs.pwm import PWM, make_pwm
from lib.simulator import World, draw_world, simulate
from lib.simulator.sample import known_truth
from lib.study.units import Result, Stored, Unit
from lib.training.config import FitConfig
from lib.training.fitted import FittedModel, predict

MAIN_MODEL: Final = "reference_cnn"
# Small, so that a grid of priors, worlds and shifts stays within an hour.
OPTIONS: Final[Mapping[str, Mapping[str, Any]]] = {
    "reference_cnn": {"channels": 32},
    "bilstm": {"channels": 16, "kernels": [9, 9], "pools": [2, 4], "units": 32},
    "transformer": {
        "channels": 16,
        "kernels": [9, 9],
        "pools": [4, 4],
        "width": 48,
        "depth": 1,
    },
}
ENTRIES: Final = ("late", "residual", "filters")
PLACEBO_OF: Final = "motif_decoy"  # whose values are permuted and whose width is matched
FEWEST_STEPS, MOST_EPOCHS = 1000, 100
HIDDEN = 64  # of the head, see lib.models.heads


@dataclass(frozen=True)
class PriorArm:
    """A network with a prior.

    Attributes
    ----------
    world_seed : int
    model : str
    size : int
        Training elements.
    prior : str
        Of :data:`lib.experiments.prior_sets.PRIORS`.
    entry : {"late", "residual", "filters"}
        Features beside the embedding; the network learns what a linear model of the features
        leaves; its first filters start from the motifs.
    noise : float
        Severity of the shift ``noise`` at which the training sample is measured.
    misspecified : bool
        The world has a DNA-shape term that no motif explains.
    """

    world_seed: int
    model: str
    size: int
    prior: str
    entry: str = "late"
    noise: float = 0.0
    misspecified: bool = False


@lru_cache(maxsize=4)
def prior_world(seed: int, misspecified: bool) -> World:
    """The world of a seed, with or without the term that no motif explains."""
    return draw_world(seed, misspecified=True) if misspecified else world_of(seed)


@lru_cache(maxsize=4)
def _sample(
    world_seed: int, misspecified: bool, noise: float, sizes: Sizes
) -> tuple[SequenceDataset, Split]:
    world = prior_world(world_seed, misspecified)
    law = Condition("noise", noise) if noise else Condition()
    counts = (sizes.train, sizes.validation, sizes.calibration)
    data = simulate(world, sum(counts), TRAIN_SEED, shift=law.shifts(world))
    parts = np.split(np.arange(sum(counts)), np.cumsum(counts)[:-1])
    names = ("train", "validation", "calibration")
    return data, Split("priors", world_seed, dict(zip(names, parts, strict=True)))


@lru_cache(maxsize=64)
def test_sample(
    world_seed: int, misspecified: bool, condition: Condition, n: int
) -> SequenceDataset:
    """Test sample of a world under a condition; one seed serves all conditions."""
    world = prior_world(world_seed, misspecified)
    return simulate(world, n, TEST_SEED, shift=condition.shifts(world))


def _where(condition: Condition) -> Condition:
    """The condition that a condition's sequences are those of."""
    return condition if condition.moves_sequences else Condition()


@lru_cache(maxsize=48)
def _own_features(
    prior: str, world_seed: int, misspecified: bool, where: Condition | None, sizes: Sizes
) -> Features:
    """Features of a prior that is no placebo, of the training sample or of a test sample."""
    if where is None:
        codes = _sample(world_seed, misspecified, 0.0, sizes)[0].codes
    else:
        codes = test_sample(world_seed, misspecified, where, sizes.test).codes
    return prior_features(prior, codes, prior_world(world_seed, misspecified))


def arm_features(arm: PriorArm, condition: Condition | None, sizes: Sizes) -> Features | None:
    """What the network sees beside the training sample (None) or the sample of a condition."""
    if arm.prior in ("none", "width_matched"):
        return None
    where = None if condition is None else _where(condition)
    key = (arm.world_seed, arm.misspecified, where, sizes)
    if arm.prior not in PLACEBOS:
        return _own_features(arm.prior, *key)
    values = _own_features(PLACEBO_OF, *key)
    rng = np.random.default_rng([arm.world_seed, zlib.crc32(f"{arm.prior} {where}".encode())])
    if arm.prior == "random":
        return random_features(len(values), values.shape[1], rng)
    if where is None:
        split = _sample(arm.world_seed, arm.misspecified, 0.0, sizes)[1]
        parts = list(split.parts.values())
    else:
        parts = [np.arange(len(values))]
    return permuted_rows(values, parts, rng)


def training_sample(arm: PriorArm, sizes: Sizes) -> tuple[SequenceDataset, Split]:
    """Sample and parts that an arm trains on; a smaller arm takes the first elements."""
    data, split = _sample(arm.world_seed, arm.misspecified, arm.noise, sizes)
    parts = dict(split.parts) | {"train": split["train"][: arm.size]}
    return data, Split(split.name, split.seed, parts)


def arm_settings(arm: PriorArm, sizes: Sizes, epochs: int, device: str) -> FitConfig:
    """The settings of an arm's fit.

    A small sample is trained for more epochs: until :data:`FEWEST_STEPS` steps are done, or as many
    as the whole sample takes.
    """
    options = dict(OPTIONS.get(arm.model, {}))
    if arm.prior == "width_matched":
        wide = len(SCORES) * len(motif_set(PLACEBO_OF, world_of(arm.world_seed)))
        network: Any = build(arm.model, 200, **options)
        options["hidden"] = matched_hidden(network.head.layers[1].in_features, wide, HIDDEN)
    batch = FitConfig().batch_size
    fewest = min(FEWEST_STEPS, epochs * (sizes.train // batch))
    longer = min(MOST_EPOCHS, -(-fewest // max(1, arm.size // batch)))
    return tuned(
        arm.model,
        model_options=options,
        epochs=max(epochs, longer),
        device=device,
        seed=arm.world_seed,
    )


def _shuffled_columns(pwms: Sequence[PWM], rng: np.random.Generator) -> tuple[PWM, ...]:
    """Motifs whose positions, and at each the letters, are in random order."""
    return tuple(
        make_pwm(pwm.name, rng.permuted(pwm.probabilities[:, rng.permutation(pwm.width)], axis=0))
        for pwm in pwms
    )


def _filters(arm: PriorArm) -> Filters:
    world = prior_world(arm.world_seed, arm.misspecified)
    rng = np.random.default_rng([arm.world_seed, 401])
    placebo = arm.prior == "permuted"
    motifs = motif_set(PLACEBO_OF if placebo else arm.prior, world)
    if placebo:
        motifs = _shuffled_columns(motifs, rng)
    name = "trunk.0.weight"
    network = build(arm.model, world.sequence.length, **OPTIONS[arm.model])
    channels, _, _, width = network.state_dict()[name].shape
    return Filters(name, pwm_filters(motifs, channels, width, rng))


def offsets(
    arm: PriorArm, conditions: Sequence[Condition], sizes: Sizes
) -> tuple[FloatArray, dict[Condition, FloatArray]]:
    """Linear model of an arm's features: forecast of its training sample and of test sequences."""
    data, split = training_sample(arm, sizes)
    order = list(dict.fromkeys(map(_where, conditions)))
    parts = [arm_features(arm, None, sizes), *(arm_features(arm, at, sizes) for at in order)]
    features = np.concatenate([part for part in parts if part is not None])
    target = np.full(len(features), np.nan)
    target[: len(data)] = data.activity
    every = linear_offset(features, target, split["train"], split["validation"])
    cut = np.split(every, len(data) + sizes.test * np.arange(len(order)))
    return cut[0], dict(zip(order, cut[1:], strict=True))


def fitting_arm(arm: PriorArm, sizes: Sizes, epochs: int, device: str) -> Unit:
    """The unit that fits an arm."""
    data, split = training_sample(arm, sizes)
    settings = arm_settings(arm, sizes, epochs, device)
    if arm.entry == "filters":
        return fitting_from(settings, data, split, _filters(arm))
    if arm.entry == "residual":
        data = replace(data, activity=data.activity - offsets(arm, (), sizes)[0])
        return fitting(settings, data, split)
    return fitting(settings, replace(data, features=arm_features(arm, None, sizes)), split)


def _read(config: Mapping[str, Any]) -> tuple[PriorArm, list[Condition], Sizes]:
    conditions = [Condition(**fields) for fields in config["conditions"]]
    return PriorArm(**config["arm"]), conditions, Sizes(**config["sizes"])


def _config(arm: PriorArm, conditions: Sequence[Condition], sizes: Sizes) -> dict[str, Any]:
    return {
        "arm": asdict(arm),
        "conditions": [asdict(condition) for condition in conditions],
        "sizes": asdict(sizes),
    }


def _judged(
    arm: PriorArm,
    conditions: Sequence[Condition],
    sizes: Sizes,
    forecasts: Mapping[Condition, tuple[FloatArray, FloatArray]],
) -> Result:
    data, split = training_sample(arm, sizes)
    known = data.activity[split["train"]]
    climatology = (float(known.mean()), float(known.std()))
    world = prior_world(arm.world_seed, arm.misspecified)
    values, oracle = [], []
    for condition in conditions:
        test = test_sample(arm.world_seed, arm.misspecified, condition, sizes.test)
        truth = known_truth(test)
        values.append(measure(*forecasts[_where(condition)], test, climatology))
        oracle.append(measure(truth.mean, truth.std, test, climatology))
    dial = [condition.dial(world) for condition in conditions]
    arrays = {"values": values, "oracle": oracle, "dial": dial}
    return Result({name: np.array(found) for name, found in arrays.items()})


def judge_prior_unit(config: Mapping[str, Any], model: Stored) -> Result:
    """Metrics of a network under each condition.

    Arrays: ``values`` and ``oracle`` (conditions, metrics), ``dial`` (conditions,).
    """
    arm, conditions, sizes = _read(config)
    network = FittedModel.from_arrays(model.result.arrays, model.result.meta)
    moved: Mapping[Condition, FloatArray] = {}
    if arm.entry == "residual":
        moved = offsets(arm, conditions, sizes)[1]
    forecasts = {}
    for at in dict.fromkeys(map(_where, conditions)):
        codes = test_sample(arm.world_seed, arm.misspecified, at, sizes.test).codes
        features = arm_features(arm, at, sizes) if arm.entry == "late" else None
        mean, std = predict(network, codes, features)
        forecasts[at] = (mean + moved[at] if at in moved else mean, std)
    return _judged(arm, conditions, sizes, forecasts)


def judge_linear_unit(config: Mapping[str, Any]) -> Result:
    """The same of the linear model of an arm's features alone, with one σ for all."""
    arm, conditions, sizes = _read(config)
    data, split = training_sample(arm, sizes)
    own, moved = offsets(arm, conditions, sizes)
    sigma = constant_sigma(own, data.activity, split["validation"]).std[0]
    forecasts = {at: (mean, np.full(len(mean), sigma)) for at, mean in moved.items()}
    return _judged(arm, conditions, sizes, forecasts)


def judging_arm(
    arm: PriorArm, conditions: Sequence[Condition], sizes: Sizes, fit: Unit, result: Result
) -> Unit:
    """The unit that judges a finished fit."""
    given = {"model": Stored(result, fit.key)}
    return Unit(judge_prior_unit, _config(arm, conditions, sizes), given, fit.modules)


def judging_linear(arm: PriorArm, conditions: Sequence[Condition], sizes: Sizes) -> Unit:
    """The unit that fits and judges the linear model of a prior's features."""
    return Unit(judge_linear_unit, _config(arm, conditions, sizes))
