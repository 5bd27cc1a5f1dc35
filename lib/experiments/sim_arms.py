"""Names that have moved to :mod:`lib.experiments.worlds`."""

from lib.experiments.worlds import (
    TEST_SEED,
    TRAIN_SEED,
    Arm,
    Condition,
    Sizes,
    test_data,
    training_data,
    world_of,
)

__all__ = [
    "TEST_SEED",
    "TRAIN_SEED",
    "Arm",
    "Condition",
    "Sizes",
    "test_data",
    "training_data",
    "world_of",
]
