"""Six genotypes on two promoters: units by hand, censoring, pairs, bad input."""

import numpy as np
import pandas as pd
import pytest

import lib.assays as mpra
from lib.assays import genotypes
from lib.assays.genotypes import GENOTYPES, genotype_assay


@pytest.fixture
def elements(random_dna):
    """BASAL, two peaks intact and mutated, a scrambled element."""
    one, two, scrambled, basal = random_dna(4, 164, 0)
    return pd.DataFrame(
        {
            "library_id": ["basal", "P1", "P1_full", "P2", "P2_full", "Scr.1"],
            "variant_type": ["basal", *["wildtype", "allCrxSites"] * 2, "scrambled"],
            "chip_peak_id": ["", "P1", "P1", "P2", "P2", ""],
            "CRE_sequence": [basal, one, "A" + one[1:], two, "A" + two[1:], scrambled],
        }
    )


@pytest.fixture
def measurements(elements):
    """Mean 0.1 and s.d. 0.06 of 12 observations everywhere; P1 alone has 0.8, and 0 in Ehom."""
    named = {"library": ["rho", "hsp68"], "genotype": GENOTYPES[::-1]}
    named["library_id"] = elements["library_id"][::-1]
    frame = pd.MultiIndex.from_product(named.values(), names=named).to_frame(index=False)
    mean = np.where(frame["library_id"] == "P1", 0.8, 0.1)
    frame = frame.assign(activity_mean=mean, activity_std=0.06, n_observations=12)
    zero = (frame[["library", "genotype", "library_id"]] == ["rho", "Ehom", "P1"]).all(axis=1)
    frame.loc[zero, ["activity_mean", "activity_std"]] = 0.0
    return frame


def test_activity_and_error_by_hand(measurements, elements):
    assay = genotype_assay(measurements, elements, "rho", epsilon=0.1)
    assert assay.metadata["library_id"].tolist() == ["P1", "P1_full", "P2", "P2_full", "Scr.1"]
    # (0.8 + 0.1) / (0.1 + 0.1) = 4.5; a mean of 0 gives 0.1 / 0.2; the others equal BASAL.
    assert assay.activity[0] == pytest.approx([np.log2(4.5)] * 5 + [-1])
    assert assay.activity[1:] == pytest.approx(np.zeros((4, 6)))
    # Delta method: 0.06 / 0.9 / ln 2 over the root of 12 / 3 barcodes.
    assert assay.se_barcodes[0, 0] == pytest.approx(0.06 / 0.9 / np.log(2) / 2)
    assert assay.basal == pytest.approx([0.1] * 6)


def test_zeros_are_censored_and_kept_and_peaks_are_groups_and_pairs(measurements, elements):
    assay = genotype_assay(measurements, elements, "rho")
    assert np.argwhere(assay.censored).tolist() == [[0, 5]]
    assert assay.quantified.tolist() == [False, True, True, True, True]
    assert np.isnan(assay.se_barcodes).sum() == 1 and np.isnan(assay.se_barcodes[0, 5])
    assert np.isfinite(assay.activity).all()
    assert not genotype_assay(measurements, elements, "hsp68").censored.any()
    data = assay.dataset("Ehom")
    assert np.isnan(data.metadata["se_barcodes"]).tolist() == [True] + [False] * 4
    assert len(data) == 5 and data.noise_std is None
    assert assay.group.tolist() == [0, 0, 1, 1, 2]
    intact, mutated = assay.site_pairs()
    assert (intact.tolist(), mutated.tolist()) == ([0, 2], [1, 3])


def test_unknown_names_are_refused(measurements, elements):
    with pytest.raises(ValueError, match="promoter is 'Rho'; known are rho, hsp68"):
        genotype_assay(measurements, elements, "Rho")
    assay = genotype_assay(measurements, elements, "rho")
    with pytest.raises(ValueError, match="genotype is 'KO'; known are WT"):
        assay.dataset("KO")


def test_real_assay_is_as_described(data_dir):
    rho, hsp68 = (genotypes.load(promoter) for promoter in genotypes.PROMOTERS)
    assert rho.activity.shape == hsp68.activity.shape == (3746, 6)
    # 8 and 479 published means are 0.
    assert (rho.censored.sum(), hsp68.censored.sum()) == (8, 479)
    assert len(rho.site_pairs()[0]) == 1723
    with_wild = np.corrcoef(rho.activity[rho.quantified].T)[0]
    assert with_wild == pytest.approx([1, 0.91, 0.87, 0.77, 0.62, 0.51], abs=0.03)
    data = mpra.load("retina_genotypes", promoter="hsp68", genotype="Rhom")
    assert data.metadata["se_barcodes"].isna().sum() == 141
