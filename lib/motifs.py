"""Motifs: position weight matrices, where they come from, and how strongly they are bound.

In: JASPAR ids or names, or a MEME file; codes ``(n, L)``. Out: :class:`PWM`, occupancies ``(n, m)`` and
tables of sites. Binding is scored on both strands of the actual sequence, so a sequence and its reverse
complement are bound alike. Scores are natural-log odds against a uniform background.
"""

import warnings
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numba import njit
from numpy.typing import NDArray

from lib.sequences import Codes, validate_codes

FloatArray = NDArray[np.float64]

RELEASE = "JASPAR2024"  # every pyjaspar since 3.0 ships it
PSEUDOCOUNT = 1.0  # counts added to each JASPAR column, spread evenly
FLOOR = 1e-4  # smallest probability a score uses: a zero would forbid a site for ever
CHUNK = 5  # letters per table look-up: 5**5 rows with N as the fifth letter stay in the L1 cache
ROWS = 5**CHUNK
BLOCK = 256  # sequences scanned by one motif before the next, so that its tables stay cached


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
        Matrix ids such as ``MA0148.5``, or factor names such as ``FOXA1`` in any case. Where several
        matrices bear a name, the one spelt alike, then the human one is taken.
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


@lru_cache(maxsize=1024)
def _jaspar_motif(motif: str, release: str) -> PWM:
    import pyjaspar  # takes 0.2 s to import, and only this function needs it

    if release not in pyjaspar.jaspar_releases:
        known = ", ".join(pyjaspar.jaspar_releases)
        raise ValueError(f"release {release!r} is unknown; pyjaspar holds {known}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Biopython warns about every empty answer
        database = pyjaspar.jaspardb(release=release)
        match = database.fetch_motif_by_id(motif) if "." in motif else None
        found = [match] if match is not None else database.fetch_motifs_by_name(motif)
    for keep in (lambda m: m.name == motif, lambda m: "9606" in (m.species or [])):
        found = [m for m in found if keep(m)] or found
    if len(found) != 1:
        ids = ", ".join(f"{m.matrix_id} ({m.name})" for m in found)
        what = f"stands for {ids}; ask for one by id" if found else f"is not in {release}"
        raise ValueError(f"motif {motif!r} {what}")
    counts = np.array([found[0].counts[letter] for letter in "ACGT"])
    smoothed = counts + PSEUDOCOUNT / 4
    return make_pwm(found[0].name, smoothed / smoothed.sum(axis=0))


def read_meme(path: str | Path) -> tuple[PWM, ...]:
    """Read a minimal MEME motif file over ACGT.

    Raises
    ------
    ValueError
        If the file is malformed, a motif occurs twice or a row does not sum to 1; the line is named.
    """
    rows: list[list[float]] = []
    motifs: dict[str, PWM] = {}
    name, width = "", 0
    lines = Path(path).read_text().splitlines()
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


def reverse_pwm(pwm: PWM) -> PWM:
    """The motif as it reads on the other strand."""
    return make_pwm(pwm.name, pwm.probabilities[::-1, ::-1])


def perturb(pwm: PWM, severity: float, rng: np.random.Generator, sd: float = 2.0) -> PWM:
    """Add normal noise of s.d. ``severity * sd`` to the log odds of a motif.

    The noise does not depend on ``severity``, so growing severities from equal generators lie on
    one line; severity 0 returns the motif unchanged.

    Raises
    ------
    ValueError
        If severity lies outside [0, 1].
    """
    if not 0 <= severity <= 1:
        raise ValueError(f"severity is {severity}; it must lie in [0, 1]")
    noise = rng.standard_normal(pwm.probabilities.shape)
    if severity == 0:
        return pwm
    odds = np.exp(log_odds(pwm) + severity * sd * noise)
    return make_pwm(pwm.name, odds / odds.sum(axis=0))


class Scanner(NamedTuple):
    """Look-up tables of a motif set, made by :func:`scanner`.

    Attributes
    ----------
    tables : (c, 3125, 2) float32 array
        Factor of the affinity that five letters contribute, on the forward and the reverse strand.
    first : (m + 1,) int64 array
        Tables ``first[i]`` to ``first[i + 1]`` belong to motif i.
    widths : (m,) int64 array
    """

    tables: NDArray[np.float32]
    first: NDArray[np.int64]
    widths: NDArray[np.int64]


def scanner(pwms: Sequence[PWM], potentials: FloatArray | Sequence[float]) -> Scanner:
    """Tabulate affinities ``exp(log odds - potential)``; a window with an N has affinity 0.

    Parameters
    ----------
    pwms : sequence of m PWM
    potentials : (m,) floats
        Log odds, in nats, at which a site is bound half of the time (the chemical potential).
    """
    letters = np.array(np.unravel_index(np.arange(ROWS), (5,) * CHUNK))  # (CHUNK, ROWS)
    tables, first = [], [0]
    for pwm, potential in zip(pwms, potentials, strict=True):
        forward = log_odds(pwm)
        chunks = -(-pwm.width // CHUNK)
        for chunk in range(chunks):
            table = np.full((ROWS, 2), -potential / chunks)
            for strand, odds in enumerate((forward, forward[::-1, ::-1])):
                columns = odds[:, chunk * CHUNK : (chunk + 1) * CHUNK]
                columns = np.vstack([columns, np.full(columns.shape[1], -np.inf)])  # N
                for offset in range(columns.shape[1]):
                    table[:, strand] += columns[letters[offset], offset]
            tables.append(np.exp(table).astype(np.float32))
        first.append(len(tables))
    widths = np.array([pwm.width for pwm in pwms], np.int64)
    return Scanner(np.array(tables, np.float32), np.array(first, np.int64), widths)


def occupancy(codes: Codes, sites: Scanner) -> FloatArray:
    """Expected number of bound sites per sequence and motif.

    Sum over both strands and all positions of a / (1 + a), with a the affinity of the window: the
    equilibrium binding probability of a single site (Berg and von Hippel 1987).

    Parameters
    ----------
    codes : (n, L) uint8 array
    sites : Scanner of m motifs

    Returns
    -------
    (n, m) float64 array
        At least 0, and unchanged by reverse complement up to rounding.

    Raises
    ------
    ValueError
        If a motif is longer than the sequences.

    Examples
    --------
    >>> from lib.sequences import encode
    >>> only_a = make_pwm("AA", [[1, 1], [0, 0], [0, 0], [0, 0]])
    >>> occupancy(encode(["AACC", "GGTT"]), scanner([only_a], [0.0])).round(2).tolist()
    [[0.94], [0.94]]
    """
    codes = _scannable(codes, sites)
    out = np.empty((len(codes), len(sites.widths)))
    _occupancy(codes, sites.tables, sites.first, sites.widths, out)
    return out


def scan(codes: Codes, pwms: Sequence[PWM], threshold: float | FloatArray) -> pd.DataFrame:
    """List every window whose log odds reach ``threshold`` (nats; one for all or one per motif).

    Returns
    -------
    DataFrame
        ``element, motif`` (index into ``pwms``), ``start`` (leftmost position), ``strand`` (+1, -1),
        ``score`` (nats); ordered by motif, element, start. A palindrome is listed on both strands.
    """
    sites = scanner(pwms, np.zeros(len(pwms)))
    codes = _scannable(codes, sites)
    cutoff = np.exp(np.broadcast_to(np.asarray(threshold, np.float64), len(pwms)))
    hits = np.empty((max(1024, 2 * len(codes)), 4), np.int32)
    score = np.empty(len(hits), np.float32)
    found = _scan(codes, sites.tables, sites.first, sites.widths, cutoff, hits, score)
    if found > len(hits):
        hits, score = np.empty((found, 4), np.int32), np.empty(found, np.float32)
        _scan(codes, sites.tables, sites.first, sites.widths, cutoff, hits, score)
    table = pd.DataFrame(hits[:found], columns=["element", "motif", "start", "strand"])
    return table.assign(score=np.log(score[:found].astype(np.float64)))


def score_threshold(pwm: PWM, p_value: float) -> float:
    """Smallest log odds (nats) that a uniform random window reaches with probability ≤ ``p_value``.

    The null distribution is built by convolution on a grid of 0.005 nats.
    """
    if not 0 < p_value < 1:
        raise ValueError(f"p_value is {p_value}; it must lie between 0 and 1")
    step = 0.005
    scores = np.round(log_odds(pwm) / step).astype(int)
    scores -= (low := scores.min(axis=0))
    null = np.ones(1)
    for column in scores.T:
        wider = np.zeros(len(null) + column.max())
        for letter_score in column:
            wider[letter_score : letter_score + len(null)] += null / 4
        null = wider
    tail = np.cumsum(null[::-1])[::-1]
    return float((np.argmax(np.append(tail, 0) <= p_value) + low.sum()) * step)


def _scannable(codes: Codes, sites: Scanner) -> Codes:
    codes = np.ascontiguousarray(validate_codes(codes))
    if len(sites.widths) and sites.widths.max() > codes.shape[1]:
        raise ValueError(
            f"a motif is {sites.widths.max()} nt wide, the sequences have {codes.shape[1]} nt; "
            "drop the motif or take longer sequences"
        )
    return codes


@njit(nogil=True, cache=True)
def _table_rows(codes, rows):  # type: ignore[no-untyped-def]
    """Row of the tables for the five letters from each position on; N beyond the end."""
    length = codes.shape[1]
    for element in range(codes.shape[0]):
        row = ROWS - 1
        for position in range(length - 1, -1, -1):
            row = row // 5 + codes[element, position] * (ROWS // 5)
            rows[element, position] = row


@njit(nogil=True, cache=True)
def _affinities(rows, tables, windows, forward, reverse):  # type: ignore[no-untyped-def]
    """Affinity of every window on both strands: a product over the motif's tables."""
    for i in range(windows):
        row = rows[i]
        forward[i] = tables[0, row, 0]
        reverse[i] = tables[0, row, 1]
    for chunk in range(1, tables.shape[0]):
        for i in range(windows):
            row = rows[i + chunk * CHUNK]
            forward[i] *= tables[chunk, row, 0]
            reverse[i] *= tables[chunk, row, 1]


@njit(nogil=True, cache=True)
def _occupancy(codes, tables, first, widths, out):  # type: ignore[no-untyped-def]
    n, length = codes.shape
    rows = np.empty((BLOCK, length), np.int16)
    forward, reverse = np.empty(length, np.float32), np.empty(length, np.float32)
    one = np.float32(1)
    for start in range(0, n, BLOCK):
        stop = min(start + BLOCK, n)
        _table_rows(codes[start:stop], rows)
        for motif in range(len(widths)):
            own = tables[first[motif] : first[motif + 1]]
            windows = length - widths[motif] + 1
            for element in range(start, stop):
                _affinities(rows[element - start], own, windows, forward, reverse)
                total = 0.0
                for i in range(windows):
                    a, b = forward[i], reverse[i]
                    # a/(1+a) + b/(1+b) with one division instead of two
                    total += (a + b + 2 * a * b) / ((one + a) * (one + b))
                out[element, motif] = total


@njit(nogil=True, cache=True)
def _scan(codes, tables, first, widths, cutoff, hits, score):  # type: ignore[no-untyped-def]
    n, length = codes.shape
    rows = np.empty((n, length), np.int16)
    forward, reverse = np.empty(length, np.float32), np.empty(length, np.float32)
    _table_rows(codes, rows)
    found = 0
    for motif in range(len(widths)):
        own = tables[first[motif] : first[motif + 1]]
        windows = length - widths[motif] + 1
        for element in range(n):
            _affinities(rows[element], own, windows, forward, reverse)
            for i in range(windows):
                for strand, value in ((1, forward[i]), (-1, reverse[i])):
                    if value >= cutoff[motif]:
                        if found < len(hits):
                            hits[found] = (element, motif, i, strand)
                            score[found] = value
                        found += 1
    return found
