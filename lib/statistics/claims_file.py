"""The ledger of claims, ``claims.yaml``: its schema and its reader.

In: the file. Out: checked claims, or one error that names the claim, the part and the field.
"""

import math
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from lib.statistics.intervals import decide


def _cell(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, str | int | float | None):
        raise ValueError("a word, a number or none would do")
    return value


def _margin(value: Any) -> Any:
    numbers = value if isinstance(value, list | tuple) else [value]
    plain = all(isinstance(x, int | float) and not isinstance(x, bool) for x in numbers)
    if not plain or any(math.isnan(x) for x in numbers) or len(numbers) not in (1, 2):
        raise ValueError("a number, or [low, high], would do")
    return tuple(numbers) if isinstance(value, list | tuple) else value


Cell = Annotated[str | float | None, BeforeValidator(_cell)]
Margin = float | tuple[float, float]


class Part(BaseModel):
    """One contrast of a claim: which rows of which table, and what their intervals must show.

    Attributes
    ----------
    name : str
    where : dict
        Column to value; ``none`` for an empty cell.
    each : dict
        Column to list of values: the part is judged once per combination.
    direction, margin, null
        See :func:`lib.statistics.intervals.decide`; a ``within`` margin is [low, high], or one number, the
        half-width about ``null``.
    secondary : bool
        Printed, without weight in the verdict.
    table : str, optional
        File of ``results/`` without its ending; the claim's by default.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(min_length=1)
    where: dict[str, Cell] = {}
    each: dict[str, Annotated[list[Cell], Field(min_length=1)]] = {}
    direction: Literal["greater", "less", "within"]
    margin: Annotated[Margin, BeforeValidator(_margin)]
    null: float = Field(default=0.0, allow_inf_nan=False)
    secondary: bool = False
    table: str | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        twice = sorted(set(self.where) & set(self.each))
        if twice:
            raise ValueError(f"{', '.join(twice)} stands in where and in each; once would do")
        decide(self.null, self.null, self.margin, self.direction, self.null)  # refuses bad margins
        return self

    @property
    def limits(self) -> Margin:
        """The margin; for ``within`` always both ends."""
        if self.direction == "within" and not isinstance(self.margin, tuple):
            return self.null - self.margin, self.null + self.margin
        return self.margin


class Claim(BaseModel):
    """A claim of the abstract with the contrasts that judge it; none yet where ``parts`` is empty.

    Attributes
    ----------
    id, statement : str
    page : str, optional
        The book's page that shows the evidence, without ending.
    table : str, optional
        File of ``results/`` without its ending, for the parts that name none.
    parts : list of Part
    note : str, optional
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(min_length=1)
    statement: str = Field(min_length=1)
    page: str | None = None
    table: str | None = None
    parts: list[Part] = []
    note: str | None = None

    @model_validator(mode="after")
    def _judgeable(self) -> Self:
        for part in self.parts:
            if part.table is None and self.table is None:
                raise ValueError(f"part {part.name!r} names no table, and the claim none either")
        if self.parts and all(part.secondary for part in self.parts):
            raise ValueError("all parts are secondary; at least one must count")
        return self

    @property
    def tables(self) -> list[str]:
        """The tables its parts need, each once, in order."""
        return list(dict.fromkeys(part.table or str(self.table) for part in self.parts))


def margin_text(part: Part) -> str:
    """The margin as a reader writes it.

    Examples
    --------
    >>> margin_text(Part(name="a", direction="less", margin=0.85, null=1))
    '< 0.85'
    >>> margin_text(Part(name="a", direction="within", margin=0.05, null=0.9))
    '0.85 to 0.95'
    """
    if isinstance(part.limits, tuple):
        return f"{part.limits[0]:g} to {part.limits[1]:g}"
    return f"{'>' if part.direction == 'greater' else '<'} {part.limits:g}"


def read_claims(path: Path) -> list[Claim]:
    """Read and check ``claims.yaml``.

    Raises
    ------
    ValueError
        If the file is missing, no YAML or holds an id twice, or for the first wrong field, naming
        the claim, the part and what would do.
    """
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except FileNotFoundError:
        raise ValueError(
            f"{path.name} does not exist; run in the repository's top folder"
        ) from None
    except yaml.YAMLError as error:
        raise ValueError(f"{path.name} is no YAML: {error}") from None
    if not (isinstance(content, dict) and isinstance(content.get("claims"), list)):
        raise ValueError(f"{path.name} must hold a list named claims")
    claims = []
    for number, entry in enumerate(content["claims"], 1):
        try:
            claims.append(Claim.model_validate(entry))
        except ValidationError as error:
            raise ValueError(f"{path.name}, {_explain(error, entry, number)}") from None
    ids = [claim.id for claim in claims]
    for name in ids:
        if ids.count(name) > 1:
            raise ValueError(
                f"{path.name} holds claim {name} {ids.count(name)} times; once would do"
            )
    return claims


def _explain(error: ValidationError, entry: Any, number: int) -> str:
    """The first thing wrong with a claim, in one line."""
    first = error.errors(include_url=False)[0]
    known = isinstance(entry, dict) and "id" in entry
    message = [f"claim {entry['id']}" if known else f"claim number {number}"]
    where = list(first["loc"])
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
