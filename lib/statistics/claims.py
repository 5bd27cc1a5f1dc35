"""Verdicts on the claims: margins of the ledger ``claims.yaml`` against rows of published tables.

In: ``claims.yaml``, ``results/<table>.csv`` and ``results/manifest.json``. Out: a row per judged
reading of a claim, one per judged contrast, the readings that wait, and what each changed. Only
published full runs are judged. Every figure comes from a table, every rule from
:func:`lib.statistics.effects.decide` and :func:`lib.statistics.effects.holm`.
"""

import itertools
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import norm

from lib.statistics import effects
from lib.statistics.ledger import MOST_PARTS, Cell, Claim, ClaimPart

CLAIM_COLUMNS = (
    *("id", "reading", "statement", "verdict", "quantity", "effect", "lower", "upper", "n"),
    *("margin", "parts_passed", "parts", "evidence", "by_construction"),
    *("variant", "verdict_half", "verdict_double", "part", "note"),
)
PART_COLUMNS = (
    *("id", "reading", "variant", "part", "quantity", "secondary", "verdict", "effect", "lower"),
    *("upper", "level", "n", "margin", "p_verdict", "by_construction", "verdict_half"),
    *("verdict_double", "told", "supported", "table", "row", "note"),
)
NOT_JUDGED_COLUMNS = ("id", "reading", "variant", "statement", "reason")
CHANGE_COLUMNS = ("id", "reading", "variant", "what", "direction", "why")
VERDICTS = {"verdict": 1.0, "verdict_half": 0.5, "verdict_double": 2.0}  # at which margin
P_VALUES = [f"p_{name}" for name in VERDICTS]
POWER = 0.8  # with which an effect would have been told
COUNTS = ("splits", "folds", "worlds", "n")  # what an interval counts, in this order
FEWEST = 10  # worlds or folds that a part must rest on, except by the first rule
FEW = f"not run: a part that counts rests on fewer than {FEWEST} worlds or folds"
ABSENT = "no such row in the published table"
FEWEST_GROUPS = 100  # that a threshold must keep
UNKNOWN_DF = 9  # at most, of rows that do not say: those of ten folds
# Where an interval is not Student's t a row may hold that at the level of a sixth part.
SIXTH = ("lower_sixth", "upper_sixth")
# Rows of single fits, single replicates and bins share their other keys with that over all of them.
USUALLY_EMPTY = ("seed", "split_seed", "replicate", "by")
Row = dict[str, Any]  # of a table of verdicts


class Verdicts(NamedTuple):
    """The tables of verdicts, with the columns of their CSV files."""

    claims: pd.DataFrame
    parts: pd.DataFrame
    not_judged: pd.DataFrame
    changes: pd.DataFrame


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
    """The one row with all the wanted values, if any; columns usually empty are so unless named."""
    if not set(where) <= set(table):
        return {}
    usual: dict[str, Cell] = {key: None for key in USUALLY_EMPTY if key in table}
    for column, value in (usual | dict(where)).items():
        table = table[np.array([_matches(cell, value) for cell in table[column]], dtype=bool)]
    if len(table) > 1:
        raise ValueError(f"has {len(table)} rows that match; exactly one must")
    return table.iloc[0].to_dict() if len(table) else {}


def _number(row: Mapping[str, str], *columns: str) -> float:
    """The first of these columns that the row fills; of nothing that is kept the risk is NaN."""
    if columns == ("value",) and not row.get("value"):
        return math.nan
    for column in columns:
        if row.get(column):
            return float(row[column])
    raise ValueError(f"has no {' or '.join(columns)} in this row; a finished interval would do")


