"""DNA as integer codes: encoding, strands, GC content and k-mers.

In: strings over ``ACGTN``. Out: ``codes``, an ``(n, L)`` uint8 array with A, C, G, T = 0, 1, 2, 3
and N (or padding) = 4. Everything downstream (simulator, models, leak groups) works on codes.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

ALPHABET = "ACGTN"
UNKNOWN = 4  # the code of N
_BLOCK = 512  # rows packed at once: their 64-bit words stay in the cache

Codes = NDArray[np.uint8]

_INVALID = 255
_BYTE_TO_CODE = np.full(256, _INVALID, np.uint8)
_BYTE_TO_CODE[np.frombuffer(ALPHABET.encode(), np.uint8)] = np.arange(5)
_CODE_TO_BYTE = np.frombuffer(ALPHABET.encode(), np.uint8)
_COMPLEMENT = np.array([3, 2, 1, 0, 4], np.uint8)


def validate_codes(codes: Codes, name: str = "codes") -> Codes:
    """Return ``codes`` unchanged, or say what is wrong with it.

    A ``ValueError``: If ``codes`` is not a two-dimensional uint8 array with values 0 to 4.
    """
    codes = np.asarray(codes)
    if codes.ndim != 2 or codes.dtype != np.uint8:
        raise ValueError(
            f"{name} must be an (n, L) uint8 array, got shape {codes.shape} and dtype "
            f"{codes.dtype}; lib.sequences.encode makes one from strings"
        )
    if codes.size and codes.max() > UNKNOWN:
        row = int(np.argmax((codes > UNKNOWN).any(axis=1)))
        raise ValueError(f"{name} row {row} holds {codes[row].max()}; codes are 0 to 4 (ACGTN)")
    return codes


def encode(sequences: Sequence[str]) -> Codes:
    """Encode strings of one length over ``ACGTN``.

    Parameters
    ----------
    sequences : sequence of str, length n
        Upper-case DNA, all of length L.

    Returns
    -------
    (n, L) uint8 array
        A, C, G, T, N as 0 to 4.

    Raises
    ------
    ValueError
        If lengths differ or a letter is outside ``ACGTN``; the row and the letter are named.

    Examples
    --------
    >>> encode(["ACGT", "NTTT"]).tolist()
    [[0, 1, 2, 3], [4, 3, 3, 3]]
    """
    if len(sequences) == 0:
        return np.zeros((0, 0), np.uint8)
    length = len(sequences[0])
    for row, sequence in enumerate(sequences):
        if len(sequence) != length:
            raise ValueError(
                f"sequence {row} has length {len(sequence)}, the first has {length}; "
                "trim or pad them to one length"
            )
    try:
        raw = np.frombuffer("".join(sequences).encode("ascii"), np.uint8)
    except UnicodeEncodeError as error:
        row = error.start // length if length else 0
        raise ValueError(f"sequence {row} holds a letter that is not ASCII; use ACGTN") from None
    codes = _BYTE_TO_CODE[raw].reshape(len(sequences), length)
    if (codes == _INVALID).any():
        row, column = (int(i) for i in np.argwhere(codes == _INVALID)[0])
        raise ValueError(
            f"sequence {row} holds {sequences[row][column]!r} at position {column}; use ACGTN"
        )
    return codes


def decode(codes: Codes) -> list[str]:
    """Turn codes back into strings; the inverse of :func:`encode`.

    Examples
    --------
    >>> decode(encode(["GATTACA"]))
    ['GATTACA']
    """
    codes = validate_codes(codes)
    return [row.tobytes().decode("ascii") for row in _CODE_TO_BYTE[codes]]


def one_hot(codes: Codes) -> NDArray[np.float32]:
    """One-hot encode codes, channels first; an N is four zeros.

    Parameters
    ----------
    codes : (n, L) uint8 array

    Returns
    -------
    (n, 4, L) float32 array
    """
    codes = validate_codes(codes)
    table = np.eye(5, 4, dtype=np.float32)
    return np.ascontiguousarray(table[codes].transpose(0, 2, 1))


def reverse_complement(codes: Codes) -> Codes:
    """Reverse-complement every row.

    Examples
    --------
    >>> decode(reverse_complement(encode(["AACGN"])))
    ['NCGTT']
    """
    return np.ascontiguousarray(_COMPLEMENT[validate_codes(codes)][:, ::-1])


def gc_content(codes: Codes) -> NDArray[np.float64]:
    """Share of G and C among the known letters of each row, in [0, 1]; NaN for a row of N only.

    Examples
    --------
    >>> gc_content(encode(["GGCA", "ATNN"])).tolist()
    [0.75, 0.0]
    """
    codes = validate_codes(codes)
    known = (codes != UNKNOWN).sum(axis=1)
    strong = ((codes == 1) | (codes == 2)).sum(axis=1)
    return np.divide(strong, known, out=np.full(len(codes), np.nan), where=known > 0)


def canonical(codes: Codes) -> Codes:
    """The lexicographically smaller of each row and its reverse complement.

    Examples
    --------
    >>> decode(canonical(encode(["TTTG", "CAAA"])))
    ['CAAA', 'CAAA']
    """
    other = reverse_complement(codes)
    differs = codes != other
    first = np.argmax(differs, axis=1)
    rows = np.arange(len(codes))
    swap = differs.any(axis=1) & (codes[rows, first] > other[rows, first]) if codes.size else []
    result = np.array(codes)
    result[swap] = other[swap]
    return result


def kmer_codes(codes: Codes, k: int) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
    """Canonical k-mer at every position, as a 2-bit packed integer.

    Parameters
    ----------
    codes : (n, L) uint8 array
    k : int
        1 to 31 nucleotides, at most L.

    Returns
    -------
    kmers : (n, L - k + 1) uint64 array
        The smaller of the k-mer and its reverse complement; meaningless where not ``valid``.
    valid : (n, L - k + 1) bool array
        False where the window holds an N.

    Raises
    ------
    ValueError
        If ``k`` is outside 1 to min(31, L).
    """
    codes = validate_codes(codes)
    length = codes.shape[1]
    if not 1 <= k <= min(31, length):
        raise ValueError(
            f"k is {k}; it must lie between 1 and {min(31, length)} for length {length}"
        )
    kmers = np.empty((len(codes), length - k + 1), np.uint64)
    for start in range(0, len(codes), _BLOCK):
        block = slice(start, start + _BLOCK)
        kmers[block] = _packed_kmers(codes[block], k)
    unknown = np.cumsum(np.pad(codes == UNKNOWN, ((0, 0), (1, 0))), axis=1, dtype=np.int32)
    return kmers, unknown[:, k:] == unknown[:, :-k]


def _packed_kmers(codes: Codes, k: int) -> NDArray[np.uint64]:
    windows = codes.shape[1] - k + 1
    base = np.where(codes == UNKNOWN, 0, codes).astype(np.uint64)
    forward = np.zeros((len(codes), windows), np.uint64)
    backward = np.zeros((len(codes), windows), np.uint64)
    for offset in range(k):
        letter = base[:, offset : offset + windows]
        forward = (forward << np.uint64(2)) | letter
        backward |= (np.uint64(3) - letter) << np.uint64(2 * offset)
    return np.minimum(forward, backward)
