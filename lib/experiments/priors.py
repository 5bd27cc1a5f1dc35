"""Priors by name: what each tells a network, how the network is told, and placebos of equal width.

In: the name of a prior, codes ``(n, L)`` and, in simulation, the arm of a world. Out: features
``(n, p)``, the unit that fits an arm, and the measures of fitted arms. The decoy set mixes a
stand-in for each true factor (its paralogue's matrix, or where it has none its own older one, from
another JASPAR release) with three times as many other vertebrate factors, all read by another
scorer than the generator's.

``entry`` is how a network is told: ``late``, features beside the embedding; ``residual``, it learns
what a linear model of the features leaves; ``filters``, its first filters start from the motifs.
"""

import warnings
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import chain
from typing import Any, Final

import numpy as np
import pandas as pd

from lib.arrays import FloatArray
from lib.experiments.assays import fitting
from lib.experiments.world_measures import metric_table
from lib.experiments.worlds import Arm, Condition, Judge, Sizes, test_data, training_data, world_of
from lib.models import build
from lib.models.baselines import constant_sigma, feature_ridge
from lib.motifs.priors import (
    SCORES,
    Features,
    check_prior,
    cpg_features,
    gc_feature,
    gc_windows,
    kmer_features,
    matched_hidden,
    motif_features,
    permuted_rows,
    pwm_filters,
    random_features,
)
from lib.motifs.pwm import PWM, jaspar, make_pwm, perturb
from lib.sequences import Codes
from lib.simulator import World
from lib.simulator.activity import responses
from lib.simulator.programs import MOTIFS
from lib.study.units import Unit
from lib.training.config import FitConfig, tuned
from lib.training.fitted import predict
from lib.training.units import Filters, Forecast

RELEASE: Final = "JASPAR2018"
# In the order of lib.simulator.programs.MOTIFS: HNF4G HNF1B FOXA2 CEBPB, GATA3 TAL1::TCF3* NFE2L2,
# POU5F1 ESRRA TEAD1, SP2 KLF5 NRF1* CTCFL, REST* GFI1; * has no paralogue and stands by itself.
RELATED: Final = (
    *("MA0484.1", "MA0153.2", "MA0047.2", "MA0466.2", "MA0037.3", "MA0091.1", "MA0150.2"),
    *("MA1115.1", "MA0592.2", "MA0090.2", "MA0516.1", "MA0599.1", "MA0506.1", "MA1102.1"),
    *("MA0138.2", "MA0038.1"),
)
DECOYS_PER_MOTIF: Final = 3
UNRELATED_KINGDOMS: Final = ("plants", "fungi")
PERTURBATION: Final = 0.5  # of lib.motifs.pwm.perturb: noise of 1 nat on the log odds
_DRAW = 2018  # seed of which factors are decoys and which unrelated: the same in every world

# What a sequence says of itself, with or without a simulated world.
COMPOSITION: Final[Mapping[str, Callable[[Codes], Features]]] = {
    "gc": gc_feature,
    "gc_windowed": gc_windows,
    "cpg": cpg_features,
    "kmer": kmer_features,
}
MOTIF_PRIORS: Final = ("motif_true", "motif_decoy", "motif_unrelated", "motif_perturbed")
PLACEBOS: Final = ("permuted", "random", "width_matched")
PRIORS: Final = ("none", *MOTIF_PRIORS, *COMPOSITION, *PLACEBOS)
PLACEBO_OF: Final = "motif_decoy"  # whose values are permuted and whose width is matched

# Small, so that a grid of priors, worlds and shifts stays within an hour.
_STEM: Final = {"channels": 16, "kernels": [9, 9]}
OPTIONS: Final[Mapping[str, Mapping[str, Any]]] = {
    "reference_cnn": {"channels": 32},
    "bilstm": _STEM | {"pools": [2, 4], "units": 32},
    "transformer": _STEM | {"pools": [4, 4], "width": 48, "depth": 1},
}
FEWEST_STEPS, MOST_EPOCHS = 1000, 100
HIDDEN = 64  # of the head, see lib.models.heads
FIRST_FILTERS = "trunk.0.weight"


@lru_cache(maxsize=8)
def release_ids(kingdoms: tuple[str, ...], release: str = RELEASE) -> tuple[str, ...]:
    """Matrix ids of the CORE collection of some taxonomic groups, sorted."""
    import pyjaspar  # as in lib.motifs.pwm: slow to import

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        database = pyjaspar.jaspardb(release=release)
        found = database.fetch_motifs(collection="CORE", tax_group=list(kingdoms))
    return tuple(sorted(motif.matrix_id for motif in found))


