"""Scores of cross-validated forecasts, contrasts under equal weights, and what refits add."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student_t

from lib.experiments.scoring import CONTRASTED, Scored, contrast, refits, rows_of, score, score_all
from lib.metrics.resampling import resampling

N, FOLDS = 400, 10
PLAN = resampling(np.arange(N), np.random.default_rng(0), np.arange(N) % FOLDS)
NONE = pd.Series(dtype=float)
RMSE = list(CONTRASTED).index("rmse")


def forecast(draw, shift=0.0, plan=PLAN, members=0, noise=1.0, **keys):
    rng = np.random.default_rng(draw)
    mean = rng.normal(size=N)
    target = mean + shift + noise * rng.normal(size=N)
    base = {"data": "d", "split": "test", "condition": "", "model": "m", "uncertainty": "single"}
    table = pd.DataFrame({"target": target, "mean": mean, "std": 1.0})
    return Scored(base | {"seed": None} | keys, table, plan, (0.0, 2**0.5), members=members)


def one(table, metric, **keys):
    for column, value in ({"metric": metric, "by": ""} | keys).items():
        if column in table:
            table = table[table[column].isna() if value is None else table[column] == value]
    assert len(table) == 1
    return table.iloc[0]


def test_without_a_plan_there_is_a_value_and_no_interval():
    measured = score(forecast(0, plan=None), 50)
    rows = rows_of([measured], NONE)
    assert rows[["lower", "upper", "variance"]].isna().all().all()
    planned = rows_of([score(forecast(0), 50)], NONE)
    assert one(rows, "rmse")["value"] == pytest.approx(one(planned, "rmse")["value"])
    item = forecast(0)
    item = item._replace(forecast=item.forecast.assign(mean=0.0))
    assert "pearson_r" not in set(rows_of([score(item, 50)], NONE)["metric"])


def test_a_contrast_takes_out_what_is_shared():
    first = forecast(0)
    worse = first._replace(forecast=first.forecast.assign(mean=first.forecast["mean"] + 0.05))
    left, right, same = score_all([worse, first, first], 300, 1)
    table = contrast(left, right, NONE, side="x")
    alone, paired, drop = one(right.rows, "rmse"), one(table, "rmse"), one(table, "picp_90")
    assert paired["upper"] - paired["lower"] < 0.25 * (alone["upper"] - alone["lower"])
    assert paired["lower"] < paired["value"] < paired["upper"]
    assert paired["value"] == pytest.approx(one(left.rows, "rmse")["value"] / alone["value"])
    covered = [one(side.rows, "picp_90")["value"] for side in (left, right)]
    assert drop["value"] == pytest.approx(covered[0] - covered[1]) and drop["side"] == "x"
    none = contrast(same, right, NONE)
    none = none[none["scale"] == "ratio"]
    assert (none[["value", "lower", "upper"]] == 1).all().all()


def test_parts_of_one_data_set_share_their_weights():
    """A contrast of a part with itself among other rows has no variance from these rows."""
    item = forecast(0)
    rows = np.arange(0, N, 2)
    part = item._replace(forecast=item.forecast.iloc[rows], plan=PLAN.take(rows))
    whole, half = score_all([item, part], 100, 1)
    weights = PLAN.weights(100, np.random.default_rng(0))
    squared = (item.forecast["target"] - item.forecast["mean"]).to_numpy() ** 2
    for measured, own in ((whole, np.arange(N)), (half, rows)):
        left = [np.sqrt(squared[own[own % FOLDS != k]].mean()) for k in range(FOLDS)]
        assert measured.drawn[RMSE][1 : 1 + FOLDS] == pytest.approx(left)
    assert whole.drawn[RMSE].shape == half.drawn[RMSE].shape == (weights.shape[1],)


def test_against_a_split_without_folds_variances_add():
    plain = resampling(np.arange(N), np.random.default_rng(0))
    left, right = score_all([forecast(1, plan=plain), forecast(2)], 200, 1)
    row = one(contrast(left, right, NONE), "nll_gaussian")
    variance = sum(one(each.rows, "nll_gaussian")["variance"] for each in (left, right))
    half = student_t.ppf(0.975, FOLDS - 1) * variance**0.5
    assert row["upper"] - row["value"] == pytest.approx(half)


def seeds():
    return score_all(
        [forecast(7, noise=1 + s / 10, members=1, model="cnn", seed=s) for s in range(3)], 100, 1
    )


def test_refits_are_the_variance_between_seeds_of_which_their_mean_has_as_many():
    measured = seeds()
    between = refits(measured)
    for metric, how in (("rmse", np.log), ("picp_90", np.array)):
        values = [one(each.rows, metric)["value"] for each in measured]
        assert between["d", metric] == pytest.approx(np.var(how(values), ddof=1))
    assert refits(measured[:1]).empty and refits([score(forecast(0), 50)]).empty
    measured = seeds()
    between = pd.Series({("d", "picp_90"): 0.0009})
    row = one(rows_of(measured, between), "picp_90", seed=None)
    alone = [one(each.rows, "picp_90") for each in measured]
    assert row["value"] == pytest.approx(np.mean([each["value"] for each in alone]))
    variance = np.mean([each["variance"] for each in alone])
    assert row["variance"] == pytest.approx(variance + 0.0003)


def test_what_refitting_adds_goes_with_the_number_of_networks():
    measured, between = seeds(), pd.Series({("d", "rmse"): 0.04, ("d", "picp_90"): 0.0009})
    ensemble = score(forecast(7, members=3, model="cnn", uncertainty="ensemble"), 100)
    kernel = score(forecast(7, model="kernel"), 100)
    rows = rows_of([*measured, ensemble, kernel], between)
    for metric, added in (("rmse", 0.04), ("picp_90", 0.0009)):
        for keys, own, members in (
            ({"seed": 0}, measured[0], 1),
            ({"uncertainty": "ensemble"}, ensemble, 3),
            ({"model": "kernel"}, kernel, np.inf),
        ):
            before, after = one(own.rows, metric), one(rows, metric, **keys)
            scale = before["value"] ** 2 if metric == "rmse" else 1.0
            expected = before["variance"] + added * scale / members
            assert after["variance"] == pytest.approx(expected)
            wider = after["upper"] - after["lower"] - (before["upper"] - before["lower"])
            assert (wider > 0) == (members < np.inf)
    row = one(contrast(ensemble, kernel, between), "picp_90")
    bare = one(contrast(ensemble, kernel, NONE), "picp_90")
    factor = student_t.ppf(0.975, FOLDS - 1)
    grown = ((row["upper"] - row["value"]) / factor) ** 2
    assert grown == pytest.approx(((bare["upper"] - bare["value"]) / factor) ** 2 + 0.0003)
