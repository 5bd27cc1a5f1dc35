"""Command line: ``python -m lib.published wtc11 sequences.fa > forecasts.csv``."""

import argparse
import sys
from collections.abc import Sequence

from lib.published import load, names


def main(arguments: Sequence[str] | None = None) -> int:
    """Print ``id, mean, std, std_aleatoric, std_epistemic`` of a FASTA file as CSV."""
    parser = argparse.ArgumentParser(prog="python -m lib.published", description=main.__doc__)
    parser.add_argument("name", choices=names(), help="the ensemble, by its assay")
    parser.add_argument("fasta", help="sequences of the assay's length, plain or gzipped")
    parser.add_argument("--device", default="auto", choices=["auto", "cpu", "cuda"])
    given = parser.parse_args(arguments)
    try:
        table = load(given.name).predict_fasta(given.fasta, given.device)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    table.to_csv(sys.stdout, index=False, float_format="%.6g", lineterminator="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
