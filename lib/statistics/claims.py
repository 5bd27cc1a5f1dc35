"""Verdicts on the claims: margins of the ledger ``claims.yaml`` against rows of published tables.

In: ``claims.yaml``, ``results/<table>.csv`` and ``results/manifest.json``. Out: a row per judged
claim, one per judged contrast, and the claims that wait. Only published full runs are judged. Every
figure comes from a table and every rule from :func:`lib.statistics.effects.decide`.
"""

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self

import numpy as np
import pandas as pd
import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from scipy.stats import norm

from lib.statistics.effects import Verdict, decide

CLAIM_COLUMNS = (
    *("id", "statement", "verdict", "effect", "lower", "upper", "n", "margin", "evidence"),
    *("verdict_half", "verdict_double", "part", "note"),
)
PART_COLUMNS = (
    *("id", "part", "secondary", "verdict", "effect", "lower", "upper", "level", "n", "margin"),
    *("verdict_half", "verdict_double", "told", "supported", "table", "row", "note"),
)
NOT_JUDGED_COLUMNS = ("id", "statement", "reason")
VERDICTS = {"verdict": 1.0, "verdict_half": 0.5, "verdict_double": 2.0}  # at which margin
POWER = 0.8  # with which an effect would have been told

# Rows of single fits, single splits and bins share their other keys with the row over all of them.
USUALLY_EMPTY = ("seed", "split_seed", "by")


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


Cell = Annotated[str | float | None, BeforeValidator(_cell)]
Margin = float | tuple[float, float]


class ClaimPart(BaseModel):
    """One contrast of a claim: which rows of which table, and what their intervals must show.

    ``where`` says what columns of the row hold (``none`` for an empty cell); the part is judged
    once per combination of ``each``. :func:`lib.statistics.effects.decide` explains ``direction``,
    ``margin`` and ``null``. A ``secondary`` part has no weight; ``table`` defaults to the claim's.
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


class Claim(BaseModel):
    """A claim of the abstract with the contrasts that judge it; none yet where ``parts`` is empty.

    ``page`` is the book's page that shows the evidence, without its ending.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(min_length=1)
    statement: str = Field(min_length=1)
    page: str | None = None
    table: str | None = None
    parts: list[ClaimPart] = []
    note: str | None = None

    @model_validator(mode="after")
    def _judgeable(self) -> Self:
        for part in self.parts:
            if part.table is None and self.table is None:
                raise ValueError(f"part {part.name!r} names no table, and the claim none either")
        if self.parts and all(part.secondary for part in self.parts):
            raise ValueError("all parts are secondary; at least one must count")
        return self


class Verdicts(NamedTuple):
    """The three tables of verdicts, with the columns of their CSV files."""

    claims: pd.DataFrame
    parts: pd.DataFrame
    not_judged: pd.DataFrame


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
        if claim.id in claims:
            raise ValueError(f"{path.name} holds claim {claim.id} twice; once would do")
        claims[claim.id] = claim
    return list(claims.values())


def _explain(error: ValidationError, entry: Any, number: int) -> str:
    """The first thing wrong with a claim, in one line."""
    first = error.errors(include_url=False)[0]
    where = list(first["loc"])
    known = isinstance(entry, dict) and "id" in entry
    message = [f"claim {entry['id']}" if known else f"claim number {number}"]
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


def _published(folder: Path, name: str) -> pd.DataFrame:
    """A published table of a full run as text cells, empty ones as ``""``."""
    experiment = name.split("/")[0]
    path = folder / "manifest.json"
    entry = json.loads(path.read_text("utf-8")).get(experiment) if path.is_file() else None
    if entry is None:
        raise ValueError(
            f"manifest.json has no entry {experiment!r}, so that nobody can tell which run wrote "
            f"{name}.csv; publish it with make publish"
        )
    table = pd.read_csv(folder / f"{name}.csv", dtype=str, keep_default_na=False)
    profiles = {entry.get("config", {}).get("profile", "unknown"), *table.get("profile", ())}
    if profiles != {"full"}:
        other = ", ".join(sorted(profiles - {"full"}))
        raise ValueError(f"{name}.csv comes from the profile {other}; only full runs are judged")
    return table


