"""The ledger ``claims.yaml``: what each claim of the abstract is judged on, in three readings.

In: the file. Out: a :class:`Claim` per entry. ``stated`` is what a reader of the abstract would
check, ``strict`` the same under the control that would kill a cheap explanation, ``first`` the rule
of the first round. :mod:`lib.statistics.claims` judges them.
"""

from math import prod
from pathlib import Path
from typing import Annotated, Final, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from lib.statistics.effects import Direction, Margin, decide

MOST_PARTS: Final = 6  # that count, of a reading stated or strict


# Strict: YAML reads "no" as a truth value, which is no number.
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
Reading = Literal["stated", "strict", "first"]
Cell = str | Number | None


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
    margin: Number | tuple[Number, Number]
    null: Number = 0.0
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

    def scaled(self, factor: float) -> Margin:
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
            first = error.errors(include_url=False)[0]
            named = entry.get("id", "") if isinstance(entry, dict) else ""
            field = ".".join(map(str, first["loc"]))
            raise ValueError(
                f"{path.name}, claim number {number} {named}: {field} {first['msg']}"
            ) from None
        if claim.name in claims:
            raise ValueError(f"{path.name} holds claim {claim.name} twice; once would do")
        claims[claim.name] = claim
    return list(claims.values())
