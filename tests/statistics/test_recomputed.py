"""results/claims.csv once more, from the tables alone: nothing of the engine is used here."""

import csv
import itertools
from functools import cache
from math import inf

import numpy as np
import pytest
import yaml
from scipy.special import logit
from scipy.stats import t as student_t

SIGNS = {"greater": "> ", "less": "< ", "within": ""}
NUMBERS = ("effect", "lower", "upper")
SCALES = (np.positive, np.log, np.arctanh, logit)
USUAL = dict.fromkeys(("seed", "split_seed", "replicate", "by"))


@cache
def read(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def same(cell, wanted):
    if wanted in (None, "none") or isinstance(wanted, str):
        return cell == wanted or (wanted in (None, "none") and cell in ("", "none"))
    return cell.replace(".", "").isdigit() and float(cell) == pytest.approx(wanted, rel=1e-4)


def pick(folder, table, wanted):
    rows = read(folder / f"{table}.csv")
    asked = {key: cell for key, cell in (USUAL | wanted).items() if key in rows[0]}
    (row,) = [row for row in rows if all(same(row[key], cell) for key, cell in asked.items())]
    return row


def count(row):
    return next(float(row[k]) for k in ("splits", "folds", "worlds", "n") if row.get(k))


def judged(row, low, high, p, narrow=False):
    """``(verdict, effect, lower, upper)`` against the range in which the claim holds."""
    ending = "_90" if narrow and row.get("lower_90") else ""
    ends = "value", f"lower{ending}", f"upper{ending}"
    effect, lower, upper = (float(row[k] or "nan") for k in ends)
    short = upper < low or lower > high
    verdict = "supported" if low < lower and upper < high else "undecided"
    return ("contradicted" if short and p <= 0.025 else verdict), effect, lower, upper


def skew(ends):
    """How far the middle one lies off the middle, in half-widths, beyond five digits' rounding."""
    low, middle, high, rounded = ends
    off = max(abs(middle - (low + high) / 2) - 10 * abs(rounded - middle), 0) / (high - low) * 2
    return off if np.isfinite(off) else inf


def p_value(row, low, high):
    """Of an effect outside the range from ``low`` to ``high``, on the most symmetric scale."""
    ends = [float(row[name] or "nan") for name in ("lower", "value", "upper")]
    df = float(row["df"] or "nan") if "df" in row else count(row) - 1
    with np.errstate(all="ignore"):
        scale = min(SCALES, key=lambda to: skew(to([*ends, ends[1] * (1 + 1e-6)])))
        a, b, c, rounded, *limits = scale([*ends, ends[1] * (1 + 1e-6), low, high])
    if not (skew((a, b, c, rounded)) <= 0.02 and df > 0):
        return 0.025 if ends[2] < low or ends[0] > high else 1.0
    error = (c - a) / 2 / student_t.ppf(0.975, df)
    # what a scale does not reach lies beyond it
    low, high = (-x if np.isnan(y) else y for x, y in zip((inf, -inf), limits, strict=True))
    far = max(low - b, b - high)
    return student_t.sf(far / error, df) + student_t.sf(max(high - b, b - low) / error, df)


def reach(part, factor=1.0):
    """The range in which a part holds."""
    null, margin, direction = part.get("null", 0), part["margin"], part["direction"]
    if direction != "within":
        limit = null + factor * (margin - null)
        return (limit, inf) if direction == "greater" else (-inf, limit)
    ends = margin if isinstance(margin, list) else [null - margin, null + margin]
    return tuple(null + factor * (end - null) for end in ends)


def verdict_of(folder, claim, factor=1.0, placebo=False):
    """``(verdict, parts passed, parts, by construction, each part's name and numbers)``."""
    first, counted = claim["reading"] == "first", []
    for part in claim["parts"]:
        if part.get("secondary") or part.get("placebo", False) != placebo:
            continue
        table, given = part.get("table", claim.get("table")), part.get("each", {})
        for cells in itertools.product(*given.values()):
            wanted = part["where"] | dict(zip(given, cells, strict=True))
            name = part["name"] + (f" ({', '.join(map(str, cells))})" if cells else "")
            row = pick(folder, table, wanted)
            if not first and count(row) < 10:
                continue
            frozen = part.get("frozen") and pick(folder, table, wanted | part["frozen"])
            limits = reach(part, factor)
            if not first and float(row.get("groups") or 100) < 100:  # undecided, p is 1
                limits = (row["value"],) * 2 if row["value"] else (row["upper"], row["lower"])
                limits = tuple(map(float, limits))
            counted.append((name, row, frozen, limits, part))
    p = [0.0 if first or placebo else p_value(row, *limits) for _, row, _, limits, _ in counted]
    order = sorted(range(len(p)), key=p.__getitem__)
    adjusted, most = dict.fromkeys(order, 0.0), 0.0
    for rank, place in enumerate(order):
        most = max(most, p[place] * (len(p) - rank))
        adjusted[place] = most
    found = {}
    for place, (name, row, frozen, limits, part) in enumerate(counted):
        narrow = first and part["direction"] == "within"
        verdict, *numbers = judged(row, *limits, adjusted[place], narrow)
        told = frozen and judged(frozen, *limits, 0.0, narrow)[0]
        ends = " to ".join(f"{end:g}" for end in reach(part) if np.isfinite(end))
        quantity = part.get("quantity") or claim.get("quantity") or part["name"]
        words = f"{round(count(row))}", SIGNS[part["direction"]] + ends, quantity
        found[name] = (verdict, verdict != "undecided" and told == verdict, numbers, words)
    verdicts = [verdict for verdict, *_ in found.values()]
    whole = "supported" if set(verdicts) == {"supported"} else "undecided"
    whole = "contradicted" if "contradicted" in verdicts else whole
    built = all(own for verdict, own, *_ in found.values() if verdict == whole)
    return whole, verdicts.count("supported"), len(verdicts), str(built).lower(), found


def agrees(folder, claim, row):
    whole, passed, number, built, parts = verdict_of(folder, claim)
    assert (row["verdict"], int(row["parts_passed"]), int(row["parts"])) == (whole, passed, number)
    assert row["by_construction"] == built
    verdict, _, numbers, words = parts[row["part"]]
    assert (verdict, row["n"], row["margin"], row["quantity"]) == (whole, *words)
    assert [float(row[name]) for name in NUMBERS] == pytest.approx(numbers, rel=1e-4)
    for column, factor in (("verdict_half", 0.5), ("verdict_double", 2.0)):
        assert row[column] == verdict_of(folder, claim, factor)[0], column


def key(row):
    return row["id"], row["reading"], row.get("variant") or ""


@pytest.fixture(scope="module")
def ledger(root):
    return yaml.safe_load((root / "claims.yaml").read_text("utf-8"))["claims"]


def test_every_published_verdict_follows_from_its_tables(root, ledger):
    folder = root / "results"
    entries = {key(claim): claim for claim in ledger}
    rows, waiting = read(folder / "claims.csv"), read(folder / "claims" / "not_judged.csv")
    assert sorted(map(key, rows + waiting)) == sorted(entries)
    for row in rows:
        agrees(folder, entries[key(row)], row)
    for row in rows + waiting:
        moved = verdict_of(folder, entries[key(row)], placebo=True)[0] == "contradicted"
        assert moved == row.get("reason", "").startswith("withheld")


def test_the_first_round_s_verdicts_are_kept(root):
    rows = read(root / "results" / "claims" / "first_round.csv")
    assert [row["id"] for row in rows] == [f"C{number}" for number in range(1, 13)]
    words = {"supported": "C2 C6", "contradicted": "C4 C5 C8 C11"}
    for word, names in words.items():
        assert [row["id"] for row in rows if row["verdict"] == word] == names.split()
