"""Bytes of files: of regular ones only, and no more than are wanted when they are unpacked.

In: a path. Out: bytes, or a ``ValueError`` that names the path and says what it is. Nothing here
waits: a pipe or a device is refused before it is opened.
"""

import gzip
import os
import zlib
from io import BytesIO
from pathlib import Path

GZIP = b"\x1f\x8b"
LIMIT = "SHIFT_UNPACKED_GB"  # the variable that moves the bound, in GB
UNPACKED_GB = 4.0


def regular(path: Path | str, wanted: str) -> Path:
    """The path of a regular file; ``wanted`` is what the error says would do.

    Examples
    --------
    >>> regular("lib", "give the path of a table")
    Traceback (most recent call last):
    ValueError: lib is a folder, not a file; give the path of a table
    """
    path = Path(path)
    if path.is_file():
        return path
    if path.is_dir():
        raise ValueError(f"{path} is a folder, not a file; {wanted}")
    if path.exists():
        raise ValueError(f"{path} is a pipe or a device, not a file: save its content; {wanted}")
    raise ValueError(f"there is no file {path}; {wanted}")


def limit() -> int:
    """Bytes that a packed file may unpack to: ``SHIFT_UNPACKED_GB``, 4 by default."""
    return int(float(os.environ.get(LIMIT) or UNPACKED_GB) * 1e9)


def refuse_size(size: int, path: Path) -> None:
    """A ValueError where a file unpacks to more than :func:`limit`."""
    if size > limit():
        raise ValueError(
            f"{path} unpacks to more than {limit() / 1e9:g} GB; if it should, set {LIMIT} to a "
            "larger number"
        )


def unpacked(content: bytes, path: Path) -> bytes:
    """The bytes, unpacked where gzip packed them; damaged and huge ones are a ValueError."""
    if not content.startswith(GZIP):
        return content
    try:
        with gzip.open(BytesIO(content)) as file:
            plain = file.read(limit() + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(
            f"{path} is a truncated or damaged gzip file ({error}); fetch it again"
        ) from None
    refuse_size(len(plain), path)
    return plain
