"""Units that fit, forecast and fit baselines, and what their results hold.

In: a :class:`lib.training.config.FitConfig`, a data set and a split. Out: units of
:mod:`lib.training.units`, and forecasts ``(mean, std)`` read off their results.
"""

from typing import Any, Final

from lib.data.dataset import SequenceDataset
from lib.data.splits import Split
from lib.data.stored import Result, Stored
from lib.models import model_path
from lib.study.units import Unit
from lib.training import units
from lib.training.config import FitConfig
from lib.training.units import Elements, Filters, Forecast

BASELINES: Final = ("mean", "gc_ridge", "kmer_ridge", "memoriser")
# Of a simulated assay: its data sets carry the true occupancies as features.
SIMULATED_BASELINES: Final = ("mean", "gc_ridge", "kmer_ridge", "occupancy_linear")


def fitting(
    config: FitConfig, data: SequenceDataset, split: Split, filters: Filters | None = None
) -> Unit:
    """The unit that fits ``config``; of all networks the one it names counts by its source."""
    given: dict[str, Any] = {"data": data, "split": split}
    given |= {} if filters is None else {"filters": filters}
    modules = (model_path(config.model)[0],)
    return Unit(units.fit_unit, config.model_dump(mode="json"), given, modules)


def _on_own_data(fit: Unit, result: Result) -> dict[str, Any]:
    own = {name: fit.data[name] for name in ("data", "split")}
    return {"model": Stored(result, fit.key), **own}


def predicting(fit: Unit, result: Result) -> Unit:
    """The unit that forecasts the unseen rows of a finished fit's data set."""
    return Unit(units.predict_unit, {}, _on_own_data(fit, result), fit.modules)


def predicting_with_dropout(fit: Unit, result: Result, samples: int) -> Unit:
    """The unit that forecasts with ``samples`` passes of a finished fit, dropout at work."""
    config = {"samples": samples, "device": fit.config["device"]}
    return Unit(units.dropout_unit, config, _on_own_data(fit, result), fit.modules)


def forecasting(fit: Unit, result: Result, data: SequenceDataset) -> Unit:
    """The unit that forecasts another data set with a finished fit."""
    given = {"model": Stored(result, fit.key), "elements": Elements(data.codes, data.features)}
    return Unit(units.forecast_unit, {}, given, fit.modules)


def baselines(data: SequenceDataset, split: Split, names: tuple[str, ...] = BASELINES) -> Unit:
    """The unit that fits baselines on a split."""
    return Unit(units.baseline_unit, {"names": list(names)}, {"data": data, "split": split})


def baseline_forecast(result: Result, name: str) -> Forecast:
    """Mean and standard deviation of one baseline, (n,) each."""
    return result.arrays[f"{name}.mean"], result.arrays[f"{name}.std"]


def forecast(result: Result) -> Forecast:
    """Mean and standard deviation, (n,) each, that a forecasting unit stored."""
    return result.arrays["mean"], result.arrays["std"]
