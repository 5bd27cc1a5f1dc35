"""Kernels, baselines, stack and leading forecaster: split by split, on what each may see."""

from dataclasses import replace

import numpy as np
import pytest

from lib import assays as mpra
from lib.data.dataset import SequenceDataset
from lib.experiments import forecasters
from lib.experiments.arms import build_arms
from lib.experiments.priors import Told
from lib.repair.stack import weights
from lib.study.units import Placement, Store
from lib.training.config import FitConfig
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
    return arm_of(3200)


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
    found = forecasters.combined(arm, given)
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
        for name, forecast in forecasters.combined(arm, members(arm)).items():
            again = forecasters.combined(other, members(arm))[name]
            assert np.array_equal(forecast[:, place], again[:, place], equal_nan=True)


def promoters(arm, own):
    """Another assay: the first ``own`` elements of the arm's, then one that two of them overlap."""
    codes = np.random.default_rng(3).integers(0, 4, (200, 30)).astype(np.uint8)
    codes[:own] = arm.data.codes[:own]
    codes[own, :24], codes[own + 1, 6:] = arm.data.codes[own, 6:], arm.data.codes[own, :24]
    return SequenceDataset("other", codes, np.arange(200.0), np.arange(200) // 2)


def test_nothing_trains_the_joint_network_that_is_a_relative_of_what_is_held_back():
    arm = arm_of(300)
    other = promoters(arm, 99)
    both = forecasters.with_partner(arm, other)
    n, data = 300, both.data
    assert data.features.ravel().tolist() == [0] * n + [1] * 200
    # The last of the shared elements is the brother of the first that is cut out of element 99,
    # as the second is of the next one.
    same = [{i, n + i} for i in range(98)] + [{98, n + 98, n + 99, 99, n + 100, n + 101}]
    for rows in same:
        assert len(set(data.group[list(rows)])) == 1
    for split, whole in zip(both.splits, arm.splits, strict=True):
        back = set(range(n)) - set(whole["train"])
        assert all(np.array_equal(split[p], whole[p]) for p in whole.parts if p != "train")
        train = set(split["train"])
        assert not any(rows & back and rows & train for rows in same)
        expected = {
            n + i for i in range(98) if i // 2 * 2 not in back and i // 2 * 2 + 1 not in back
        }
        assert {row for row in train if n <= row < n + 98} == expected
        assert {row for row in train if row >= n + 102} == set(range(n + 102, n + 200))


def test_networks_told_of_motifs_and_of_a_tissue_stand_on_the_group_arm(tmp_path, monkeypatch):
    arm, where = arm_of(150), (Store(tmp_path), Placement(workers=1))
    arm = replace(arm, data=replace(arm.data, name="plant_leaf"))
    fit = FitConfig(epochs=1, model_options={"channels": 4, "kernels": [3], "pools": [2]})
    monkeypatch.setattr(mpra, "available", lambda name: name == "plant_proto")
    monkeypatch.setattr(mpra, "load", lambda name: promoters(arm, 40))
    names = "motif_network", "joint"
    monkeypatch.setattr(forecasters, "kernels", lambda arms, *_: {arm: {} for arm in arms})
    inside = replace(arm, kind="species")
    found = forecasters.members([arm, inside], lambda _: [fit], *where)
    assert list(found[arm]) == [*names] and not found[inside]
    for forecast in found[arm].values():
        assert forecast.shape == (2, 3, 150)
        for place, split in enumerate(arm.splits):
            assert np.isfinite(forecast[:, place, split["test"]]).all()
    own = fit.model_copy(update={"model": "made.up:Network"})
    assert not forecasters.members([arm], lambda _: [own], *where)[arm]
    for unit in Told(arm, forecasters.MOTIF_PRIOR).fitting(fit, *where):  # those of notebook 03
        assert where[0].get(unit.key) is not None


def test_every_split_has_its_own_kernel_and_baselines(tmp_path):
    arm, store = arm_of(150), Store(tmp_path)
    found = forecasters.kernels([arm], ("kmer_kernel",), store, Placement(workers=1))[arm]
    simple = forecasters.baselines([arm], store, Placement(workers=1))[arm]
    assert list(found) == ["kmer_kernel"] and list(simple) == [*forecasters.BASELINES]
    for place, split in enumerate(arm.splits):
        own = kernel_unit({}, arm.data, split).arrays
        expected = np.stack([own["mean"], own["std"]])
        assert found["kmer_kernel"][:, place] == pytest.approx(expected)
        for name, forecast in simple.items():
            own = baseline_unit({"baseline": name}, arm.data, split).arrays
            assert forecast[0, place] == pytest.approx(own["mean"])


def test_an_assay_of_few_groups_has_no_kernels_and_is_told_so(tmp_path):
    arm, where = arm_of(29), (Store(tmp_path), Placement(workers=1))
    with pytest.warns(UserWarning, match="made: fewer than 30 leak groups; no kernels"):
        assert forecasters.kernels([arm], forecasters.KERNELS, *where) == {arm: {}}
    network = {"cnn": np.ones((2, len(arm.splits), 29))}  # alone, it is the stack and what leads
    for forecast in forecasters.combined(arm, network).values():
        assert np.nanmax(np.abs(forecast - 1)) < 1e-12


def test_of_many_rows_a_kernel_sees_whole_groups_and_all_that_is_held_back(tmp_path, monkeypatch):
    monkeypatch.setattr(forecasters, "KERNEL_ROWS", 250)
    arm, store = arm_of(600), Store(tmp_path)
    arm = replace(arm, data=replace(arm.data, group=np.arange(600) // 2))
    found = forecasters.kernels([arm], ("kmer_kernel",), store, Placement(workers=1))[arm]
    for place, split in enumerate(arm.splits):
        forecast = found["kmer_kernel"][:, place]
        seen, known = np.isfinite(forecast[0]), np.append(split["train"], split["validation"])
        assert seen[np.setdiff1d(np.arange(600), known)].all() and 200 < seen[known].sum() <= 250
        first = known[(known % 2 == 0) & np.isin(known + 1, known)]
        assert np.array_equal(seen[first], seen[first + 1])
        rows = np.flatnonzero(seen)
        parts = {part: np.flatnonzero(np.isin(rows, split[part])) for part in split.parts}
        own = kernel_unit({}, arm.data.take(rows), replace(split, parts=parts)).arrays
        assert np.array_equal(forecast[:, rows], [own["mean"], own["std"]])
