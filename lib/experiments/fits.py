"""Until its callers import :mod:`lib.training.units`."""

from lib.training.units import (
    Elements,
    fit_unit,
    fitting,
    forecast,
    forecast_unit,
    forecasting,
    predict_unit,
    predicting,
)

__all__ = [
    "Elements",
    "fit_unit",
    "fitting",
    "forecast",
    "forecast_unit",
    "forecasting",
    "predict_unit",
    "predicting",
]
