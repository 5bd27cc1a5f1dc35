"""Until its callers import :mod:`lib.experiments.assays`."""

from lib.experiments.assays import ARMS, build_arms
from lib.experiments.assays import AssayArm as Arm
from lib.experiments.assays import AssayPart as Part

__all__ = ["ARMS", "Arm", "Part", "build_arms"]
