"""The book's first figure: coverage under every shift, simulated beside measured.

In: the published tables ``simulation_shifts.csv``, ``mpra_gc_ood.csv`` and
``assay_and_program_shifts.csv``. Out: one row per simulated dose and per measured condition, and
their figure. A simulated shift and its counterpart in the assays share a line.
"""

from pathlib import Path
from typing import NamedTuple

import pandas as pd

from lib.page import charts, names
from lib.page.charts import Figure
from lib.page.grammar import name, ordered, pick
from lib.study import results

SIMULATED, MEASURED = "simulated", "measured"


class Line(NamedTuple):
    """One line of the figure: its label, and the ``shift`` values that stand on it."""

    label: str
    simulated: tuple[str, ...] = ()
    measured: tuple[str, ...] = ()


LINES = (
    Line("no shift", ("none",), ("none",)),
    Line("placebo: a random split", (), ("placebo",)),
    Line("GC content", ("gc",), ("gc_tilt", "gc_high", "gc_low")),
    Line("motif density; design", ("motif_density",), ("design",)),
    Line("species", (), ("species",)),
    Line("motif effects; genotype", ("effect_rewiring",), ("genotype",)),
    Line("the same: signs flipped", ("effect_sign_flip",)),
    Line("the same: effects exchanged", ("effect_permutation",)),
    Line("cell type", ("cell_type",), ("assay",)),
    Line("motifs themselves (PWMs)", ("pwm_perturbation",)),
    Line("grammar of pairs", ("grammar",)),
    Line("promoter of the reporter", (), ("promoter",)),
    Line("batch; library", ("batch",), ("batch",)),
    Line("depth", ("depth",), ("depth",)),
    Line("noise; noisy libraries", ("noise",), ("noise",)),
    Line("GC-dependent amplification", ("gc_amplification",)),
)

# Conditions that repeat a cell with another data treatment; their page shows them.
REPEATS = (
    "from the libraries|censored|ε|trained on|at its depth|like in|by origin|weighted by|"
    "GC matched|one strand|without shared|neutral|term_off|^d="
)
CAPTION = (
    "Coverage of the 90 % intervals of single networks, each trained on one law and tested on "
    "another; the dashed line is what they promise. A dot is one strength of a simulated shift, or "
    "one condition of a real assay, with its 95 % interval. Look for lines whose dots leave the "
    "dashed line to the left: there the intervals no longer hold what they promise. Nothing is "
    "repaired or corrected here; the page on real shifts of assay and program says how much of a "
    "loss is a change of scale."
)


def _coverage(folder: Path, experiment: str, source: str) -> pd.DataFrame:
    """Coverage of the CNN's 90 % intervals in distribution and under shift, main conditions."""
    table = results.read(folder, experiment)
    table = pick(table, metric="picp_90", model="cnn", uncertainty="single")
    table = pick(table, **{c: None for c in ("seed", "by", "split_seed") if c in table})
    if "n_train" in table:
        table = pick(table, n_train=table["n_train"].max())
    found = pick(table, split=["test", "shifted"]).assign(source=source)
    return found[~found["condition"].str.contains(REPEATS)]


def _line(shift: str, source: str) -> str:
    for line in LINES:
        if (shift or "none") in (line.simulated if source == SIMULATED else line.measured):
            return line.label
    raise ValueError(f"{source} shift {shift!r} has no line in the figure; add it to LINES")


def coverage_rows(folder: Path) -> pd.DataFrame:
    """Coverage under every shift, from published tables, in the order of the figure's lines.

    Raises
    ------
    FileNotFoundError
        If a table is missing.
    ValueError
        If a table holds a shift without a line.
    """
    simulated = _coverage(folder, "simulation_shifts", SIMULATED)
    gc = _coverage(folder, "mpra_gc_ood", MEASURED)
    other = _coverage(folder, "assay_and_program_shifts", MEASURED)
    # The experiment on GC shifts is the source of what both tables hold.
    other = other[~other["data"].isin(gc["data"]) | (other["shift"] == "assay")]
    rows = pd.concat([simulated, gc, other])
    lines = [_line(*at) for at in zip(rows["shift"], rows["source"], strict=True)]
    dose = "strength " + rows["severity"].map("{:g}".format) + " "
    condition = dose.where(rows["source"] == SIMULATED, "") + rows["condition"]
    rows = rows.assign(shift=lines, condition=condition.str.strip(), coverage=rows["value"])
    rows = ordered(name(rows, data=names.DATA), shift=[line.label for line in LINES])
    columns = ["shift", "source", "data", "condition", "coverage", "lower", "upper", "n"]
    return rows[columns].reset_index(drop=True)


def figure(folder: Path) -> Figure:
    """The figure of :func:`coverage_rows`."""
    rows = coverage_rows(folder)
    chart = charts.dots(
        rows.rename(columns={"data": "assay"}),
        "coverage",
        "shift",
        colour="source",
        x_title="coverage of 90 % intervals",
        order=[line.label for line in LINES],
        reference=0.9,
    )
    return Figure("headline", chart, rows, CAPTION)
