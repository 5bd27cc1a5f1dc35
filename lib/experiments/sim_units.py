"""Judging one network, or the baselines, of a simulated world under every condition: stored units.

In: an :class:`lib.experiments.sim_arms.Arm` and conditions. Out: arrays of metrics by condition and
by treatment of the uncertainty, beside the oracle's. Every metric against ``y`` is joined by
``rmse_f`` and ``r2_f`` against the noise-free activity f, and ZMS by its split.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib.data.dataset import FloatArray, SequenceDataset, Truth
from lib.experiments.baseline_fits import (
    SIMULATED_BASELINES,
    baseline_forecast,
    baseline_unit,
)
from lib.experiments.sim_arms import (
    Arm,
    Condition,
    Sizes,
    test_data,
    training_data,
    with_occupancies,
    world_of,
)
from lib.metrics.accuracy import r2_cod, rmse
from lib.metrics.audit import all_metrics
from lib.metrics.bands import gaussian_band
from lib.metrics.coverage import picp
from lib.metrics.decomposition import zms_decomposition
from lib.models.baselines import constant_sigma, sigma_regression
from lib.repair.recalibration import std_scaling
from lib.simulator.sample import known_truth
from lib.simulator.severity import measure_severity
from lib.study.units import Result, Stored, Unit
from lib.training.fitted import FittedModel, predict

METRICS = (
    *("rmse", "bias", "pearson_r", "r2_cod", "sd_target", "crps_gaussian", "crps_skill"),
    *("nll_gaussian", "interval_score_90", "zms", "zms_robust", "ence", "mace", "mpiw_90"),
    *("picp_50", "picp_80", "picp_90", "picp_95"),
    *("rmse_f", "r2_f", "zms_aleatoric", "zms_bias", "zms_missing", "ence_null"),
)
TREATMENTS = ("single", "std_scaling", "constant_sigma", "sigma_regression")
DECILES = 10
SEVERITY_FIELDS = (
    *("distance", "distance_offset", "distance_gain", "distance_rewiring"),
    *("gc_shift", "sites_shift", "effective_n", "noise_share", "label_shift"),
    *("occupancy_shift", "activity_shift", "variance_ratio"),
)
SEVERITY_SIZE = 4096

Forecast = tuple[FloatArray, FloatArray]
Climatology = tuple[float, float]


def measure(
    mean: FloatArray,
    std: FloatArray,
    data: SequenceDataset,
    climatology: Climatology,
    band: bool = False,
) -> FloatArray:
    """The :data:`METRICS` of one forecast of a simulated sample; ``ence_null`` with ``band``."""
    truth = known_truth(data)
    values = all_metrics(mean, std, data.activity, climatology=climatology)
    split = zms_decomposition(mean, std, np.zeros(len(std)), truth.mean, truth.std)
    null = float("nan")
    if band:
        limits = gaussian_band(std, np.random.default_rng(0))
        null = float(limits.loc[limits["metric"] == "ence", "upper"].to_numpy()[0])
    values |= {
        "rmse_f": rmse(mean, truth.activity),
        "r2_f": r2_cod(mean, truth.activity),
        "zms_aleatoric": split.aleatoric,
        "zms_bias": split.bias,
        "zms_missing": split.missing,
        "ence_null": null,
    }
    return np.array([values[name] for name in METRICS])


def _treated(
    mean: FloatArray, std: FloatArray, gc: FloatArray, held: tuple[Forecast, SequenceDataset]
) -> Iterator[Forecast]:
    """The forecast under each of :data:`TREATMENTS`, calibrated in distribution."""
    (held_mean, held_std), data = held
    yield mean, std
    yield mean, std_scaling(held_mean, held_std, data.activity).scale * std
    rows = np.arange(len(held_mean))
    both = np.concatenate([held_mean, mean])
    target = np.concatenate([data.activity, np.full(len(mean), np.nan)])
    every_gc = np.concatenate([data.gc, gc])
    yield mean, constant_sigma(both, target, rows).std[len(rows) :]
    yield mean, sigma_regression(both, every_gc, target, rows).std[len(rows) :]


def _coverage_by(
    mean: FloatArray, std: FloatArray, data: SequenceDataset, edges: Sequence[FloatArray]
) -> FloatArray:
    """Coverage of 90 % intervals and number of elements per decile of GC and of f: (2, 2, 10)."""
    found = np.full((2, 2, DECILES), np.nan)
    for row, (values, cuts) in enumerate(
        zip((data.gc, known_truth(data).activity), edges, strict=True)
    ):
        decile = np.searchsorted(cuts, values, side="right")
        for cell in range(DECILES):
            inside = decile == cell
            found[row, :, cell] = (
                picp(mean[inside], std[inside], data.activity[inside]),
                inside.sum(),
            )
    return found


def _inner_edges(values: FloatArray) -> FloatArray:
    return np.quantile(values, np.linspace(0, 1, DECILES + 1)[1:-1])


class _Forecaster:
    """Forecasts of one network; a sample whose sequences it has just seen costs nothing."""

    def __init__(self, model: FittedModel) -> None:
        self.model = model
        self.seen: dict[bytes, Forecast] = {}

    def __call__(self, data: SequenceDataset) -> Forecast:
        key = data.codes.tobytes()
        if key not in self.seen:
            self.seen[key] = predict(self.model, data.codes)
        return self.seen[key]


def _read(config: Mapping[str, Any]) -> tuple[Arm, list[Condition], Sizes]:
    arm = dict(config["arm"])
    law = Condition(**arm.pop("law"))
    conditions = [Condition(**values) for values in config["conditions"]]
    return Arm(**arm, law=law), conditions, Sizes(**config["sizes"])


def _climatology(data: SequenceDataset, train: NDArray[np.int64]) -> Climatology:
    values = data.activity[train]
    return float(values.mean()), float(values.std())


def _oracle(data: SequenceDataset, climatology: Climatology) -> FloatArray:
    truth: Truth = known_truth(data)
    return measure(truth.mean, truth.std, data, climatology)


def judge_unit(config: Mapping[str, Any], model: Stored) -> Result:
    """Metrics of a network under each condition.

    Arrays: ``values`` (conditions, treatments, metrics), ``oracle`` (conditions, metrics),
    ``coverage_by`` (conditions, 2, 2, 10) and ``dial`` (conditions,).
    """
    arm, conditions, sizes = _read(config)
    world = world_of(arm.world_seed)
    data, split = training_data(arm, sizes)
    climatology = _climatology(data, split["train"])
    forecaster = _Forecaster(FittedModel.from_arrays(model.result.arrays, model.result.meta))
    held = data.take(split["calibration"])
    calibrated = (forecaster(held), held)
    home = test_data(arm.world_seed, arm.law, sizes.test)
    edges = [_inner_edges(home.gc), _inner_edges(known_truth(home).activity)]
    values, oracle, by = [], [], []
    for condition in conditions:
        test = test_data(arm.world_seed, condition, sizes.test)
        mean, std = forecaster(test)
        treated = _treated(mean, std, test.gc, calibrated)
        values.append(
            [
                measure(*forecast, test, climatology, band=name == TREATMENTS[0])
                for name, forecast in zip(TREATMENTS, treated, strict=True)
            ]
        )
        oracle.append(_oracle(test, climatology))
        by.append(_coverage_by(mean, std, test, edges))
    dial = [condition.dial(world) for condition in conditions]
    return Result(
        {
            "values": np.array(values),
            "oracle": np.array(oracle),
            "coverage_by": np.array(by),
            "dial": np.array(dial),
        }
    )


def judge_baselines_unit(config: Mapping[str, Any]) -> Result:
    """Metrics of every baseline: ``values`` (conditions, baselines, metrics) and ``oracle``."""
    arm, conditions, sizes = _read(config)
    data, split = training_data(arm, sizes)
    climatology = _climatology(data, split["train"])
    tests = [test_data(arm.world_seed, condition, sizes.test) for condition in conditions]
    order: dict[bytes, int] = {}
    for index, test in enumerate(tests):
        order.setdefault(test.codes.tobytes(), index)
    unique = list(order.values())
    together = with_occupancies(world_of(arm.world_seed), data, [tests[i] for i in unique])
    fitted = baseline_unit({"names": list(SIMULATED_BASELINES)}, together, split)
    start = {tests[index].codes.tobytes(): place for place, index in enumerate(unique)}
    values = []
    for test in tests:
        first = len(data) + start[test.codes.tobytes()] * sizes.test
        rows = slice(first, first + sizes.test)
        forecasts = (baseline_forecast(fitted, name) for name in SIMULATED_BASELINES)
        values.append([measure(m[rows], s[rows], test, climatology) for m, s in forecasts])
    oracle = [_oracle(test, climatology) for test in tests]
    return Result({"values": np.array(values), "oracle": np.array(oracle)})


def severity_unit(config: Mapping[str, Any]) -> Result:
    """Measured severity of each condition in a world: ``values`` (conditions, fields)."""
    world = world_of(config["world_seed"])
    rows = []
    for fields in config["conditions"]:
        (shift,) = Condition(**fields).shifts(world)
        found = measure_severity(world, shift, n=SEVERITY_SIZE)
        apart = found._asdict() | {
            "distance": found.distance.total,
            "distance_offset": found.distance.offset,
            "distance_gain": found.distance.gain,
            "distance_rewiring": found.distance.rewiring,
            "occupancy_shift": float(np.abs(found.occupancy_shift).max()),
        }
        rows.append([apart[name] for name in SEVERITY_FIELDS])
    return Result({"values": np.array(rows)})


def judging(
    arm: Arm, conditions: Sequence[Condition], sizes: Sizes, fit: Unit, result: Result
) -> Unit:
    """The unit that judges a finished fit."""
    config = {
        "arm": asdict(arm),
        "conditions": [asdict(condition) for condition in conditions],
        "sizes": asdict(sizes),
    }
    return Unit(judge_unit, config, {"model": Stored(result, fit.key)}, fit.modules)


def judging_baselines(arm: Arm, conditions: Sequence[Condition], sizes: Sizes) -> Unit:
    """The unit that fits and judges the baselines on an arm's sample."""
    config = {
        "arm": asdict(arm),
        "conditions": [asdict(condition) for condition in conditions],
        "sizes": asdict(sizes),
    }
    return Unit(judge_baselines_unit, config)


def measuring(world_seed: int, conditions: Sequence[Condition]) -> Unit:
    """The unit that measures the severity of conditions in a world."""
    config = {
        "world_seed": world_seed,
        "conditions": [asdict(condition) for condition in conditions],
    }
    return Unit(severity_unit, config)
