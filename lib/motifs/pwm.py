"""Motifs: position weight matrices, where they come from and how they change.

In: JASPAR ids or names, or a MEME file. Out: :class:`PWM`. Scores are natural-log odds against a
uniform background; lib.motifs.binding turns them into occupancies and sites.
"""

import warnings
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from lib.arrays import FloatArray

RELEASE = "JASPAR2024"  # every pyjaspar since 3.0 ships it
PSEUDOCOUNT = 1.0  # counts added to each JASPAR column, spread evenly
FLOOR = 1e-4  # smallest probability a score uses: a zero would forbid a site for ever


class PWM(NamedTuple):
    """A motif as probabilities of A, C, G, T (rows) at each position (columns).

    Attributes
    ----------
    name : str
    probabilities : (4, w) float64 array
        Columns sum to 1.
    """

    name: str
    probabilities: FloatArray

    @property
    def width(self) -> int:
        """Number of positions w."""
        return self.probabilities.shape[1]


def make_pwm(name: str, probabilities: FloatArray) -> PWM:
    """Check and freeze a motif.

    Raises
    ------
    ValueError
        If the array is not ``(4, w)`` with w ≥ 1, holds values outside [0, 1] or a column does not
        sum to 1 within 0.01.
    """
    matrix = np.array(probabilities, np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != 4 or matrix.shape[1] < 1:
        raise ValueError(f"motif {name}: probabilities must be (4, w), got {matrix.shape}")
    if not ((matrix >= 0) & (matrix <= 1)).all():
        raise ValueError(f"motif {name}: probabilities must lie in [0, 1]")
    total = matrix.sum(axis=0)
    if (np.abs(total - 1) > 0.01).any():
        column = int(np.argmax(np.abs(total - 1)))
        raise ValueError(
            f"motif {name}: position {column} sums to {total[column]:.4g}; it must sum to 1"
        )
    matrix /= total
    matrix.flags.writeable = False
    return PWM(name, matrix)


def jaspar(motifs: Sequence[str], release: str = RELEASE) -> tuple[PWM, ...]:
    """Fetch motifs from a JASPAR release bundled with pyjaspar (no network).

    Parameters
    ----------
    motifs : sequence of str
        Matrix ids such as ``MA0148.5``, or factor names such as ``FOXA1`` in any case. Where
        several matrices bear a name, the one spelt alike, then the human one is taken.
    release : str

    Raises
    ------
    ValueError
        If the release or a motif is unknown, or a name stands for several human matrices.

    Examples
    --------
    >>> [(pwm.name, pwm.width) for pwm in jaspar(["FOXA1", "MA0079.5"])]
    [('FOXA1', 8), ('SP1', 9)]
    """
    return tuple(_jaspar_motif(motif, release) for motif in motifs)


@lru_cache(maxsize=4)
def core_motifs(kingdom: str, release: str = RELEASE) -> tuple[PWM, ...]:
    """All matrices of JASPAR's CORE collection of a kingdom, such as ``vertebrates``, by id.

    An unknown release and a kingdom without matrices are a ``ValueError``.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = _database(release).fetch_motifs(collection="CORE", tax_group=[kingdom])
    if not found:
        raise ValueError(f"kingdom {kingdom!r} has no CORE matrices in {release}")
    return tuple(
        _of_counts(m.matrix_id, m.counts) for m in sorted(found, key=lambda m: m.matrix_id)
    )


def _database(release: str) -> Any:
    import pyjaspar  # takes 0.2 s to import, and little needs it

    if release not in pyjaspar.jaspar_releases:
        known = ", ".join(pyjaspar.jaspar_releases)
        raise ValueError(f"release {release!r} is unknown; pyjaspar holds {known}")
    return pyjaspar.jaspardb(release=release)


def _of_counts(name: str, counts: Mapping[str, Sequence[float]]) -> PWM:
    smoothed = np.array([counts[letter] for letter in "ACGT"]) + PSEUDOCOUNT / 4
    return make_pwm(name, smoothed / smoothed.sum(axis=0))


@lru_cache(maxsize=1024)
def _jaspar_motif(motif: str, release: str) -> PWM:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Biopython warns about every empty answer
        database = _database(release)
        match = database.fetch_motif_by_id(motif) if "." in motif else None
        found = [match] if match is not None else database.fetch_motifs_by_name(motif)
    for keep in (lambda m: m.name == motif, lambda m: "9606" in (m.species or [])):
        found = [m for m in found if keep(m)] or found
    if len(found) != 1:
        ids = ", ".join(f"{m.matrix_id} ({m.name})" for m in found)
        what = f"stands for {ids}; ask for one by id" if found else f"is not in {release}"
        raise ValueError(f"motif {motif!r} {what}")
    return _of_counts(found[0].name, found[0].counts)


def read_meme(path: str | Path) -> tuple[PWM, ...]:
    """Read a minimal MEME motif file over ACGT.

    Raises
    ------
    ValueError
        If the file is not UTF-8 or malformed, a motif occurs twice or a row does not sum to 1; the
        line is named.
    """
    rows: list[list[float]] = []
    motifs: dict[str, PWM] = {}
    name, width = "", 0
    try:
        lines = Path(path).read_text("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text ({error}); save it as UTF-8") from None
    if not lines or not lines[0].startswith("MEME version"):
        raise ValueError(f"{path}, line 1: a MEME file starts with 'MEME version'")
    for number, line in enumerate(lines, start=1):
        words = line.split()
        try:
            if words[:1] == ["ALPHABET="] and words[1:] != ["ACGT"]:
                raise ValueError(f"alphabet {' '.join(words[1:])!r}; only ACGT is read")
            if words[:1] == ["MOTIF"]:
                if width:
                    raise ValueError(f"motif {name} ends after {len(rows)} of {width} rows")
                name = words[1] if len(words) > 1 else ""
                if not name or name in motifs:
                    raise ValueError(f"motif {name} occurs twice" if name else "MOTIF has no name")
            elif words[:1] == ["letter-probability"]:
                width, rows = _meme_width(words, name, motifs), []
            elif width and words:
                rows.append(_meme_row(words))
                if len(rows) == width:
                    motifs[name] = make_pwm(name, np.array(rows).T)
                    width = 0
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: {error}") from None
    if width:
        raise ValueError(
            f"{path}, line {len(lines)}: motif {name} ends after {len(rows)} of {width} rows"
        )
    if not motifs:
        raise ValueError(f"{path}, line {len(lines)}: the file holds no motif")
    return tuple(motifs.values())


def _meme_width(words: list[str], name: str, motifs: dict[str, PWM]) -> int:
    if not name or name in motifs:
        raise ValueError("a letter-probability matrix must follow its MOTIF line")
    if "w=" not in words[:-1]:
        raise ValueError("the letter-probability line states no w=")
    width = int(words[words.index("w=") + 1])
    if width < 1:
        raise ValueError(f"w= {width}; a motif has at least one position")
    return width


def _meme_row(words: list[str]) -> list[float]:
    row = [float(word) for word in words]
    if len(row) != 4:
        raise ValueError(f"{len(row)} numbers where A, C, G and T are expected")
    if not abs(sum(row) - 1) <= 0.01:
        raise ValueError(f"probabilities sum to {sum(row):.4g}, not 1")
    return row


def information_content(pwm: PWM) -> FloatArray:
    """Information content of each position in bits, 0 (uniform) to 2 (one letter).

    Examples
    --------
    >>> information_content(make_pwm("A then any", [[1, 0.25], [0, 0.25], [0, 0.25], [0, 0.25]]))
    array([2., 0.])
    """
    p = pwm.probabilities
    logs = np.log2(p, out=np.zeros_like(p), where=p > 0)
    return np.asarray(2.0 + (p * logs).sum(axis=0) + 0.0)


def log_odds(pwm: PWM) -> FloatArray:
    """Natural-log odds of each letter at each position against a uniform background, ``(4, w)``."""
    p = pwm.probabilities
    return np.asarray(np.log((p + FLOOR) / (1 + 4 * FLOOR) / 0.25))
