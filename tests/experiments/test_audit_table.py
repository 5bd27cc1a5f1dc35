import re

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


def sizes(found):
    return {part.name: len(part.rows) for part in found.parts}


def test_parts_are_dealt_by_split_and_shift():
    split = ["train"] * 5 + ["calibration"] * 10 + ["test"] * 15 + [""] * 10
    shift = [None] * 5 + [""] * 25 + ["heat"] * 10  # a missing label is in distribution
    found = prepare(table(split=split, shift=shift), "mine")
    assert sizes(found) == {"in distribution": 15, "heat": 10}
    named = [(part.keys["split"], part.keys["shift"]) for part in found.parts]
    assert named == [("test", ""), ("shifted", "heat")]
    assert found.calibration.tolist() == list(range(5, 15))
    for said in ("5 rows of split train are left out", "Without a column group every row counts"):
        assert any(said in note for note in found.notes)


test_bad_labels_give_one_error = refused(
    ({"split": ["train"] * 40}, "no rows are left to judge"),
    ({"shift": [f"s{i}" for i in range(40)]}, "shift has 40 labels; at most 30"),
    ({"group": ["a"] * 39 + ["NA"]}, "'group' row 39 is ''; every row needs a group"),
    ({"fold": [0, 1, 2] * 13 + [None]}, "'fold' row 39 is ''; every row needs one"),
    ({"kind": [f"k{i}" for i in range(40)]}, "kind has 40 labels"),
    ({"kind": [*map(str, range(39)), "1,000"]}, "'kind' row 39 is '1,000', not a finite number"),
    ({"split": [True, False] * 20}, "split holds only True and False, which does not say"),
    ({"split": [0, 1, 2, 2] * 10}, "split holds only 0 and 1 and 2, which"),
    ({"shift": [0, 1, 2, 3] * 10}, "shift holds 0 beside other labels"),
    ({"std": [1e-300] * 40}, "row 0 is 1e-300, not a finite number above 0, from 1e-30 to 1e.30"),
    ({"mean": [1e200] * 40}, r"'mean' row 0 is 1e\+200, not a finite number from -1e"),
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


def test_split_labels_go_by_their_role_whatever_their_case():
    test = ("Test", "HOLDOUT", "Hold-out", "developmental", "cross_val", "fold0", "fitness", None)
    train = ("Trainset", "validate", "ValSet", "x_train", "tuning", "in-sample", "Dev", "fitted")
    for label, seen in zip(test, train, strict=True):
        found = prepare(table(split=[label] * 20 + [seen] * 10 + ["CALIB"] * 10), "mine")
        assert sizes(found) == {"in distribution": 20} and [*found.calibration] == [*range(30, 40)]
        odd = label in ("developmental", "cross_val", "fold0", "fitness")
        assert odd == any("judged as test" in note for note in found.notes)


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        (["id", "ood"], ["in distribution", "ood"]),
        (["In-domain", "heat"], ["in distribution", "heat"]),
        (["no_shift", "none"], ["in distribution"]),
        ([False, True], ["in distribution", "shifted"]),
        ([0, 1], ["in distribution", "shifted"]),
        (["NO", "yes"], ["in distribution", "shifted"]),
        (["cold", "heat"], ["cold", "heat"]),
        (["a" * 70, "a" * 70 + "b"], ["a" * 59 + "…", "a" * 59 + "… 2"]),
    ],
)
def test_a_shift_may_be_a_flag_or_say_none(labels, names):
    found = prepare(table(shift=labels * 20), "mine")
    assert [part.name for part in found.parts] == names
    home = "in distribution" in names
    assert found.has_home == home and (found.reference is not None) == home
    assert home != any("No judged row is in distribution" in note for note in found.notes)


def test_a_split_may_say_shifted_and_calibration_under_a_shift_is_no_part():
    found = prepare(table(split=["test"] * 20 + ["OOD"] * 20), "mine")
    assert sizes(found) == {"in distribution": 20, "shifted": 20}
    both = {"split": ["calibration", "test"] * 20, "shift": [""] * 20 + ["b"] * 20}
    found = prepare(table(**both), "mine")
    assert sizes(found) == {"in distribution": 10, "b": 10}
    assert any("10 rows of calibration under a shift are left out" in note for note in found.notes)


def test_rows_of_one_pair_are_one_group():
    pair = [f"p{i // 2}" for i in range(36)] + [""] * 4
    alone = prepare(table(pair=pair), "mine").table["group"].to_numpy()
    assert len(np.unique(alone)) == 18 + 4 and (alone[0:36:2] == alone[1:36:2]).all()
    group = [f"g{i // 4}" for i in range(40)]  # of two pairs each, the last of four rows alone
    group[3] = "apart"  # but its pair joins it again
    assert prepare(table(pair=pair, group=group), "mine").table["group"].nunique() == 10
    own = {"id": [f"e{i // 2}" for i in range(40)], "condition": ["a", "b"] * 20}
    assert prepare(table(**own), "mine").table["group"].nunique() == 20


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"std": 3.0, "std_aleatoric": 1.0, "std_epistemic": 2.0}, "add up to std as variances do"),
        ({"std": 5.0, "std_aleatoric": 3.0, "std_epistemic": 4.0}, None),
        ({"target": 0.0, "mean": [0.1, -0.1] * 20, "std": 0.01}, "is 100, .* would be 1.00"),
        ({"target": 0.0, "mean": [0.1, -0.1] * 20, "std": 0.1}, None),
        ({"target": np.arange(40) + 50, "mean": np.arange(40.0) * 1.4}, "one unit.* r = 1.00"),
        ({"target": np.arange(40) + 5, "mean": np.arange(40.0)}, None),
    ],
)
def test_another_unit_and_variances_are_asked_about(columns, said):
    notes = [n for n in prepare(table(**columns), "mine").notes if re.search("roots|unit", n)]
    assert bool(notes) == bool(said) and (not said or re.search(said, notes[0]))


def test_gc_and_groups_come_from_sequences(random_dna):
    word, other = "ACGTTGCAAGCTATCGGATC", "TTTTAGGCATCCTAGACTGA"
    revcomp = word[::-1].translate(str.maketrans("ACGT", "TGCA"))
    sequence = [f"{word}R", revcomp.replace("T", "U"), other.lower()] * 2  # of several lengths
    found = prepare(table(6, sequence=sequence), "mine")
    assert found.table["gc"].tolist() == [0.5, 0.5, 0.4] * 2
    group = found.table["group"].to_numpy()
    assert group[0] == group[1] != group[2]
    assert "gc_decile" in found.by
    oligos = [word + core + other for core in random_dna(400, 60, 0)]  # of one library
    assert prepare(table(400, sequence=oligos), "mine").table["group"].nunique() == 400


def test_covariates_of_one_s_own():
    kind = ["=x", "y"] * 20
    given = table(kind=kind, group=kind, size=np.arange(40.0), shift=["a\nb"] * 10 + ["a b"] * 30)
    found = prepare(given, "mine", ("kind", "size", "group"))
    assert [*sizes(found).values()] == [40]  # labels that look alike are one part
    assert list(found.by["kind"].categories) == ["=x", "y"] == [*found.by["group"].categories]
    assert np.bincount(found.by["size"].codes).tolist() == [4] * 10  # 40 numbers: deciles
