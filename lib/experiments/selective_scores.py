"""What ranks the elements of a forecast from certain to uncertain: higher is set aside sooner.

In: forecasts, GC content, a fitted network. Out: scores ``(n,)`` by name. ``std`` is the forecast's
own; an ensemble adds its two parts; the distances need no labels; :data:`TRIVIAL` scores know
nothing of uncertainty, so that a gain they share is no merit of the forecast.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lib.data.dataset import FloatArray, IndexArray, SequenceDataset
from lib.experiments.fits import Elements
from lib.repair.detection import centre_distance, knn_distance
from lib.sequences import Codes
from lib.study.units import Result, Stored, Unit
from lib.training.ensembles import combine
from lib.training.fitted import FittedModel, embed

STD = "std"
TRIVIAL = ("mean", "mean_distance", "gc_distance")
REFERENCE = 2000  # training elements that the embedding distance is measured from

Forecast = tuple[FloatArray, FloatArray]


def reference_rows(train: IndexArray, seed: int) -> IndexArray:
    """At most :data:`REFERENCE` training rows, drawn by ``seed``."""
    if len(train) <= REFERENCE:
        return train
    return np.sort(np.random.default_rng(seed).choice(train, REFERENCE, replace=False))


def embedding_distance(
    model: FittedModel, reference: Codes, codes: Codes, neighbours: int
) -> FloatArray:
    """Mean distance to the nearest reference elements in the network's embedding, ``(n,)``.

    Each dimension is divided by its standard deviation over the reference. Source: Sun et al. 2022
    (2204.06507), there with vectors of unit length.
    """
    known, new = embed(model, reference), embed(model, codes)
    spread = known.std(axis=0)
    spread = np.where(spread > 0, spread, 1)
    return knn_distance(known / spread, new / spread, min(neighbours, len(known)))


def distance_unit(
    config: Mapping[str, Any], model: Stored, reference: Elements, elements: Elements
) -> Result:
    """Array ``distance``, (n,): :func:`embedding_distance` of ``elements``."""
    fitted = FittedModel.from_arrays(model.result.arrays, model.result.meta)
    found = embedding_distance(fitted, reference.codes, elements.codes, config["neighbours"])
    return Result({"distance": found})


def distancing(
    fit: Unit,
    result: Result,
    data: SequenceDataset,
    parts: tuple[IndexArray, IndexArray],
    neighbours: int,
) -> Unit:
    """The unit of the embedding distance; ``parts`` are the reference rows and the others."""
    given = {
        "model": Stored(result, fit.key),
        "reference": Elements(data.codes[parts[0]]),
        "elements": Elements(data.codes[parts[1]]),
    }
    return Unit(distance_unit, {"neighbours": neighbours}, given, fit.modules)


def scored(
    members: Sequence[Forecast],
    gc: FloatArray,
    distance: FloatArray,
    training: tuple[FloatArray, FloatArray],
) -> tuple[FloatArray, dict[str, FloatArray]]:
    """The members' mean forecast and every score of it.

    Parameters
    ----------
    members : sequence of (mean, std)
        Forecasts (n,) of the same elements; more than one is an ensemble.
    gc, distance : (n,) float arrays
        GC content and embedding distance.
    training : (activity, gc)
        Of the training elements, any number.
    """
    means, stds = (np.stack(values) for values in zip(*members, strict=True))
    together = combine(means, stds)
    scores = {STD: together.std}
    if len(members) > 1:
        scores |= {"epistemic": together.std_epistemic, "aleatoric": together.std_aleatoric}
    scores |= {
        "embedding_distance": distance,
        "gc_distance": centre_distance(training[1], gc),
        "mean": together.mean,
        "mean_distance": centre_distance(training[0], together.mean),
    }
    return together.mean, scores
