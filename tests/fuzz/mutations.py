"""Damage: bytes and parameters as strangers' files hold them, drawn from one generator."""

import gzip
import re
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

NASTY = (
    *("", " ", "NA", "nan", "inf", "-inf", "1e999", "-0", "0", "1_000", "1,5", "0x10", "١", "½"),
    *("null", "none", "N/A", "id", "yes", "1,234", "2020-01-01", "1+2j", "1e200", "1e-300"),
    *("null", "None", "True", "=1+1", "=cmd|' /C calc'!A0", "@SUM(1)", "<script>alert(1)</script>"),
    *("'", '"', '""', "\\", "\x00", "\ufeff", "\u202e", "é", "\U0001f9ec", "../../etc/passwd"),
    *("N" * 24, "ACGU", "acgt", "ACGT" * 30, "-", "1e-320", "99999999999999999999", "; DROP TABLE"),
)
WORDS = (
    *(b"\n", b"\r\n", b"\r", b"\t", b",", b";", b"|", b'"', b"\x00", b"\xff", b"\xef\xbb\xbf"),
    *(b"sep=;\n", b"# note\n", b",,", b"0,5"),
    *(b"\xff\xfe", b"\x1f\x8b", b"PK\x03\x04", b"PAR1", b"\x1a", b"\x0b", b"\x85", b"e308"),
    *(b"MOTIF", b"MEME version", b"letter-probability", b"w= -1", b"w= 99999999999", b"w= x"),
    *(b"ALPHABET= ACGU", b"nan nan nan nan", b"0.25 0.25 0.25", b"inf 0 0 0"),
)
Bytes = Callable[[bytearray, np.random.Generator], bytearray]


def _at(content: Sequence[Any], rng: np.random.Generator) -> int:
    return int(rng.integers(len(content) + 1))


def _flip(content: bytearray, rng: np.random.Generator) -> bytearray:
    for _ in range(int(rng.integers(1, 5))):
        if content:
            content[int(rng.integers(len(content)))] ^= 1 << int(rng.integers(8))
    return content


def _cut_middle(content: bytearray, rng: np.random.Generator) -> bytearray:
    start = _at(content, rng)
    return content[:start] + content[start + int(rng.integers(1, 30)) :]


def _insert(content: bytearray, rng: np.random.Generator) -> bytearray:
    """A word of trouble, or noise."""
    start = _at(content, rng)
    word = WORDS[int(rng.integers(len(WORDS)))] if rng.random() < 0.5 else rng.bytes(8)
    return content[:start] + word + content[start:]


def _lines(content: bytearray, rng: np.random.Generator) -> bytearray:
    """Drop, double or swap lines."""
    lines = content.split(b"\n")
    first, second = (int(i) for i in rng.integers(len(lines), size=2))
    what = int(rng.integers(3))
    if what == 0:
        del lines[first]
    elif what == 1:
        lines.insert(second, lines[first])
    else:
        lines[first], lines[second] = lines[second], lines[first]
    return bytearray(b"\n").join(lines)


def _cell(content: bytearray, rng: np.random.Generator) -> bytearray:
    """Put something nasty in the place of one cell."""
    cells = re.split(rb"([,\t; \n])", bytes(content))
    cells[2 * int(rng.integers((len(cells) + 1) // 2))] = NASTY[
        int(rng.integers(len(NASTY)))
    ].encode()
    return bytearray(b"".join(cells))


def _recode(content: bytearray, rng: np.random.Generator) -> bytearray:
    text = content.decode("utf-8", "replace")
    return bytearray(
        text.encode(("utf-16", "latin-1", "utf-8-sig")[int(rng.integers(3))], "replace")
    )


BYTES: tuple[Bytes, ...] = (
    _flip,
    lambda content, rng: content[: _at(content, rng)],
    *(_cut_middle, _insert, _insert, _lines, _cell, _cell),
    lambda content, _: bytearray(gzip.compress(content, mtime=0)),
    _recode,
    lambda content, _: content + content,
)


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """Mostly one kind of damage, at most four in a row; one case in fifty is mere noise."""
    if rng.random() < 0.02:
        return rng.bytes(int(rng.integers(200)))
    result = bytearray(content)
    for _ in range(int(rng.choice((1, 2, 3, 4), p=(0.6, 0.2, 0.1, 0.1)))):
        result = BYTES[int(rng.integers(len(BYTES)))](result, rng)
    return bytes(result)


def value(rng: np.random.Generator, depth: int = 0) -> Any:
    """A value that a parameter should not have, or might."""
    numbers = (0, 1, -1, 2**31, 2**63, 10**40, 0.5, -0.0, 1e308, float("nan"), float("inf"))
    plain = (*NASTY, *numbers, None, True, False, b"bytes", "[0, 1]", "[0, 0]", "[", "{}", "all")
    if depth < 2 and rng.random() < 0.2:
        inner = [value(rng, depth + 1) for _ in range(int(rng.integers(4)))]
        kinds = (inner, tuple(inner), {str(i): item for i, item in enumerate(inner)})
        return kinds[int(rng.integers(3))]
    return plain[int(rng.integers(len(plain)))]
