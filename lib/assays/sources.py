"""Third-party files by pin: found, or downloaded, and verified before anyone reads them.

In: a data set and an upstream path listed in ``sources.tsv`` (repository, commit, size, hashes).
Out: the path of a local file whose bytes have the pinned hash. Looked for in ``MPRA_DATA_DIR``
(layout ``<data set>/<upstream path>``), then in the user's cache (``MPRA_CACHE_DIR`` moves it),
then downloaded.

Environment: ``MPRA_OFFLINE=1`` forbids downloads and is set here after one failure to connect, so
that this process and its children pay for that once. ``MPRA_MIRROR`` names another server with the
layout ``<repository>/<commit>/<path>``; the hashes are checked all the same.
"""

import csv
import hashlib
import os
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from http.client import HTTPException
from importlib.resources import files
from pathlib import Path
from threading import Thread
from typing import NamedTuple
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


@dataclass(frozen=True)
class Pin:
    """One upstream file, fixed by commit and content.

    Attributes
    ----------
    dataset, repository, commit, path : str
        Data set here, GitHub ``owner/name``, commit and path there.
    bytes : int or None
        Size, where known.
    sha256 : str
        Empty where only the git blob id is known.
    git_blob_sha1 : str
        SHA-1 of ``blob <size>``, a NUL and the bytes.
    licence, citation : str
    """

    dataset: str
    repository: str
    commit: str
    path: str
    bytes: int | None
    sha256: str
    git_blob_sha1: str
    licence: str
    citation: str

    @property
    def url(self) -> str:
        """Where the file is downloaded from."""
        base = os.environ.get("MPRA_MIRROR", UPSTREAM).rstrip("/")
        return f"{base}/{self.repository}/{self.commit}/{quote(self.path)}"

    @property
    def expected(self) -> str:
        """The pinned hash with its kind: SHA-256 where held, else the git blob id."""
        return f"sha256:{self.sha256}" if self.sha256 else f"git-blob-sha1:{self.git_blob_sha1}"


class _Digests(NamedTuple):
    size: int
    sha256: str
    git_blob_sha1: str
    pointer: bool


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
    return tuple(
        Pin(**row, bytes=int(size) if size else None)
        for row, size in ((row, row.pop("bytes")) for row in rows)
    )


def find_pin(dataset: str, path: str, pins: Iterable[Pin] | None = None) -> Pin:
    """Look up one pin.

    Raises
    ------
    ValueError
        If no pin has this data set and path; the data set's paths are named.
    """
    known = all_pins() if pins is None else tuple(pins)
    for pin in known:
        if (pin.dataset, pin.path) == (dataset, path):
            return pin
    here = [pin.path for pin in known if pin.dataset == dataset]
    listed = ", ".join(here[:8]) + (", ..." if len(here) > 8 else "")
    datasets = ", ".join(sorted({pin.dataset for pin in known}))
    raise ValueError(
        f"path {path!r} of data set {dataset!r} is not pinned; "
        + (f"pinned there: {listed}" if here else f"data sets with pins: {datasets}")
    )


@lru_cache(maxsize=1024)
def _digests_of_state(path: Path, size: int, modified: int) -> _Digests:
    # The arguments after the path are the memo's key: a changed file is read again.
    content = path.read_bytes()
    return _Digests(
        len(content),
        hashlib.sha256(content).hexdigest(),
        hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest(),
        any(mark in content[:200] for mark in POINTERS),
    )


def _digests(path: Path) -> _Digests:
    state = path.stat()
    return _digests_of_state(path, state.st_size, state.st_mtime_ns)


def verify(path: Path, pin: Pin, shown: str | None = None) -> None:
    """Check a file against its pin.

    Parameters
    ----------
    path : Path
    pin : Pin
    shown : str, optional
        What the error calls the file, where its present name is temporary.

    Raises
    ------
    HashMismatch
        If the bytes are not the pinned ones, or are a large-file pointer in their place.
    """
    seen = _digests(path)
    name = str(path) if shown is None else shown
    kind = "sha256" if pin.sha256 else "git-blob-sha1"
    found = f"{kind}:{seen.sha256 if pin.sha256 else seen.git_blob_sha1}"
    if seen.pointer:
        raise HashMismatch(
            f"{name} is a large-file pointer of {seen.size} bytes, not the data ({found}, pinned "
            f"{pin.expected}); fetch the large file itself from {pin.repository} with git lfs"
        )
    if found != pin.expected:
        expected_size = "" if pin.bytes is None else f" of {pin.bytes} bytes"
        raise HashMismatch(
            f"{name} has {found} ({seen.size} bytes), the pin says {pin.expected}{expected_size}: "
            "the file is truncated or altered; remove it and fetch it again"
        )


