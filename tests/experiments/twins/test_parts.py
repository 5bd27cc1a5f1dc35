"""Conditions: read, written, and what each shifted part is compared with."""

import pytest

from lib.experiments.twins.parts import RealCondition


@pytest.mark.parametrize(
    ("shift", "condition", "expected"),
    [
        ("genotype", "Ehom", ("test", "", "")),
        ("genotype", "Ehom, from the libraries", ("test", "", "from the libraries")),
        ("genotype", "Ehom, trained on WT + Rhom", ("shifted", "genotype", "Ehom")),
        ("genotype", "Ehom, 4 ε", ("test", "", "4 ε")),
        ("promoter", "x, with censored, from the libraries", ("test", "", "from the libraries")),
        ("batch", "3", ("inside", "batch", "3")),
        ("design", "mutant", ("inside", "design", "genomic")),
        ("placebo", "wtc11", ("inside", "placebo", "wtc11")),
        ("placebo", "retina_libraries", ("test", "", "")),
        ("", "from the libraries", ("test", "", "from the libraries")),
    ],
)  # fmt: skip
def test_each_shift_is_compared_with_its_own_kind(
    shift: str, condition: str, expected: tuple[str, str, str]
) -> None:
    parsed = RealCondition.parse(condition)
    assert parsed.reference(shift) == expected
    assert str(parsed) == condition


def test_marks_say_how_a_condition_was_looked_at() -> None:
    assert RealCondition.parse("Ehom, with censored, from the libraries").is_choice
    assert not RealCondition.parse("Ehom, from the libraries").is_choice
    assert RealCondition.parse("Ehom, trained on WT + Rhom").pool == "WT + Rhom"
    assert RealCondition.parse("ε / 4") == RealCondition("", ("ε / 4",))
