"""Fits that start from given filters, as stored units.

In: a fit's settings, data, split and the weight of its first convolution. Out: the fitted network,
as :func:`lib.experiments.fits.fit_unit` returns it. Apart from the rest of the experiment so that a
change there leaves fitted networks valid.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from lib.data.dataset import SequenceDataset
from lib.data.splits import Split
from lib.models import model_path
from lib.motifs.priors import Features
from lib.study.units import Result, Unit
from lib.training.config import FitConfig
from lib.training.fit import fit


@dataclass(frozen=True, eq=False)
class Filters:
    """The weight of a first convolution, (channels, 4, 1, width), and its name in the network."""

    name: str
    weight: Features

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over name and weight."""
        digest = hashlib.sha256(f"{self.name}{self.weight.shape}".encode())
        digest.update(np.ascontiguousarray(self.weight).tobytes())
        return digest.hexdigest()


def fit_from_unit(
    config: Mapping[str, Any], data: SequenceDataset, split: Split, filters: Filters
) -> Result:
    """Fit one network whose first convolution starts from given filters."""
    train, validation = data.take(split["train"]), data.take(split["validation"])
    model = fit(
        train.codes,
        train.activity,
        validation=(validation.codes, validation.activity),
        initial_state={filters.name: filters.weight},
        config=FitConfig(**config),
    )
    return Result(*model.to_arrays())


def fitting_from(config: FitConfig, data: SequenceDataset, split: Split, filters: Filters) -> Unit:
    """The unit that fits ``config`` from given filters."""
    given = {"data": data, "split": split, "filters": filters}
    modules = (model_path(config.model)[0],)
    return Unit(fit_from_unit, config.model_dump(mode="json"), given, modules)
