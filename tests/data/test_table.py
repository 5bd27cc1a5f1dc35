from contextlib import nullcontext

import numpy as np
import pandas as pd
import pytest

from lib.data.dataset import SequenceDataset
from lib.data.table import dataset_from_frame, load_table
from lib.sequences import decode
from tests.refusals import refused


def frame_of(sequences: list[str], **columns: object) -> pd.DataFrame:
    """A frame with these sequences and activities 0, 1, 2 and so on."""
    return pd.DataFrame(
        {
            "sequence": pd.Series(sequences, dtype=object),
            "activity": np.arange(len(sequences), dtype=float),
        }
        | columns
    )


def read(frame: pd.DataFrame, **options: object) -> SequenceDataset:
    return dataset_from_frame(frame, name="toy", **options)


def test_all_columns_in_their_places_and_others_may_share_a_name(write_text, random_dna):
    first, second = random_dna(2, 30, 0)
    rows = f"x1,{first},-1.5,0.25,2,a\nx2,{second},2e-1,0.5,1,b\n"
    path = write_text("id,dna,log2,sd,w,origin\n" + rows, "my.v2.csv")
    named = {"sequence": "dna", "activity": "log2", "noise": "sd", "weight": "w", "group": "origin"}
    dataset = load_table(path, oriented=True, **{f"{k}_column": v for k, v in named.items()})
    assert dataset.name == "my"
    assert decode(dataset.codes) == [first, second]
    assert dataset.activity.tolist() == [-1.5, 0.2]
    assert dataset.noise_std.tolist() == [0.25, 0.5]
    assert dataset.weight.tolist() == [2.0, 1.0]
    assert dataset.group.tolist() == [0, 1]
    assert dataset.metadata.to_dict("list") == {"id": ["x1", "x2"], "origin": ["a", "b"]}
    assert (dataset.oriented, dataset.repairs) == (True, {})


def test_sequences_are_mended_and_counted():
    dataset = read(frame_of(["acgta", " ACGUA ", "ACGTN", "uuuuc"]))
    assert decode(dataset.codes) == ["ACGTA", "ACGTA", "ACGTN", "TTTTC"]
    assert dataset.repairs == {
        "lower case raised": 2,
        "U read as T": 2,
        "surrounding spaces removed": 1,
        "duplicate sequences kept": 1,
        "sequences with different activities": 1,
    }


def test_duplicates_stay_in_one_group(random_dna, reverse_complement):
    one, two = random_dna(2, 40, 2)
    dataset = read(frame_of([one, two, one, reverse_complement(one)]))
    assert dataset.group[0] == dataset.group[2] == dataset.group[3] != dataset.group[1]
    assert dataset.repairs == {
        "duplicate sequences kept": 1,
        "sequences with different activities": 1,
    }
    frame = pd.DataFrame({"sequence": ["ACGTA", "ACGTA"], "activity": [1.0, 1.0]})
    assert read(frame).repairs == {"duplicate sequences kept": 1}


def test_given_groups_that_share_a_sequence_are_joined(reverse_complement):
    # a and b share ACGTAAC (one reversed), c stands alone: three labels, two groups.
    sequences = ["ACGTAAC", "GGGTTTA", reverse_complement("ACGTAAC"), "CCCCTAT"]
    frame = frame_of(sequences, origin=["a", "a", "b", "c"])
    dataset = read(frame, group_column="origin")
    assert dataset.group.tolist() == [0, 0, 0, 1]
    assert dataset.repairs == {"groups joined by a shared sequence": 1}
    assert dataset.metadata["origin"].tolist() == ["a", "a", "b", "c"]


test_sequences_are_refused = refused(
    (["ACGT", "ACXT"], "row 1 holds 'X' at position 2"),
    (["ACGT", "AC T"], "row 1 holds ' ' at position 2"),
    (["ACGT", "AC-T"], "row 1 holds '-' at position 2"),
    (["ACGT", "ACßT"], "row 1"),
    (["ACGT", ""], "row 1 is '', not a sequence"),
    (["ACGT", "  "], "row 1 is '  ', not a sequence"),
    (["ACGT", None], "row 1 is None, not a sequence"),
    (["ACGT", 7.0], "row 1 is 7.0, not a sequence"),
    (["ACGT", "ACGTA", "CCCC"], "row 1 is 'ACGTA', of 5 nt; most rows have 4"),
    (["ACGTA", "ACGT", "CCCC"], "row 0 is 'ACGTA', of 5 nt; most rows have 4"),
    (["ACGT", "NNNN"], "row 1 holds nothing but N"),
    (["ACG", "TCC"], "3 nt are too few to find relatives; pass group_column"),
    ([], "no rows"),
    act=lambda sequences: read(frame_of(sequences)),
)

