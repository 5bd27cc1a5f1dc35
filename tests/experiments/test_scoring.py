import numpy as np
import pandas as pd
import pytest

from lib.experiments.scoring import Scored, combine, contrast, score


def forecast(draw, shift=0.0, n=400, **keys):
    rng = np.random.default_rng(draw)
    mean = rng.normal(size=n)
    target = mean + shift + rng.normal(size=n)
    base = {"data": "d", "split": "test", "model": "m", "uncertainty": "single"}
    keys = base | {"split_seed": 0, "seed": None} | keys
    columns = {"target": target, "mean": mean, "std": np.ones(n), "group": np.arange(n)}
    return Scored(keys, pd.DataFrame(columns), 4 * n, (0.0, 2**0.5))


def scored(*items):
    return pd.concat([score(item, 200, 0) for item in items], ignore_index=True)


def one(table, metric, **keys):
    for column, value in ({"metric": metric, "by": ""} | keys).items():
        if column in table:
            table = table[table[column] == value]
    assert len(table) == 1
    return table.iloc[0]


def test_one_split_keeps_the_bootstrap_s_percentiles_and_undefined_metrics_are_left_out():
    item = forecast(0)
    constant = item._replace(forecast=item.forecast.assign(mean=0.0))
    assert "pearson_r" not in set(combine(scored(constant))["metric"])
    single = scored(item)
    row, combined = one(single, "rmse"), one(combine(single), "rmse")
    assert (combined["lower"], combined["upper"]) == (row["lower"], row["upper"])
    assert combined["splits"] == 1 and combined["n"] == 400


def test_splits_are_averaged_and_seeds_nested_in_them():
    # A severity measured in each split does not keep splits apart.
    items = [
        forecast(10 * split + seed, split_seed=split, seed=seed, severity=1.0 + split / 10)
        for split in range(3)
        for seed in range(2)
    ]
    table = scored(*items)
    combined = one(combine(table), "rmse")
    rmse = table[table["metric"] == "rmse"]
    assert combined["value"] == pytest.approx(rmse.groupby("split_seed")["value"].mean().mean())
    assert combined["splits"] == 3 and combined["severity"] == pytest.approx(1.1)
    assert combined["lower"] < combined["value"] < combined["upper"]


def test_contrast_recovers_a_known_shift():
    # A bias of 1 turns a mean squared error of 1 into 2.
    left = scored(*[forecast(s, shift=1.0, split_seed=s) for s in range(5)])
    right = scored(*[forecast(s + 50, split_seed=s) for s in range(5)])
    match = ["data", "model", "uncertainty"]
    ratio = one(contrast(left, right, {"rmse": "ratio"}, match=match), "rmse")
    assert ratio["lower"] < 2**0.5 < ratio["upper"]
    difference = one(contrast(left, right, {"picp_90": "difference"}, match=match), "picp_90")
    # P(|N(1, 1)| < 1.645) - .9 = Φ(.645) - Φ(-2.645) - .9
    assert difference["lower"] < 0.7364 - 0.9 < difference["upper"]
    assert difference["splits"] == 5