def _judge_row(part: ClaimPart, row: Mapping[str, str], first: bool) -> dict[str, Any]:
    """A row's numbers, verdicts and p-values of falling short.

    In the first round equivalence went by the 90 % interval where there was one.
    """
    equivalence = first and part.direction == "within"
    narrow = equivalence and bool(row.get("lower_90")) and bool(row.get("upper_90"))
    lower, upper = (_number(row, f"{end}_90" if narrow else end) for end in ("lower", "upper"))
    effect, level = _number(row, "value"), 0.9 if narrow else 0.95
    decisions = {
        name: effects.decide(lower, upper, part.scaled(factor), part.direction, part.null)
        for name, factor in VERDICTS.items()
    }
    p = {f"p_{name}": _short(part, row, factor) for name, factor in VERDICTS.items()}
    note = [decisions["verdict"].note]
    if equivalence:
        note.append("90 % interval" if narrow else "95 % interval, stricter than the rule's 90 %")
    distance = min(abs(effect - limit) for limit in part.limits)
    told, supported = detectable(part, effect, lower, upper, level)
    return {name: decision.verdict for name, decision in decisions.items()} | {
        **p,
        "effect": effect,
        "lower": lower,
        "upper": upper,
        "level": level,
        "n": round(_number(row, *COUNTS)),
        "margin": part.margin_text,
        "told": told,
        "supported": supported,
        "note": "; ".join(filter(None, note)),
        # Distance of the effect from its margin in half-widths of the interval.
        "room": 2 * distance / (upper - lower) if upper > lower else math.inf,
    }


def _short(part: ClaimPart, row: Mapping[str, str], factor: float) -> float:
    """The p-value of falling short of a margin.

    An interval that is not Student's t tells only on which side of its level that lies.
    """
    df = float(row["df"] or "nan") if "df" in row else _number(row, *COUNTS) - 1
    if "df" not in row and not any(row.get(name) for name in COUNTS[:-1]):
        df = min(df, UNKNOWN_DF)
    ends = effects.Estimate(*(_number(row, name) for name in ("value", "lower", "upper")))
    margin = part.scaled(factor)
    p = effects.shortfall_p(ends, df, margin, part.direction)
    if not math.isnan(p):
        return p
    for names, known in (
        (SIXTH, effects.MARGIN_ERROR / MOST_PARTS),
        (("lower", "upper"), effects.MARGIN_ERROR),
    ):
        if all(row.get(name) for name in names):
            lower, upper = (_number(row, name) for name in names)
            found = effects.decide(lower, upper, margin, part.direction, part.null)
            if found.verdict == "contradicted":
                return known
    return 1.0


def detectable(
    part: ClaimPart, effect: float, lower: float, upper: float, level: float
) -> tuple[str, str]:
    """The smallest effects a contrast would have told from none, and called supported.

    That is with probability 0.8, had another run an interval of this width; for an equivalence: a
    dash, and the narrowest range about no effect that would have passed. The interval counts as
    normal on the scale, natural or, of limits above 0, logarithmic, on which it is more nearly
    symmetric. With half-width h an effect must lie h (1 + z_0.8 / z_q) beyond a limit, where
    q = (1 + level) / 2.
    """
    if not np.isfinite([lower, upper]).all():
        return "–", "–"
    scales = ("plain", "log")[: 1 + (min(part.null, *part.limits) > 0)]
    scale, _ = effects.symmetric_scale(effect, lower, upper, scales)
    equivalence = part.direction == "within"
    z = norm.ppf([(1 + POWER) / 2 if equivalence else POWER, (1 + level) / 2])
    step = float(np.ptp(scale.to(np.array([lower, upper]))) / 2 * (1 + z[0] / z[1]))

    def beyond(limit: float, sign: int) -> str:
        found = scale.back(scale.to(np.array([limit])) + sign * step)[0]
        return np.format_float_positional(found, 3, unique=False, fractional=False, trim="-")

    if equivalence:
        return "–", f"{beyond(part.null, -1)} to {beyond(part.null, 1)}"
    sign, word = (1, ">") if part.direction == "greater" else (-1, "<")
    return f"{word} {beyond(part.null, sign)}", f"{word} {beyond(part.limits[0], sign)}"