def _folder(variable: str) -> Path | None:
    value = os.environ.get(variable, "")
    return Path(value).expanduser() if value else None


def cache_dir() -> Path:
    """Folder of downloaded files: ``MPRA_CACHE_DIR``, else the user's cache."""
    chosen = _folder("MPRA_CACHE_DIR")
    return Path(user_cache_dir("regulatory-shift-companion")) if chosen is None else chosen


def _unavailable(pin: Pin, why: str) -> DataUnavailable:
    return DataUnavailable(
        f"{pin.dataset}/{pin.path} is not here: {why}. Set MPRA_DATA_DIR to a folder that holds "
        f"it as {pin.dataset}/{pin.path}, or connect to the network (without MPRA_OFFLINE) to "
        f"download {pin.url}"
    )


@lru_cache(maxsize=8)
def _connect(url: str) -> None:
    """Reach a server once, in bounded time; a name with many dead addresses would wait for each."""
    failure: list[str] = ["no answer"]

    def attempt() -> None:
        try:
            with urlopen(Request(url, method="HEAD"), timeout=CONNECT_TIMEOUT):
                failure.clear()
        except HTTPError as answer:
            answer.close()
            failure.clear()  # any HTTP answer is a connection
        except (OSError, HTTPException, ValueError) as error:
            failure[0] = str(error)

    thread = Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(CONNECT_TIMEOUT)
    if failure:
        raise ConnectionError(f"{url} within {CONNECT_TIMEOUT:g} s: {failure[0]}")


def _download(pin: Pin, target: Path) -> Path:
    if os.environ.get("MPRA_OFFLINE", "") not in ("", "0"):
        raise _unavailable(pin, "MPRA_OFFLINE is set, or an earlier download found no connection")
    try:
        _connect(os.environ.get("MPRA_MIRROR", UPSTREAM).rstrip("/") + "/")
    except ConnectionError as error:
        os.environ["MPRA_OFFLINE"] = "1"
        raise _unavailable(pin, f"no connection to {error}") from None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            prefix=f".{target.name}.", suffix=".part", dir=target.parent
        )
        os.close(handle)
    except OSError as error:
        raise _unavailable(
            pin, f"the cache cannot be written ({error}); set MPRA_CACHE_DIR"
        ) from None
    part = Path(name)
    try:
        # Imported here: in a notebook the import warns of a progress bar that is never shown.
        import pooch

        fetch_to = pooch.HTTPDownloader(timeout=(CONNECT_TIMEOUT, READ_TIMEOUT))
        try:
            fetch_to(pin.url, str(part), None)
        except OSError as error:  # the exceptions of requests are OSErrors
            raise _unavailable(pin, f"the download failed ({error})") from None
        verify(part, pin, shown=f"the download of {pin.url}")
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return target


def fetch(dataset: str, path: str, pins: Iterable[Pin] | None = None) -> Path:
    """Return a verified local copy of a pinned file.

    Parameters
    ----------
    dataset, path : str
        As in ``sources.tsv``.
    pins : iterable of Pin, optional
        By default those of ``sources.tsv``.

    Returns
    -------
    Path
        In ``MPRA_DATA_DIR`` or in the cache; its bytes have the pinned hash.

    Raises
    ------
    DataUnavailable
        If the file is in neither folder and cannot be downloaded.
    HashMismatch
        If the copy found, or downloaded, has another hash. A bad download leaves nothing behind.
    ValueError
        If the file is not pinned.
    """
    pin = find_pin(dataset, path, pins)
    own = _folder("MPRA_DATA_DIR")
    cached = cache_dir() / dataset / pin.commit[:12] / path
    for candidate in [*([] if own is None else [own / dataset / path]), cached]:
        if candidate.is_file():
            verify(candidate, pin)
            return candidate
    return _download(pin, cached)


def available(dataset: str, paths: Sequence[str], pins: Iterable[Pin] | None = None) -> bool:
    """Whether all these files can be had, downloading them where need be.

    Raises
    ------
    HashMismatch
        A damaged file is an error, not an absence.
    """
    try:
        for path in paths:
            fetch(dataset, path, pins)
    except DataUnavailable:
        return False
    return True


def data_hashes(
    dataset: str, paths: Sequence[str], pins: Iterable[Pin] | None = None
) -> dict[str, str]:
    """Hashes of verified files, for a run's manifest.

    Returns
    -------
    dict of str to str
        ``<data set>/<path>`` to ``sha256:<hex>``, computed from the local copies.
    """
    return {
        f"{dataset}/{path}": f"sha256:{_digests(fetch(dataset, path, pins)).sha256}"
        for path in paths
    }
