"""MPRA libraries in mouse retina: peaks, their mutants and designs (Friedman et al. 2025).

In: barcode counts, FASTA files and ``processing_config.yml`` of the authors' repository. Out: one
data set over the chosen libraries; a row is an element in a library, with log2 activity over the
BASAL promoter (over the scrambled elements where BASAL was measured too low, as the authors do; the
column ``reference`` says which). Libraries are batches: one element may stand in several of them.

Relatives: the label's part before the first ``_`` is the genomic origin, and mutants and designs of
one origin are relatives. Origins that share a 20-mer are joined by the rule of
:func:`lib.data.relatives.leak_groups`. Both labellings stand in ``metadata``. Chimeras hold DNA of
two origins and chain half of all elements into one group that no split can keep whole; they are
left out unless asked for.
"""

import re
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import pandas as pd
import yaml

from lib.assays.counts import (
    BarcodeCounts,
    ElementActivities,
    Thresholds,
    activities,
    read_counts,
)
from lib.assays.sources import all_pins, fetch
from lib.data.dataset import SequenceDataset
from lib.data.relatives import leak_groups
from lib.sequences import encode

LIBRARIES = ("1", "2", "3", "4", "5", "6", "7", "9a", "9b")
FIRST_LIBRARIES = ("1", "2", "3", "4", "5")
ELEMENT_LENGTH = 164  # nt
TEST_SETS = ("test_set", "test_set_genomic", "mutagenesis_test_set", "cnn_validation")
GROUPINGS = ("joined", "origin")
CONFIG_PATH = "Data/processing_config.yml"
_FASTA = "Data/Sequences/Fasta/{}.fasta"
_CHIMERA = re.compile(r"\d+chim\d+")
_SUBSTITUTIONS = re.compile(r"[ACGT]\d+[ACGT](,[ACGT]\d+[ACGT])*")


def _config() -> dict[str, Any]:
    return yaml.safe_load(fetch("retina", CONFIG_PATH).read_text(encoding="utf-8"))


def default_thresholds() -> Thresholds:
    """The authors' thresholds, read from ``processing_config.yml``."""
    config = _config()
    return Thresholds(**{item.name: config[item.name] for item in fields(Thresholds)})


def _check_libraries(libraries: Sequence[str]) -> None:
    unknown = [name for name in libraries if name not in LIBRARIES]
    if unknown or len(libraries) == 0 or len(set(libraries)) < len(libraries):
        raise ValueError(
            f"libraries is {tuple(libraries)}; choose among {', '.join(LIBRARIES)}, each once"
        )


def library_counts(library: str) -> BarcodeCounts:
    """Read the barcode counts of one library.

    Raises
    ------
    ValueError
        If there is no such library, and as :mod:`lib.assays.counts` says.
    """
    _check_libraries([library])
    files = _config()["libraries"][f"library{library}"]
    rna = {name: fetch("retina", f"Data/{path}") for name, path in files["rna_files"].items()}
    return read_counts(fetch("retina", f"Data/{files['dna_file'][1]}"), rna)


def parse_fasta(text: str, source: str) -> dict[str, str]:
    r"""Read a FASTA text into label and sequence.

    Raises
    ------
    ValueError
        If it does not start with a header, a record is empty, or a label has two sequences.

    Examples
    --------
    >>> parse_fasta(">a x\nAC\nGT\n", "toy")
    {'a x': 'ACGT'}
    """
    records: dict[str, str] = {}
    for number, record in enumerate(text.replace("\r\n", "\n").split("\n>")):
        label, _, body = record.removeprefix(">").partition("\n")
        sequence = body.replace("\n", "").strip().upper()
        if (number == 0 and not record.startswith(">")) or not label or not sequence:
            raise ValueError(f"{source}: FASTA record {number} has no label or no sequence")
        if records.setdefault(label, sequence) != sequence:
            raise ValueError(f"{source}: the label {label!r} stands for two sequences")
    return records


def _fasta(name: str) -> dict[str, str]:
    path = fetch("retina", _FASTA.format(name))
    return parse_fasta(path.read_text(encoding="utf-8"), str(path))


def sequences() -> dict[str, str]:
    """Label to sequence over all libraries, scrambled elements and standards.

    Raises
    ------
    ValueError
        If a label stands for two sequences.
    """
    every: dict[str, str] = {}
    for name in [*(f"library{library}" for library in LIBRARIES), "scrambled", "standards"]:
        for label, sequence in _fasta(name).items():
            if every.setdefault(label, sequence) != sequence:
                raise ValueError(f"the label {label!r} stands for another sequence in {name}")
    return every


def origin(label: str) -> str:
    """Genomic origin of an element: the label up to its first ``_``.

    Examples
    --------
    >>> origin("chr1-4357766-4357930_CPPP_MUT-allCrxSites")
    'chr1-4357766-4357930'
    """
    return label.split("_", 1)[0]


def design(label: str) -> str:
    """How an element was made, from its label.

    Returns
    -------
    str
        ``genomic``; ``mutant`` (letters, all CRX sites or shape changed); ``chimera`` (of two
        origins); ``designed`` (moved, inserted, deleted or exchanged sites, by hand); ``control``
        (basal, scrambled, building blocks).

    Examples
    --------
    >>> [design(f"chr1-2-3_CPPP_{variant}") for variant in ("WT", "WT;A1G,C7T", "WT;26iCRX-R")]
    ['genomic', 'mutant', 'designed']
    >>> design("BASAL"), design("chr1-2-3_CPPP_scrambled")
    ('control', 'control')
    """
    parts = label.split("_", 2)
    if len(parts) < 3 or parts[2].startswith("scrambled"):
        return "control"
    base, *edits = parts[2].replace(";HAND_", ";").split(";")
    if not edits and base == "WT":
        return "genomic"
    if all(_SUBSTITUTIONS.fullmatch(edit) for edit in edits):
        return "mutant"
    return "chimera" if any(_CHIMERA.fullmatch(edit) for edit in edits) else "designed"


