"""Runs every fault and records the table of the book: ``python -m tests.faults.record``.

``--profile quick`` records the kills alone, of a run of that profile, in a table of their own.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from lib.study.results import to_csv, write_atomic
from lib.study.stamps import machine

from .faults import FAULTS, Row, kills, undisturbed

FOLDER = Path("results") / "trust"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--profile", choices=["smoke", "quick"], default="smoke")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    rng = np.random.default_rng(chosen.seed)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        start = time.monotonic()
        calm = undisturbed(folder, profile=chosen.profile)
        whole = time.monotonic() - start
        if chosen.profile == "smoke":
            for fault in FAULTS:
                try:
                    rows.append(fault(calm, folder, rng))
                except PermissionError as error:  # no disk to mount, or no Python for another user
                    print(f"not tried: {error}", file=sys.stderr)
        rows.append(kills(calm, folder, rng, chosen.kills, whole))
    table = pd.DataFrame(rows).assign(profile=chosen.profile, machine=machine())
    print(table.to_string(index=False))
    file = "faults.csv" if chosen.profile == "smoke" else "faults_quick.csv"
    write_atomic(FOLDER / file, to_csv(table))
    return 0 if table["held"].all() else 1


if __name__ == "__main__":
    sys.exit(main())