def _drawn(kingdoms: tuple[str, ...], count: int, taken: Sequence[str] = ()) -> list[str]:
    """Matrices drawn from a release, none a version of one that is taken."""
    bases = {matrix.partition(".")[0] for matrix in taken}
    free = [name for name in release_ids(kingdoms) if name.partition(".")[0] not in bases]
    rng = np.random.default_rng([_DRAW, len(free)])
    return [free[place] for place in rng.permutation(len(free))[:count]]


@lru_cache(maxsize=1)
def decoy_set() -> tuple[PWM, ...]:
    """Each stand-in followed by its three decoys: 64 motifs."""
    others = _drawn(("vertebrates",), DECOYS_PER_MOTIF * len(RELATED), (*MOTIFS, *RELATED))
    groups = np.array(others).reshape(len(RELATED), DECOYS_PER_MOTIF)
    mixed = chain.from_iterable([own, *more] for own, more in zip(RELATED, groups, strict=True))
    return jaspar([str(matrix) for matrix in mixed], RELEASE)


@lru_cache(maxsize=1)
def unrelated_set() -> tuple[PWM, ...]:
    """Factors of other kingdoms, as many as the decoy set holds."""
    return jaspar(_drawn(UNRELATED_KINGDOMS, (1 + DECOYS_PER_MOTIF) * len(RELATED)), RELEASE)


def motif_set(prior: str, world: World) -> tuple[PWM, ...]:
    """The motifs behind a motif prior; ``ValueError`` for a prior that is not made of motifs."""
    if prior == "motif_decoy":
        return decoy_set()
    if prior == "motif_unrelated":
        return unrelated_set()
    if prior == "motif_true":
        return world.program.motifs
    if prior == "motif_perturbed":
        return tuple(
            perturb(pwm, PERTURBATION, np.random.default_rng([world.seed, 301, place]))
            for place, pwm in enumerate(world.program.motifs)
        )
    raise ValueError(f"prior {prior!r} has no motifs; those that do are {', '.join(MOTIF_PRIORS)}")


def prior_features(prior: str, codes: Codes, world: World | None = None) -> Features:
    """Features of a prior that is no placebo; those made of motifs need a world.

    ``motif_true`` are the generator's own responses, an upper bound; every other motif prior goes
    through :func:`lib.motifs.priors.motif_features`.
    """
    if prior in COMPOSITION:
        return check_prior(COMPOSITION[prior](codes), prior)
    if prior not in MOTIF_PRIORS:
        known = ", ".join((*MOTIF_PRIORS, *COMPOSITION))
        raise ValueError(f"prior {prior!r} has no features of its own; {known} do")
    if world is None:
        raise ValueError(f"prior {prior} needs a simulated world, whose motifs it stands for")
    if prior == "motif_true":
        motifs = len(world.program.motifs)
        return check_prior(responses(codes, world.program)[:, :motifs], prior)
    return check_prior(motif_features(codes, motif_set(prior, world)), prior)


@lru_cache(maxsize=48)
def _own_features(
    prior: str, world_seed: int, misspecified: bool, at: Condition | None, sizes: Sizes
) -> Features:
    """Features of a prior that is no placebo; kept, as networks of a world share them."""
    arm = Arm(world_seed, "", sizes.train, misspecified=misspecified)
    if at is None:
        codes = training_data(arm, sizes)[0].codes
    else:
        codes = test_data(world_seed, at, sizes.test, misspecified).codes
    return prior_features(prior, codes, arm.world)


def arm_features(arm: Arm, at: Condition | None, sizes: Sizes) -> Features | None:
    """What the network sees beside the training sample (None) or the sequences of a condition."""
    if arm.prior in ("none", "width_matched"):
        return None
    source = PLACEBO_OF if arm.prior in PLACEBOS else arm.prior
    values = _own_features(source, arm.world_seed, arm.misspecified, at, sizes)
    rng = np.random.default_rng([arm.world_seed, zlib.crc32(f"{arm.prior} {at}".encode())])
    if arm.prior == "random":
        return random_features(len(values), values.shape[1], rng)
    if arm.prior == "permuted":
        whole = training_data(replace(arm, size=sizes.train), sizes)[1].parts.values()
        parts = list(whole) if at is None else [np.arange(len(values))]
        return permuted_rows(values, parts, rng)
    return values


