"""Command line: ``python -m lib.folds wtc11 --out folds.csv`` writes who tests which element.

The folds are those of the book (:mod:`lib.data.folds`), for one's own copy of an assay: a forecast
of each row by a model that saw nothing of its fold, in columns ``mean`` and ``std``, makes the
table one that the audit takes.
"""

import argparse
import sys

import numpy as np
import pandas as pd

from lib.assays import load
from lib.data.folds import FOLDS, TRAINED, group_folds
from lib.sequences import decode
from lib.study.terminal import command


@command
def main(arguments: list[str] | None = None) -> None:
    """Write the table."""
    parser = argparse.ArgumentParser(prog="python -m lib.folds")
    parser.add_argument("assay", choices=("wtc11", "plant_leaf"), help="whose folds are the book's")
    parser.add_argument("--out", required=True, help="the CSV to write")
    given = parser.parse_args(arguments)
    data = load(given.assay)
    fold = group_folds(data.group, seed=0, count=FOLDS).fold
    split = np.where(fold == TRAINED, "train", "test")
    columns = {"id": np.arange(len(data)), "sequence": decode(data.codes)}
    columns |= {"target": data.activity, "group": data.group, "fold": fold, "split": split}
    pd.DataFrame(columns).to_csv(given.out, index=False)
    print(f"{given.out}: {(fold >= 0).sum():,} rows to forecast in {fold.max() + 1} folds")


if __name__ == "__main__":
    sys.exit(main())
