"""What is measured in a simulated world: networks and baselines under shifts, and severities.

In: a :class:`lib.experiments.worlds.Judge` and a condition. Out: long tables.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from lib.data.dataset import SequenceDataset
from lib.experiments.assays import baseline_forecast
from lib.experiments.worlds import SIMULATED_BASELINES, Condition, Judge
from lib.metrics.audit import all_metrics
from lib.metrics.bands import gaussian_band
from lib.metrics.calibration import zms_decomposition
from lib.metrics.scores import picp, r2_cod, rmse
from lib.models.baselines import constant_sigma, sigma_regression
from lib.repair.recalibration import std_scaling
from lib.simulator.activity import responses
from lib.simulator.sample import known_truth
from lib.simulator.severity import measure_severity
from lib.training.units import Forecast, baseline_unit

METRICS = (
    *("rmse", "bias", "pearson_r", "r2_cod", "sd_target", "crps_gaussian", "crps_skill"),
    *("nll_gaussian", "interval_score_90", "zms", "zms_robust", "ence", "mace", "mpiw_90"),
    *("picp_50", "picp_80", "picp_90", "picp_95"),
    *("rmse_f", "r2_f", "zms_aleatoric", "zms_bias", "zms_missing"),
)

DECILES = 10
SEVERITY_SIZE = 4096
# The severity of each kind of shift in physical units; of the others the distance.
MEASURED = {
    "gc": "gc_shift",
    "motif_density": "sites_shift",
    "depth": "noise_share",
    "noise": "noise_share",
    "batch": "label_shift",
    "gc_amplification": "label_shift",
}


def metrics(
    forecast: Forecast, data: SequenceDataset, climatology: tuple[float, float]
) -> dict[str, float]:
    """The :data:`METRICS` of a forecast of a simulated sample.

    Every metric against the measurement y is joined by ``rmse_f`` and ``r2_f`` against the
    noise-free activity f, and the mean squared z by its parts.
    """
    mean, std = forecast
    truth = known_truth(data)
    values = all_metrics(mean, std, data.activity, climatology=climatology)
    parts = zms_decomposition(mean, std, np.zeros(len(std)), truth.mean, truth.std)
    values |= {"rmse_f": rmse(mean, truth.activity), "r2_f": r2_cod(mean, truth.activity)}
    values |= {f"zms_{name}": getattr(parts, name) for name in ("aleatoric", "bias", "missing")}
    return {name: values[name] for name in METRICS}


def metric_table(
    judge: Judge,
    test: SequenceDataset,
    forecasts: Mapping[str, Forecast],
    column: str = "uncertainty",
) -> pd.DataFrame:
    """``metric, value, oracle`` of each forecast, named in ``column``, beside the true one's."""
    truth = known_truth(test)
    oracle = metrics((truth.mean, truth.std), test, judge.climatology)
    tables = [
        pd.DataFrame({"value": metrics(forecast, test, judge.climatology), "oracle": oracle})
        .rename_axis("metric")
        .reset_index()
        .assign(**{column: name})
        for name, forecast in forecasts.items()
    ]
    return pd.concat(tables, ignore_index=True)


def treated(judge: Judge, test: SequenceDataset) -> dict[str, Forecast]:
    """The network's forecast as it is and under each treatment calibrated in distribution."""
    held = judge.part("calibration")
    (held_mean, held_std), (mean, std) = judge.forecast(held), judge.forecast(test)
    rows = np.arange(len(held))
    both = np.concatenate([held_mean, mean])
    target = np.concatenate([held.activity, np.full(len(mean), np.nan)])
    gc = np.concatenate([held.gc, test.gc])
    asked = slice(len(held), None)
    return {
        "single": (mean, std),
        "std_scaling": (mean, std_scaling(held_mean, held_std, held.activity).scale * std),
        "constant_sigma": (mean, constant_sigma(both, target, rows).std[asked]),
        "sigma_regression": (mean, sigma_regression(both, gc, target, rows).std[asked]),
    }


