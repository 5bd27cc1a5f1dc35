"""What the simulation experiment trains on and is judged on.

In: worlds, shifts, sizes. Out: :class:`Arm`, a network and the law it is trained under, and
:class:`Condition`, a shift at a severity, with the data of both. One test seed serves all
conditions of a world: concept and technical shifts then leave the sequences as they are, so that
one forecast answers for all of them and differences are paired element by element.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from lib.data.dataset import SequenceDataset
from lib.data.splits import Split
from lib.simulator import SHIFTS, Shift, World, draw_world, simulate
from lib.simulator.activity import responses
from lib.simulator.severity import severity_for

TRAIN_SEED, TEST_SEED = 1, 2


@dataclass(frozen=True)
class Condition:
    """A shift at a severity; ``Condition()`` is in distribution.

    Attributes
    ----------
    shift, option : str
        As for :class:`lib.simulator.Shift`; empty in distribution.
    severity : float
        On the shift's dial.
    distance : float
        Above 0: the measured distance d that a concept shift reaches; its dial is found per world.
    """

    shift: str = ""
    severity: float = 0.0
    option: str = ""
    distance: float = 0.0

    @property
    def family(self) -> str:
        """``covariate``, ``concept``, ``technical``, or empty in distribution."""
        return SHIFTS[self.shift].family if self.shift else ""

    @property
    def name(self) -> str:
        """What the column ``condition`` says: the option, or the distance aimed at."""
        return f"d={self.distance:g}" if self.distance else self.option

    @property
    def moves_sequences(self) -> bool:
        """Whether its sequences differ from those in distribution."""
        return self.family == "covariate" and self.severity > 0

    def shifts(self, world: World) -> tuple[Shift, ...]:
        """What to apply in a world."""
        if not self.shift:
            return ()
        return (Shift(self.shift, self.dial(world), self.option),)

    def dial(self, world: World) -> float:
        """Where the shift's dial stands."""
        if self.distance:
            return severity_for(world, self.shift, self.distance, self.option)
        return self.severity


@dataclass(frozen=True)
class Arm:
    """A network with the law and the size of its training sample.

    Attributes
    ----------
    world_seed : int
    model : str
    size : int
        Training elements.
    law : Condition
        Training law; ``Condition()`` is in distribution.
    """

    world_seed: int
    model: str
    size: int
    law: Condition = Condition()


@dataclass(frozen=True)
class Sizes:
    """Elements per part of a training sample, and of a test sample."""

    train: int
    validation: int
    calibration: int
    test: int


@lru_cache(maxsize=4)
def world_of(seed: int) -> World:
    """The world of a seed; drawing one takes a while, so the last few are kept."""
    return draw_world(seed)


def training_data(arm: Arm, sizes: Sizes) -> tuple[SequenceDataset, Split]:
    """Sample of the arm's training law, cut into train, validation and calibration.

    A smaller arm trains on the first elements of the same sample and shares the other parts.
    """
    world = world_of(arm.world_seed)
    counts = (sizes.train, sizes.validation, sizes.calibration)
    data = simulate(world, sum(counts), TRAIN_SEED, shift=arm.law.shifts(world))
    train, validation, calibration = np.split(np.arange(sum(counts)), np.cumsum(counts)[:-1])
    parts = {"train": train[: arm.size], "validation": validation, "calibration": calibration}
    return data, Split("simulated", arm.world_seed, parts)


def test_data(world_seed: int, condition: Condition, n: int) -> SequenceDataset:
    """Test sample of a world under a condition."""
    world = world_of(world_seed)
    return simulate(world, n, TEST_SEED, shift=condition.shifts(world))


def with_occupancies(
    world: World, train: SequenceDataset, tests: Sequence[SequenceDataset]
) -> SequenceDataset:
    """Training sample and test samples as one data set, its true occupancies as features.

    For baselines, which read the targets of their training and validation rows only.
    """
    every = [train, *tests]
    codes = np.concatenate([data.codes for data in every])
    motifs = len(world.program.motifs)
    return replace(
        train,
        codes=codes,
        activity=np.concatenate([data.activity for data in every]),
        group=np.arange(len(codes)),
        features=responses(codes, world.program)[:, :motifs].astype(np.float32),
        metadata=train.metadata.iloc[:0, :0],
        truth=None,
    )
