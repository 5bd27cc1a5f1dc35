"""MPRA libraries in mouse retina: peaks, their mutants and designs (Friedman et al. 2025).

In: barcode counts, FASTA files and ``processing_config.yml`` of the authors' repository. Out: one
data set over the chosen libraries; a row is an element in a library, with log2 activity over the
BASAL promoter (over the scrambled elements where BASAL was measured too low, as the authors do).
Libraries are batches: one element may stand in several of them.

Relatives: the label's part before the first ``_`` is the genomic origin, and mutants and designs of
one origin are relatives. Origins that share a 20-mer are joined by the rule of
:func:`lib.data.leakage.leak_groups`. Chimeras hold DNA of two origins and chain half of all
elements into one group that no split can keep whole; they are left out, as are the controls.
"""

import re
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import pandas as pd
import yaml

from lib.assays.counts import BarcodeCounts, Thresholds, activities, read_counts
from lib.assays.sources import fetch
from lib.data.dataset import SequenceDataset
from lib.data.fasta import read_records
from lib.data.leakage import leak_groups
from lib.sequences import encode

LIBRARIES = ("1", "2", "3", "4", "5", "6", "7", "9a", "9b")
FIRST_LIBRARIES = ("1", "2", "3", "4", "5")
ELEMENT_LENGTH = 164  # nt
CONFIG_PATH = "Data/processing_config.yml"
_CHIMERA = re.compile(r"\d+chim\d+")
_SUBSTITUTIONS = re.compile(r"[ACGT]\d+[ACGT](,[ACGT]\d+[ACGT])*")


def _config() -> dict[str, Any]:
    return yaml.safe_load(fetch("retina", CONFIG_PATH).read_text(encoding="utf-8"))


def default_thresholds() -> Thresholds:
    """The authors' thresholds, read from ``processing_config.yml``."""
    config = _config()
    return Thresholds(**{item.name: config[item.name] for item in fields(Thresholds)})


def library_counts(library: str) -> BarcodeCounts:
    """The barcode counts of one library; ``ValueError`` as :mod:`lib.assays.counts` says."""
    files = _config()["libraries"][f"library{library}"]
    rna = [fetch("retina", f"Data/{path}") for path in files["rna_files"].values()]
    return read_counts(fetch("retina", f"Data/{files['dna_file'][1]}"), rna)


def _fasta(name: str) -> dict[str, str]:
    return read_records(fetch("retina", f"Data/Sequences/Fasta/{name}.fasta"))


def scrambled() -> tuple[str, ...]:
    """Labels that are the reference where the basal promoter was measured too low."""
    return tuple(_fasta("scrambled"))


def sequences() -> dict[str, str]:
    """Label to sequence over all libraries, scrambled elements and standards."""
    every: dict[str, str] = {}
    for name in [*(f"library{library}" for library in LIBRARIES), "scrambled", "standards"]:
        every |= _fasta(name)
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


def load(libraries: Sequence[str] = FIRST_LIBRARIES) -> SequenceDataset:
    """Read libraries as one data set.

    Parameters
    ----------
    libraries : sequence of str
        Of :data:`LIBRARIES`, each once.

    Returns
    -------
    SequenceDataset
        164 nt, not oriented, activity in log2 over BASAL, ``noise_std`` from the replicates.
        ``metadata``: ``label``, ``library``, ``origin`` and ``design``. ``repairs`` counts
        dropped barcodes and elements.
    """
    thresholds, fallback = default_thresholds(), scrambled()
    found = [activities(library_counts(name), thresholds, fallback) for name in libraries]
    frame = pd.concat(
        [own.frame.assign(library=name) for name, own in zip(libraries, found, strict=True)]
    )
    repairs = {what: sum(own.dropped[what] for own in found) for what in found[0].dropped}
    frame["sequence"] = frame["label"].map(sequences())
    frame["design"] = frame["label"].map(design)
    for what, wrong in (
        ("reference rows", lambda rows: rows["label"].str.startswith(thresholds.basal_key)),
        ("elements without a sequence", lambda rows: rows["sequence"].isna()),
        ("elements of another length", lambda rows: rows["sequence"].str.len() != ELEMENT_LENGTH),
        ("controls", lambda rows: rows["design"] == "control"),
        ("chimeras", lambda rows: rows["design"] == "chimera"),
    ):
        dropped = wrong(frame)
        repairs[f"{what} dropped"] = int(dropped.sum())
        frame = frame[~dropped]
    frame = frame.reset_index(drop=True)
    frame["origin"] = frame["label"].map(origin)
    codes = encode(frame.pop("sequence").tolist())
    group = leak_groups(codes, parents=frame["origin"].to_numpy(str))
    activity, noise = (frame.pop(name).to_numpy(np.float64) for name in ("activity", "noise_std"))
    own = codes, activity, group, noise
    return SequenceDataset("retina_libraries", *own, metadata=frame, repairs=repairs)
