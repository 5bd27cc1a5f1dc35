"""Any table with a sequence and an activity column as a data set, with strict rules for bad input.

In: a CSV, TSV (also gzipped) or Parquet file, or a data frame, and the names of its columns. Out: a
:class:`~lib.data.dataset.SequenceDataset` with leak groups. Mended input is counted in ``repairs``;
everything else is refused with a ``ValueError`` that names row (from 0, after the header) and
value.

====================================================  ==============================================
input                                                 decision
====================================================  ==============================================
byte order mark, CRLF, gzip, blank lines              read
tab, comma, semicolon or bar between cells            found from the header
decimal commas                                        read where a whole column has them
lower case, U for T, spaces around a sequence         repaired, rows counted
same sequence twice                                   all rows kept, one leak group, counted
... with different activities                         kept and counted on its own: replicates
... or its reverse complement, in different groups    these groups are joined, counted
of ``group_column``
column missing; any named twice; one column only      refused, near names and separators given
empty file, header only, ragged rows                  refused
not UTF-8, JSON, spreadsheet, damaged gzip, Parquet   refused
activity missing, not a number, NaN, infinite, above  refused
1e30; a date, a boolean
noise or weight the same, or not positive             refused
letters outside ACGTN, empty or all-N sequence        refused
mixed lengths                                         refused; trim or pad first
shared 10 nt or more at an end of over 99 % of the    cut off every row, counted, unless
distinct sequences (of 10 or more)                    ``keep_shared_ends``
... of over 90 %                                      refused as an adapter: ``trim_prefix``,
                                                      ``trim_suffix`` or ``keep_shared_ends``
``trim_prefix`` or ``trim_suffix`` absent from a row  refused
group label that is empty, NA, null, none, ``.``, -    refused
====================================================  ==============================================

Group labels and other columns are text to carry along, never to interpret.
"""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lib.arrays import FloatArray, IndexArray
from lib.data.cells import WITHIN, CellError, labels, no_missing, numbers, remedy, require_columns
from lib.data.dataset import SequenceDataset
from lib.data.leakage import leak_groups, linked, sequence_ids
from lib.data.reading import placed, read_table
from lib.sequences import UNKNOWN, Codes, encode

ADAPTER_LENGTH = 10  # nt; two random sequences share so long an end once in a million
ADAPTER_SHARE = 0.9
TRIMMED_SHARE = 0.99
DISTINCT_NEEDED = 10  # below this, a shared end is no evidence of an adapter
LINK_LENGTH = 20  # nt shared by relatives
SHORTEST_LINK = 4
ABOVE_0 = "finite number above 0"


def _clean(values: pd.Series, column: str, repairs: dict[str, int]) -> list[str]:
    cells = values.tolist()
    for row, cell in enumerate(cells):
        if not isinstance(cell, str) or not cell.strip():
            raise CellError(column, row, "is {cell}, not a sequence", cell)
    stripped = [cell.strip() for cell in cells]
    upper = [cell.upper() for cell in stripped]
    counts = {
        "surrounding spaces removed": sum(map(str.__ne__, stripped, cells)),
        "lower case raised": sum(map(str.__ne__, upper, stripped)),
        "U read as T": sum("U" in cell for cell in upper),
    }
    repairs.update({what: times for what, times in counts.items() if times})
    return [cell.replace("U", "T") for cell in upper]


def _trim_ends(sequences: list[str], prefix: str, suffix: str, column: str) -> list[str]:
    """Cut a known adapter off both ends of every sequence; one without it is refused."""
    prefix, suffix = (end.upper().replace("U", "T") for end in (prefix, suffix))
    for row, sequence in enumerate(sequences):
        if not (sequence.startswith(prefix) and sequence.endswith(suffix)):
            raise CellError(column, row, f"is {{cell}}, without {prefix!r} … {suffix!r}", sequence)
        if len(sequence) <= len(prefix) + len(suffix):
            raise CellError(column, row, f"has {len(sequence)} nt, no more than its adapters")
    return cut(sequences, prefix, suffix)