def library_activities(library: str, thresholds: Thresholds | None = None) -> ElementActivities:
    """Activities of one library, controls included.

    Parameters
    ----------
    library : str
        One of :data:`LIBRARIES`.
    thresholds : Thresholds, optional
        By default the authors'.
    """
    chosen = default_thresholds() if thresholds is None else thresholds
    return activities(library_counts(library), chosen, fallback=_fasta("scrambled"))


def _gather(
    libraries: Sequence[str], thresholds: Thresholds
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Elements of all libraries below each other, and what was dropped on the way."""
    frames = []
    counted: dict[str, int] = {}
    fallback = _fasta("scrambled")
    for library in libraries:
        counts = library_counts(library)
        result = activities(counts, thresholds, fallback)
        frames.append(result.frame.assign(library=library, reference=result.reference))
        for what, times in (result.dropped | counts.repairs).items():
            counted[what] = counted.get(what, 0) + times
    return pd.concat(frames, ignore_index=True), counted


def _drop(
    frame: pd.DataFrame, wrong: pd.Series, what: str, counted: dict[str, int]
) -> pd.DataFrame:
    counted[what] = int(wrong.sum())
    return frame[~wrong]


def load(
    libraries: Sequence[str] = FIRST_LIBRARIES,
    thresholds: Thresholds | None = None,
    grouping: str = "joined",
    keep_chimeras: bool = False,
    keep_controls: bool = False,
) -> SequenceDataset:
    """Read libraries as one data set.

    Parameters
    ----------
    libraries : sequence of str
        Among :data:`LIBRARIES`, each once.
    thresholds : Thresholds, optional
        By default the authors'.
    grouping : str
        What ``group`` is: ``joined`` (origins that share a 20-mer are one group) or ``origin``.
    keep_chimeras : bool
        Whether elements made of two origins stay.
    keep_controls : bool
        Whether scrambled elements stay, e.g. as labels shared between libraries.

    Returns
    -------
    SequenceDataset
        164 nt, not oriented, activity in log2 over BASAL, ``noise_std`` from the replicates.
        ``metadata``: ``label``, ``library``, ``origin``, ``design``, depth (``n_barcodes``,
        ``dna_count``, ``rna_count``), ``replicate_cv``, ``barcode_cv``, ``reference``,
        ``group_origin``, ``group_joined`` and one boolean column per published test set.
        ``repairs`` counts dropped barcodes, elements and controls.

    Raises
    ------
    ValueError
        If a library or grouping is unknown, and as :mod:`lib.assays.counts` says.
    """
    _check_libraries(libraries)
    if grouping not in GROUPINGS:
        raise ValueError(f"grouping is {grouping!r}; choose among {', '.join(GROUPINGS)}")
    chosen = default_thresholds() if thresholds is None else thresholds
    frame, counted = _gather(libraries, chosen)
    frame["sequence"] = frame["label"].map(sequences())
    frame["design"] = frame["label"].map(design)
    basal = frame["label"].str.startswith(chosen.basal_key)
    frame = _drop(frame, basal, "reference rows dropped", counted)
    frame = _drop(frame, frame["sequence"].isna(), "elements without a sequence", counted)
    other = frame["sequence"].str.len() != ELEMENT_LENGTH
    frame = _drop(frame, other, "elements of another length", counted)
    for kind, kept in (("control", keep_controls), ("chimera", keep_chimeras)):
        if not kept:
            frame = _drop(frame, frame["design"] == kind, f"{kind}s dropped", counted)
    frame = frame.reset_index(drop=True)
    codes = encode(frame["sequence"].tolist())
    origins = frame["label"].map(origin)
    groups = {
        "origin": np.unique(origins, return_inverse=True)[1].astype(np.int64),
        "joined": leak_groups(codes, parents=origins.to_numpy(str)),
    }
    metadata = frame.drop(columns=["activity", "noise_std", "sequence"]).assign(
        origin=origins,
        group_origin=groups["origin"],
        group_joined=groups["joined"],
        **{name: frame["label"].isin(list(_fasta(name))) for name in TEST_SETS},
    )
    return SequenceDataset(
        name="retina_libraries",
        codes=codes,
        activity=frame["activity"].to_numpy(np.float64),
        group=groups[grouping],
        noise_std=frame["noise_std"].to_numpy(np.float64),
        unit="log2 RNA/DNA over BASAL",
        metadata=metadata,
        repairs=counted,
    )


def paths(libraries: Sequence[str] = FIRST_LIBRARIES) -> tuple[str, ...]:
    """Upstream paths of all files that :func:`load` reads."""
    _check_libraries(libraries)
    folders = tuple(f"Data/Measurements/Library{library}/" for library in libraries)
    counts = [pin.path for pin in all_pins() if pin.path.startswith(folders)]
    fasta = [*(f"library{library}" for library in LIBRARIES), "scrambled", "standards", *TEST_SETS]
    return (CONFIG_PATH, *counts, *(_FASTA.format(name) for name in fasta))
