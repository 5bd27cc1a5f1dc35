"""Tables of notebook 05 on depth, measured noise and limits of detection.

In: :class:`lib.study.found.Tables`. Out: Table; no number is typed here.
"""

import pandas as pd

from lib.experiments.real_page import DATA, labelled
from lib.page.charts import Table
from lib.page.notes import interval
from lib.study.found import Tables

UNTOUCHED = ("gc_tilt", "placebo")  # shifts that leave the noise as it is
QUANTITIES = {
    "reliability": "reliability",
    "pearson_r": "r",
    "pearson_r_ceiling": "highest r",
    "pearson_r_deattenuated": "r, noise taken out",
    "noise_share": "noise in squared error",
    "variance_ratio": "predicted over measured noise",
    "share_below": "elements below it",
}


def noise_table(tables: Tables) -> Table:
    """Measured noise: what it explains, and whether the forecast allows for it."""
    table = tables.tables["noise"]
    table = table[table["quantity"].isin(QUANTITIES) & table["split"].isin(["test", "shifted"])]
    condition = table["condition"].astype(str)
    table = table[~condition.str.contains("trained on") & ~table["shift"].isin(UNTOUCHED)]
    where = labelled(table).where(table["shift"] != "", "in distribution: " + condition)
    data = table["data"].map(DATA).fillna(table["data"])
    cells = table.assign(
        what=data + ", " + where.str.removesuffix(": "),
        quantity=table["quantity"].map(QUANTITIES),
        text=[interval(row) for _, row in table.iterrows()],
    )
    wide = cells.pivot_table(
        index=["what", "errors"], columns="quantity", values="text", aggfunc="first",
        sort=False,
    )  # fmt: skip
    wide = wide[[name for name in QUANTITIES.values() if name in wide]]
    caption = (
        "Measured noise. Reliability is the share of the variance that is no noise, and its root "
        "the highest r that a perfect model could reach; r with the noise taken out may pass 1. "
        "Predicted over measured noise: at least 1 where the predicted aleatoric variance allows "
        "for the measured one. Errors come from replicates (a lower bound: they share barcodes) "
        "or from the spread between barcodes."
    )
    return Table(wide.rename_axis(None, axis=1).reset_index(), caption)


def depth_table(tables: Tables) -> Table:
    """Variance that thinning adds, measured and by the delta method."""
    table = tables.tables["depth_check"]
    text = pd.DataFrame(
        {
            "reads kept": [f"1/{round(1 / factor)}" for factor in table["factor"]],
            "of": table["side"].map({"joint": "DNA and RNA", "dna": "DNA", "rna": "RNA"}),
            "added, measured": table["measured"].map("{:.4f}".format),
            "delta method": table["delta"].map("{:.4f}".format),
            "ratio": table["ratio"].map("{:.3f}".format),
            "elements": table["n"],
            "dropped": table["dropped"],
        }
    )
    caption = (
        "Thinned counts against theory: variance of log2 RNA/DNA that fewer reads add, over "
        "elements that keep enough counts at every depth; the others are dropped and counted. A "
        "ratio near 1 says that thinning does what 1/RNA + 1/DNA says."
    )
    return Table(text, caption)


def noise_library_table(tables: Tables) -> Table:
    """The noisy libraries beside others thinned to their depth."""
    table = tables.tables["noise_libraries"]
    wide = table.pivot(index="measure", columns=["library", "state"], values="value")
    wide.columns = pd.Index([", ".join(name) for name in wide.columns])
    caption = (
        "The noisy libraries beside the others, as they are and with as few reads per barcode. "
        "What thinning reproduces is depth; the rest of a noisy library's error is not. The "
        "filter on the spread between replicates is off here."
    )
    return Table(wide.reset_index(), caption)


def censored_table(tables: Tables) -> Table:
    """Lines on wild type with and without the elements at their limit of detection."""
    table = tables.tables["censored"]
    names = {"slope": "slope", "std": "residual s.d."}
    cells = table.assign(
        what=labelled(table),
        text=[interval(row) for _, row in table.iterrows()],
        column=table["quantity"].map(names) + ", " + table["treatment"],
    )
    counts = table.groupby(["shift", "condition"], sort=False)["censored"].max()
    wide = cells.pivot_table(
        index=["shift", "condition", "what"], columns="column", values="text", aggfunc="first",
        sort=False,
    ).rename_axis(None, axis=1)  # fmt: skip
    wide["at the limit"] = [counts[key[:2]] for key in wide.index]
    wide = wide.reset_index("what").rename(columns={"what": "against wild type on rho"})
    caption = (
        "Elements with a mean of zero are censored, not missing: their activity lies at or below a "
        "limit. Least squares over the elements that are quantified everywhere beside a censored "
        "regression over all of them, both on measured wild type, whose own noise flattens both."
    )
    return Table(wide.reset_index(drop=True), caption)
