"""Fits, forecasts and baselines as stored units (:mod:`lib.study.units`).

In: a :class:`lib.training.fit.FitConfig`, a data set and a split. Out: results that hold a fitted
network, or its forecast (arrays ``mean`` and ``std``) of the rows it has not seen, or of other
elements.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib.data.dataset import FloatArray, SequenceDataset
from lib.data.splits import Split
from lib.models import model_path
from lib.sequences import Codes
from lib.study.units import Result, Stored, Unit
from lib.training.config import FitConfig
from lib.training.fit import fit
from lib.training.fitted import FittedModel, predict


@dataclass(frozen=True, eq=False)
class Elements:
    """What a network sees of a data set: forecasts of equal elements are the same unit."""

    codes: Codes
    features: NDArray[np.float32] | None = None

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over both arrays."""
        digest = hashlib.sha256()
        for values in (self.codes, self.features):
            if values is not None:
                digest.update(f"{values.shape}{values.dtype}".encode())
                digest.update(np.ascontiguousarray(values).tobytes())
        return digest.hexdigest()


def fit_unit(config: Mapping[str, Any], data: SequenceDataset, split: Split) -> Result:
    """Fit one network on the training part, stopped early on the validation part."""
    train, validation = data.take(split["train"]), data.take(split["validation"])
    model = fit(
        train.codes,
        train.activity,
        validation=(validation.codes, validation.activity),
        features=train.features,
        validation_features=validation.features,
        weight=train.weight,
        config=FitConfig(**config),
    )
    return Result(*model.to_arrays())


def predict_unit(
    _: Mapping[str, Any], model: Stored, data: SequenceDataset, split: Split
) -> Result:
    """Forecast the rows that the network has not seen; the others are NaN."""
    fitted = FittedModel.from_arrays(model.result.arrays, model.result.meta)
    seen = np.concatenate([split["train"], split["validation"]])
    rows = np.setdiff1d(np.arange(len(data)), seen)
    unseen = data.take(rows)
    mean, std = np.full((2, len(data)), np.nan)
    mean[rows], std[rows] = predict(fitted, unseen.codes, unseen.features)
    return Result({"mean": mean, "std": std})


def forecast_unit(_: Mapping[str, Any], model: Stored, elements: Elements) -> Result:
    """Forecast elements that are not of the data set the network was fitted on."""
    fitted = FittedModel.from_arrays(model.result.arrays, model.result.meta)
    mean, std = predict(fitted, elements.codes, elements.features)
    return Result({"mean": mean, "std": std})


def fitting(config: FitConfig, data: SequenceDataset, split: Split) -> Unit:
    """The unit that fits ``config``; of all networks the one it names counts by its source."""
    modules = (model_path(config.model)[0],)
    return Unit(fit_unit, config.model_dump(mode="json"), {"data": data, "split": split}, modules)


def predicting(fit: Unit, result: Result) -> Unit:
    """The unit that forecasts the unseen rows of a finished fit's data set."""
    return Unit(predict_unit, {}, {"model": Stored(result, fit.key), **fit.data}, fit.modules)


def forecasting(fit: Unit, result: Result, data: SequenceDataset) -> Unit:
    """The unit that forecasts another data set with a finished fit."""
    given = {"model": Stored(result, fit.key), "elements": Elements(data.codes, data.features)}
    return Unit(forecast_unit, {}, given, fit.modules)


def forecast(result: Result) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation, (n,) each, that a forecasting unit stored."""
    return result.arrays["mean"], result.arrays["std"]