def treated_metrics(judge: Judge, condition: Condition) -> Mapping[str, pd.DataFrame]:
    """Metrics by treatment, and ENCE's upper limit for a calibrated forecast of these widths."""
    test = judge.test(condition)
    forecasts = treated(judge, test)
    table = metric_table(judge, test, forecasts)
    limits = gaussian_band(forecasts["single"][1], np.random.default_rng(0))
    upper = limits.loc[limits["metric"] == "ence", "upper"].iloc[0]
    null = {"metric": "ence_null", "value": upper, "oracle": np.nan, "uncertainty": "single"}
    return {"values": pd.concat([table, pd.DataFrame([null])], ignore_index=True)}


def coverage_by(judge: Judge, condition: Condition) -> Mapping[str, pd.DataFrame]:
    """Coverage of 90 % intervals by decile, in the training law, of GC and of f."""
    home = judge.kept("home", lambda: judge.test(judge.arm.law))
    test = judge.test(condition)
    mean, std = judge.forecast(test)
    sides = {
        "gc_decile": (home.gc, test.gc),
        "activity_decile": (known_truth(home).activity, known_truth(test).activity),
    }
    rows = []
    for by, (law, values) in sides.items():
        edges = np.quantile(law, np.linspace(0, 1, DECILES + 1)[1:-1])
        decile = np.searchsorted(edges, values, side="right")
        for cell in range(DECILES):
            inside = decile == cell
            covered = picp(mean[inside], std[inside], test.activity[inside])
            rows.append({"by": by, "bin": cell + 1, "value": covered, "elements": inside.sum()})
    return {"coverage_by": pd.DataFrame(rows)}


def _with_occupancies(judge: Judge, samples: list[SequenceDataset]) -> SequenceDataset:
    """Samples as one data set, its true occupancies as features; baselines read no test target."""
    codes = np.concatenate([data.codes for data in samples])
    motifs = len(judge.arm.world.program.motifs)
    return replace(
        samples[0],
        codes=codes,
        activity=np.concatenate([data.activity for data in samples]),
        group=np.arange(len(codes)),
        features=responses(codes, judge.arm.world.program)[:, :motifs].astype(np.float32),
        metadata=samples[0].metadata.iloc[:0, :0],
        truth=None,
    )


def _baselines(judge: Judge) -> dict[bytes, dict[str, Forecast]]:
    """Forecasts of every baseline by the bytes of the test sequences; fitted once for all."""
    data, split = judge.training
    tests = {test.codes.tobytes(): test for test in map(judge.test, judge.conditions)}
    together = _with_occupancies(judge, [data, *tests.values()])
    fitted = baseline_unit({"names": list(SIMULATED_BASELINES)}, together, split)
    cuts = len(data) + judge.sizes.test * np.arange(len(tests))
    parts = {
        name: [np.split(values, cuts)[1:] for values in baseline_forecast(fitted, name)]
        for name in SIMULATED_BASELINES
    }
    return {
        codes: {name: (mean[place], std[place]) for name, (mean, std) in parts.items()}
        for place, codes in enumerate(tests)
    }


def baseline_metrics(judge: Judge, condition: Condition) -> Mapping[str, pd.DataFrame]:
    """Metrics of every baseline; its rows stand at the severity that was asked for."""
    test = judge.test(condition)
    forecasts = judge.kept("baselines", lambda: _baselines(judge))[test.codes.tobytes()]
    table = metric_table(judge, test, forecasts, "model")
    return {"values": table.assign(uncertainty="single", dial=condition.severity)}


def severity(judge: Judge, condition: Condition) -> Mapping[str, pd.DataFrame]:
    """The measured severity of a condition, and of it what its kind of shift is told by."""
    world = judge.arm.world
    (shift,) = condition.shifts(world)
    found = measure_severity(world, shift, n=SEVERITY_SIZE)._asdict()
    distance = found.pop("distance")._asdict()
    fields = {"distance": distance.pop("total")}
    fields |= {f"distance_{name}": value for name, value in distance.items()}
    fields |= found | {"occupancy_shift": float(np.abs(found["occupancy_shift"]).max())}
    measured = fields[MEASURED.get(condition.shift, "distance")]
    return {"severities": pd.DataFrame([{"measured": measured} | fields])}
