import numpy as np
import pandas as pd
import pytest

from lib.data import predictions
from lib.experiments.audit_table import prepare
from tests.refusals import refused


def table(n=40, **columns):
    rng = np.random.default_rng(0)
    base = {"id": [f"e{i}" for i in range(n)], "target": rng.normal(size=n)}
    base |= {"mean": rng.normal(size=n), "std": 1 + rng.random(n)}
    return predictions.validate(pd.DataFrame(base | columns))


def test_parts_are_dealt_by_split_and_shift():
    split = ["train"] * 5 + ["calibration"] * 10 + ["test"] * 15 + [""] * 10
    shift = [None] * 5 + [""] * 25 + ["heat"] * 10  # a missing label is in distribution
    found = prepare(table(split=split, shift=shift), "mine")
    assert [(p.keys["split"], p.keys["shift"], p.name, len(p.rows)) for p in found.parts] == [
        ("test", "", "in distribution", 15),
        ("shifted", "heat", "heat", 10),
    ]
    assert found.calibration.tolist() == list(range(5, 15))
    for said in ("5 rows of split train are left out", "Without a column group every row counts"):
        assert any(said in note for note in found.notes)


test_bad_labels_give_one_error = refused(
    ({"split": ["train"] * 40}, "no rows are left to judge"),
    ({"shift": [f"s{i}" for i in range(40)]}, "shift has 40 labels; at most 30"),
    ({"group": ["a"] * 39 + [""]}, "group is missing in row 39"),
    ({"fold": [0, 1, 2] * 13 + [None]}, "fold is missing in row 39"),
    ({"kind": [f"k{i}" for i in range(40)]}, "kind has 40 labels"),
    act=lambda given: prepare(table(**given), "mine", ("kind",) if "kind" in given else ()),
)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"fold": [0, 1, 2, 3] * 10, "group": ["a", "b"] * 20}, "group 'a' is tested in several"),
        ({"fold": [0, 1] * 20}, "2 folds; an interval over folds needs 3"),
    ],
)
def test_folds_that_keep_no_relatives_together_are_not_used(columns, said):
    found = prepare(table(**columns), "mine")
    assert any(f"The column fold is not used: {said}" in note for note in found.notes)
    assert found.plan is None and len(found.by_fold(np.arange(40))) == 1


def test_gc_and_groups_come_from_sequences():
    word, other = "ACGTTGCAAGCTATCGGATC", "TTTTAGGCATCCTAGACTGA"
    revcomp = word[::-1].translate(str.maketrans("ACGT", "TGCA"))
    sequence = [word, revcomp, other.lower()] * 2
    found = prepare(table(6, sequence=sequence), "mine")
    assert found.table["gc"].tolist() == [0.5, 0.5, 0.4] * 2
    group = found.table["group"].to_numpy()
    assert group[0] == group[1] != group[2]
    assert "gc_decile" in found.by


def test_covariates_of_one_s_own():
    kind = ["=x", "y"] * 20
    found = prepare(
        table(kind=kind, size=np.arange(40.0), shift=["a\nb"] * 10 + ["a b"] * 30),
        "mine",
        ("kind", "size"),
    )
    assert [len(part.rows) for part in found.parts] == [40]  # labels that look alike are one part
    assert list(found.by["kind"].categories) == ["'=x", "y"]
    assert np.bincount(found.by["size"].codes).tolist() == [4] * 10  # 40 numbers: deciles
