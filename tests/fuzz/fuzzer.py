"""Fuzzes everything that reads strangers' input: ``python -m tests.fuzz.fuzzer 20000``.

In: a number of cases and a seed; equal seeds give equal cases. Out: counts per reader and every
case that ended in something else than a result that holds or a documented error; with ``--record``
the counts go to ``results/trust/fuzz.csv``. A case that takes over :data:`PATIENCE` seconds, or
leaves a file behind, is such a case too.
"""

import argparse
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from lib.study.results import to_csv, write_atomic

from .readers import READERS

PATIENCE = 5.0  # seconds
TABLE = Path("results") / "trust" / "fuzz.csv"


class Outcome(NamedTuple):
    """How one case ended: ``result``, ``error``, ``known`` or ``bad``, with what was said."""

    reader: str
    case: int
    kind: str
    seconds: float
    message: str = ""


class Hang(BaseException):
    """A case took too long; no reader's own ``except Exception`` may swallow it."""


@contextmanager
def limited(limit: float) -> Iterator[None]:
    """Raise :class:`Hang` in the main thread after ``limit`` seconds."""

    def stop(*_: object) -> None:
        raise Hang(f"over {limit:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, limit)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def run_case(reader: str, case: int, seed: int) -> Outcome:
    """Make and run one case; it depends on its reader, number and seed alone."""
    rng = np.random.default_rng([seed, list(READERS).index(reader), case])
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = READERS[reader](folder, rng)
        before = sorted(folder.rglob("*"))
        kind, message = "result", ""
        try:
            with limited(PATIENCE), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                result = made.call()
            made.holds(result)
        except made.allowed as error:
            text = str(error)
            named = any(name in text for name in made.names)
            kind, message = ("error", text) if named else ("bad", f"unnamed: {error!r}")
        except (Exception, Hang) as error:
            kind, message = "bad", f"{type(error).__name__}: {error}"
        if kind == "bad" and any(part in message for part in made.known):
            kind = "known"
        if sorted(folder.rglob("*")) != before:
            kind, message = "bad", "files were left behind"
    return Outcome(reader, case, kind, time.perf_counter() - start, message)


def fuzz(cases: int, seed: int) -> list[Outcome]:
    """``cases`` cases shared evenly among the readers."""
    names = list(READERS)
    return [run_case(names[i % len(names)], i // len(names), seed) for i in range(cases)]


def counts(outcomes: list[Outcome]) -> pd.DataFrame:
    """Cases, results, documented errors, other ends and the slowest case, per reader."""
    ends = {"results": "result", "errors": "error", "known": "known", "other_ends": "bad"}
    frame = pd.DataFrame(outcomes)
    rows = []
    for name, own in frame.groupby("reader", sort=False):
        row = {"input": name, "cases": len(own)}
        row |= {column: int((own["kind"] == kind).sum()) for column, kind in ends.items()}
        row["distinct_messages"] = own["message"].nunique()
        rows.append(row | {"slowest_s": round(own["seconds"].max(), 2)})
    table = pd.DataFrame(rows)
    total = {column: table[column].sum() for column in table.columns[1:-1]}
    total |= {"input": "all", "slowest_s": table["slowest_s"].max()}
    return pd.concat([table, pd.DataFrame([total])], ignore_index=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--record", action="store_true")
    chosen = parser.parse_args()
    outcomes = fuzz(chosen.cases, chosen.seed)
    table = counts(outcomes)
    print(table.to_string(index=False))
    bad = [outcome for outcome in outcomes if outcome.kind == "bad"]
    for outcome in bad[:40]:
        print(f"{outcome.reader}, seed {chosen.seed}, case {outcome.case}: {outcome.message[:300]}")
    if chosen.record:
        write_atomic(TABLE, to_csv(table.assign(seed=chosen.seed)))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
