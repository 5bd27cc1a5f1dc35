import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lib.assays import sources
from lib.assays.sources import DataUnavailable, HashMismatch, Pin, all_pins, fetch, find_pin

BODY = b"seq\tmean_value\nACGT\t1\n"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"


def blob_id(content: bytes) -> str:
    """Git's id of a file: SHA-1 of ``blob <size>``, a NUL and the bytes."""
    return hashlib.sha1(b"blob " + str(len(content)).encode() + b"\0" + content).hexdigest()


TOY = {"dataset": "toy", "repository": "owner/name", "licence": "MIT", "citation": "nobody"}
TOY["commit"] = "0123456789abcdef0123456789abcdef01234567"


def pin_of(content: bytes, path: str = "data/a table.tsv", sha256: bool = True) -> Pin:
    digest = hashlib.sha256(content).hexdigest() if sha256 else ""
    size, blob = str(len(content)), blob_id(content)
    return Pin(**TOY, path=path, bytes=size, sha256=digest, git_blob_sha1=blob)


def served(pin: Pin) -> str:
    """Path under which the server must hold the pin's file."""
    return f"/{pin.repository}/{pin.commit}/{pin.path.replace(' ', '%20')}"


def files_below(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file()]


def test_every_pin_is_complete():
    for pin in all_pins():
        assert len(pin.commit) == 40 and len(pin.git_blob_sha1) == 40
        assert len(pin.sha256) in (0, 64)
        assert (pin.bytes == "") == (pin.sha256 == "")
        assert not Path(pin.path).is_absolute() and ".." not in Path(pin.path).parts
        assert pin.licence and pin.citation and "/" in pin.repository
    # The id that git gives the empty file, and "hello\n".
    assert blob_id(b"") == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
    assert blob_id(b"hello\n") == "ce013625030ba8dba906f756967f9e9ca394464a"
    with pytest.raises(ValueError, match=r"WTC11_valid\.tsv"):
        find_pin("wtc11", "nothing.tsv")


@pytest.fixture
def pinned(monkeypatch, upstream):
    """Make a pin the only one, and the server hold its file."""

    def make(pin, content=BODY):
        monkeypatch.setattr(sources, "all_pins", lambda: (pin,))
        if content is not None:
            upstream.files[served(pin)] = content
        return pin

    return make


@pytest.fixture
def own_file(tmp_path, upstream, pinned, monkeypatch):
    """Put a pin's file into the data folder."""

    def put(pin, content):
        place = tmp_path / "own" / "toy" / pin.path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        monkeypatch.setenv("MPRA_DATA_DIR", str(tmp_path / "own"))
        pinned(pin)
        return place

    return put


@pytest.mark.parametrize("sha256", [True, False])
def test_data_folder_comes_first_and_is_checked_each_time(upstream, own_file, sha256):
    pin = pin_of(BODY, sha256=sha256)
    place = own_file(pin, BODY)
    assert fetch("toy", pin.path) == place
    assert upstream.asked == []
    held = fetch("toy", pin.path)
    place.write_bytes(BODY + b"more")  # changed under its name, after the hash was seen
    assert held.read_bytes() == BODY
    with pytest.raises(HashMismatch):
        fetch("toy", pin.path)


@pytest.mark.parametrize("sha256", [True, False])
@pytest.mark.parametrize("content", [BODY[:-1], BODY + b" ", b"", BODY.replace(b"A", b"C")])
def test_altered_file_is_refused_with_both_hashes(own_file, content, sha256):
    pin = pin_of(BODY, sha256=sha256)
    place = own_file(pin, content)
    with pytest.raises(HashMismatch) as caught:
        fetch("toy", pin.path)
    seen = hashlib.sha256(content).hexdigest() if sha256 else blob_id(content)
    expected = pin.sha256 if sha256 else pin.git_blob_sha1
    for part in (str(place), seen, expected):
        assert part in str(caught.value)


