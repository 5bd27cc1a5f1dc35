"""One module per notebook: a pure function from a frozen config to tables."""

import atexit
import os
import shutil
import tempfile

# numba keeps what it compiled beside the source or in the home directory; a user who can write to
# neither gets a folder for as long as the process lives.
_places = *__path__, os.path.expanduser("~")
if "NUMBA_CACHE_DIR" not in os.environ and not any(os.access(p, os.W_OK) for p in _places):
    os.environ["NUMBA_CACHE_DIR"] = tempfile.mkdtemp(prefix="numba-")
    atexit.register(shutil.rmtree, os.environ["NUMBA_CACHE_DIR"], ignore_errors=True)
