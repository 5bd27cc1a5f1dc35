"""The ledger of claims: what it refuses, and what a claim's name and margins are."""

import pytest

from lib.statistics.ledger import Claim, read_claims
from tests.refusals import refused

LEDGER = """claims:
  - id: C1
    reading: first
    statement: It holds
    table: sim/effects
    parts:
      - name: ratio
        where: {effect: ratio, shift: none, model: cnn}
        direction: greater
        margin: 1.25
        "null": 1
        # more
"""


def read_changed(write_text, old, new):
    assert old in LEDGER
    read_claims(write_text(LEDGER.replace(old, new), "claims.yaml"))


test_a_wrong_field_is_named = refused(
    ("# more", "wehre: {}", "claim number 1 C1: parts.0.wehre Extra inputs"),
    ("1.25", "about one", "parts.0.margin"),
    ("1.25", "[1, 2, 3]", "parts.0.margin"),
    ("1.25", ".nan", "parts.0.margin"),
    ("1.25", "0.8", "parts.0 Value error, margin 0.8 lies on the other side of null"),
    ("greater", "more", "parts.0.direction Input should be 'greater', 'less' or 'within'"),
    ("shift: none", "shift: no", "parts.0.where.shift"),
    ('"null"', "null", "claim number 1 C1: parts.0.None"),
    ("# more", "each: {model: [cnn]}", "model stands in where and in each"),
    ("# more", "each: {data: []}", "parts.0.each.data"),
    ("# more", "secondary: true", "C1:  Value error, all parts are secondary"),
    ("table: sim/effects", "note: none", "part 'ratio' names no table"),
    ("- name: ratio\n        where", "- where", "parts.0.name Field required"),
    ("- id: C1\n    reading", "- reading", "claim number 1 : id Field required"),
    ("reading: first", "reading: second", "C1: reading Input should be 'stated', 'strict'"),
    ("reading: first", "reading: first\n    variant: head", "C1: variant"),
    ("reading: first", "reading: strict", "part 'ratio' names no quantity"),
    (
        "reading: first",
        "reading: first\n    change: {what: a, direction: up, why: b}",
        "C1: change.direction",
    ),
    ("# more", "frozen: {model: no}", "parts.0.frozen.model"),
    (
        "claims:",
        "claims:\n  - {id: C1, reading: first, statement: a}",
        "holds claim C1 first twice",
    ),
    ("claims:", "claim:", "must hold a list named claims"),
    ("claims:", "claims: [", "is no YAML"),
    act=read_changed,
    fixture="write_text",
    always=r"^claims\.yaml",
)


def counting(number, **fields):
    """A claim with so many parts that count, half of them from a list."""
    part = {"name": "a", "direction": "less", "margin": -1, "table": "t", "quantity": "bits"}
    listed = part | {"each": {"model": [f"m{place}" for place in range(number - 1)]}}
    more = [part | {"secondary": True}] * 3
    base = {"id": "C3", "reading": "stated", "statement": "It holds", "parts": [part, listed]}
    return Claim.model_validate(base | {"parts": [part, listed, *more]} | fields)


def test_six_parts_may_count_and_variants_are_claims_of_their_own(tmp_path):
    assert len(counting(6).parts) == 5
    assert counting(30, reading="first").reading == "first"
    with pytest.raises(ValueError, match="7 parts count; at most 6 would do"):
        counting(7)
    path = tmp_path / "claims.yaml"
    entry = "\n  - {id: C11, reading: stated, statement: a%s}"
    path.write_text("claims:" + entry % ", variant: tilt" + entry % ", variant: tail", "utf-8")
    assert [claim.name for claim in read_claims(path)] == ["C11 stated tilt", "C11 stated tail"]
