"""Command line: ``python -m lib.audit``; see :mod:`lib.study.audit`."""

import sys

from lib.study.audit import main

if __name__ == "__main__":
    sys.exit(main())
