import numpy as np
import pandas as pd
import pytest

from lib.data.dataset import SequenceDataset
from lib.experiments.assays import ARMS, build_arms, together


def assay(n=900, oriented=False, species=False):
    rng = np.random.default_rng(0)
    strong = rng.beta(12, 10, n)[:, None] > rng.random((n, 80))
    codes = np.where(strong, rng.integers(1, 3, (n, 80)), 3 * rng.integers(0, 2, (n, 80)))
    metadata = pd.DataFrame({"sp": np.where(np.arange(n) // 2 % 3 == 0, "At", "Zm")})
    given = {"oriented": oriented, "metadata": metadata if species else pd.DataFrame()}
    activity, group = rng.normal(size=n), np.arange(n) // 2
    return SequenceDataset("made", codes.astype(np.uint8), activity, group, **given)


def parts(arms):
    return {
        (p.keys["split"], p.keys["shift"], p.keys["condition"].split(" ")[0]): (arm, p)
        for arm in arms
        for p in arm.parts
    }


def test_no_group_is_on_both_sides_of_any_honest_arm():
    data = assay(species=True)
    arms = build_arms(data, ARMS, 0.8, (0.5, 1.0), 0)
    keys = [tuple(part.keys.values()) for arm in arms for part in arm.parts]
    assert len(set(keys)) == len(keys)
    for arm in arms:
        seen = set(data.group[arm.split["train"]])
        for part in arm.parts:
            shares = bool(seen & set(data.group[part.rows]))
            assert shares == (part.keys["split"] == "random_leaky")


def test_matched_elements_are_of_the_held_out_kind_and_severity_is_measured():
    found = parts(build_arms(assay(), ("group", "tilt", "tail"), 0.8, (1.0,), 0))
    for tail in ("gc_high", "gc_low"):
        shifted = found["shifted", tail, "GC"][1].rows
        arm, matched = found["matched", tail, "GC"]
        assert set(matched.rows) <= set(shifted)
        assert not set(matched.rows) & set(arm.split["train"])
        own, _ = found["shifted", tail, "GC"]
        assert len(own.split["train"]) == pytest.approx(len(arm.split["train"]), rel=0.03)
    assert found["shifted", "gc_tilt", "+1"][1].keys["severity"] == pytest.approx(1.0, abs=0.1)
    assert found["shifted", "gc_high", "GC"][1].keys["severity"] > 1
    assert found["shifted", "gc_low", "GC"][1].keys["severity"] < -1
    assert abs(found["shifted", "placebo", "random"][1].keys["severity"]) < 0.3


def test_species_have_a_partner_of_equal_training_size():
    data = assay(species=True)
    arms = build_arms(data, ("species",), 0.8, (), 0)
    found = parts(arms)
    for species in ("At", "Zm"):
        held, shifted = found["shifted", "species", species]
        mixed, matched = found["matched", "species", species]
        assert (data.metadata["sp"].to_numpy()[shifted.rows] == species).all()
        assert (data.metadata["sp"].to_numpy()[matched.rows] == species).all()
        assert len(held.split["train"]) == pytest.approx(len(mixed.split["train"]), rel=0.05)


def test_arms_an_assay_does_not_allow_are_left_out():
    assert build_arms(assay(), ("species",), 0.8, (), 0) == []
    assert build_arms(assay(oriented=True), ("strand",), 0.8, (), 0) == []
    assert len(build_arms(assay(), ("strand",), 0.8, (), 0)) == 1


def test_rows_that_a_member_has_seen_have_no_joint_forecast():
    means = np.array([[0.0, np.nan, 1.0], [2.0, 1.0, 1.0]])
    found = together([(mean, np.ones(3)) for mean in means])
    assert found.mean[[0, 2]].tolist() == [1.0, 1.0] and np.isnan(found.std[1])
    assert found.std[[0, 2]] ** 2 == pytest.approx([2.0, 1.0])
