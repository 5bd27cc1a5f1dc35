"""Forecasts of the networks of the real shifts, and their scores on what they are asked about.

In: networks, their parts (:class:`lib.experiments.real_parts.Asked`) and a store of finished fits.
Out: :class:`Fitted` networks and tidy rows per split.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lib.data.dataset import FloatArray, IndexArray, SequenceDataset
from lib.experiments.baseline_fits import BASELINES, baseline_forecast, baselines
from lib.experiments.fits import forecast, forecasting, predicting
from lib.experiments.real_arms import GENOTYPE, MODEL, PROMOTER, Network
from lib.experiments.real_parts import Asked
from lib.experiments.scoring import Scored, score
from lib.metrics.selective import retained_r2
from lib.models.baselines import constant_sigma
from lib.repair.conformal import one_per_group
from lib.repair.detection import density_ratio
from lib.repair.recalibration import std_scaling
from lib.study.units import Placement, Result, Store, run_units
from lib.training.ensembles import combine as combine_members

# Networks that stand beside the baselines on the same split; on the GC arms notebook 02 has them.
WITH_BASELINES = ("retina", "batch", "design", "plant")
HALF = 0.5  # coverage at which the R2 of retained elements is taken
METRICS = (
    *("rmse", "bias", "pearson_r", "r2_cod", "sd_target", "crps_gaussian", "crps_skill"),
    *("nll_gaussian", "zms", "zms_robust", "aurc"),
    *("picp_50", "picp_80", "picp_90", "picp_95", "mpiw_90"),
)
R2_KEPT = "r2_50"


class Forecast(NamedTuple):
    """A forecast of n rows: members ``(k, n)`` each, and their mixture ``(n,)`` each."""

    means: FloatArray
    stds: FloatArray
    mean: FloatArray
    std: FloatArray
    aleatoric: FloatArray


class Fitted(NamedTuple):
    """A network, or an ensemble of them, after training.

    Attributes
    ----------
    network : Network
        The first member.
    own : Forecast
        Of its own data; NaN on rows it has seen.
    foreign : Forecast or None
        Of the genotypes' elements.
    scale, sigma : float
        Factor on the std, and constant std, both from the calibration part.
    calibration : (m,) int64 array
        Rows of the calibration part, one per group.
    baselines : Result or None
    """

    network: Network
    own: Forecast
    foreign: Forecast | None
    scale: float
    sigma: float
    calibration: IndexArray
    baselines: Result | None

    def of(self, asked: Asked) -> Forecast:
        """The forecast that a part reads."""
        return self.foreign if asked.foreign and self.foreign is not None else self.own


def mixture(found: Sequence[tuple[FloatArray, FloatArray]]) -> Forecast:
    """Members' forecasts and their mixture; rows that a member has seen are NaN."""
    means, stds = (np.stack(values) for values in zip(*found, strict=True))
    unseen = np.isfinite(means).all(axis=0)
    together = combine_members(means[:, unseen], stds[:, unseen])
    mean, std, aleatoric = np.full((3, means.shape[1]), np.nan)
    mean[unseen], std[unseen] = together.mean, together.std
    aleatoric[unseen] = together.std_aleatoric
    return Forecast(means, stds, mean, std, aleatoric)


def _wants_baselines(network: Network) -> bool:
    home = network.condition == f"{PROMOTER} {GENOTYPE}"
    return network.arm in WITH_BASELINES or (network.arm == "genotype" and home)


def _grouped(networks: Sequence[Network]) -> list[list[int]]:
    """Members of one ensemble: networks that differ in their seed alone."""
    groups: dict[tuple[str, str, int, str], list[int]] = {}
    for index, network in enumerate(networks):
        key = (network.arm, network.condition, network.split.seed, network.data.name)
        groups.setdefault(key, []).append(index)
    return list(groups.values())


def fit_all(
    networks: Sequence[Network],
    elements: SequenceDataset,
    store: Store,
    where: Placement,
) -> list[Fitted]:
    """Fit what is not fitted yet, and forecast.

    Parameters
    ----------
    networks : sequence of Network
    elements : SequenceDataset
        The genotypes' elements, for the networks on the retina libraries.
    store : Store
    where : Placement
    """
    units = [network.unit for network in networks]
    models = run_units(units, store, where, "fits")
    pairs = list(zip(units, models, strict=True))
    own = run_units([predicting(*pair) for pair in pairs], store, where, "forecasts")
    abroad = [i for i, network in enumerate(networks) if network.arm == "retina"]
    asked = [forecasting(*pairs[index], elements) for index in abroad]
    foreign = dict(zip(abroad, run_units(asked, store, where, "forecasts"), strict=True))
    groups = _grouped(networks)
    compared = [group[0] for group in groups if _wants_baselines(networks[group[0]])]
    units = [baselines(networks[i].data, networks[i].split) for i in compared]
    simple = dict(zip(compared, run_units(units, store, where, "baselines"), strict=True))
    return [
        _fitted(
            networks[group[0]],
            mixture([forecast(own[i]) for i in group]),
            mixture([forecast(foreign[i]) for i in group]) if group[0] in foreign else None,
            simple.get(group[0]),
        )
        for group in groups
    ]


