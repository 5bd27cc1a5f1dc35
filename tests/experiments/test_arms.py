"""Arms of an assay: nothing leaks, every element is tested once, severities are measured."""

import numpy as np
import pandas as pd
import pytest

from lib.data.dataset import SequenceDataset
from lib.data.folds import HELD, TRAINED
from lib.data.leakage import leak_groups
from lib.experiments.arms import ALL, ARMS, MEANS, build_arms, element_means
from lib.sequences import reverse_complement


def assay(n=900, large=(), oriented=False, species=False):
    """Groups of two, after families of the sizes in ``large``."""
    rng = np.random.default_rng(0)
    strong = rng.beta(12, 10, n)[:, None] > rng.random((n, 80))
    codes = np.where(strong, rng.integers(1, 3, (n, 80)), 3 * rng.integers(0, 2, (n, 80)))
    group = np.concatenate(
        [np.repeat(np.arange(len(large)), large), len(large) + np.arange(n) // 2]
    )
    metadata = pd.DataFrame({"sp": np.where(group % 3 == 0, "At", "Zm")[:n]})
    given = {"oriented": oriented, "metadata": metadata if species else pd.DataFrame()}
    return SequenceDataset("made", codes.astype(np.uint8), rng.normal(size=n), group[:n], **given)


def arms_of(data, wanted=ARMS, count=5, quantile=0.8, tilts=(0.5, 1.0), seed=0):
    return build_arms(data, wanted, count, quantile, tilts, seed)


def parts(arms):
    return {
        (p.keys["split"], p.keys["shift"], p.keys["condition"].split(" ")[0]): (arm, p)
        for arm in arms
        for p in arm.parts
    }


@pytest.mark.parametrize("large", [(), (25, 20)])
def test_what_tests_an_element_has_seen_none_of_its_group(large):
    data = assay(large=large, species=True)
    arms = arms_of(data)
    keys = [tuple(part.keys.values()) for arm in arms for part in arm.parts]
    assert len(set(keys)) == len(keys)
    for arm in (arm for arm in arms if arm.kind != "leaky"):
        for place, split in enumerate(arm.splits):
            own = set(data.group[arm.tested == place])
            for part in ("train", *HELD):
                assert not own & set(data.group[split[part]]), (arm.kind, part)
        for part in arm.parts:
            assert (arm.tested[part.rows] >= 0).all()
    (leaky,) = (arm for arm in arms if arm.kind == "leaky")
    test, train = (set(data.group[leaky.splits[0][part]]) for part in ("test", "train"))
    assert test & train and leaky.parts[0].split == "random_leaky"
    assert len(leaky.splits[0]["train"]) == round(0.7 * len(data))


def test_every_element_is_tested_once_and_families_by_networks_of_their_own():
    data = assay(large=(25, 20))
    (arm,) = arms_of(data, ("group",))
    assert len(arm.splits) == 5 + 2
    home, *families, everything = arm.parts
    assert sorted(home.rows) == list(np.flatnonzero(data.group > 1))
    assert [len(part.rows) for part in families] == [25, 20]
    assert (everything.condition, len(everything.rows)) == (ALL, len(data))
    assert not any(part.sampled for part in arm.parts[1:])
    assert (arm.plan.codes[data.group < 2] == TRAINED).all()
    assert (arm.plan.fold[arm.plan.codes[home.rows]] == arm.tested[home.rows]).all()


def test_element_means_are_of_both_orientations_in_the_parts_of_both():
    codes = np.random.default_rng(1).integers(0, 4, (240, 60)).astype(np.uint8)
    single = np.random.default_rng(2).integers(0, 4, (20, 60)).astype(np.uint8)
    codes = np.vstack([codes, reverse_complement(codes), single])
    y = np.concatenate([np.arange(240.0), np.arange(240.0) + 3, np.full(20, 99.0)])
    (arm,) = arms_of(SequenceDataset("pairs", codes, y, leak_groups(codes)), ("group",), tilts=())
    means, pairs = element_means(arm)
    order = np.argsort(pairs[0])
    assert pairs[:, order].tolist() == [[*range(240)], [*range(240, 480)]]
    assert means.data.activity[order].tolist() == [i + 1.5 for i in range(240)]
    for own, whole in zip(means.splits, arm.splits, strict=True):
        for part, rows in whole.parts.items():
            assert set(pairs[:, own[part]].ravel()) == {row for row in rows if row < 480}
    assert means.parts[0].keys["condition"] == MEANS and len(means.parts[0].rows) == 240
    assert (means.plan.codes == arm.plan.codes[pairs[1]]).all()
    assert element_means(arms_of(assay(), ("group",))[0]) is None  # each element once


def test_stitched_forecasts_are_those_of_the_split_that_tests_a_row():
    data = assay(large=(25, 20))
    (arm,) = arms_of(data, ("tail",), quantile=0.9)[:1]
    named = np.broadcast_to(np.arange(len(arm.splits))[:, None], (len(arm.splits), len(data)))
    found = arm.stitched(named.astype(float))
    tested = arm.tested >= 0
    assert (found[tested] == arm.tested[tested]).all() and np.isnan(found[~tested]).all()
    assert not tested[data.group < 2].any()  # large families are in no fold


def test_matched_elements_are_of_the_held_out_kind_and_severity_is_measured():
    found = parts(arms_of(assay(), ("group", "tilt", "tail"), tilts=(1.0,)))
    for tail in ("gc_high", "gc_low"):
        own, shifted = found["shifted", tail, "GC"]
        arm, matched = found["matched", tail, "GC"]
        assert set(matched.rows) == set(shifted.rows) and arm.kind == "placebo"
        sizes = [np.mean([len(split["train"]) for split in each.splits]) for each in (own, arm)]
        assert sizes[0] == pytest.approx(sizes[1], rel=0.03)
    assert found["shifted", "gc_tilt", "+1"][1].keys["severity"] == pytest.approx(1.0, abs=0.1)
    assert found["shifted", "gc_high", "GC"][1].keys["severity"] > 1
    assert found["shifted", "gc_low", "GC"][1].keys["severity"] < -1
    assert abs(found["shifted", "placebo", "random"][1].keys["severity"]) < 0.3


def test_species_have_a_partner_of_equal_training_size():
    data = assay(species=True)
    found = parts(arms_of(data, ("species",)))
    for species in ("At", "Zm"):
        held, shifted = found["shifted", "species", species]
        mixed, matched = found["matched", "species", species]
        for part in (shifted, matched):
            assert (data.metadata["sp"].to_numpy()[part.rows] == species).all()
        sizes = [np.mean([len(split["train"]) for split in arm.splits]) for arm in (held, mixed)]
        assert sizes[0] == pytest.approx(sizes[1], rel=0.05)


def test_arms_that_an_assay_allows_draw_equal_sets_of_groups():
    assert arms_of(assay(), ("species",)) == []
    arms = [arm for arm in arms_of(assay()) if arm.kind != "leaky"]
    assert all(arm.plan is arms[0].plan for arm in arms)
    assert arms_of(assay(), seed=1)[0].plan.codes.tolist() != arms[0].plan.codes.tolist()


def test_a_rare_kind_is_tested_by_the_folds_that_hold_it():
    data = assay(species=True)
    rare = [5, 9, 50, 90, 200, 300]
    for number, shown in ((5, 10), (4, 0)):  # nothing is published of fewer than ten elements
        data.metadata["sp"] = np.where(data.group % 3 == 0, "At", "Zm")
        data.metadata.loc[np.isin(data.group, rare[:number]), "sp"] = "rare"
        arms = arms_of(data, ("species",))
        held = next(arm for arm in arms if arm.parts[0].condition == "rare")
        parts = [part for part in held.parts if part.split == "shifted"]
        assert sum(len(part.rows) for part in parts) == shown
        for part in parts:
            folds = held.plan.fold[held.plan.codes[part.rows]]
            assert held.plan.take(part.rows).df == len(set(folds)) - 1


@pytest.mark.parametrize("groups", [100, 8, 6, 5])
def test_few_groups_still_fill_every_part(groups):
    arm = arms_of(assay(2 * groups), ("group",), tilts=())[0]
    assert arm.plan.folds == 5
    for split in arm.splits:
        assert all(len(split[part]) >= 2 for part in ("train", *HELD, "test"))
