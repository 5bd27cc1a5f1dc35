"""The book's first figure: coverage under every shift, simulated beside measured.

In: the published tables ``simulation_shifts.csv``, ``mpra_gc_ood.csv`` and
``assay_and_program_shifts.csv``. Out: one row per simulated dose and per measured condition, and
their figure. A simulated shift and its counterpart in the assays share a line.
"""

from pathlib import Path
from typing import NamedTuple

import pandas as pd

from lib.page.charts import Figure, dots
from lib.study import results

SIMULATED, MEASURED = "simulated", "measured"
ORIGINS = {
    "simulation": "simulation",
    "wtc11": "WTC11",
    "plant_leaf": "plant promoters, leaf",
    "plant_proto": "plant promoters, protoplast",
    "retina_libraries": "retina libraries",
    "retina_genotypes": "retina genotypes",
}


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


def _coverage(folder: Path, experiment: str) -> pd.DataFrame:
    """Coverage of the CNN's 90 % intervals in distribution and under shift, main conditions."""
    table = results.read(folder, experiment)
    table[["shift", "condition"]] = table[["shift", "condition"]].astype(object).fillna("")
    keep = (table["metric"] == "picp_90") & (table["model"] == "cnn")
    keep &= (table["uncertainty"] == "single") & table["split"].isin(["test", "shifted"])
    for column in ("seed", "by", "split_seed"):
        if column in table:
            keep &= table[column].isna()
    if "n_train" in table:
        keep &= table["n_train"] == table["n_train"].max()
    keep &= ~table["condition"].str.contains(REPEATS)
    found = table[keep].assign(shift=lambda rows: rows["shift"].replace("", "none"))
    return found[["data", "shift", "severity", "condition", "value", "lower", "upper", "n"]]


def _line(shift: str, source: str) -> str:
    for line in LINES:
        if shift in (line.simulated if source == SIMULATED else line.measured):
            return line.label
    raise ValueError(f"{source} shift {shift!r} has no line in the figure; add it to LINES")


def coverage_rows(folder: Path) -> pd.DataFrame:
    """Coverage under every shift, in the order of the figure's lines.

    Parameters
    ----------
    folder : Path
        Published tables.

    Returns
    -------
    DataFrame
        ``shift`` (label of a line), ``source`` (simulated or measured), ``data``, ``condition``,
        ``coverage``, ``lower``, ``upper``, ``n`` (test elements).

    Raises
    ------
    FileNotFoundError
        If a table is missing.
    ValueError
        If a table holds a shift without a line.
    """
    simulated = _coverage(folder, "simulation_shifts").assign(source=SIMULATED)
    gc = _coverage(folder, "mpra_gc_ood")
    other = _coverage(folder, "assay_and_program_shifts")
    # The experiment on GC shifts is the source of what both tables hold.
    other = other[~other["data"].isin(gc["data"]) | (other["shift"] == "assay")]
    rows = pd.concat([simulated, gc.assign(source=MEASURED), other.assign(source=MEASURED)])
    names = [
        _line(shift, source) for shift, source in zip(rows["shift"], rows["source"], strict=True)
    ]
    dose = "strength " + rows["severity"].map("{:g}".format)
    condition = rows["condition"].where(rows["source"] == MEASURED, dose + " " + rows["condition"])
    order = {line.label: place for place, line in enumerate(LINES)}
    rows = rows.assign(shift=names, condition=condition.str.strip())
    origins = [ORIGINS.get(name, name) for name in rows["data"]]
    rows = rows.assign(data=origins, coverage=rows["value"])
    rows = rows.sort_values("shift", key=lambda names: names.map(order), kind="stable")
    columns = ["shift", "source", "data", "condition", "coverage", "lower", "upper", "n"]
    return rows[columns].reset_index(drop=True)


def figure(folder: Path) -> Figure:
    """The figure of :func:`coverage_rows`."""
    rows = coverage_rows(folder)
    drawn = rows.rename(columns={"data": "assay"})
    chart = dots(
        drawn,
        "coverage",
        "shift",
        colour="source",
        x_title="coverage of 90 % intervals",
        order=[line.label for line in LINES],
        reference=0.9,
    )
    return Figure("headline", chart, rows, CAPTION)
