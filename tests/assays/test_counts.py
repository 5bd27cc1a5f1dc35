"""Barcode counts to activities: a library worked by hand, the rules for bad files, thinning."""

import numpy as np
import pytest

from lib.assays.counts import BarcodeCounts, Thresholds, activities, read_counts, thin


def library(rna_of_e2: tuple[int, int] = (9, 9), dna_of_basal: int = 100) -> BarcodeCounts:
    """Four barcodes that pass, one with little DNA."""
    return BarcodeCounts(
        label=np.array(["BASAL", "e1", "e1", "e2", "e3"], object),
        dna=np.array([dna_of_basal, 100, 200, 400, 49]),
        rna=np.array([[9, 9], [19, 19], [79, 79], list(rna_of_e2), [500, 500]]),
    )


def written(write_text, name: str, rows: str) -> object:
    return write_text("barcode\tlabel\tcount\n" + rows, name)


def test_activity_and_the_spread_of_replicates_by_hand():
    # RNA + 1 over DNA, relative to BASAL's 10/100: e1 has (20/100)/0.1 = 2 and (80/200)/0.1 = 4,
    # mean 3; e2 has (10/400)/0.1 = 1/4. Sample totals cancel.
    frame, reference, dropped = activities(library(), Thresholds())
    rows = frame.set_index("label")
    found = rows.loc[["BASAL", "e1", "e2"], "activity"]
    assert found.tolist() == pytest.approx([0, np.log2(3), -2])
    assert rows["noise_std"].tolist() == pytest.approx([0, 0, 0])
    assert reference == "basal"
    assert dropped.pop("barcodes with unsteady RNA") == 0
    assert dropped == {"barcodes with little DNA": 1, "elements without a kept barcode": 1}
    # e2's second replicate is (20/400)/0.1 = 1/2: mean 3/8, s.d. sqrt(2)/8, cv sqrt(2)/3.
    row = activities(library((9, 19)), Thresholds()).frame.set_index("label").loc["e2"]
    assert row["activity"] == pytest.approx(np.log2(3 / 8))
    # Lognormal s.d. of a mean of two with squared cv 2/9: sqrt(ln(1 + 1/9)) in log2.
    assert row["noise_std"] == pytest.approx(np.sqrt(np.log(10 / 9)) / np.log(2))


def test_unsteady_rna_and_little_dna_are_dropped():
    # Counts 0 and 10: s.d. 7.07 over 5.01 is 1.41.
    result = activities(library((0, 10)), Thresholds())
    assert result.dropped["barcodes with unsteady RNA"] == 1
    assert "e2" not in set(result.frame["label"])
    kept = activities(library((0, 10)), Thresholds(max_rna_cv=1.5))
    assert "e2" in set(kept.frame["label"])
    for least, expected in ((50, {"BASAL", "e1", "e2"}), (49, {"BASAL", "e1", "e2", "e3"})):
        frame = activities(library(), Thresholds(min_dna_counts=least)).frame
        assert set(frame["label"]) == expected


def test_low_basal_falls_back_to_the_labels_given_and_no_reference_is_refused():
    # BASAL has RNA/DNA (10/119)/(1e5/100700), above 0.05; asking for 0.5 sends it to e1 (mean 0.3
    # of RNA + 1 over DNA), so that e2 is (10/400)/0.3.
    low = library(dna_of_basal=100_000)
    result = activities(low, Thresholds(min_basal_median=0.5), fallback=["e1"])
    assert result.reference == "fallback"
    rows = result.frame.set_index("label")["activity"]
    assert rows[["e1", "e2"]].tolist() == pytest.approx([0, np.log2(10 / 400 / 0.3)])
    with pytest.raises(ValueError, match="no kept barcode is labelled 'NONE'"):
        activities(library(), Thresholds(basal_key="NONE"))
    with pytest.raises(ValueError, match="no fall-back label is measured"):
        activities(library(), Thresholds(min_basal_median=1e9), fallback=["other"])
    with pytest.raises(ValueError, match="no barcode of 5 passes"):
        activities(library(), Thresholds(min_dna_counts=10**6))


def test_files_are_joined_by_barcode(write_text):
    dna = written(write_text, "dna", "AA\tx\t5\nCC\ty\t7\n")
    first = written(write_text, "r1", "CC\ty\t1\nAA\tx\t2\n")
    second = written(write_text, "r2", "GG\ty\t4\nAA\tx\t3\n")
    counts = read_counts(dna, [first, second])
    assert counts.label.tolist() == ["x", "y", "y"]
    assert counts.dna.tolist() == [5, 7, 0]
    assert counts.rna.tolist() == [[2, 3], [1, 0], [0, 4]]


def test_thinning_adds_the_variance_of_the_delta_method():
    # Keeping a share f of n reads adds (1 - f) / (f n) to the variance of their logarithm.
    n, m, f = 4000, 9000, 0.3
    label = np.full(20_000, "e", object)
    counts = BarcodeCounts(label, np.full(20_000, n), np.full((20_000, 2), m))
    for dna, rna in ((f, 1.0), (1.0, f), (f, f)):
        thinned = thin(counts, dna, rna, np.random.default_rng(1))
        seen = np.log(thinned.rna[:, 0] / thinned.dna).var()
        expected = (1 - dna) / (dna * n) + (1 - rna) / (rna * m)
        assert seen == pytest.approx(expected, rel=0.05)  # 1 % standard error of a variance
    assert counts.dna[0] == n, "the caller's counts are untouched"