@pytest.mark.parametrize("sha256", [True, False])
def test_download_once_then_cache(tmp_path, upstream, sha256, pinned):
    pin = pinned(pin_of(BODY, sha256=sha256))
    path = fetch("toy", pin.path)
    assert path.read_bytes() == BODY
    assert (tmp_path / "cache") in path.parents
    upstream.files.clear()
    assert fetch("toy", pin.path) == path
    assert upstream.asked == [served(pin)]
    assert files_below(tmp_path) == ["a table.tsv"]


@pytest.mark.parametrize(
    ("pin", "content", "errors", "said"),
    [
        (pin_of(BODY), b"other", HashMismatch, [pin_of(BODY).sha256, pin_of(b"other").sha256]),
        (pin_of(BODY, "a.short.tsv"), BODY[:4], (DataUnavailable, HashMismatch), ["a.short.tsv"]),
        # A pointer may even have the pinned hash.
        (pin_of(POINTER, sha256=False), POINTER, HashMismatch, ["large-file pointer"]),
        (pin_of(BODY), None, DataUnavailable, ["404", "MPRA_DATA_DIR", "toy/data/a table.tsv"]),
    ],
)
def test_a_bad_download_is_refused_and_leaves_nothing(tmp_path, pinned, pin, content, errors, said):
    pinned(pin, content)
    with pytest.raises(errors) as caught:
        fetch("toy", pin.path)
    assert all(part in str(caught.value) for part in [*said, pin.url])
    assert os.environ["MPRA_OFFLINE"] == "0", "an HTTP answer is a connection"
    assert files_below(tmp_path) == []


def test_unwritable_cache_is_named(tmp_path, monkeypatch, pinned):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setenv("MPRA_CACHE_DIR", str(tmp_path / "file"))
    pin = pinned(pin_of(BODY))
    with pytest.raises(DataUnavailable, match="MPRA_CACHE_DIR"):
        fetch("toy", pin.path)


def test_no_connection_costs_once_and_for_children_too(tmp_path, upstream, monkeypatch, pinned):
    with socket.socket() as free:  # bound, never listening: connections are refused
        free.bind(("127.0.0.1", 0))
        monkeypatch.setenv("MPRA_MIRROR", f"http://127.0.0.1:{free.getsockname()[1]}")
        pin = pinned(pin_of(BODY))
        with pytest.raises(DataUnavailable):
            fetch("toy", pin.path)
        assert os.environ["MPRA_OFFLINE"] == "1"
    monkeypatch.setenv("MPRA_MIRROR", upstream.url)
    with pytest.raises(DataUnavailable, match="MPRA_OFFLINE"):
        fetch("toy", pin.path)
    assert upstream.asked == []


def test_a_server_that_never_answers_costs_the_time_limit_at_most(monkeypatch, pinned):
    assert sources.CONNECT_TIMEOUT <= 5
    monkeypatch.setattr(sources, "CONNECT_TIMEOUT", 0.3)
    with socket.socket() as silent:  # accepts, never speaks
        silent.bind(("127.0.0.1", 0))
        silent.listen(1)
        monkeypatch.setenv("MPRA_MIRROR", f"http://127.0.0.1:{silent.getsockname()[1]}")
        pin = pinned(pin_of(BODY))
        start = time.monotonic()
        with pytest.raises(DataUnavailable, match="no connection"):
            fetch("toy", pin.path)
        assert time.monotonic() - start < 3  # 0.3 s and the machine's own delays


@pytest.mark.slow
def test_a_killed_download_is_never_taken_for_the_file(tmp_path, upstream, pinned):
    pin = pinned(pin_of(BODY, path="a.slow.tsv"))
    script = (
        "from lib.assays import sources\nfrom lib.assays.sources import Pin\n"
        f"sources.all_pins = lambda: ({pin!r},)\nsources.fetch('toy', {pin.path!r})\n"
    )
    child = subprocess.Popen([sys.executable, "-c", script])
    try:
        deadline = time.monotonic() + 60
        while not upstream.asked and time.monotonic() < deadline:
            time.sleep(0.05)
        assert upstream.asked, "the child never asked"
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    upstream.release.set()
    assert "a.slow.tsv" not in files_below(tmp_path)
    assert fetch("toy", pin.path).read_bytes() == BODY
