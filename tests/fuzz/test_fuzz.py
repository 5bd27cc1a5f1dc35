"""Every input ends in a result that holds or in a documented error; so does the fuzzer notice."""

import time
from contextlib import nullcontext, suppress

import pytest

from . import fuzzer
from .readers import READERS, Case

CASES = 400  # per reader; the recorded run on the book's page has ten times as many


def ends(monkeypatch, call, holds=lambda result: None, known=()):
    """What the fuzzer says of a reader made for this test."""
    case = Case(call, (ValueError,), ("row",), holds, known)
    monkeypatch.setattr(fuzzer, "READERS", {"made": lambda folder, rng: case})
    return fuzzer.run_case("made", 0, 0)


def raising(error):
    def call(*_):
        raise error

    return call


@pytest.mark.slow
@pytest.mark.parametrize("reader", READERS)
def test_every_case_ends_in_a_result_or_a_documented_error(reader) -> None:
    outcomes = [fuzzer.run_case(reader, case, seed=2026) for case in range(CASES)]
    assert [o for o in outcomes if o.kind == "bad"] == []
    kinds = {outcome.kind for outcome in outcomes}
    assert {"result", "error"} <= kinds  # else the damage is too gross, or there is none


def test_equal_seeds_give_equal_cases_and_counts_add_up(monkeypatch) -> None:
    first, again = (fuzzer.fuzz(20, seed=1) for _ in range(2))
    assert [o._replace(seconds=0.0, message="") for o in first] == [
        o._replace(seconds=0.0, message="") for o in again
    ]
    assert [o.message for o in fuzzer.fuzz(20, seed=2)] != [o.message for o in first]
    table = fuzzer.counts(fuzzer.fuzz(25, seed=3)).set_index("input")
    assert list(table.index) == [*READERS, "all"]
    assert (table["cases"].drop("all") == 5).all() and table.loc["all", "cases"] == 25
    ends_in = table[["results", "errors", "known", "other_ends"]].sum(axis=1)
    assert (ends_in == table["cases"]).all()


@pytest.mark.parametrize(
    ("error", "known", "kind"),
    [
        (ValueError("row 3 is no number"), (), "error"),
        (ValueError("math domain error"), (), "bad"),
        (KeyError("row"), (), "bad"),
        (KeyError("row"), ("KeyError",), "known"),
        (RecursionError("row"), (), "bad"),
    ],
)
def test_only_documented_errors_that_name_something_pass(monkeypatch, error, known, kind) -> None:
    assert ends(monkeypatch, raising(error), known=known).kind == kind


def test_what_does_not_hold_a_file_left_behind_and_a_hang_are_noticed(monkeypatch, tmp_path):
    assert ends(monkeypatch, dict, holds=raising(AssertionError())).kind == "bad"
    monkeypatch.setattr(fuzzer.tempfile, "TemporaryDirectory", lambda: nullcontext(str(tmp_path)))
    left = ends(monkeypatch, (tmp_path / "part").touch)
    assert left.message == "files were left behind"

    def stubborn():
        with suppress(Exception):
            time.sleep(5)

    monkeypatch.setattr(fuzzer, "PATIENCE", 0.1)
    outcome = ends(monkeypatch, stubborn)
    assert (outcome.kind, outcome.message) == ("bad", "Hang: over 0.1 s") and outcome.seconds < 4