def cut(sequences: list[str], prefix: str, suffix: str) -> list[str]:
    """Without as many letters at either end, whatever they are."""
    return [sequence[len(prefix) : len(sequence) - len(suffix)] for sequence in sequences]


def shared_ends(sequences: list[str], share: float) -> tuple[str, str]:
    """The longest start and end common to more of the distinct sequences, of 10 nt or more."""
    distinct, found = sorted(set(sequences)), ["", ""]
    if len(distinct) < DISTINCT_NEEDED:
        return "", ""
    for side, texts in enumerate((distinct, [sequence[::-1] for sequence in distinct])):
        for length in range(ADAPTER_LENGTH, min(map(len, texts))):
            start, times = Counter(text[:length] for text in texts).most_common(1)[0]
            if times <= share * len(texts):
                break
            found[side] = "" if set(start) == {"N"} else start  # that is padding
    return found[0], found[1][::-1]


def _without_shared_ends(sequences: list[str], column: str, repairs: dict[str, int]) -> list[str]:
    """Cut ends that nearly all share off every sequence; those that most share are refused."""
    prefix, suffix = shared_ends(sequences, TRIMMED_SHARE)
    for end, word in ((prefix, "start"), (suffix, "end")):
        if end:
            has = str.startswith if word == "start" else str.endswith
            repairs[f"shared {word} {end} trimmed"] = sum(has(text, end) for text in sequences)
            if others := len(sequences) - repairs[f"shared {word} {end} trimmed"]:
                repairs[f"shared {word}: another of {len(end)} nt cut off"] = others
    sequences = cut(sequences, prefix, suffix)
    start, stop = shared_ends(sequences, ADAPTER_SHARE)
    if start or stop:
        ends = {"trim_prefix": start, "trim_suffix": stop}
        trim = " and ".join(remedy(parameter, end) for parameter, end in ends.items() if end)
        raise ValueError(
            f"column {column!r}: over {ADAPTER_SHARE:.0%} of the distinct sequences share an end, "
            f"which looks like an adapter and makes all rows relatives; remove rows without it and "
            f"pass {trim}, or {remedy('keep_shared_ends', True)} if it belongs to the elements"
        )
    return sequences


def _encode(sequences: list[str], column: str) -> Codes:
    usual = Counter(map(len, sequences)).most_common(1)[0][0]
    for row, sequence in enumerate(sequences):
        if len(sequence) != usual:
            said = f"is {sequence[:40]!r}, of {len(sequence)} nt; most rows have {usual}"
            raise CellError(column, row, f"{said}: trim, or pad with N, to one length")
    try:
        codes = encode(sequences)
    except ValueError as error:
        bad = re.match(r"sequence (\d+) (.*)", str(error))
        if bad is None:
            raise ValueError(f"column {column!r}: {error}") from None
        raise CellError(column, int(bad[1]), bad[2]) from None
    unknown = (codes == UNKNOWN).all(axis=1)
    if unknown.any():
        raise CellError(column, int(np.argmax(unknown)), "holds nothing but N")
    return codes


def _given_groups(values: pd.Series, same: IndexArray, repairs: dict[str, int]) -> IndexArray:
    """Groups by label, joined where they share a sequence; ``same`` numbers the sequences."""
    texts = labels(values.reset_index(drop=True), "group")
    no_missing(texts, "every row needs a group")
    found, group = np.unique(texts.to_numpy(str), return_inverse=True)
    joined = linked(group, len(found) + same, len(found) + len(same))[group]
    compact = np.unique(joined, return_inverse=True)[1].astype(np.int64)
    lost = len(found) - int(compact.max()) - 1
    if lost:
        repairs["groups joined by a shared sequence"] = lost
    return compact


def _count_duplicates(sequences: list[str], activity: FloatArray, repairs: dict[str, int]) -> None:
    by_sequence = pd.Series(activity).groupby(np.array(sequences, object))
    extra = len(sequences) - by_sequence.ngroups
    if extra:
        repairs["duplicate sequences kept"] = extra
    differing = int((by_sequence.nunique() > 1).sum())
    if differing:
        repairs["sequences with different activities"] = differing


