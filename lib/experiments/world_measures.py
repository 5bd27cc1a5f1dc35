"""What is measured in a simulated world, of a :class:`Judge` and a condition: long tables."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from lib.data.dataset import SequenceDataset
from lib.experiments.worlds import Condition, Judge
from lib.metrics import audit
from lib.metrics.calibration import zms_decomposition
from lib.metrics.columns import metric
from lib.metrics.evaluate import DECILES, all_metrics
from lib.models import baselines
from lib.repair.recalibration import std_scaling
from lib.simulator.activity import responses
from lib.simulator.sample import known_truth
from lib.simulator.severity import distance, measure_severity
from lib.training.fit import Forecast

Found = Mapping[str, pd.DataFrame]
METRICS = (
    *("rmse", "pearson_r", "crps_gaussian", "crps_skill", "nll_gaussian", "picp_90", "mpiw_90"),
    *("zms", "zms_robust", "ence"),
    *("rmse_f", "r2_f", "zms_aleatoric", "zms_bias", "zms_missing"),
)
BASELINES = ("mean", "gc_ridge", "kmer_ridge", "occupancy_linear")
FROZEN = "frozen_oracle"  # the true in-distribution mean and s.d., kept under every shift
DOSED = ("rmse", "rmse_f", "zms", "picp_90", "nll_gaussian")  # metrics read against the dose
SEVERITY_SIZE = 4096
# The severity of each kind of shift in physical units; of the others the distance.
MEASURED = {
    "gc": "gc_shift",
    "motif_density": "sites_shift",
    **dict.fromkeys(("depth", "noise"), "noise_share"),
    **dict.fromkeys(("batch", "gc_amplification"), "label_shift"),
}


def metric_table(
    judge: Judge, test: SequenceDataset, forecasts: Mapping[str, Forecast], by: str = "uncertainty"
) -> pd.DataFrame:
    """``metric, value, oracle`` of each forecast, named in column ``by``, beside the true one's.

    ``rmse_f`` and ``r2_f`` are against the noise-free activity f.
    """
    truth, found = known_truth(test), {}
    for name, (mean, std) in {"oracle": (truth.mean, truth.std), **forecasts}.items():
        values = all_metrics(mean, std, test.activity, climatology=judge.climatology)
        parts = zms_decomposition(mean, std, truth.mean, truth.std)
        values |= {f"zms_{part}": value for part, value in parts._asdict().items()}
        truths = mean, truth.activity
        values |= {"rmse_f": metric("rmse", *truths), "r2_f": metric("r2_cod", *truths)}
        found[name] = values
    table = pd.DataFrame(found).loc[list(METRICS)].rename_axis("metric").reset_index()
    return table.melt(["metric", "oracle"], var_name=by)


def network_metrics(judge: Judge, condition: Condition) -> Found:
    """Metrics of the network, and ENCE's upper limit for a calibrated forecast of its widths."""
    test = judge.test(condition)
    forecast = judge.forecast(test)
    limits = audit.gaussian_band(forecast[1], np.random.default_rng(0)).set_index("metric")
    null = {"metric": "ence_null", "value": limits.loc["ence", "upper"], "uncertainty": "single"}
    table = metric_table(judge, test, {"single": forecast})
    return {"values": pd.concat([table, pd.DataFrame([null])], ignore_index=True)}


def frozen(judge: Judge, condition: Condition) -> Forecast:
    """What holds in distribution of a condition's sequences: the true mean and s.d. of a label."""
    covariate = condition.family == "covariate"
    truth = known_truth(judge.test(condition if covariate else Condition()))
    return truth.mean, truth.std


def frozen_metrics(judge: Judge, condition: Condition) -> Found:
    """Metrics of the frozen oracle; no fit is needed."""
    forecasts = {FROZEN: frozen(judge, condition)}
    table = metric_table(judge, judge.test(condition), forecasts, "model")
    return {"values": table.assign(uncertainty="single")}


