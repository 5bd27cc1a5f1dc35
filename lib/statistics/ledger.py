"""The ledger ``claims.yaml``: what each claim of the abstract is judged on, in three readings.

In: the file. Out: a :class:`Claim` per entry. ``stated`` is what a reader of the abstract would
check, ``strict`` the same under the control that would kill a cheap explanation, ``first`` the rule
of the first round. :mod:`lib.statistics.claims` judges them.
"""

from math import prod
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from lib.statistics.effects import Direction, decide

MOST_PARTS: Final = 6  # that count, of a reading stated or strict


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value


def _cell(value: Any) -> Any:
    if isinstance(value, str) or value is None or _is_number(value):
        return value
    raise ValueError("a word, a number or none would do")


def _margin(value: Any) -> Any:
    ends = value if isinstance(value, list | tuple) else [value]
    if len(ends) not in (1, 2) or not all(map(_is_number, ends)):
        raise ValueError("a number, or [low, high], would do")
    return tuple(ends) if isinstance(value, list | tuple) else value


Reading = Literal["stated", "strict", "first"]
Cell = Annotated[str | float | None, BeforeValidator(_cell)]
Margin = float | tuple[float, float]


class ClaimPart(BaseModel):
    """One contrast of a claim: which rows of which table, and what their intervals must show.

    ``where`` says what columns of the row hold (``none`` for an empty cell); the part is judged
    once per combination of ``each``. :func:`lib.statistics.effects.decide` explains ``direction``,
    ``margin`` and ``null``. ``quantity`` and ``table`` default to the claim's. A ``secondary`` part
    has no weight; ``not_run`` says why a part has no row. ``frozen`` changes ``where`` to the row
    of the frozen oracle: a verdict that it reaches too is true by construction. A ``placebo`` has
    no weight either, but where it is contradicted the claim's verdict is withheld.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    where: dict[str, Cell] = {}
    each: dict[str, Annotated[list[Cell], Field(min_length=1)]] = {}
    direction: Direction
    margin: Annotated[Margin, BeforeValidator(_margin)]
    null: float = Field(default=0.0, allow_inf_nan=False)
    secondary: bool = False
    table: str | None = None
    quantity: str | None = None
    frozen: dict[str, Cell] = {}
    not_run: str | None = None
    placebo: bool = False

    @property
    def counts(self) -> bool:
        """Whether the part has weight."""
        return not (self.secondary or self.placebo)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if twice := sorted(set(self.where) & set(self.each)):
            raise ValueError(f"{', '.join(twice)} stands in where and in each; once would do")
        decide(self.null, self.null, self.margin, self.direction, self.null)  # refuses bad margins
        return self

    @property
    def limits(self) -> tuple[float, ...]:
        """The margin's end; for ``within`` always both."""
        if isinstance(self.margin, tuple):
            return self.margin
        if self.direction == "within":
            return self.null - self.margin, self.null + self.margin
        return (self.margin,)

    @property
    def margin_text(self) -> str:
        """The margin as a reader writes it: ``< 0.85``, ``0.85 to 0.95``."""
        ends = " to ".join(f"{limit:g}" for limit in self.limits)
        return {"greater": "> ", "less": "< ", "within": ""}[self.direction] + ends

    def scaled(self, factor: float) -> float | tuple[float, ...]:
        """The margin at ``factor`` times its distance from ``null``."""
        moved = tuple(self.null + factor * (limit - self.null) for limit in self.limits)
        return moved if len(moved) > 1 else moved[0]


class Change(BaseModel):
    """What a reading changes of the first round's rule, and whether that favours the abstract."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    what: str = Field(min_length=1)
    direction: Literal["for", "against", "neutral"]
    why: str = Field(min_length=1)


class Claim(BaseModel):
    """One reading of a claim with the contrasts that judge it; none yet where ``parts`` is empty.

    ``quantity`` is what the parts measure, with its unit in words. ``variant`` tells two verdicts
    of one reading apart. ``page`` is the book's page that shows the evidence, without its ending.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(min_length=1)
    reading: Reading
    variant: Literal["tilt", "tail"] | None = None
    statement: str = Field(min_length=1)
    quantity: str | None = None
    change: Change | None = None
    page: str | None = None
    table: str | None = None
    parts: list[ClaimPart] = []
    note: str | None = None

    @model_validator(mode="after")
    def _judgeable(self) -> Self:
        for part in self.parts:
            if part.table is None and self.table is None:
                raise ValueError(f"part {part.name!r} names no table, and the claim none either")
        counted = [part for part in self.parts if part.counts]
        if self.parts and not counted:
            raise ValueError("all parts are secondary; at least one must count")
        if self.reading == "first":
            return self
        number = sum(prod(map(len, part.each.values())) for part in counted)
        if number > MOST_PARTS:
            raise ValueError(f"{number} parts count; at most {MOST_PARTS} would do")
        for part in counted:
            if not (part.quantity or self.quantity):
                raise ValueError(f"part {part.name!r} names no quantity, and the claim none either")
        return self

    @property
    def name(self) -> str:
        """The claim, its reading and variant in words: ``C11 stated tail``."""
        return " ".join(filter(None, (self.id, self.reading, self.variant)))


def read_claims(path: Path) -> list[Claim]:
    """Read and check ``claims.yaml``; an error names the claim, the part and what would do."""
    if not path.is_file():
        raise ValueError(f"{path.name} does not exist; run in the repository's top folder")
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{path.name} is no YAML: {error}") from None
    if not (isinstance(content, dict) and isinstance(content.get("claims"), list)):
        raise ValueError(f"{path.name} must hold a list named claims")
    claims: dict[str, Claim] = {}
    for number, entry in enumerate(content["claims"], 1):
        try:
            claim = Claim.model_validate(entry)
        except ValidationError as error:
            raise ValueError(f"{path.name}, {_explain(error, entry, number)}") from None
        if claim.name in claims:
            raise ValueError(f"{path.name} holds claim {claim.name} twice; once would do")
        claims[claim.name] = claim
    return list(claims.values())


def _explain(error: ValidationError, entry: Any, number: int) -> str:
    """The first thing wrong with a claim, in one line."""
    first = error.errors(include_url=False)[0]
    where = list(first["loc"])
    known = isinstance(entry, dict) and "id" in entry
    keys = (str(entry[key]) for key in ("id", "reading", "variant") if known and key in entry)
    message = [f"claim {' '.join(keys)}" if known else f"claim number {number}"]
    if len(where) > 1 and where[0] == "parts":
        part = entry["parts"][where[1]]
        named = isinstance(part, dict) and "name" in part
        message.append(f"part {part['name']!r}" if named else f"part number {int(where[1]) + 1}")
        where = where[2:]
    if None in where or "None" in where:
        return f'{", ".join(message)}: YAML reads the key null as nothing; write "null" in quotes'
    if where:
        message.append(f"field {'.'.join(map(str, where))} (it holds {first['input']!r})")
    return f"{', '.join(message)}: {first['msg'].removeprefix('Value error, ')}"
