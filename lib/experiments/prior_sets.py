"""The priors of the experiment by name: which features each gives a network.

In: the name of a prior, codes ``(n, L)`` and, in simulation, the world. Out: features ``(n, p)``.
The decoy set mixes a stand-in for each true factor (its paralogue's matrix, or where it has none
its own older one, from another JASPAR release) with three times as many other vertebrate factors,
all read by another scorer than the generator's.
"""

import warnings
from collections.abc import Callable, Mapping
from functools import lru_cache
from itertools import chain
from typing import Final

import numpy as np

from lib.motifs.priors import (
    Features,
    check_prior,
    cpg_features,
    gc_feature,
    gc_windows,
    kmer_features,
    motif_features,
)
from lib.motifs.pwm import PWM, jaspar, perturb
from lib.sequences import Codes
from lib.simulator import World
from lib.simulator.activity import responses
from lib.simulator.programs import MOTIFS

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


@lru_cache(maxsize=8)
def release_ids(kingdoms: tuple[str, ...], release: str = RELEASE) -> tuple[str, ...]:
    """Matrix ids of the CORE collection of some taxonomic groups, sorted."""
    import pyjaspar  # as in lib.motifs.pwm: slow to import

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        database = pyjaspar.jaspardb(release=release)
        found = database.fetch_motifs(collection="CORE", tax_group=list(kingdoms))
    return tuple(sorted(motif.matrix_id for motif in found))


def _base(matrix: str) -> str:
    return matrix.partition(".")[0]


def _drawn(kingdoms: tuple[str, ...], count: int, taken: set[str]) -> list[str]:
    """Matrices drawn from a release, none a version of one that is taken."""
    free = [matrix for matrix in release_ids(kingdoms) if _base(matrix) not in taken]
    rng = np.random.default_rng([_DRAW, len(free)])
    return [free[place] for place in rng.permutation(len(free))[:count]]


@lru_cache(maxsize=1)
def decoy_set() -> tuple[PWM, ...]:
    """Each stand-in followed by its three decoys: 64 motifs."""
    taken = {_base(matrix) for matrix in (*MOTIFS, *RELATED)}
    others = _drawn(("vertebrates",), DECOYS_PER_MOTIF * len(RELATED), taken)
    groups = np.array(others).reshape(len(RELATED), DECOYS_PER_MOTIF)
    mixed = chain.from_iterable([own, *more] for own, more in zip(RELATED, groups, strict=True))
    return jaspar([str(matrix) for matrix in mixed], RELEASE)


@lru_cache(maxsize=1)
def unrelated_set() -> tuple[PWM, ...]:
    """Factors of other kingdoms, as many as the decoy set holds."""
    count = (1 + DECOYS_PER_MOTIF) * len(RELATED)
    return jaspar(_drawn(UNRELATED_KINGDOMS, count, set()), RELEASE)


def motif_set(prior: str, world: World) -> tuple[PWM, ...]:
    """The motifs behind a motif prior.

    Raises
    ------
    ValueError
        For a prior that is not made of motifs.
    """
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
    """Features of a prior that is no placebo.

    ``motif_true`` are the generator's own responses, an upper bound; every other motif prior goes
    through :func:`lib.motifs.priors.motif_features`.

    Parameters
    ----------
    prior : str
    codes : (n, L) uint8 array
    world : World, optional
        Needed by motif priors.

    Raises
    ------
    ValueError
        For an unknown prior, a motif prior without a world, features that are constant or not
        finite.
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