def measured_dose(home: SequenceDataset, test: SequenceDataset, shift: str) -> float:
    """How far a shift has gone, from samples of one seed.

    Of a concept shift d after offset and gain (variances of f), of GC the change of its mean (s.d.
    in distribution), else the error's share of the variance.
    """
    old, new = known_truth(home), known_truth(test)
    if shift == "gc":
        return float((test.gc.mean() - home.gc.mean()) / home.gc.std())
    if shift and Condition(shift).family == "concept":
        return distance(old.activity, new.activity).rewiring
    error = np.mean(new.std**2)
    return float(error / (error + new.activity.var()))


def dose_metrics(judge: Judge, condition: Condition) -> Found:
    """:data:`DOSED` of the network, or of the frozen oracle where none was fitted, at a dose."""
    home, test = judge.test(Condition()), judge.test(condition)
    model = judge.arm.model or FROZEN
    forecast = judge.forecast(test) if judge.arm.model else frozen(judge, condition)
    table = metric_table(judge, test, {model: forecast}, "model").drop(columns="oracle")
    measured = measured_dose(home, test, condition.shift)
    table = table[table["metric"].isin(DOSED)]
    return {"doses": table.assign(dose=condition.dose, measured=measured)}


def calibrated_metrics(judge: Judge, condition: Condition) -> Found:
    """:data:`DOSED` in distribution after one factor on the s.d., learned on calibration."""
    if condition != Condition():
        return {}
    held, test = judge.part("calibration"), judge.test(condition)
    repair = std_scaling(*judge.forecast(held), held.activity)
    forecast = repair.apply(*judge.forecast(test))
    table = metric_table(judge, test, {judge.arm.model: forecast}, "model").drop(columns="oracle")
    return {"calibrated": table[table["metric"].isin(DOSED)]}


def coverage_by(judge: Judge, condition: Condition) -> Found:
    """Coverage of 90 % intervals by decile, in the training law, of GC and of f."""
    home = judge.kept("home", lambda: judge.test(judge.arm.law))
    test = judge.test(condition)
    sides = {
        "gc_decile": (home.gc, test.gc),
        "activity_decile": (known_truth(home).activity, known_truth(test).activity),
    }
    tables = []
    for by, (law, values) in sides.items():
        edges = np.quantile(law, np.linspace(0, 1, DECILES + 1)[1:-1])
        decile = 1 + np.searchsorted(edges, values, side="right")
        found = audit.coverage_by(*judge.forecast(test), test.activity, decile).assign(by=by)
        tables.append(found.rename(columns={"coverage": "value", "n": "elements"}))
    return {"coverage_by": pd.concat(tables)[["bin", "value", "elements", "by"]]}


def baseline_metrics(judge: Judge, condition: Condition) -> Found:
    """Metrics of :data:`BASELINES`; ``occupancy_linear`` is given the motifs' true occupancies."""
    (data, split), test, program = judge.training, judge.test(condition), judge.arm.world.program
    codes = np.concatenate([data.codes, test.codes])
    occupancies = responses(codes, program)[:, : len(program.motifs)].astype(np.float32)
    y = np.append(data.activity, np.full(len(test), np.nan))
    train, validation = split["train"], split["validation"]
    made = (
        baselines.training_mean(y, train),
        baselines.gc_ridge(codes, y, train, validation),
        baselines.kmer_ridge(codes, y, train, validation, oriented=False),
        baselines.feature_ridge(occupancies.astype(float), y, train, validation),
    )
    own = [(each.mean[len(data) :], each.std[len(data) :]) for each in made]
    forecasts = dict(zip(BASELINES, own, strict=True))
    return {"values": metric_table(judge, test, forecasts, "model").assign(uncertainty="single")}


def severity(judge: Judge, condition: Condition) -> Found:
    """The measured severity of a condition, and of it what its kind of shift is told by."""
    (shift,) = condition.shifts(judge.arm.world)
    found = measure_severity(judge.arm.world, shift, n=SEVERITY_SIZE)
    parts = found.distance._asdict()
    fields = found._asdict() | {"distance": parts.pop("total")}
    fields |= {f"distance_{name}": value for name, value in parts.items()}
    fields["occupancy_shift"] = np.abs(found.occupancy_shift).max()
    measured = fields[MEASURED.get(condition.shift, "distance")]
    return {"severities": pd.DataFrame([fields]).assign(measured=measured)}
