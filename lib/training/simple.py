"""Units of forecasters that are no networks: kernels and baselines.

They stand apart from :mod:`lib.training.fit`, so that a change here leaves finished networks valid.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.linalg import eigh

from lib.data.dataset import Result, SequenceDataset
from lib.data.splits import Split
from lib.models import baselines
from lib.models.kernels import kernel_forecast, kmer_profiles, motif_scores
from lib.motifs.pwm import core_motifs


def motif_unit(config: Mapping[str, Any], data: SequenceDataset) -> Result:
    """Array ``scores`` (n, 2 m): what :func:`lib.models.kernels.motif_scores` says of all rows.

    Of the m motifs that fit into the elements; a ``ValueError`` where none does.
    """
    motifs = [
        pwm
        for pwm in core_motifs(config["kingdom"], config["release"])
        if pwm.width <= data.codes.shape[1]
    ]
    return Result({"scores": motif_scores(data.codes, motifs).astype(np.float32)})


def components_unit(config: Mapping[str, Any], split: Split, scores: Result) -> Result:
    """Array ``features`` (n, count): the first principal components of standardised ``scores``.

    Means, standard deviations and components are those of the training part.
    """
    values = scores.arrays["scores"].astype(np.float64)
    known = values[split["train"]]
    spread = known.std(axis=0)
    scaled = (values - known.mean(axis=0)) / np.where(spread > 0, spread, 1)
    square, most = scaled[split["train"]].T @ scaled[split["train"]], values.shape[1] - 1
    found = eigh(square, subset_by_index=[most + 1 - config["count"], most])[1]
    return Result({"features": (scaled @ found[:, ::-1]).astype(np.float32)})


def kernel_unit(
    config: Mapping[str, Any], data: SequenceDataset, split: Split, scores: Result | None = None
) -> Result:
    """Forecast all rows by a kernel on k-mers, or on ``scores``; it trains until validation."""
    if scores is None:
        features = kmer_profiles(data.codes, data.oriented)
    else:
        features = scores.arrays["scores"].astype(np.float64)
    known = np.concatenate([split["train"], split["validation"]])
    found = kernel_forecast(features, data.codes, data.activity, known, data.group)
    meta = {"width": found.width, "noise": found.noise}
    return Result({"mean": found.mean, "std": found.std}, meta)


def baseline_unit(config: Mapping[str, Any], data: SequenceDataset, split: Split) -> Result:
    """Forecast all rows by the baseline that ``config`` names: arrays ``mean`` and ``std``."""
    given = data.codes, data.activity, split["train"], split["validation"]
    made = {
        "mean": lambda: baselines.training_mean(data.activity, split["train"]),
        "gc_ridge": lambda: baselines.gc_ridge(*given),
        "kmer_ridge": lambda: baselines.kmer_ridge(*given, data.oriented),
        "memoriser": lambda: baselines.memoriser(*given, data.oriented),
    }
    return Result(made[config["baseline"]]()._asdict())