def offsets(
    arm: Arm, conditions: Sequence[Condition], sizes: Sizes
) -> tuple[FloatArray, dict[Condition, FloatArray]]:
    """Linear model of an arm's features: forecast of its training sample and of test sequences."""
    data, split = training_data(arm, sizes)
    order = list(dict.fromkeys(condition.sequences for condition in conditions))
    parts = [arm_features(arm, at, sizes) for at in (None, *order)]
    features = np.concatenate([part for part in parts if part is not None])
    checked = check_prior(features, "of the linear model").astype(np.float64)
    target = np.full(len(features), np.nan)
    target[: len(data)] = data.activity
    every = feature_ridge(checked, target, split["train"], split["validation"]).mean
    cut = np.split(every, len(data) + sizes.test * np.arange(len(order)))
    return cut[0], dict(zip(order, cut[1:], strict=True))


def arm_settings(arm: Arm, sizes: Sizes, epochs: int, device: str) -> FitConfig:
    """The settings of an arm's fit.

    A small sample is trained for more epochs: until :data:`FEWEST_STEPS` steps are done, or as many
    as the whole sample takes.
    """
    options = dict(OPTIONS[arm.model])
    if arm.prior == "width_matched":
        wide = len(SCORES) * len(motif_set(PLACEBO_OF, world_of(arm.world_seed)))
        network: Any = build(arm.model, 200, **options)
        options["hidden"] = matched_hidden(network.head.layers[1].in_features, wide, HIDDEN)
    batch = FitConfig().batch_size
    fewest = min(FEWEST_STEPS, epochs * (sizes.train // batch))
    longer = min(MOST_EPOCHS, -(-fewest // max(1, arm.size // batch)))
    own = {"epochs": max(epochs, longer), "device": device, "seed": arm.world_seed}
    return tuned(arm.model, model_options=options, **own)


def _filters(arm: Arm) -> Filters:
    """First filters made of the prior's motifs, or of the decoys' letters in random order."""
    rng = np.random.default_rng([arm.world_seed, 401])
    placebo = arm.prior == "permuted"
    motifs = motif_set(PLACEBO_OF if placebo else arm.prior, arm.world)
    if placebo:
        motifs = tuple(
            make_pwm(
                pwm.name, rng.permuted(pwm.probabilities[:, rng.permutation(pwm.width)], axis=0)
            )
            for pwm in motifs
        )
    network = build(arm.model, arm.world.sequence.length, **OPTIONS[arm.model])
    channels, _, _, width = network.state_dict()[FIRST_FILTERS].shape
    return Filters(FIRST_FILTERS, pwm_filters(motifs, channels, width, rng))


def fit_prior(arm: Arm, sizes: Sizes, epochs: int, device: str) -> Unit:
    """The unit that fits an arm."""
    data, split = training_data(arm, sizes)
    settings = arm_settings(arm, sizes, epochs, device)
    if arm.entry == "filters":
        return fitting(settings, data, split, _filters(arm))
    if arm.entry == "residual":
        data = replace(data, activity=data.activity - offsets(arm, (), sizes)[0])
        return fitting(settings, data, split)
    return fitting(settings, replace(data, features=arm_features(arm, None, sizes)), split)


def _linear(judge: Judge) -> tuple[FloatArray, dict[Condition, FloatArray]]:
    return judge.kept("linear", lambda: offsets(judge.arm, judge.conditions, judge.sizes))


def _network_forecast(judge: Judge, at: Condition) -> Forecast:
    entry, codes = judge.arm.entry, judge.test(at).codes
    features = arm_features(judge.arm, at, judge.sizes) if entry == "late" else None
    mean, std = predict(judge.network(), codes, features)
    return mean + _linear(judge)[1][at] if entry == "residual" else mean, std


def network_metrics(judge: Judge, condition: Condition) -> Mapping[str, pd.DataFrame]:
    """Metrics of a network with its prior; one forecast answers for equal sequences."""
    at = condition.sequences
    forecast = judge.kept(("with prior", at), lambda: _network_forecast(judge, at))
    return {"values": metric_table(judge, judge.test(condition), {"single": forecast})}


def linear_metrics(judge: Judge, condition: Condition) -> Mapping[str, pd.DataFrame]:
    """The same of the linear model of a prior's features alone, with one σ for all."""
    data, split = judge.training
    own, moved = _linear(judge)
    mean = moved[condition.sequences]
    sigma = constant_sigma(own, data.activity, split["validation"]).std[0]
    forecast = mean, np.full(len(mean), sigma)
    return {"values": metric_table(judge, judge.test(condition), {"single": forecast})}
