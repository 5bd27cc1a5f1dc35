"""Until its callers import :mod:`lib.training.units`."""

from lib.training.units import (
    BASELINES,
    SIMULATED_BASELINES,
    baseline_forecast,
    baseline_unit,
    baselines,
)

__all__ = ["BASELINES", "SIMULATED_BASELINES", "baseline_forecast", "baseline_unit", "baselines"]
