"""What stored units do: fit a network, forecast with it, fit the baselines.

In: the JSON-able config of a unit and its data, such as a data set, a split, a finished fit. Out:
results that hold a fitted network, or a forecast (arrays ``mean`` and ``std``) of the rows it has
not seen, or of other elements. :mod:`lib.experiments.assays` makes the units; what judges forecasts
is not imported, so that a change there leaves fits valid.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray

from lib.arrays import FloatArray, IndexArray
from lib.data.dataset import Result, SequenceDataset, Stored
from lib.data.splits import Split
from lib.models import baselines as simple
from lib.sequences import Codes
from lib.training.config import FitConfig
from lib.training.fit import fit
from lib.training.fitted import FittedModel, predict

Forecast = tuple[FloatArray, FloatArray]  # mean and standard deviation, (n,) each


@dataclass(frozen=True, eq=False)
class Elements:
    """What a network sees of a data set: forecasts of equal elements are the same unit."""

    codes: Codes
    features: NDArray[np.float32] | None = None

    @cached_property
    def fingerprint(self) -> str:
        """A hash of both arrays, their shapes and types."""
        return str(joblib.hash([self.codes, self.features]))


def network_of(model: Stored | Result) -> FittedModel:
    """The network that a finished fit holds."""
    result = model.result if isinstance(model, Stored) else model
    return FittedModel.from_arrays(result.arrays, result.meta)


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


def _of_unseen(model: Stored, data: SequenceDataset, seen: IndexArray, **asked: Any) -> Result:
    """Forecast the rows that are not ``seen``; those are NaN."""
    rows = np.setdiff1d(np.arange(len(data)), seen)
    unseen = data.take(rows)
    mean, std = np.full((2, len(data)), np.nan)
    mean[rows], std[rows] = predict(network_of(model), unseen.codes, unseen.features, **asked)
    return Result({"mean": mean, "std": std})


def predict_unit(
    _: Mapping[str, Any], model: Stored, data: SequenceDataset, split: Split
) -> Result:
    """Forecast the rows that the network has not seen; the others are NaN."""
    return _of_unseen(model, data, np.concatenate([split["train"], split["validation"]]))


def dropout_unit(
    config: Mapping[str, Any], model: Stored, data: SequenceDataset, split: Split
) -> Result:
    """Forecast with dropout at work; the rows of the training part are NaN."""
    asked = {"mc_dropout_samples": config["samples"], "device": config["device"]}
    return _of_unseen(model, data, split["train"], **asked)


def forecast_unit(_: Mapping[str, Any], model: Stored, elements: Elements) -> Result:
    """Forecast elements that are not of the data set the network was fitted on."""
    mean, std = predict(network_of(model), elements.codes, elements.features)
    return Result({"mean": mean, "std": std})


def baseline_unit(_: Mapping[str, Any], data: SequenceDataset, split: Split) -> Result:
    """Arrays ``<baseline>.mean`` and ``<baseline>.std``, (n,) each."""
    given = data.codes, data.activity, split["train"], split["validation"]
    made = {
        "mean": simple.training_mean(data.activity, split["train"]),
        "gc_ridge": simple.gc_ridge(*given),
        "kmer_ridge": simple.kmer_ridge(*given, data.oriented),
        "memoriser": simple.memoriser(*given, data.oriented),
    }
    arrays = {f"{name}.mean": each.mean for name, each in made.items()}
    return Result(arrays | {f"{name}.std": each.std for name, each in made.items()})
