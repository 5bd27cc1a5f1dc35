"""What is measured in a simulated world, of a :class:`Judge` and a condition: long tables.

And what a minority of noise-dominated elements in training does to a network: in some worlds
:data:`SHARE` of the elements are measured at noise share .8, in training and test alike, and a
network can tell that class by nothing, by the sequence (the richest in GC belong to it) or by a
side feature, as a depth would be. It is held against the best Gaussian forecast that knows what it
knows: f, the error's variance at f and, where it can be told, the class. Depth within a class
nobody knows.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final

import numpy as np
import pandas as pd

from lib.arrays import BoolArray
from lib.data.dataset import SequenceDataset, Truth
from lib.experiments import worlds
from lib.experiments.assays import fitting, of_networks
from lib.experiments.worlds import NOISY, Arm, Condition, Judge
from lib.metrics import audit
from lib.metrics.calibration import zms_decomposition
from lib.metrics.columns import metric
from lib.metrics.evaluate import DECILES, all_metrics
from lib.models import baselines
from lib.repair.recalibration import std_scaling
from lib.simulator.activity import responses
from lib.simulator.assay import TYPICAL_DEPTH, Assay, error_variance
from lib.simulator.sample import known_truth
from lib.simulator.severity import distance, measure_severity
from lib.simulator.shifts import NOISE_LIMIT
from lib.statistics.effects import Effect, against
from lib.study.units import Store, Unit
from lib.training.config import tuned
from lib.training.fit import Forecast
from lib.training.fitted import predict

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


SHARE: Final = 0.15
RICH: Final = 0.6725  # GC content that such a share of elements exceeds in worlds 50 to 53
VISIBLE: Final = ("nothing", "sequence", "feature")  # by what the class can be told
OVER_BEST: Final = (
    Effect("crps_over_best", "crps_gaussian", "ratio"),
    Effect("zms_over_best", "zms", "ratio"),
    Effect("coverage_drop_over_best", "picp_90", "drop"),
    Effect("rmse_f", "rmse_f"),
    Effect("zms", "zms"),
    Effect("picp_90", "picp_90"),
)
KEPT: Final = ("rmse_f", "crps_gaussian", "zms", "picp_90")


def mixed(
    clean: SequenceDataset, noisy: SequenceDataset, visible: str, rng: np.random.Generator
) -> tuple[SequenceDataset, BoolArray]:
    """Two measurements of the same elements as one, and which ``(n,)`` are of the noisy class."""
    by_chance = rng.random(len(clean)) < SHARE
    dominated = clean.gc > RICH if visible == "sequence" else by_chance
    either = [
        np.where(dominated, b, a)
        for a, b in zip(known_truth(clean), known_truth(noisy), strict=True)
    ]
    told = dominated[:, None].astype(np.float32) if visible == "feature" else None
    activity = np.where(dominated, noisy.activity, clean.activity)
    return replace(clean, activity=activity, truth=Truth(*either), features=told), dominated


def best(test: SequenceDataset, dominated: BoolArray, visible: str) -> Forecast:
    """The best Gaussian forecast of :func:`mixed` elements: its mean and s.d."""
    f = known_truth(test).activity
    depth = np.full(len(f), TYPICAL_DEPTH)
    clean, noisy = (error_variance(f, depth, a) for a in (Assay(), Assay(1 - NOISE_LIMIT)))
    share = SHARE if visible == "nothing" else dominated
    return f, np.sqrt((1 - share) * clean + share * noisy)


def mixed_metrics(judge: Judge, condition: Condition) -> Mapping[str, pd.DataFrame]:
    """Metrics of the network and of the best forecast, of all elements and of either class."""
    visible = judge.settings["visible"]
    rng = np.random.default_rng([judge.arm.world_seed, worlds.TEST_SEED])
    test, dominated = mixed(judge.test(condition), judge.test(NOISY), visible, rng)
    model = judge.network()
    network = predict(model, test.codes, test.features, device=model.config.device)
    parts = {"all": np.ones(len(test), bool), "clean": ~dominated, "noisy": dominated}
    made = {judge.arm.model: network, "best": best(test, dominated, visible)}
    tables = []
    for part, rows in parts.items():
        own = {model: (mean[rows], std[rows]) for model, (mean, std) in made.items()}
        table = metric_table(judge, test.take(np.flatnonzero(rows)), own, "model")
        tables.append(table[table["metric"].isin(KEPT)].assign(part=part, visible=visible))
    return {"mixed": pd.concat(tables).drop(columns="oracle")}


def fit_mixed(visible: str, arm: Arm, config: Any) -> Unit:
    """The unit that fits an arm on a mixed training sample."""
    clean, split = worlds.training_data(arm, config.parts)
    noisy, _ = worlds.training_data(replace(arm, law=NOISY), config.parts)
    rng = np.random.default_rng([arm.world_seed, worlds.TRAIN_SEED])
    data, _ = mixed(clean, noisy, visible, rng)
    own = {"epochs": config.epochs, "seed": arm.world_seed}
    settings = tuned(arm.model, **own, **of_networks(config, arm.model))
    return fitting(settings, data, split)


def judge_mixed(arms: list[Arm], config: Any, store: Store) -> pd.DataFrame:
    """Effects of all arms in every visibility, over worlds; empty without an arm."""
    if not arms:
        return pd.DataFrame(columns=["effect", "visible", "part", "model"])
    given = [(arm, [Condition()]) for arm in arms], mixed_metrics, config, store
    rows: list[dict[str, Any]] = []
    for visible in VISIBLE:
        fit = partial(fit_mixed, visible)
        judged = worlds.judge_arms(*given, fit, visible=visible)["mixed"]
        parts = dict(iter(judged.groupby(["part", "model"], sort=False)))
        for (part, model), own in parts.items():
            if model != "best":
                keys = {"visible": visible, "part": part, "model": model}
                rows += against(own, parts[part, "best"], OVER_BEST, **keys)
    return pd.DataFrame(rows).assign(data="simulation", n_train=arms[0].size)