def _matches(cell: str, value: Cell) -> bool:
    """Whether a cell of a table is the value that a claim names."""
    if value is None or value == "none":
        return cell in ("", "none")
    if isinstance(value, str):
        return cell == value
    try:  # tables hold five significant digits
        return math.isclose(float(cell), value, rel_tol=1e-4, abs_tol=1e-9)
    except ValueError:
        return False


def _pick_row(table: pd.DataFrame, where: Mapping[str, Cell]) -> dict[Any, str]:
    """The one row with all the wanted values; columns usually empty are so unless named."""
    if missing := [column for column in where if column not in table]:
        raise ValueError(f"has no column {', '.join(missing)}; it has {', '.join(table.columns)}")
    usual: dict[str, Cell] = {key: None for key in USUALLY_EMPTY if key in table}
    for column, value in (usual | dict(where)).items():
        table = table[np.array([_matches(cell, value) for cell in table[column]], dtype=bool)]
    if len(table) != 1:
        raise ValueError(f"has {len(table)} rows that match; exactly one must")
    return table.iloc[0].to_dict()


def _number(row: Mapping[str, str], *columns: str) -> float:
    """The first of these columns that the row fills."""
    for column in columns:
        if row.get(column):
            return float(row[column])
    raise ValueError(f"has no {' or '.join(columns)} in this row; a finished interval would do")


def _judge_row(part: ClaimPart, row: Mapping[str, str]) -> dict[str, Any]:
    """A row's numbers and verdicts; equivalence by the 90 % interval where there is one."""
    equivalence = part.direction == "within"
    narrow = equivalence and bool(row.get("lower_90")) and bool(row.get("upper_90"))
    lower, upper = (_number(row, f"{end}_90" if narrow else end) for end in ("lower", "upper"))
    effect, level = _number(row, "value"), 0.9 if narrow else 0.95
    decisions = {
        name: decide(lower, upper, part.scaled(factor), part.direction, part.null)
        for name, factor in VERDICTS.items()
    }
    note = [decisions["verdict"].note]
    if equivalence:
        note.append("90 % interval" if narrow else "95 % interval, stricter than the rule's 90 %")
    distance = min(abs(effect - limit) for limit in part.limits)
    told, supported = detectable(part, effect, lower, upper, level)
    return {name: decision.verdict for name, decision in decisions.items()} | {
        "effect": effect,
        "lower": lower,
        "upper": upper,
        "level": level,
        "n": round(_number(row, "splits", "worlds", "n")),
        "margin": part.margin_text,
        "told": told,
        "supported": supported,
        "note": "; ".join(filter(None, note)),
        # Distance of the effect from its margin in half-widths of the interval.
        "room": 2 * distance / (upper - lower) if upper > lower else math.inf,
    }


def detectable(
    part: ClaimPart, effect: float, lower: float, upper: float, level: float
) -> tuple[str, str]:
    """The smallest effects a contrast would have told from none, and called supported.

    That is with probability 0.8, had another run an interval of this width; for an equivalence: a
    dash, and the narrowest range about no effect that would have passed. The interval counts as
    normal on the scale, natural or logarithmic, on which its effect is closer to its middle. With
    half-width h an effect must lie h (1 + z_0.8 / z_q) beyond a limit, where q = (1 + level) / 2.
    """
    ends = np.array([lower, effect, upper])
    scales = [ends] if lower <= 0 else [ends, np.log(ends)]
    with np.errstate(invalid="ignore"):  # an interval may be a point, or the whole line
        scale = min(scales, key=lambda x: abs(x[1] - (x[0] + x[2]) / 2) / (x[2] - x[0]))
    equivalence = part.direction == "within"
    z = norm.ppf([(1 + POWER) / 2 if equivalence else POWER, (1 + level) / 2])
    step = float((scale[2] - scale[0]) / 2 * (1 + z[0] / z[1]))

    def beyond(limit: float, sign: int) -> str:
        return f"{limit + sign * step if scale is ends else limit * np.exp(sign * step):.3g}"

    if equivalence:
        return "–", f"{beyond(part.null, -1)} to {beyond(part.null, 1)}"
    sign, word = (1, ">") if part.direction == "greater" else (-1, "<")
    return f"{word} {beyond(part.null, sign)}", f"{word} {beyond(part.limits[0], sign)}"


