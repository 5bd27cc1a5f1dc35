"""The assays of the real shifts: other depths, subsamples."""

from dataclasses import replace

import numpy as np
import pytest

from lib.assays.counts import BarcodeCounts, Thresholds, activities
from lib.experiments.twins.assays import HOME, CellLaw, partners, subsample, thinned
from lib.experiments.twins.standin import standin_assays


def test_thinning_by_nothing_gives_the_activities_at_full_depth() -> None:
    label, dna, rna = np.array(["a", "BASAL"], object), [500, 10**6], [[800, 800], [10**6, 10**6]]
    counts = BarcodeCounts(label, np.array(dna), np.array(rna))
    whole = activities(counts, Thresholds()).frame
    same = thinned(counts, Thresholds(), (1.0, 1.0), np.random.default_rng(0))
    assert same["activity"].to_numpy() == pytest.approx(whole["activity"].to_numpy())


def test_a_subsample_keeps_what_both_tissues_measured() -> None:
    assays = standin_assays(400)
    few = subsample(assays, 100)
    shared = [
        (partners(each.plant["leaf"], each.plant["proto"]) >= 0).sum() for each in (assays, few)
    ]
    assert shared[0] == shared[1] == 80  # one in five of 400
    assert len(few.retina) <= 100
    assert len(few.genotypes["rho"].codes) <= 100


def test_labels_at_another_depth_stand_on_their_rows() -> None:
    assays = standin_assays(300)
    lower, own = assays.depths["1/4 joint"], assays.retina.activity
    known = np.isfinite(lower)
    assert known.mean() > 0.9
    assert np.corrcoef(lower[known], own[known])[0, 1] > 0.9
    noisy = assays.library == "9a"
    assert np.isnan(assays.shallow["9a"][noisy]).all()
    assert np.isfinite(assays.shallow["9a"][~noisy]).mean() > 0.9


@pytest.mark.parametrize(
    ("law", "keys"),
    [
        (HOME, ("", "")),
        (CellLaw("rho", "Ehom"), ("genotype", "Ehom")),
        (CellLaw("hsp68", "WT"), ("promoter", "hsp68")),
        (CellLaw("hsp68", "Ehom"), ("promoter", "hsp68 Ehom")),
    ],
)
def test_a_law_has_a_shift_and_a_condition(law: CellLaw, keys: tuple[str, str]) -> None:
    assert law.keys == keys
    assert standin_assays(300).law(*keys) == law


def test_workers_do_without_counts() -> None:
    light = replace(standin_assays(300), counts={})
    assert len(light.quantified) == 300
