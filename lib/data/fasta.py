"""FASTA files as ids and codes of one length.

In: a file, plain or gzipped, of records ``>id anything`` and lines of ``ACGTN``, small letters
included. Out: ids and codes ``(n, L)``.
"""

import gzip
import zlib
from pathlib import Path

from lib.sequences import ALPHABET, Codes, encode

_UNREADABLE = (OSError, EOFError, zlib.error, UnicodeDecodeError)


def read_records(path: str | Path) -> list[tuple[str, str]]:
    """Ids and sequences in the order of the file; an id is the first word after ``>``.

    Raises
    ------
    ValueError
        If the file cannot be read as text, holds no record, a line before the first, or a record
        without an id or without a sequence, or names an id twice.
    """
    path = Path(path)
    try:
        packed = path.read_bytes()
        text = (gzip.decompress(packed) if packed[:2] == b"\x1f\x8b" else packed).decode(
            "utf-8-sig"
        )
    except _UNREADABLE as error:
        raise ValueError(f"{path} cannot be read as a FASTA file: {error}") from None
    found: dict[str, list[str]] = {}
    name = ""
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith(">"):
            name = next(iter(line[1:].split()), "")
            if not name or name in found:
                what = f"the id {name!r} again" if name else "a record without an id"
                raise ValueError(f"{path} has {what} in line {number}; each record needs its own")
            found[name] = []
        elif line.strip():
            if not name:
                raise ValueError(f"{path} does not start with a record: line 1 must be '>id'")
            found[name].append("".join(line.split()))
    if not found:
        raise ValueError(f"{path} holds no record; a FASTA file has lines '>id' and sequences")
    empty = [name for name, lines in found.items() if not lines]
    if empty:
        raise ValueError(f"{path}: record {empty[0]!r} has no sequence")
    return [(name, "".join(lines)) for name, lines in found.items()]


def read(path: str | Path, length: int) -> tuple[list[str], Codes]:
    """Ids and codes of a file whose sequences all have one length.

    Parameters
    ----------
    path : path
    length : int
        In nt.

    Returns
    -------
    ids : list of n str
    codes : (n, length) uint8 array

    Raises
    ------
    ValueError
        As :func:`read_records`; for a sequence of another length or with another letter, naming its
        record.
    """
    records = read_records(path)
    for name, sequence in records:
        if len(sequence) != length:
            raise ValueError(
                f"{path}: record {name!r} has {len(sequence)} nt, {length} are needed; cut it, or "
                "pad it with N on both sides"
            )
        other = sorted(set(sequence.upper()) - set(ALPHABET))
        if other:
            place = sequence.upper().index(other[0]) + 1
            raise ValueError(
                f"{path}: record {name!r} holds {other[0]!r} at position {place}; "
                f"{', '.join(ALPHABET)} would do"
            )
    return [name for name, _ in records], encode([text.upper() for _, text in records])
