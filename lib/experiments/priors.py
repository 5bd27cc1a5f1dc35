"""Priors by name: what each tells a network, and a placebo of equal width.

In: a prior by name and the arm of a simulated world, or of an assay. Out: features ``(n, p)`` that
enter a network beside its embedding, units that fit it, and contrasts. The decoy set mixes a
stand-in for each true factor (its paralogue's matrix, or where it has none its own older one, from
another JASPAR release) with three times as many other vertebrate factors, all read by another
scorer than the generator's. On assays forecasts are those of the fold that tests an element.
"""

import warnings
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from itertools import product
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lib.experiments import assays, forecasters, scoring, worlds
from lib.experiments.arms import AssayArm
from lib.experiments.world_measures import metric_table
from lib.experiments.worlds import Arm, Condition, Judge, Sizes
from lib.motifs.priors import Features, check_prior, gc_windows, motif_features, permuted_rows
from lib.motifs.pwm import PWM, jaspar
from lib.sequences import Codes
from lib.simulator import World
from lib.simulator.activity import responses
from lib.simulator.programs import MOTIFS
from lib.study.units import Fit, Placement, Store, Unit
from lib.training.config import FitConfig, enough_epochs, tuned
from lib.training.fitted import predict

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
_DRAW = 2018  # seed of which factors are decoys and which unrelated: the same in every world

MOTIF_PRIORS: Final = ("motif_true", "motif_decoy", "motif_unrelated")
PRIORS: Final = ("none", *MOTIF_PRIORS, "gc", "permuted")
# Of assays, whose motifs are not known: what notebook 02 tells of all motifs of JASPAR CORE.
ASSAY_PRIORS: Final = ("none", "gc", "permuted", forecasters.MOTIF_PRIOR)
PRIOR: Final = "motif_decoy"  # that claims speak of, whose values are permuted

ENTRY: Final = "late"  # of features, beside the embedding
AGAINST: Final = ("permuted", "none")
PUBLISHED: Final = ("rmse", "rmse_f", "r2_f", "crps_gaussian", "zms", "picp_90", "mpiw_90")
ERRORS: Final = ("rmse", "crps_gaussian")  # of which contrasts on assays are made
PART: Final = ("data", "split", "shift", "condition")


def _drawn(kingdoms: tuple[str, ...], count: int, taken: Sequence[str] = ()) -> list[str]:
    """Matrices drawn from a release, none a version of one that is taken."""
    import pyjaspar  # as in lib.motifs.pwm: slow to import

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        database = pyjaspar.jaspardb(release=RELEASE)
        found = database.fetch_motifs(collection="CORE", tax_group=list(kingdoms))
    bases = {matrix.partition(".")[0] for matrix in taken}
    names = sorted(motif.matrix_id for motif in found)
    free = [name for name in names if name.partition(".")[0] not in bases]
    rng = np.random.default_rng([_DRAW, len(free)])
    return [free[place] for place in rng.permutation(len(free))[:count]]


@lru_cache(maxsize=1)
def decoy_set() -> tuple[PWM, ...]:
    """Each stand-in followed by its three decoys: 64 motifs."""
    others = _drawn(("vertebrates",), DECOYS_PER_MOTIF * len(RELATED), (*MOTIFS, *RELATED))
    groups = np.column_stack([RELATED, np.reshape(others, (len(RELATED), DECOYS_PER_MOTIF))])
    return jaspar([str(matrix) for matrix in groups.ravel()], RELEASE)


@lru_cache(maxsize=1)
def unrelated_set() -> tuple[PWM, ...]:
    """Factors of other kingdoms, as many as the decoy set holds."""
    return jaspar(_drawn(UNRELATED_KINGDOMS, (1 + DECOYS_PER_MOTIF) * len(RELATED)), RELEASE)


def prior_features(prior: str, codes: Codes, world: World | None = None) -> Features:
    """Features of a prior that is no placebo; the true motifs are those of a world.

    ``motif_true`` are the generator's own responses, an upper bound; every other motif prior goes
    through :func:`lib.motifs.priors.motif_features`.
    """
    if prior == "gc":
        found: NDArray[np.floating] = gc_windows(codes, windows=1)
    elif prior == "motif_true" and world is not None:
        found = responses(codes, world.program)[:, : len(world.program.motifs)]
    else:
        motifs = decoy_set() if prior == "motif_decoy" else unrelated_set()
        found = motif_features(codes, motifs)
    return check_prior(found, prior)


@lru_cache(maxsize=48)
def _known(whole: Arm, at: Condition | None, sizes: Sizes) -> Features:
    """Features of a prior; kept, as networks of a world share them."""
    if whole.prior == "permuted":
        values = _known(replace(whole, prior=PRIOR), at, sizes)
        rng = np.random.default_rng([whole.world_seed, zlib.crc32(f"{whole.prior} {at}".encode())])
        parts = worlds.training_data(whole, sizes)[1].parts if at is None else {}
        rows = list(parts.values()) or [np.arange(len(values))]
        return permuted_rows(values, rows, rng)
    if at is None:
        data = worlds.training_data(whole, sizes)[0]
    else:
        data = worlds.test_data(whole.world_seed, at, sizes.test, whole.misspecified)
    return prior_features(whole.prior, data.codes, whole.world)


