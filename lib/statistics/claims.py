"""Verdicts on the claims: margins of ``claims.yaml`` against rows of the published tables.

In: ``claims.yaml``, ``results/<table>.csv`` and ``results/manifest.json``. Out:
``results/claims.csv`` (a row per judged claim), ``results/claims/parts.csv`` (a row per judged
contrast) and ``results/claims/not_judged.csv``. Only published full runs are judged. Every figure
comes from a table and every rule from ``lib.statistics.intervals``; nothing is computed anew here.

Command line: ``python -m lib.claims`` in the repository's top folder.
"""

import itertools
import json
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import pandas as pd

from lib.statistics.claims_file import Cell, Claim, Part, margin_text, read_claims
from lib.statistics.intervals import Verdict, decide, intersection_union, scaled_margin
from lib.study.results import to_csv, write_atomic

CLAIM_COLUMNS = (
    *("id", "statement", "verdict", "effect", "lower", "upper", "n", "margin", "evidence"),
    *("verdict_half", "verdict_double", "part", "note"),
)
PART_COLUMNS = (
    *("id", "part", "secondary", "verdict", "effect", "lower", "upper", "level", "n", "margin"),
    *("verdict_half", "verdict_double", "table", "row", "note"),
)
NOT_JUDGED_COLUMNS = ("id", "statement", "reason")

# Rows of single fits, single splits and bins share their other keys with the row over all of them.
USUALLY_EMPTY = ("seed", "split_seed", "by")


class Judged(NamedTuple):
    """The three tables of verdicts, with the columns of their CSV files."""

    claims: pd.DataFrame
    parts: pd.DataFrame
    not_judged: pd.DataFrame


class _Row(NamedTuple):
    """One judged row, its part, and its verdicts at the margin, at half and at twice of it."""

    part: Part
    name: str
    table: str
    keys: str
    effect: float
    lower: float
    upper: float
    level: float
    n: int
    verdict: Verdict
    half: Verdict
    double: Verdict
    note: str

    @property
    def room(self) -> float:
        """Distance of the effect from its margin in half-widths of its interval."""
        limits = self.part.limits
        ends = limits if isinstance(limits, tuple) else (limits,)
        distance = min(abs(self.effect - end) for end in ends)
        half_width = (self.upper - self.lower) / 2
        return distance / half_width if half_width > 0 else math.inf


def load_table(folder: Path, name: str) -> pd.DataFrame:
    """A published table as text cells, empty ones as ``""``.

    Raises
    ------
    ValueError
        If its experiment's entry in the manifest is missing or not of the full profile, or if rows
        say that they come from another profile.
    """
    experiment = name.split("/")[0]
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    entry = manifest.get(experiment)
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


def pick_row(table: pd.DataFrame, where: Mapping[str, Cell]) -> dict[str, str]:
    """The one row whose cells have all the wanted values.

    Rows of single fits, single splits and bins (``seed``, ``split_seed``, ``by``) are left out
    unless their column is named.

    Raises
    ------
    ValueError
        If no row or several match, or a column is missing.
    """
    missing = [column for column in where if column not in table]
    if missing:
        raise ValueError(f"has no column {', '.join(missing)}; it has {', '.join(table.columns)}")
    usual: dict[str, Cell] = {key: None for key in USUALLY_EMPTY if key in table}
    rows = table
    for column, value in (usual | dict(where)).items():
        rows = rows[np.array([_matches(cell, value) for cell in rows[column]], dtype=bool)]
    if len(rows) != 1:
        raise ValueError(f"has {len(rows)} rows that match; exactly one must")
    return cast(dict[str, str], rows.iloc[0].to_dict())


def _number(row: Mapping[str, str], *columns: str) -> float:
    """The first of these columns that the row fills."""
    for column in columns:
        if row.get(column):
            return float(row[column])
    raise ValueError(f"has no {' or '.join(columns)} in this row; a finished interval would do")


def _judge_row(
    part: Part, table: str, row: Mapping[str, str], values: Sequence[object], keys: str
) -> _Row:
    """Verdicts on one row; ``values`` are its own of the part's ``each``."""
    equivalence = part.direction == "within"
    narrow = equivalence and bool(row.get("lower_90")) and bool(row.get("upper_90"))
    lower, upper = (_number(row, f"{end}_90" if narrow else end) for end in ("lower", "upper"))
    decision, half, double = (
        decide(lower, upper, scaled_margin(part.limits, by, part.null), part.direction, part.null)
        for by in (1.0, 0.5, 2.0)
    )
    said = [decision.note] if decision.note else []
    if equivalence:
        said.append("90 % interval" if narrow else "95 % interval, stricter than the rule's 90 %")
    return _Row(
        part=part,
        name=f"{part.name} ({', '.join(map(str, values))})" if values else part.name,
        table=table,
        keys=keys,
        effect=_number(row, "value"),
        lower=lower,
        upper=upper,
        level=0.9 if narrow else 0.95,
        n=round(_number(row, "splits", "worlds", "n")),
        verdict=decision.verdict,
        half=half.verdict,
        double=double.verdict,
        note="; ".join(said),
    )


