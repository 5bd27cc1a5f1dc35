from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from lib.assays.counts import BarcodeCounts, Thresholds, activities
from lib.experiments.twins import assays as made


def test_thinned_labels_stand_on_their_rows_and_by_nothing_are_as_they_were() -> None:
    label, dna, rna = np.array(["a", "BASAL"], object), [500, 10**6], [[800, 800], [10**6, 10**6]]
    counts = BarcodeCounts(label, np.array(dna), np.array(rna))
    whole = activities(counts, Thresholds()).frame
    given = SimpleNamespace(counts={"1": counts}, thresholds=Thresholds(), fallback=())
    same = made.thinned(given, "1", (1.0, 1.0), np.random.default_rng(0))
    assert same["activity"].to_numpy() == pytest.approx(whole["activity"].to_numpy())
    assays = made.standin_assays(300)
    lower, own = assays.depths["1/4 joint"], assays.retina.activity
    known = np.isfinite(lower)
    assert known.mean() > 0.9
    assert np.corrcoef(lower[known], own[known])[0, 1] > 0.9


def test_a_subsample_keeps_what_both_tissues_measured() -> None:
    assays = made.standin_assays(400)
    few = made.subsample(assays, 100)
    shared = [
        (made.partners(each.plant["leaf"], each.plant["proto"]) >= 0).sum()
        for each in (assays, few)
    ]
    assert shared[0] == shared[1] == 80  # one in five of 400
    assert len(few.retina) <= 100
    assert len(few.quantified) <= 100


def test_relatives_of_either_tissue_are_relatives() -> None:
    """Groups a and b of one tissue are relatives through a group of the other that has both."""
    assays = made.standin_assays(300)
    one, other = assays.plant.values()
    partner = made.partners(one, other)
    first, second = np.flatnonzero(partner >= 0)[:2]
    group = np.arange(len(other))
    group[partner[second]] = group[partner[first]]
    one, other = made.related(replace(one, group=np.arange(len(one))), replace(other, group=group))
    assert one.group[first] == one.group[second] == other.group[partner[first]]
    assert len(np.unique(one.group)) == len(one) - 1


def test_a_law_has_a_shift_and_a_condition() -> None:
    found = {law: made.law_keys(law) for law in made.standin_assays(300).laws}
    assert found[("rho", "WT")] == ("", "") and found[("rho", "Ehom")] == ("genotype", "Ehom")
    assert found[("hsp68", "WT")] == ("promoter", "hsp68")
    assert found[("hsp68", "Ehom")] == ("promoter", "hsp68 Ehom")
