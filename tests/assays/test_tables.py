"""Loaders on small written files in the upstream layouts, and on the real ones where they are."""

import numpy as np
import pandas as pd
import pytest

import lib.assays as mpra
from lib.assays import tables
from lib.sequences import decode
from tests.refusals import refused

ALL_PATHS = (*tables.WTC11_PATHS, "CNN/CNN_test_leaf.tsv", "datasets/original/K562_averaged.tsv")
PREFIX, SUFFIX = "AGGACCGGATCAACT", "CATTGCGTGAACCGA"


def lentimpra_text(sequences: list[str], activities: list[float]) -> str:
    """Two columns as in the tutorial's files."""
    rows = [f"{PREFIX}{s}{SUFFIX}\t{a}\n" for s, a in zip(sequences, activities, strict=True)]
    return "seq\tmean_value\n" + "".join(rows)


@pytest.fixture
def from_files(monkeypatch):
    """Let a loader read written files in place of the pinned ones."""

    def use(**paths):
        known = {path: file for end, file in paths.items() for path in ALL_PATHS if end in path}
        monkeypatch.setattr(tables, "fetch", lambda dataset, path: known[path])

    return use


def lentimpra(from_files, path):
    from_files(K562=path)
    return mpra.load("lentimpra_K562")


def test_wtc11_joins_files_trims_and_pairs(write_text, random_dna, reverse_complement, from_files):
    a, b, c = random_dna(3, 200, 0)
    valid = write_text(lentimpra_text([a, reverse_complement(a)], [-0.5, -0.7]), "valid.tsv")
    test = write_text(lentimpra_text([b, c, reverse_complement(b)], [1, 2, 3]), "test.tsv")
    from_files(valid=valid, test=test)
    dataset = mpra.load("wtc11")
    assert decode(dataset.codes) == [a, reverse_complement(a), b, c, reverse_complement(b)]
    assert dataset.activity.tolist() == [-0.5, -0.7, 1.0, 2.0, 3.0]
    assert dataset.metadata["file"].tolist() == ["valid"] * 2 + ["test"] * 3
    element = dataset.metadata["element"]
    assert element[0] == element[1] and element[2] == element[4]
    assert element.nunique() == 3 and len(set(dataset.group)) == 3
    strand = dataset.metadata["strand"]
    assert set(strand[:2]) == set(strand[[2, 4]]) == {"+", "-"}
    assert not dataset.oriented and dataset.repairs == {}


def test_rows_without_adapter_or_of_another_length_are_named(write_text, random_dna, from_files):
    a, b = random_dna(2, 200, 1)
    good = write_text(lentimpra_text([a], [1]), "valid.tsv")
    bad = write_text(f"seq\tmean_value\nT{(PREFIX + b + SUFFIX)[1:]}\t1\n", "test.tsv")
    from_files(valid=good, test=bad)
    with pytest.raises(ValueError, match=r"row 1 is 'TGGACCGGATCAACT.*without '"):
        mpra.load("wtc11")


def test_lentimpra_columns_by_name_or_position(write_text, random_dna, from_files):
    a, b = random_dna(2, 200, 3)
    path = write_text(
        "name\tmean_value\tfold\tseq\n"
        f"e1\t0.5\t3\t{PREFIX}{a}{SUFFIX}\ne2\t1.5\t4\t{PREFIX}{b}{SUFFIX}\n"
    )
    dataset = lentimpra(from_files, path)
    assert dataset.name == "lentimpra_K562"
    assert decode(dataset.codes) == [a, b]
    assert dataset.metadata[["name", "fold"]].values.tolist() == [["e1", "3"], ["e2", "4"]]
    a, b = random_dna(2, 200, 4)
    path = write_text(f"id\tsequence\tlog2FC\tf\ne1\t{a}\t0.5\t3\ne2\t{b}\t1.5\t4\n")
    dataset = lentimpra(from_files, path)
    assert decode(dataset.codes) == [a, b]
    assert dataset.activity.tolist() == [0.5, 1.5]
    assert dataset.metadata["fold_num"].tolist() == ["3", "4"]


def test_plant_keeps_species_and_gene(write_text, random_dna, from_files):
    a, b = random_dna(2, 170, 6)
    path = write_text(
        f"set\tsp\tgene\tsequence\tenrichment\ntest\tAt\tAT1\t{a}\t-0.5\ntest\tZm\tZm1\t{b}\t2\n"
    )
    from_files(leaf=path)
    dataset = mpra.load("plant_leaf")
    assert (dataset.name, dataset.oriented) == ("plant_leaf", True)
    assert dataset.metadata.to_dict("list") == {
        "set": ["test", "test"],
        "sp": ["At", "Zm"],
        "gene": ["AT1", "Zm1"],
    }


