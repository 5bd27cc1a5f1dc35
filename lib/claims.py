"""Command line: ``python -m lib.claims``; see :mod:`lib.statistics.claims`."""

import sys

from lib.statistics.claims import main

if __name__ == "__main__":
    sys.exit(main())
