"""Until its callers import :mod:`lib.training.config`."""

from lib.training.config import tuned

__all__ = ["tuned"]
