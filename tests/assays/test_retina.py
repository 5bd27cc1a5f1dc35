"""The retina loaders on a small written library, and on the real files where they are."""

import time

import numpy as np
import pytest

import lib.assays as mpra
from lib.assays import retina
from lib.assays.counts import Thresholds
from lib.assays.retina import design

CONFIG = """---
min_dna_counts: 20
max_rna_cv: 0.7
basal_key: BASAL
min_basal_median: 0.0
output_dir: Measurements/
libraries: {
  library1: {rna_files: {RNA1: L1/r1.counts, RNA2: L1/r2.counts}, dna_file: [DNA, L1/dna.counts]},
  library2: {rna_files: {RNA1: L1/r1.counts, RNA2: L1/r2.counts}, dna_file: [DNA, L1/dna.counts]},
}
...
"""
LABELS = {
    "wild": "chr1-1-164_CPPP_WT",
    "mutant": "chr1-1-164_CPPP_MUT-allCrxSites;A1C",
    "moved": "chr2-1-164_CPPP_WT;move7",
    "far": "chr3-1-164_CPPP_WT",
    "chimera": "chr3-1-164_CPPP_WT;82chim2223",
    "scrambled": "chr9-1-164_CPPP_scrambled",
    "block": "building-block_ChNh",
    "lost": "chr4-1-164_CPPP_WT",
    "BASAL": "BASAL",
}


@pytest.fixture
def small_library(tmp_path, random_dna, monkeypatch):
    """One library in the upstream layout: config, counts, FASTA files, test sets."""
    one, two, three, four = random_dna(4, 164, 0)
    shared = one[:40] + two[40:]  # a 20-mer links origins 1 and 2
    sequences = {
        "wild": one,
        "mutant": "C" + one[1:],
        "moved": shared,
        "far": three,
        "chimera": three[:82] + one[82:],
        "scrambled": four,
        "block": three[:100],
    }

    def fasta(names):
        return "".join(f">{LABELS[name]}\n{sequences[name]}\n" for name in names)

    held = {f"library{name}": ["wild"] for name in retina.LIBRARIES} | {"standards": ["wild"]}
    held["library1"] = [name for name in sequences if name != "scrambled"]
    held["scrambled"] = ["scrambled"]
    files = {f"Data/Sequences/Fasta/{file}.fasta": fasta(names) for file, names in held.items()}
    files[retina.CONFIG_PATH] = CONFIG
    for sample, count in (("dna", 100), ("r1", 50), ("r2", 60)):
        rows = [f"BC{row}\t{label}\t{count}\n" for row, label in enumerate(LABELS.values())]
        files[f"Data/L1/{sample}.counts"] = "barcode\tlabel\tcount\n" + "".join(rows)
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    monkeypatch.setattr(retina, "fetch", lambda dataset, path: tmp_path / path)
    return tmp_path


def test_thresholds_elements_controls_and_groups(small_library):
    assert retina.default_thresholds() == Thresholds(20, 0.7, "BASAL", 0.0)
    data = retina.load(["1"])
    table = data.metadata.set_index("label")
    assert data.metadata["label"].tolist() == [
        LABELS[name] for name in ("wild", "mutant", "moved", "far")
    ]
    assert data.codes.shape == (4, 164)
    # All barcodes have the same counts, BASAL among them.
    assert data.activity == pytest.approx(np.zeros(4))
    assert table["design"].tolist() == ["genomic", "mutant", "designed", "genomic"]
    assert table["origin"].tolist() == ["chr1-1-164"] * 2 + ["chr2-1-164", "chr3-1-164"]
    assert data.group.tolist() == [0, 0, 0, 1]
    assert set(table["library"]) == {"1"}
    assert {what: n for what, n in data.repairs.items() if n} == {
        "reference rows dropped": 1,
        "elements without a sequence dropped": 1,
        "elements of another length dropped": 1,
        "controls dropped": 1,
        "chimeras dropped": 1,
    }
    both = retina.load(["2", "1"])
    assert both.metadata["library"].tolist() == ["2"] * 4 + ["1"] * 4
    assert (both.group[:4] == both.group[4:]).all()


DESIGNS = {
    "genomic": ["WT"],
    "mutant": [
        *("WT;G3C,A7G", "WT;A5T;C20T,T23C", "MUT-allCrxSites", "MUT-shape"),
        *("MUT-allCrxSites;A17G", "WT;HAND_T139G,G140T"),
    ],
    "designed": ["MUT-shape;127iCRX-F", "WT;HAND_62mRAX-1", "WT;del11;T68G"],
    "chimera": ["WT;71chim2223;C1A,A2C;119iMEF2D-R,24dRORB-F"],
    "control": ["scrambled"],
}


@pytest.mark.parametrize("kind", DESIGNS)
def test_designs(kind):
    assert {design(f"chr7-11-175_CPPE_{variant}") for variant in DESIGNS[kind]} == {kind}


@pytest.mark.slow
def test_real_libraries_are_as_described(data_dir):
    start = time.process_time()
    data = mpra.load("retina_libraries", libraries=retina.LIBRARIES)
    assert time.process_time() - start < 20  # seconds of one core for 0.93 million count rows
    assert data.metadata.groupby("library").size().min() > 2500
    assert data.metadata["origin"].nunique() > 5000
    sizes = np.bincount(data.group)
    assert sizes.max() / len(data) < 0.03
