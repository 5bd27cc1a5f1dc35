"""Forecasts of arms: members as one, std scaled by calibration rows, scored out of fold."""

import numpy as np
import pytest

from lib.data.dataset import SequenceDataset
from lib.experiments.arms import build_arms
from lib.experiments.assays import calibration_rows, scaled, scored, together


@pytest.fixture(scope="module")
def arm():
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (600, 40)).astype(np.uint8)
    data = SequenceDataset("made", codes, rng.normal(size=600), np.arange(600) // 3)
    return build_arms(data, ("group",), 4, 0.8, (), 0)[0]


def test_rows_that_a_member_has_seen_have_no_joint_forecast():
    means = np.array([[[0.0, np.nan, 1.0]], [[2.0, 1.0, 1.0]]])
    found = together([np.stack([mean, np.ones((1, 3))]) for mean in means])
    assert found.mean[0, [0, 2]].tolist() == [1.0, 1.0] and np.isnan(found.std[0, 1])
    assert found.std[0, [0, 2]] ** 2 == pytest.approx([2.0, 1.0])


def test_the_scale_of_a_split_is_that_of_its_own_calibration_rows(arm):
    n, target = len(arm.data), arm.data.activity
    forecast = np.stack([np.zeros((4, n)), np.full((4, n), 0.5)])
    by_scale, constant = scaled(arm, forecast)
    for place, split in enumerate(arm.splits):
        rows = calibration_rows(arm, split)
        assert set(rows) <= set(split["calibration"])
        assert len(set(arm.data.group[rows])) == len(rows)
        told = np.sqrt(np.mean(target[rows] ** 2))
        assert by_scale[1, place] == pytest.approx(np.full(n, told))
        told = np.sqrt(np.mean(target[split["calibration"]] ** 2))
        assert constant[1, place] == pytest.approx(np.full(n, told))
    assert (forecast[1] == 0.5).all()  # what was given stays


def test_a_part_is_scored_by_the_splits_that_test_its_rows(arm):
    n = len(arm.data)
    forecast = np.stack([np.arange(4.0)[:, None] + np.zeros((4, n)), np.ones((4, n))])
    labels = {"even": np.arange(n) % 2}
    item = scored(arm, arm.parts[0], forecast, labels, model="cnn", uncertainty="single")
    assert item.forecast["mean"].tolist() == arm.tested.tolist()
    assert item.plan.folds == 4 and item.members == 1
    assert item.by["even"].tolist() == labels["even"].tolist()
    assert (item.keys["data"], item.keys["split"], item.keys["seed"]) == ("made", "test", None)
    assert scored(arm, arm.parts[0], forecast, model="kmer_ridge", uncertainty="").members == 0
    assert scored(arm, arm.parts[0], forecast, members=3, model="cnn", uncertainty="").members == 3