def dataset_from_frame(
    frame: pd.DataFrame,
    *,
    name: str,
    sequence_column: str = "sequence",
    activity_column: str = "activity",
    noise_column: str | None = None,
    group_column: str | None = None,
    weight_column: str | None = None,
    trim_prefix: str = "",
    trim_suffix: str = "",
    keep_shared_ends: bool = False,
    oriented: bool = False,
    families: bool = False,
) -> SequenceDataset:
    """Make a data set of a data frame under the rules of this module.

    Parameters
    ----------
    frame : DataFrame with n rows
    noise_column, weight_column : str, optional
        Measured standard deviation of the activity, in its unit; training weight.
    group_column : str, optional
        Leak groups; by default rows linked by shared 20-mers.
    trim_prefix, trim_suffix : str
        Adapters that every sequence has.
    keep_shared_ends : bool
        A common end of 10 nt or more is part of the elements.
    oriented : bool
        Whether the strand carries meaning.
    families : bool
        Whether words found in many sequences link those that agree beside them, as mutants and
        tiles of one parent do.

    Returns
    -------
    SequenceDataset
        Rows in the frame's order; ``metadata`` holds the remaining columns and the groups' labels.

    Raises
    ------
    ValueError
        As the table at the head of this module says.

    Examples
    --------
    >>> frame = pd.DataFrame({"sequence": ["acgtacgg", "ACGUACCC"], "activity": [1, 2]})
    >>> dataset_from_frame(frame, name="mine").repairs
    {'lower case raised': 1, 'U read as T': 1}
    """
    optional = [c for c in (noise_column, group_column, weight_column) if c is not None]
    require_columns(frame, [sequence_column, activity_column, *optional], name)
    if len(frame) == 0:
        raise ValueError(f"{name} has no rows")
    repairs: dict[str, int] = {}
    sequences = _clean(frame[sequence_column], sequence_column, repairs)
    sequences = _trim_ends(sequences, trim_prefix, trim_suffix, sequence_column)
    if not keep_shared_ends:
        sequences = _without_shared_ends(sequences, sequence_column, repairs)
    codes = _encode(sequences, sequence_column)
    activity = numbers(frame[activity_column], activity_column, WITHIN)
    _count_duplicates(sequences, activity, repairs)
    if group_column is not None:
        group = _given_groups(frame[group_column], sequence_ids(codes), repairs)
    elif codes.shape[1] < SHORTEST_LINK:
        raise ValueError(
            f"column {sequence_column!r}: {codes.shape[1]} nt are too few to find relatives; "
            f"pass {remedy('group_column', 'yours')}"
        )
    else:
        group = leak_groups(codes, k=min(LINK_LENGTH, codes.shape[1]), families=families)
    noise, weight = (
        None if column is None else numbers(frame[column], column, ABOVE_0)
        for column in (noise_column, weight_column)
    )
    used = [sequence_column, activity_column, noise_column, weight_column]
    rest = frame.loc[:, ~frame.columns.isin(used)].reset_index(drop=True)
    own: Any = {"oriented": oriented, "metadata": rest, "repairs": repairs}
    return SequenceDataset(name, codes, activity, group, noise, weight, **own)


def load_table(path: Path | str, **options: Any) -> SequenceDataset:
    """Read a CSV, TSV (also gzipped) or Parquet file as a data set, families of mutants found.

    Its name is the file's up to the first dot; ``options`` are parameters of
    :func:`dataset_from_frame`.

    A ``ValueError`` as the table at the head of this module says.
    """
    path = Path(path)
    options = {"sequence_column": "sequence", "activity_column": "activity"} | options
    options["families"] = options.get("families", True)
    named = {name: role for role, name in options.items() if role.endswith("_column") and name}
    texts = {name for name, role in named.items() if role in ("sequence_column", "group_column")}
    roles: Any = {"texts": texts, "floats": {*named} - texts}
    frame = read_table(path, named, how=lambda name: remedy(named[name], "yours"), **roles)
    with placed(path, named):
        return dataset_from_frame(frame, name=path.name.split(".")[0], **options)