def _judge_part(claim: Claim, part: ClaimPart, tables: Mapping[str, pd.DataFrame]) -> list[Row]:
    """One judged row per combination of the part's ``each``."""
    name, first = part.table or str(claim.table), claim.reading == "first"
    shared = _keys(claim) | {"secondary": not part.counts, "table": name}
    shared["placebo"] = part.placebo
    shared["quantity"] = part.quantity or claim.quantity or part.name
    judged = []
    for values in itertools.product(*part.each.values()):
        where = part.where | dict(zip(part.each, values, strict=True))
        ending = f" ({', '.join(map(str, values))})" if values else ""
        named = shared | {"part": f"{part.name}{ending}", "row": _query(where)}
        try:
            row = {} if part.not_run else _pick_row(tables[name], where)
            n = round(_number(row, *COUNTS)) if row else 0
            if not row or (not first and n < (FEWEST if part.counts else 1)):
                few = f"rests on {n}, fewer than {FEWEST}" if row else ABSENT
                note = part.not_run or few
                judged.append(named | dict.fromkeys(VERDICTS, "not run") | {"note": note})
                continue
            found = _judge_row(part, row, first)
            if not first and float(row.get("groups") or FEWEST_GROUPS) < FEWEST_GROUPS:
                found |= dict.fromkeys(VERDICTS, "undecided") | dict.fromkeys(P_VALUES, 1.0)
                found["note"] = f"{row['groups']} groups are kept, fewer than {FEWEST_GROUPS}"
            where |= part.frozen
            frozen = _judge_row(part, _pick_row(tables[name], where), first) if part.frozen else {}
        except ValueError as error:
            raise ValueError(
                f"claim {claim.name}, part {part.name!r}: {name}.csv {error} ({_query(where)})"
            ) from None
        judged.append(named | found | {"frozen": frozen.get("verdict")})
    return judged


def _keys(claim: Claim) -> dict[str, str]:
    return {"id": claim.id, "reading": claim.reading, "variant": claim.variant or ""}


def _query(where: Mapping[str, Cell]) -> str:
    return ", ".join(f"{column}={_text(value)}" for column, value in where.items())


def _text(value: Cell) -> str:
    return f"{value:g}" if isinstance(value, float | int) else value or "none"


def all_of(verdicts: Sequence[effects.Verdict]) -> effects.Verdict:
    """Supported if all are, contradicted if any is, else undecided.

    *Supported* is at full level however many parts there are (Berger 1982); for *contradicted* to
    be so, the parts' verdicts must have been corrected for their number.
    """
    if "contradicted" in verdicts:
        return "contradicted"
    return "supported" if set(verdicts) == {"supported"} else "undecided"


def _correct(rows: Sequence[dict[str, Any]]) -> None:
    """Parts that fall short alone, but not among all that count, become undecided."""
    for name in VERDICTS:
        falls = effects.holm([row[f"p_{name}"] for row in rows])
        for row in itertools.compress(rows, ~falls):
            if row[name] == "contradicted":
                row[name] = "undecided"
                if name == "verdict":
                    row["note"] = "falls short alone, but not after Holm's correction"


