"""What a network is asked about, and under which names.

In: rows of a data set. Out: :class:`Asked`. ``split`` is ``test`` in distribution, ``inside`` for
what a shifted part is compared with where that is not the test part, ``shifted`` for the shift and
``matched`` for the same elements and labels judged by a network trained on the shifted law.
"""

from typing import Any, NamedTuple

import numpy as np

from lib.arrays import FloatArray, IndexArray
from lib.data.dataset import SequenceDataset

_KINDS = {
    "concept": ("genotype", "assay"),
    "technical": ("promoter", "batch", "depth", "noise"),
    "covariate": ("species", "design", "gc_high", "gc_low", "gc_tilt"),
    "": ("", "placebo"),
}
FAMILIES = {shift: family for family, shifts in _KINDS.items() for shift in shifts}
LIBRARIES = "from the libraries"
CENSORED = "with censored"
SENSITIVITIES = {"ε / 4": 0.25, "4 ε": 4.0}  # of the offset added to every mean
TRAINED_ON = "trained on "
# Inside parts made like a shifted one: two are resampled, the labels of one are measured again.
ALIKE = ("like in prediction and GC", "GC matched", "others at its depth")


class RealCondition(NamedTuple):
    """The column ``condition``: what differs from home, and marks of how that was looked at.

    Examples
    --------
    >>> RealCondition.parse("Ehom, 4 ε"), str(RealCondition("", (LIBRARIES,)))
    (RealCondition(name='Ehom', marks=('4 ε',)), 'from the libraries')
    """

    name: str
    marks: tuple[str, ...] = ()

    def __str__(self) -> str:
        return ", ".join([self.name, *self.marks] if self.name else self.marks)

    @classmethod
    def parse(cls, text: str) -> "RealCondition":
        """The condition of a result row."""
        name, *marks = text.split(", ")
        known = (LIBRARIES, CENSORED, *SENSITIVITIES)
        return cls("", (name, *marks)) if name in known else cls(name, tuple(marks))

    @property
    def is_choice(self) -> bool:
        """Whether the part is there to show what a choice changes, such as the offset."""
        return any(mark in (CENSORED, *SENSITIVITIES) for mark in self.marks)

    @property
    def pool(self) -> str:
        """The two genotypes that the network was trained on instead of wild type, or nothing."""
        found = [mark for mark in self.marks if mark.startswith(TRAINED_ON)]
        return found[0].removeprefix(TRAINED_ON) if found else ""

    def reference(self, shift: str) -> tuple[str, str, str]:
        """Split, shift and condition of the part that a shifted one is compared with."""
        if LIBRARIES in self.marks:
            return "test", "", LIBRARIES
        if self.is_choice:
            return "test", "", self.marks[0]
        if self.pool:
            return "shifted", shift, self.name
        held_out = shift in ("batch", "assay", "species", "gc_high", "gc_low")
        if held_out or (shift == "placebo" and not self.name.startswith("retina")):
            return "inside", shift, self.name
        return ("inside", shift, "genomic") if shift == "design" else ("test", "", "")


class Asked(NamedTuple):
    """A part that a network is judged on.

    ``rows`` are of the network's own data, or of the genotypes' elements where ``foreign``;
    ``target``, ``group``, ``gc`` and ``noise`` (measured standard error of ``target``, if known)
    belong to them. A part with ``like``, rows of the network's data, is resampled to resemble them
    in predicted activity and GC content. ``severity`` is known of parts made by GC content.
    """

    split: str
    shift: str
    condition: RealCondition
    data: str
    rows: IndexArray
    target: FloatArray
    group: IndexArray
    gc: FloatArray
    noise: FloatArray | None
    foreign: bool = False
    like: IndexArray | None = None
    severity: float = np.nan

    @property
    def keys(self) -> dict[str, Any]:
        """Columns of its rows but severity and what names the forecast."""
        names = {"data": self.data, "split": self.split, "shift": self.shift}
        return names | {"family": FAMILIES[self.shift], "condition": str(self.condition)}


def ask(
    data: SequenceDataset,
    split: str,
    shift: str,
    condition: str | RealCondition,
    rows: IndexArray,
    target: FloatArray | None = None,
    **more: Any,
) -> Asked:
    """A part of ``rows``; their own labels unless ``target`` (per row of the data) is given."""
    # The measured error is that of the data's own labels.
    known = target is None and data.noise_std is not None
    named = RealCondition(condition) if isinstance(condition, str) else condition
    given = {
        "target": (data.activity if target is None else target)[rows],
        "group": data.group[rows],
        "gc": data.gc[rows],
        "noise": data.noise_std[rows] if known and data.noise_std is not None else None,
    }
    return Asked(split, shift, named, data.name, rows, **(given | more))