def _fitted(
    network: Network, own: Forecast, foreign: Forecast | None, simple: Result | None
) -> Fitted:
    data, held = network.data, network.split["calibration"]
    # One element per group: relatives are not independent evidence of the scale.
    drawn = held[one_per_group(data.group[held], np.random.default_rng(network.split.seed))]
    scale = std_scaling(own.mean[drawn], own.std[drawn], data.activity[drawn]).scale
    sigma = float(constant_sigma(own.mean, data.activity, held).std[0])
    return Fitted(network, own, foreign, scale, sigma, drawn, simple)


def part_rows(fitted: Fitted, asked: Asked) -> IndexArray:
    """Positions into the part: all of them, or resampled to resemble other elements.

    Likeness is in predicted activity and GC content, by an estimated density ratio.
    """
    n = len(asked.rows)
    if asked.like is None:
        return np.arange(n)
    data, mean = fitted.network.data, fitted.of(asked).mean
    features = [np.column_stack([mean[rows], data.gc[rows]]) for rows in (asked.rows, asked.like)]
    (ratio,) = density_ratio(features[0], features[1], features[0])
    rng = np.random.default_rng(fitted.network.split.seed)
    return np.sort(rng.choice(n, n, p=ratio / ratio.sum()))


def _variants(
    fitted: Fitted, asked: Asked
) -> Iterator[tuple[dict[str, Any], FloatArray, FloatArray]]:
    """Every forecast of a part, over all rows of its table."""
    found = fitted.of(asked)
    network = {"model": MODEL, "prior": "none"}
    base = "ensemble" if len(found.means) > 1 else "single"
    if base == "ensemble":
        for seed, (mean, std) in enumerate(zip(found.means, found.stds, strict=True)):
            yield network | {"uncertainty": "single", "seed": seed}, mean, std
    yield network | {"uncertainty": base}, found.mean, found.std
    if fitted.network.arm == "gc":
        return  # notebook 02 has the rest
    yield network | {"uncertainty": "std_scaling"}, found.mean, fitted.scale * found.std
    constant = np.full(len(found.mean), fitted.sigma)
    yield network | {"uncertainty": "constant_sigma"}, found.mean, constant
    if fitted.baselines is not None and not asked.foreign:
        for name in BASELINES:
            keys = {"model": name, "prior": "none", "uncertainty": "single"}
            yield keys, *baseline_forecast(fitted.baselines, name)


def scored_items(fitted: Fitted, asked: Asked) -> Iterator[Scored]:
    """What is scored of one part."""
    network = fitted.network
    train = network.data.activity[network.split["train"]]
    at = part_rows(fitted, asked)
    rows = asked.rows[at]
    for keys, mean, std in _variants(fitted, asked):
        yield Scored(
            {"split_seed": network.split.seed, "seed": None, **asked.keys, **keys},
            mean[rows],
            std[rows],
            asked.target[at],
            asked.group[at],
            len(train),
            (float(train.mean()), float(train.std())),
        )


def score_item(item: Scored, draws: int, seed: int) -> pd.DataFrame:
    """Rows of one forecast, with the R2 of the half with the smallest std (no interval)."""
    rows = score(item, draws, seed)
    rows = rows[rows["metric"].isin(METRICS)]
    kept = rows.iloc[[0]].assign(
        metric=R2_KEPT,
        value=retained_r2(item.mean, item.target, item.std, HALF),
        lower=np.nan,
        upper=np.nan,
        variance=np.nan,
    )
    return pd.concat([rows, kept], ignore_index=True)


def signal_over_predicted(fitted: Fitted) -> float:
    """Var f over the mean variance that a network predicts, on its calibration part.

    Both in distribution: how good it is before any shift. The measured error is taken out of the
    labels' variance where it is known.
    """
    data, rows = fitted.network.data, fitted.calibration
    error = None
    if data.noise_std is not None:
        error = data.noise_std[rows]
    elif "se_barcodes" in data.metadata:
        error = data.metadata["se_barcodes"].to_numpy(float)[rows]
    noise = 0.0 if error is None else float(np.mean(error**2))
    signal = float(data.activity[rows].var()) - noise
    return signal / float(np.mean(fitted.own.std[rows] ** 2))


def qualities(fitted: Sequence[Fitted]) -> dict[tuple[str, str], float]:
    """:func:`signal_over_predicted` by arm and condition, mean over splits."""
    found: dict[tuple[str, str], list[float]] = {}
    for each in fitted:
        key = (each.network.arm, each.network.condition)
        found.setdefault(key, []).append(signal_over_predicted(each))
    return {key: float(np.mean(values)) for key, values in found.items()}