def arm_features(arm: Arm, at: Condition | None, sizes: Sizes) -> Features | None:
    """What the network sees beside the training sample (None) or the sequences of a condition."""
    if arm.prior == "none":
        return None
    whole = Arm(arm.world_seed, "", sizes.train, prior=arm.prior, misspecified=arm.misspecified)
    return _known(whole, at, sizes)


def fit_prior(arm: Arm, config: Any, **more: Any) -> Unit:
    """The unit that fits an arm of a world; ``more`` are settings of its fit.

    ``config`` has ``parts``, ``epochs``, ``device``, ``precision``, and how side features enter:
    ``entry`` and ``side_dropout``.
    """
    data, split = worlds.training_data(arm, config.parts)
    data = replace(data, features=arm_features(arm, None, config.parts))
    return assays.fitting(arm_settings(arm, config).model_copy(update=more), data, split)


def arm_settings(arm: Arm, config: Any) -> FitConfig:
    """The settings of an arm's fit.

    A network without a prior is that of every other experiment; priors and placebos enter the same
    way.
    """
    epochs = enough_epochs(config.epochs, arm.size, config.parts.train)
    own = assays.of_networks(config, arm.model) | {"epochs": epochs, "seed": arm.world_seed}
    if arm.prior != "none":
        own["model_options"] |= {"entry": config.entry, "side_dropout": config.side_dropout}
    return tuned(arm.model, **own)


def network_metrics(judge: Judge, condition: Condition) -> Mapping[str, pd.DataFrame]:
    """Metrics of a network with its prior; one forecast answers for equal sequences."""
    at, test = condition.sequences, judge.test(condition)
    model, features = judge.network(), partial(arm_features, judge.arm, at, judge.sizes)
    forecast = judge.kept(
        ("with prior", at),
        lambda: predict(model, test.codes, features(), device=model.config.device),
    )
    return {"values": metric_table(judge, test, {"single": forecast})}


class Told(NamedTuple):
    """An arm of an assay whose networks are told a prior, of :data:`ASSAY_PRIORS`."""

    arm: AssayArm
    prior: str

    def features(self, store: Store, where: Placement) -> list[Features | None]:
        """What the network of each split sees beside its sequences."""
        codes, splits = self.arm.data.codes, self.arm.splits
        if self.prior == "none":
            return [None] * len(splits)
        if self.prior == forecasters.MOTIF_PRIOR:
            return [*forecasters.components(self.arm, store, where)]
        gc = prior_features("gc", codes)
        if self.prior == "gc":
            return [gc] * len(splits)
        rngs = (np.random.default_rng([s.seed, 501, k]) for k, s in enumerate(splits))
        parts = (list(split.parts.values()) for split in splits)
        return [permuted_rows(gc, *own) for own in zip(parts, rngs, strict=True)]

    def fitting(self, config: FitConfig, store: Store, where: Placement) -> list[Unit]:
        """The units that fit it, one per split."""
        return [
            assays.fitting(config, replace(self.arm.data, features=known), split)
            for split, known in zip(self.arm.splits, self.features(store, where), strict=True)
        ]


def _contrasts(measured: Sequence[scoring.Measured], between: pd.Series) -> pd.DataFrame:
    """Each prior's forecast against those of the placebo and of none, on the same part."""
    parts: dict[Any, dict[Any, scoring.Measured]] = {}
    for each in measured:
        part = tuple(each.keys[name] for name in PART)
        parts.setdefault(part, {})[each.keys["prior"]] = each
    tables = []
    for part, found in parts.items():
        for prior, against in product(found, AGAINST):
            if prior != against and against in found:
                keys = dict(zip(PART, part, strict=True)) | {"prior": prior, "entry": ENTRY}
                sides = found[prior], found[against]
                tables.append(scoring.contrast(*sides, between, **keys, against=against))
    table = scoring.joined(tables, (*PART, "prior", "entry", "against"))
    return table[table["metric"].isin(ERRORS)].drop(columns="scale").reset_index(drop=True)


def score_told(
    told: Sequence[Told], fits: Sequence[Fit], store: Store, where: Placement, draws: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Tidy rows, of kernels too, and contrasts of priors; ``fits`` are of ``told``, by split."""
    left, items = iter(fits), []
    asked = [(one.arm, lambda _: assays.forecasting(next(left))) for one in told]
    found = assays.run_arms(asked, store, where, "forecasts")
    for one, forecast in zip(told, found, strict=True):
        keys: dict[str, Any] = {"model": worlds.MAIN_MODEL, "uncertainty": "single"}
        keys |= {"prior": one.prior, "entry": ENTRY}
        items += [assays.scored(one.arm, part, forecast, **keys) for part in one.arm.parts]
    arms = [*dict.fromkeys(one.arm for one in told if one.arm.main)]
    for arm, known in forecasters.kernels(arms, forecasters.KERNELS, store, where).items():
        for part, (name, values) in product(arm.parts, known.items()):
            keys = {"model": name, "uncertainty": "single", "prior": "none", "entry": ""}
            items.append(assays.scored(arm, part, values, **keys))
    measured = scoring.score_all(items, draws, where.workers)
    between = scoring.refits(measured)
    rows = scoring.rows_of(measured, between)
    networks = [each for each in measured if each.keys["model"] == worlds.MAIN_MODEL]
    return rows[rows["metric"].isin(PUBLISHED)], _contrasts(networks, between)