GONE = ["", "  ", None, float("nan"), "NA", "null"]
COLUMNS = {"none": [1, 0.0, 1], "minus": [1, -1.0, 1], "word": ["high"] * 3}
COLUMNS |= {f"gone {place}": ["a", gone, "b"] for place, gone in enumerate(GONE)}
test_columns_are_refused = refused(
    ({"noise_column": "none"}, r"'none' row 1 is 0\.0, not a finite number above 0"),
    ({"weight_column": "none"}, r"'none' row 1 is 0\.0, not a finite number above 0"),
    ({"noise_column": "minus"}, r"'minus' row 1 is -1\.0, not a finite number above 0"),
    ({"weight_column": "minus"}, r"'minus' row 1 is -1\.0, not a finite number above 0"),
    ({"noise_column": "sd"}, "no column 'sd'"),
    ({"sequence_column": "sequnce"}, "did you mean 'sequence'"),
    ({"activity_column": "word"}, "'word' row 0 is 'high', not a finite"),
    *(({"group_column": n}, "row 1 .*every row needs a group") for n in COLUMNS if "gone" in n),
    ({"trim_prefix": "GG", "trim_suffix": "TT"}, "row 2 is 'GATTATT', without 'GG' … 'TT'"),
    ({"trim_suffix": "aa"}, "row 0 is 'GGACATT', without '' … 'AA'"),
    ({"trim_prefix": "GGAC", "trim_suffix": "ATT"}, "row 0 has 7 nt, no more than its adapters"),
    act=lambda options: read(frame_of(["GGACATT", "GGTTATT", "GATTATT"], **COLUMNS), **options),
)


def test_short_sequences_are_fine_with_groups():
    frame = frame_of(["ACG", "TCC"], origin=["a", "b"])
    assert len(read(frame, group_column="origin")) == 2


def test_ends_that_nearly_all_share_are_cut_off_and_counted(random_dna):
    cores = random_dna(200, 60, 4)
    sequences = ["AGGACCGGATCA" + core + "CATTGCGTGA" for core in cores]
    found = read(frame_of(sequences))
    ends = {"shared start AGGACCGGATCA trimmed": 200, "shared end CATTGCGTGA trimmed": 200}
    assert decode(found.codes) == cores and found.repairs == ends
    sequences[7] = "T" + sequences[7][1:]  # 199 of 200
    found = read(frame_of(sequences))
    assert decode(found.codes) == cores
    assert found.repairs["shared start: another of 12 nt cut off"] == 1


def test_adapters_left_on_are_refused_with_the_remedy(random_dna):
    cores = random_dna(40, 60, 4)
    sequences = ["AGGACCGGATCA" + core + "CATTGCGTGA" for core in cores]
    sequences[0] = "T" * 12 + cores[0] + "A" * 10  # 97.5 %
    with pytest.raises(ValueError, match="'AGGACCGGATCA' and trim_suffix='CATTGCGTGA', or keep"):
        read(frame_of(sequences))
    trim = {"trim_prefix": "AGGACCGGATCA", "trim_suffix": "CATTGCGTGA"}
    trimmed = read(frame_of(sequences[1:]), **trim)
    assert decode(trimmed.codes) == cores[1:]
    kept = read(frame_of(sequences), keep_shared_ends=True)
    assert kept.codes.shape == (40, 82)


ADAPTER = "ACGATCGATACC"
OTHERS = ["CATGCATGCATG", "TTGATTGATTGA", "GGCAGGCAGGCA", "TCCTTCCTTCCT"]
CORES = ["".join(row) for row in np.random.default_rng(5).choice(list("ACGT"), (40, 50))]


def led(starts: list[str]) -> list[str]:
    return [start + core for start, core in zip(starts, CORES, strict=False)]


@pytest.mark.parametrize(
    ("sequences", "is_refused"),
    [
        (led([ADAPTER] * 37 + OTHERS[:3]), True),  # of 40 over 90 %
        (led([ADAPTER] * 36 + OTHERS), False),  # 90 %
        (led([ADAPTER[:9] + "ACGT"[row % 4] for row in range(40)]), False),  # nine letters
        (led([ADAPTER] * 9) * 10, False),  # few distinct sequences
        (led(["N" * 12] * 40), False),  # padding
    ],
)
def test_ten_letters_shared_by_over_nine_tenths_make_an_adapter(sequences, is_refused):
    with pytest.raises(ValueError, match="trim_prefix") if is_refused else nullcontext():
        assert len(read(frame_of(sequences))) == len(sequences)


def test_a_library_of_mutants_is_grouped_by_parent(tmp_path, rng):
    """Each position of two parents changed once: their words stand in over 20 rows."""
    parents = ["".join(rng.choice(list("ACGT"), 80)) for _ in range(2)]
    changed = str.maketrans("ACGT", "CGTA")
    rows = [p[:i] + p[i].translate(changed) + p[i + 1 :] for p in parents for i in range(80)]
    pd.DataFrame({"sequence": rows, "activity": rng.normal(size=160)}).to_csv(tmp_path / "a.csv")
    group = load_table(tmp_path / "a.csv").group
    assert len(set(group)) == 2 and len(set(group[:80])) == len(set(group[80:])) == 1
