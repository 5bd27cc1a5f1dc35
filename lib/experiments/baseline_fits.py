"""Until its callers import :mod:`lib.experiments.fits`."""

from lib.experiments.fits import BASELINES, SIMULATED_BASELINES, baseline_forecast, baselines
from lib.training.units import baseline_unit

__all__ = ["BASELINES", "SIMULATED_BASELINES", "baseline_forecast", "baseline_unit", "baselines"]