def _judge_claim(claim: Claim, tables: Mapping[str, pd.DataFrame]) -> tuple[Row, list[Row]]:
    """The row of a claim, empty where parts that count rest on too little, and its parts' rows."""
    rows = [row for part in claim.parts for row in _judge_part(claim, part, tables)]
    first = claim.reading == "first"
    counted = [row for row in rows if not row["secondary"]]
    few = sum(row["verdict"] == "not run" for row in counted)
    counted = [row for row in counted if row["verdict"] != "not run"]
    if not counted:
        return {}, rows
    if not first:
        _correct(counted)
    for row in rows:
        told = row["verdict"] in ("supported", "contradicted")
        row["by_construction"] = str(told and row.get("frozen") == row["verdict"]).lower()
    found = {name: all_of([row[name] for row in counted]) for name in VERDICTS}
    if few and not first and found["verdict"] == "supported":
        return {}, rows  # all parts must hold
    reached = [row for row in counted if row["verdict"] == found["verdict"]]
    decider = reached[0]
    if found["verdict"] == "supported":
        decider = min(reached, key=lambda row: row["room"])
    elif found["verdict"] == "contradicted" and not first:
        decider = min(reached, key=lambda row: row["p_verdict"])
    built = all(row["by_construction"] == "true" for row in reached)
    untold = any(row["placebo"] and row["verdict"] == "undecided" for row in rows)
    more = ["the placebo's interval is too wide to tell"] * untold
    more += [f"parts that rest on too little to count: {few}"] * bool(few)
    evidence = [f"{claim.page}.html"] if claim.page else []
    return {
        **decider,
        **found,
        "statement": claim.statement,
        "parts_passed": sum(row["verdict"] == "supported" for row in counted),
        "parts": len(counted),
        "by_construction": str(built).lower(),
        "evidence": ", ".join([*evidence, f"results/{decider['table']}.csv"]),
        "note": "; ".join(filter(None, (decider["note"], *more, claim.note))),
    }, rows


def _waits(folder: Path, claim: Claim) -> str:
    """Why a claim is not judged; empty where it can be."""
    for part in claim.parts:
        name = part.table or claim.table
        if part.not_run and part.counts:
            return f"not run: {part.not_run}"
        if not part.not_run and not (folder / f"{name}.csv").is_file():
            return f"no results/{name}.csv yet"
    return "" if claim.parts else "no contrast set yet"


def judge(folder: Path, claims: Sequence[Claim]) -> Verdicts:
    """Judge every claim whose tables are all in ``folder``, beside ``manifest.json``.

    A claim's verdict is that of all its parts that count (:func:`all_of`), after Holm's correction
    unless it is the first round's. Its effect, interval, n and margin are those of the row that
    decides: the one that falls short most clearly, else the first undecided, else the one nearest
    its margin in half-widths of its interval; in the first round the first contradicted. It is true
    by construction where the frozen oracle reaches the verdict of every part that makes it.

    Claims without parts, with a table that is not published, with a part that counts and was not
    run (or has no row) or with a placebo that shows an effect are in ``not_judged``. Except by the
    first rule a part that rests on fewer than :data:`FEWEST` worlds or folds does not count, and
    without it nothing is supported; one of fewer than :data:`FEWEST_GROUPS` groups is undecided. A
    part that matches several rows, and a table not of a full run, are a ValueError.
    """
    claim_rows, part_rows, waiting = [], [], []
    tables: dict[str, pd.DataFrame] = {}
    for claim in claims:
        if reason := _waits(folder, claim):
            waiting.append(_keys(claim) | {"statement": claim.statement, "reason": reason})
            continue
        for part in claim.parts:
            name = part.table or str(claim.table)
            if not part.not_run and name not in tables:
                tables[name] = _published(folder, name)
        row, parts = _judge_claim(claim, tables)
        part_rows += parts
        failed = [p["part"] for p in parts if p["placebo"] and p["verdict"] == "contradicted"]
        weigh = [p for p in parts if p["placebo"] or not p["secondary"]]
        gone = [p for p in weigh if p["note"] == ABSENT]
        if failed or gone or not row:
            reason = f"withheld, since a placebo shows an effect: {failed[0]}" if failed else FEW
            if gone:
                reason = f"not run: {gone[0]['table']}.csv has no row for {gone[0]['part']}"
            waiting.append(_keys(claim) | {"statement": claim.statement, "reason": reason})
        else:
            claim_rows.append(row)
    changes = [_keys(claim) | claim.change.model_dump() for claim in claims if claim.change]
    found = (claim_rows, part_rows, waiting, changes)
    heads = (CLAIM_COLUMNS, PART_COLUMNS, NOT_JUDGED_COLUMNS, CHANGE_COLUMNS)
    made = (pd.DataFrame(rows, None, head) for rows, head in zip(found, heads, strict=True))
    return Verdicts(*made)
