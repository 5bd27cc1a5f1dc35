"""Names that have moved to :mod:`lib.experiments.worlds`."""

from lib.experiments.worlds import TestedWorldConfig, WorldConfig

__all__ = ["TestedWorldConfig", "WorldConfig"]