def _judge_part(
    claim: Claim, part: ClaimPart, tables: Mapping[str, pd.DataFrame]
) -> list[dict[str, Any]]:
    """One judged row per combination of the part's ``each``."""
    name = part.table or str(claim.table)
    shared = {"id": claim.id, "secondary": part.secondary, "table": name}
    judged = []
    for values in itertools.product(*part.each.values()):
        where = part.where | dict(zip(part.each, values, strict=True))
        keys = ", ".join(f"{column}={_text(value)}" for column, value in where.items())
        ending = f" ({', '.join(map(str, values))})" if values else ""
        try:
            found = _judge_row(part, _pick_row(tables[name], where))
        except ValueError as error:
            raise ValueError(
                f"claim {claim.id}, part {part.name!r}: {name}.csv {error} ({keys})"
            ) from None
        judged.append(shared | found | {"part": f"{part.name}{ending}", "row": keys})
    return judged


def _text(value: Cell) -> str:
    return f"{value:g}" if isinstance(value, float | int) else value or "none"


def all_of(verdicts: Sequence[Verdict]) -> Verdict:
    """Supported if all are, contradicted if any is, else undecided: full level (Berger 1982)."""
    if "contradicted" in verdicts:
        return "contradicted"
    return "supported" if set(verdicts) == {"supported"} else "undecided"


def _claim_row(claim: Claim, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    counted = [row for row in rows if not row["secondary"]]
    found = {name: all_of([row[name] for row in counted]) for name in VERDICTS}
    reached = [row for row in counted if row["verdict"] == found["verdict"]]
    supported = found["verdict"] == "supported"
    decider = min(reached, key=lambda row: row["room"]) if supported else reached[0]
    evidence = [f"{claim.page}.html"] if claim.page else []
    return {
        **decider,
        **found,
        "statement": claim.statement,
        "evidence": ", ".join([*evidence, f"results/{decider['table']}.csv"]),
        "note": "; ".join(filter(None, (decider["note"], claim.note))),
    }


def judge(folder: Path, claims: Sequence[Claim]) -> Verdicts:
    """Judge every claim whose tables are all in ``folder``, beside ``manifest.json``.

    A claim's verdict is that of all its parts that count (:func:`all_of`). Its effect, interval, n
    and margin are those of the row that decides: the first contradicted, else the first undecided,
    else the one nearest its margin in half-widths of its interval. Claims without parts, or with a
    table that is not published, are in ``not_judged``.

    A part that matches no row or several, and a table not of a full run, are a ValueError.
    """
    claim_rows, part_rows, waiting = [], [], []
    tables: dict[str, pd.DataFrame] = {}
    for claim in claims:
        names = dict.fromkeys(part.table or str(claim.table) for part in claim.parts)
        absent = [name for name in names if not (folder / f"{name}.csv").is_file()]
        if absent or not claim.parts:
            reason = f"no results/{absent[0]}.csv yet" if absent else "no contrast set yet"
            waiting.append((claim.id, claim.statement, reason))
            continue
        tables |= {name: _published(folder, name) for name in names if name not in tables}
        rows = [row for part in claim.parts for row in _judge_part(claim, part, tables)]
        claim_rows.append(_claim_row(claim, rows))
        part_rows += rows
    return Verdicts(
        pd.DataFrame(claim_rows, columns=CLAIM_COLUMNS),
        pd.DataFrame(part_rows, columns=PART_COLUMNS),
        pd.DataFrame(waiting, columns=NOT_JUDGED_COLUMNS),
    )