def _judge_part(claim: Claim, part: Part, tables: Mapping[str, pd.DataFrame]) -> list[_Row]:
    """One judged row per combination of the part's ``each``."""
    name = part.table or str(claim.table)
    judged = []
    for values in itertools.product(*part.each.values()):
        where = part.where | dict(zip(part.each, values, strict=True))
        keys = ", ".join(f"{column}={_text(value)}" for column, value in where.items())
        try:
            row = pick_row(tables[name], where)
            judged.append(_judge_row(part, name, row, values, keys))
        except ValueError as error:
            raise ValueError(
                f"claim {claim.id}, part {part.name!r}: {name}.csv {error} ({keys})"
            ) from None
    return judged


def _text(value: Cell) -> str:
    if value is None:
        return "none"
    return value if isinstance(value, str) else f"{value:g}"


def _deciding(rows: Sequence[_Row]) -> _Row:
    """The first contradicted row, else the first undecided, else the one nearest its margin."""
    for verdict in ("contradicted", "undecided"):
        found = [row for row in rows if row.verdict == verdict]
        if found:
            return found[0]
    return min(rows, key=lambda row: row.room)


def _shared(row: _Row) -> dict[str, object]:
    """The columns that both tables take from a judged row."""
    return {
        **{name: getattr(row, name) for name in ("effect", "lower", "upper", "n", "note")},
        "part": row.name,
        "margin": margin_text(row.part),
    }


def _claim_row(claim: Claim, rows: Sequence[_Row]) -> dict[str, object]:
    counted = [row for row in rows if not row.part.secondary]
    decider = _deciding(counted)
    evidence = [f"{claim.page}.html"] if claim.page else []
    shared = _shared(decider)
    return shared | {
        "id": claim.id,
        "statement": claim.statement,
        "verdict": intersection_union([row.verdict for row in counted]),
        "verdict_half": intersection_union([row.half for row in counted]),
        "verdict_double": intersection_union([row.double for row in counted]),
        "evidence": ", ".join([*evidence, f"results/{decider.table}.csv"]),
        "note": "; ".join(str(note) for note in (shared["note"], claim.note) if note),
    }


def _part_row(claim: Claim, row: _Row) -> dict[str, object]:
    return _shared(row) | {
        "id": claim.id,
        "secondary": row.part.secondary,
        "verdict": row.verdict,
        "verdict_half": row.half,
        "verdict_double": row.double,
        "level": row.level,
        "table": row.table,
        "row": row.keys,
    }


def judge(folder: Path, claims: Sequence[Claim]) -> Judged:
    """Judge every claim whose tables are all there.

    Parameters
    ----------
    folder : Path
        Published results: tables and ``manifest.json``.
    claims : sequence of Claim

    Returns
    -------
    Judged
        A claim's verdict is the intersection-union of its parts that count. Its effect, interval,
        n and margin are those of the row that decides: the first contradicted, else the first
        undecided, else the one nearest its margin in half-widths of its interval. Claims without
        parts, or with a table that is not published, are in ``not_judged``.

    Raises
    ------
    ValueError
        If a part matches no row or several, or a table is not from a full run.
    """
    claim_rows, part_rows, waiting = [], [], []
    tables: dict[str, pd.DataFrame] = {}
    for claim in claims:
        absent = [name for name in claim.tables if not (folder / f"{name}.csv").is_file()]
        if absent or not claim.parts:
            reason = f"no results/{absent[0]}.csv yet" if absent else "no contrast set yet"
            waiting.append({"id": claim.id, "statement": claim.statement, "reason": reason})
            continue
        for name in claim.tables:
            if name not in tables:
                tables[name] = load_table(folder, name)
        rows = [row for part in claim.parts for row in _judge_part(claim, part, tables)]
        claim_rows.append(_claim_row(claim, rows))
        part_rows += [_part_row(claim, row) for row in rows]
    return Judged(
        pd.DataFrame(claim_rows, columns=CLAIM_COLUMNS),
        pd.DataFrame(part_rows, columns=PART_COLUMNS),
        pd.DataFrame(waiting, columns=NOT_JUDGED_COLUMNS),
    )


def files(judged: Judged) -> dict[str, str]:
    """Content of each file of verdicts, by its name within the folder of results."""
    return {
        "claims.csv": to_csv(judged.claims),
        "claims/parts.csv": to_csv(judged.parts),
        "claims/not_judged.csv": to_csv(judged.not_judged),
    }


def write(root: Path) -> Judged:
    """Judge the claims of a repository and write its files of verdicts.

    Raises
    ------
    ValueError
        As :func:`read_claims` and :func:`judge`; nothing is written then.
    """
    folder = root / "results"
    judged = judge(folder, read_claims(root / "claims.yaml"))
    for name, content in files(judged).items():
        write_atomic(folder / name, content)
    return judged


def main() -> int:
    """Command line; says the verdicts, or what is wrong and returns 1."""
    try:
        judged = write(Path.cwd())
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for name, verdict, part in judged.claims[["id", "verdict", "part"]].itertuples(index=False):
        print(f"{name}: {verdict} ({part})")
    for name, _, reason in judged.not_judged.itertuples(index=False):
        print(f"{name}: not judged, {reason}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
