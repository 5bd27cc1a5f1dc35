"""Third-party files by pin: found, or downloaded, and verified before anyone reads them.

In: a data set and an upstream path listed in ``sources.tsv`` (repository, commit, size, hashes).
Out: a local file whose bytes have the pinned hash. Looked for in
``MPRA_DATA_DIR`` (layout ``<data set>/<upstream path>``), then in the user's cache
(``MPRA_CACHE_DIR`` moves it), then downloaded.

Environment: ``MPRA_OFFLINE=1`` forbids downloads and is set here after one failure to connect, so
that this process and its children pay for that once. ``MPRA_MIRROR`` names another server with the
layout ``<repository>/<commit>/<path>``; the hashes are checked all the same.
"""

import csv
import hashlib
import os
from contextlib import suppress
from functools import lru_cache
from http.client import HTTPException
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import Request, urlopen

from platformdirs import user_cache_dir

UPSTREAM = "https://raw.githubusercontent.com"
CONNECT_TIMEOUT = 5.0  # seconds
READ_TIMEOUT = 60.0  # seconds without a byte
POINTERS = (b"version https://git-lfs.github.com/spec", b"/annex/objects/")


class DataUnavailable(OSError):
    """A pinned file is in no folder and cannot be downloaded; the message says how to get it."""


class HashMismatch(ValueError):
    """A file does not have the pinned hash; the message names the file and both hashes."""


class Pin(NamedTuple):
    """One upstream file, fixed by commit and content: GitHub ``owner/name``, commit, path there.

    ``bytes`` and ``sha256`` are empty where only the git blob id is known, the SHA-1 of ``blob
    <size>``, a NUL and the bytes.
    """

    dataset: str
    repository: str
    commit: str
    path: str
    bytes: str
    sha256: str
    git_blob_sha1: str
    licence: str
    citation: str

    @property
    def url(self) -> str:
        """Where the file is downloaded from."""
        base = os.environ.get("MPRA_MIRROR", UPSTREAM).rstrip("/")
        return f"{base}/{self.repository}/{self.commit}/{quote(self.path)}"


@lru_cache(maxsize=1)
def all_pins() -> tuple[Pin, ...]:
    """Every row of ``sources.tsv``.

    Examples
    --------
    >>> sorted({pin.dataset for pin in all_pins()})
    ['lentimpra', 'plant', 'retina', 'wtc11']
    """
    text = files("lib.assays").joinpath("sources.tsv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines(), delimiter="\t", quoting=csv.QUOTE_NONE)
    return tuple(Pin(**row) for row in rows)


def find_pin(dataset: str, path: str) -> Pin:
    """Look up one pin; a ``ValueError`` names the data set's paths where there is none."""
    known = {pin.path: pin for pin in all_pins() if pin.dataset == dataset}
    if path not in known:
        raise ValueError(
            f"path {path!r} of data set {dataset!r} is not pinned; pinned there: {', '.join(known)}"
        )
    return known[path]


def _verify(path: Path, pin: Pin, shown: object) -> None:
    """Refuse a file that does not agree with its pin; ``shown`` is what the error calls it."""
    content = path.read_bytes()
    if pin.sha256:
        expected, kind, digest = pin.sha256, "sha256", hashlib.sha256(content)
    else:
        expected, kind = pin.git_blob_sha1, "git-blob-sha1"
        digest = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False)
    found = digest.hexdigest()
    said = f"{kind}:{found} ({len(content)} bytes), the pin says {kind}:{expected}"
    if any(mark in content[:200] for mark in POINTERS):
        raise HashMismatch(
            f"{shown} is a large-file pointer, not the data: {said}; fetch the large file itself "
            f"from {pin.repository} with git lfs"
        )
    if found != expected:
        raise HashMismatch(
            f"{shown} has {said}: the file is truncated or altered; remove it and fetch it again"
        )


def _folder(variable: str) -> Path | None:
    value = os.environ.get(variable, "")
    return Path(value).expanduser() if value else None


def data_folder() -> Path | None:
    """The folder of ``MPRA_DATA_DIR``, if it is set; one without any data set is a ValueError."""
    own = _folder("MPRA_DATA_DIR")
    known = sorted({pin.dataset for pin in all_pins()})
    if own is None or any((own / name).is_dir() for name in known):
        return own
    raise ValueError(
        f"MPRA_DATA_DIR is {own}, which holds none of the folders {', '.join(known)}; name the "
        "folder above them, or unset it"
    )


def _unavailable(pin: Pin, why: object) -> DataUnavailable:
    if own := _folder("MPRA_DATA_DIR"):
        why = f"MPRA_DATA_DIR={own} does not hold it, and {why}"
    return DataUnavailable(
        f"{pin.dataset}/{pin.path} is not here: {why}. Set MPRA_DATA_DIR to a folder that holds "
        f"it as {pin.dataset}/{pin.path}, or connect to the network (without MPRA_OFFLINE) to "
        f"download {pin.url} into the cache, which MPRA_CACHE_DIR moves"
    )


@lru_cache(maxsize=8)
def _connect(url: str) -> None:
    """Reach a server once: pooch would wait much longer for an answer."""
    with suppress(HTTPError):  # any HTTP answer is a connection
        urlopen(Request(url, method="HEAD"), timeout=CONNECT_TIMEOUT).close()


def _download(pin: Pin, target: Path) -> None:
    if os.environ.get("MPRA_OFFLINE", "") not in ("", "0"):
        raise _unavailable(pin, "MPRA_OFFLINE is set, or an earlier download found no connection")
    try:
        _connect(os.environ.get("MPRA_MIRROR", UPSTREAM).rstrip("/") + "/")
    except (OSError, HTTPException, ValueError) as error:
        os.environ["MPRA_OFFLINE"] = "1"
        raise _unavailable(pin, f"no connection ({error})") from None
    # Imported here: in a notebook the import warns of a progress bar that is never shown.
    import pooch

    pooch.get_logger().setLevel("WARNING")
    load = pooch.HTTPDownloader(timeout=(CONNECT_TIMEOUT, READ_TIMEOUT))

    def verified(url: str, part: str, asked: Any) -> None:
        """Into a part that pooch removes or, when it is whole, renames."""
        load(url, part, asked)
        _verify(Path(part), pin, f"the download of {url}")

    try:
        pooch.retrieve(pin.url, None, target.name, target.parent, downloader=verified)
    except OSError as error:  # of the folder, or of the connection
        raise _unavailable(pin, error) from None


def fetch(dataset: str, path: str) -> Path:
    """Return a verified local copy of a pinned file.

    Raises
    ------
    DataUnavailable
        If the file is in neither folder and cannot be downloaded.
    HashMismatch
        If the copy found, or downloaded, has another hash. A bad download leaves nothing behind.
    ValueError
        If the file is not pinned, or ``MPRA_DATA_DIR`` names a folder without any data set.
    """
    pin = find_pin(dataset, path)
    own = data_folder()
    cache = _folder("MPRA_CACHE_DIR") or Path(user_cache_dir("regulatory-shift-companion"))
    cached = cache / dataset / pin.commit[:12] / path
    known = cached if own is None or not (own / dataset / path).is_file() else own / dataset / path
    if known.is_file():
        _verify(known, pin, known)
    else:
        _download(pin, known)
    return known
