"""Names that have moved to :mod:`lib.experiments.worlds`."""

from typing import Any

import numpy as np

from lib.experiments.worlds import METRICS, metrics

__all__ = ["METRICS", "measure"]


def measure(mean: Any, std: Any, data: Any, climatology: tuple[float, float]) -> Any:
    """Metrics as an array."""
    return np.array(list(metrics((mean, std), data, climatology).values()))
