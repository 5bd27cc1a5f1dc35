"""FASTA files: ids and sequences, with one error that names file and record.

In: a path. Out: sequences by id, or codes of sequences that all have one length.
"""

import re
from pathlib import Path

from lib.data.files import regular, unpacked
from lib.sequences import ALPHABET, Codes, encode


def read_records(path: Path | str) -> dict[str, str]:
    """Ids and sequences of a FASTA file, plain or gzipped, in its order.

    An id is the first word after ``>``; small letters stay.

    Raises
    ------
    ValueError
        If the file cannot be read as text, holds no record, a line before the first, or a record
        without an id or without a sequence, or names an id twice.
    """
    path = regular(path, "give the path of a FASTA file")
    try:
        lines = unpacked(path.read_bytes(), path).decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} cannot be read as a FASTA file: {error}") from None
    before, *records = re.split(r"^>", "\n".join(lines), flags=re.MULTILINE)
    if before.strip() or not records:
        raise ValueError(f"{path} does not start with a record: line 1 must be '>id'")
    found: dict[str, str] = {}
    for number, record in enumerate(records, start=1):
        title, _, body = record.partition("\n")
        name = next(iter(title.split()), "")
        if not name or name in found:
            what = f"the id {name!r} again" if name else "no id"
            raise ValueError(f"{path}: record {number} has {what}; each record needs its own")
        found[name] = "".join(body.split())
        if not found[name]:
            raise ValueError(f"{path}: record {name!r} has no sequence")
    return found


def read_fasta(path: Path | str, length: int) -> tuple[list[str], Codes]:
    """Ids and codes ``(n, length)`` of a FASTA file whose sequences all have one length in nt.

    Raises
    ------
    ValueError
        As :func:`read_records`; for a sequence of another length or with another letter, naming its
        record.
    """
    records = {name: text.upper() for name, text in read_records(path).items()}
    for name, sequence in records.items():
        if len(sequence) != length:
            raise ValueError(
                f"{path}: record {name!r} has {len(sequence)} nt, {length} are needed; cut it, or "
                "pad it with N on both sides, of which a forecaster knows nothing"
            )
        other = re.search(f"[^{ALPHABET}]", sequence)
        if other:
            raise ValueError(
                f"{path}: record {name!r} holds {other.group()!r} at position {other.start() + 1}; "
                f"{', '.join(ALPHABET)} would do"
            )
    return list(records), encode(list(records.values()))
