"""The book's first figure: coverage under every shift, simulated beside measured.

In: the published rows of notebooks 01, 02 and 05. Out: a figure; a simulated shift and its
counterpart in the assays share a line.
"""

from pathlib import Path

import pandas as pd

from lib.page.charts import Figure
from lib.page.grammar import dots, name, ordered, pick
from lib.page.names import DATA
from lib.study import results

# Label of a line: the shifts on it, simulated and measured.
LINES = {
    "no shift": ("none", "none"),
    "placebo: a random split": ("", "placebo"),
    "GC content": ("gc", "gc_tilt gc_high gc_low"),
    "motif density; design": ("motif_density", "design"),
    "species": ("", "species"),
    "motif effects; genotype": ("effect_rewiring", "genotype"),
    "the same: signs flipped": ("effect_sign_flip", ""),
    "the same: effects exchanged": ("effect_permutation", ""),
    "cell type": ("cell_type", "assay"),
    "motifs themselves (PWMs)": ("pwm_perturbation", ""),
    "grammar of pairs": ("grammar", ""),
    "promoter of the reporter": ("", "promoter"),
    "batch; library": ("batch", "batch"),
    "depth": ("depth", "depth"),
    "noise; noisy libraries": ("noise", "noise"),
    "GC-dependent amplification": ("gc_amplification", ""),
}
ORIGINS = DATA | {
    "plant_leaf": "plant promoters, leaf",
    "plant_proto": "plant promoters, protoplast",
    "retina_libraries": "retina libraries",
}
# Conditions that repeat a cell with another data treatment; their page shows them.
REPEATS = (
    "from the libraries|censored|ε|trained on|at its depth|like in|by origin|weighted by|"
    "GC matched|one strand|without shared|neutral|term_off|^d="
)


def _covered(folder: Path, experiment: str, source: str) -> pd.DataFrame:
    rows = results.read(folder, experiment)
    kept = {"metric": "picp_90", "model": "cnn", "uncertainty": "single", "seed": None, "by": None}
    kept |= {"split_seed": None} if "split_seed" in rows else {}
    kept |= {"n_train": rows["n_train"].max()} if "n_train" in rows else {}
    rows = pick(rows, split=["test", "shifted"], **kept)
    rows = rows[~rows["condition"].str.contains(REPEATS)]
    lines = {s: line for line, both in LINES.items() for s in both[source == "measured"].split()}
    rows = rows.assign(source=source, what=rows["shift"].replace("", "none"))
    if unknown := set(rows["what"]) - set(lines):
        raise ValueError(f"{source} shift {min(unknown)!r} has no line in the figure; add it")
    return rows.assign(shift=rows["what"].map(lines))


def headline(folder: Path) -> Figure:
    """Coverage of the CNN's 90 % intervals; a ValueError names a shift without a line."""
    simulated = _covered(folder, "simulation_shifts", "simulated")
    dose = "strength " + simulated["severity"].map("{:g} ".format)
    simulated["condition"] = (dose + simulated["condition"]).str.strip()
    gc = _covered(folder, "mpra_gc_ood", "measured")
    other = _covered(folder, "assay_and_program_shifts", "measured")
    # The experiment on GC shifts is the source of what both tables hold.
    other = other[~other["data"].isin(gc["data"]) | (other["what"] == "assay")]
    rows = ordered(pd.concat([simulated, gc, other]), shift=LINES)
    return dots(
        "headline",
        name(rows, data=ORIGINS).rename(columns={"data": "assay", "value": "coverage"}),
        "shift source assay condition coverage lower upper n",
        "shift",
        "coverage",
        colour="source",
        x_title="coverage of 90 % intervals",
        order=[*LINES],
        reference=0.9,
        caption="Coverage of the 90 % intervals of single networks, each trained on one law and "
        "tested on another; the dashed line is what they promise. A dot is one strength of a "
        "simulated shift, or one condition of a real assay, with its 95 % interval. Look for lines "
        "whose dots leave the dashed line to the left: there the intervals no longer hold what "
        "they promise. Nothing is repaired or corrected here; the page on real shifts of assay and "
        "program says how much of a loss is a change of scale.",
    )