def test_predictions_align_by_species_and_enrichment():
    species = pd.Series(["At", "Zm", "At", "Zm", "Zm"])
    activity = np.array([1.0, 1.0, 0.5, 3.0, 3.0])
    table = pd.DataFrame({"sample.name": ["Zm", "Zm", "Zm", "At", "At"]})
    table["enrichment"] = [3.0, 1.0 + 1e-13, 3.0, 0.5, 1.0]
    table["prediction"] = [31.0, 11.0, 32.0, 5.0, 10.0]
    mean = tables.align_predictions(species, activity, table)
    assert mean.tolist() == [10.0, 11.0, 5.0, 31.0, 32.0]


test_predictions_of_other_rows_are_refused = refused(
    (["At"], [0.5], [1.0], "of other species or enrichments"),
    (["Zm", "At"], [1.0, 0.7], [1.0, 2.0], "of other species or enrichments"),
    (["Zm", "Sb"], [1.0, 0.5], [1.0, 2.0], "of other species"),
    (["Zm", "Zm"], [1.0, 0.5], [1.0, 2.0], "of other species"),
    (["Zm", "At"], [1.0, 0.5], [1.0, np.nan], "row 1 is nan"),
    act=lambda *columns: tables.align_predictions(
        pd.Series(["At", "Zm"]),
        np.array([0.5, 1.0]),
        pd.DataFrame(dict(zip(("sample.name", "enrichment", "prediction"), columns, strict=True))),
    ),
)


test_unknown_names_list_the_known = refused(
    (mpra.load, "moss", "'moss' is not known; known are wtc11, plant_leaf"),
    (mpra.available, "moss", "'moss' is not known; known are wtc11, plant_leaf"),
    (tables.load_plant, "root", r"pinned there: .*test_leaf"),
    (tables.load_lentimpra, "HeLa", r"pinned there: .*HepG2_averaged"),
    act=lambda load, name: load(name),
)


def test_absent_data_is_an_error_by_name_and_false_by_question(tmp_path, monkeypatch):
    monkeypatch.setenv("MPRA_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("MPRA_OFFLINE", "1")
    monkeypatch.delenv("MPRA_DATA_DIR", raising=False)
    assert not any(mpra.available(name) for name in mpra.names())
    with pytest.raises(mpra.DataUnavailable, match="Set MPRA_DATA_DIR"):
        mpra.load("lentimpra_HepG2")
    # Who names a folder asks for measured data: nothing else takes their place.
    (tmp_path / "data" / "plant").mkdir(parents=True)
    said = {"data": r"MPRA_DATA_DIR=.*data does not hold it, and MPRA_OFFLINE"}
    said |= {".": "holds none of the folders lentimpra, .*did you mean .*data", "x": "is no folder"}
    for folder, message in said.items():
        monkeypatch.setenv("MPRA_DATA_DIR", str(tmp_path / folder))
        with pytest.raises((ValueError, OSError), match=message):
            mpra.available("wtc11")


def test_real_wtc11_is_as_described(data_dir):
    dataset = mpra.load("wtc11")
    assert dataset.codes.shape == (9237, 200)
    pairs = dataset.metadata.assign(y=dataset.activity).pivot(
        index="element", columns="strand", values="y"
    )
    assert len(pairs) == 4625 and len(pairs.dropna()) == 4612
    assert pairs.dropna().corr().iloc[0, 1] == pytest.approx(0.744, abs=0.002)
    assert np.quantile(dataset.gc, [0.05, 0.5, 0.95]) == pytest.approx([0.475, 0.58, 0.725])
    assert dataset.repairs == {}


@pytest.mark.parametrize(
    ("tissue", "rows", "rsquare"), [("leaf", 7154, 0.71), ("proto", 7595, 0.67)]
)
def test_real_plant_reproduces_the_published_rsquare(data_dir, tissue, rows, rsquare):
    dataset = mpra.load(f"plant_{tissue}")
    assert dataset.codes.shape == (rows, 170)
    mean = tables.reference_predictions(tissue)
    # The authors print two digits of the squared Pearson correlation.
    assert np.corrcoef(mean, dataset.activity)[0, 1] ** 2 == pytest.approx(rsquare, abs=0.005)
