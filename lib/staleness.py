"""Command line: ``python -m lib.staleness``; see :mod:`lib.study.staleness`."""

import sys

from lib.study.staleness import main

if __name__ == "__main__":
    sys.exit(main())
