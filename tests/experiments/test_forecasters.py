"""Kernels, baselines, stack and leading forecaster: split by split, on what each may see."""

from dataclasses import replace

import numpy as np
import pytest

from lib.data.dataset import SequenceDataset
from lib.experiments.arms import build_arms
from lib.experiments.forecasters import BASELINES, baselines, combined, kernels
from lib.repair.stack import weights
from lib.study.units import Placement, Store
from lib.training.simple import baseline_unit, kernel_unit


def arm_of(n):
    """The group arm of elements without relatives, whose activity rises with GC content."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (n, 30)).astype(np.uint8)
    activity = (codes % 3 > 0).mean(axis=1) * 4 + rng.normal(size=n)
    data = SequenceDataset("made", codes, activity, np.arange(n))
    return build_arms(data, ("group",), 3, 0.8, (), 0)[0]


@pytest.fixture(scope="module")
def arm():
    return arm_of(1600)


def members(arm):
    """Two forecasters with errors of their own, as if a network had seen its training rows."""
    rng = np.random.default_rng(1)
    shape = len(arm.splits), len(arm.data)
    means = arm.data.activity + rng.normal(size=(2, *shape)) * [[[0.5]], [[1.5]]]
    stds = np.ones((2, *shape)) * [[[0.5]], [[1.5]]]
    for place, split in enumerate(arm.splits):
        means[0, place, split["train"]] = np.nan
    return {name: np.stack(pair) for name, *pair in zip("ab", means, stds, strict=True)}


def test_the_stack_weighs_by_the_choice_part_alone(arm):
    given = members(arm)
    found = combined(arm, given)
    for place, split in enumerate(arm.splits):
        rows, test = split["choice"], split["test"]
        means = np.stack([given[name][0, place] for name in "ab"])
        expected = weights(means[:, rows], arm.data.activity[rows])
        assert expected[0] > 0.8
        assert found["stack"][0, place, test] == pytest.approx(expected @ means[:, test])
        assert np.isnan(found["stack"][0, place, split["train"]]).all()
    error = [
        np.nanmean((arm.stitched(each[0]) - arm.data.activity) ** 2)
        for each in (found["leading"], given["a"], given["b"])
    ]
    assert error[0] <= 1.02 * error[1] < error[2]


def test_targets_outside_the_choice_part_change_nothing(arm):
    hidden = np.random.default_rng(2).normal(size=len(arm.data))
    for place, split in enumerate(arm.splits):
        target = hidden.copy()
        target[split["choice"]] = arm.data.activity[split["choice"]]
        other = replace(arm, data=replace(arm.data, activity=target))
        for name, forecast in combined(arm, members(arm)).items():
            again = combined(other, members(arm))[name]
            assert np.array_equal(forecast[:, place], again[:, place], equal_nan=True)


def test_every_split_has_its_own_kernel_and_baselines(tmp_path):
    arm, store = arm_of(150), Store(tmp_path)
    found = kernels([arm], ("kmer_kernel",), store, Placement(workers=1))[arm]
    simple = baselines([arm], store, Placement(workers=1))[arm]
    assert list(found) == ["kmer_kernel"] and list(simple) == [*BASELINES]
    for place, split in enumerate(arm.splits):
        own = kernel_unit({}, arm.data, split).arrays
        expected = np.stack([own["mean"], own["std"]])
        assert found["kmer_kernel"][:, place] == pytest.approx(expected)
        for name, forecast in simple.items():
            own = baseline_unit({"baseline": name}, arm.data, split).arrays
            assert forecast[0, place] == pytest.approx(own["mean"])
