"""Text, tables and figures of notebook 03, made from the experiment's tables.

In: :class:`lib.study.found.Tables`. Out: Markdown, :class:`lib.page.charts.Table` and
:class:`lib.page.charts.Figure`. No number is typed here: all come from the tables.
"""

import pandas as pd
from IPython.display import Markdown

from lib.experiments.prior_effects import cell_name
from lib.experiments.prior_page_assays import AGAINST, assay_sentences, first
from lib.experiments.prior_worlds import MAIN_MODEL
from lib.experiments.structural_priors import LINEAR_MODEL, PRIMARY, Config
from lib.page.charts import Figure, Table, dots, heat_map, lines
from lib.page.grammar import listed
from lib.page.names import FAMILIES, SHIFTS
from lib.page.notes import interval, profile_note
from lib.study.found import Tables

PRIORS = {
    "motif_true": "true motifs (upper bound)",
    "motif_decoy": "motifs with decoys",
    "motif_perturbed": "perturbed motifs",
    "motif_unrelated": "unrelated motifs",
    "kmer": "4-mers",
    "gc_windowed": "GC in windows",
    "gc": "GC",
    "cpg": "CpG",
    "none": "none",
    "permuted": "permuted (placebo)",
    "random": "random (placebo)",
    "width_matched": "wider head (placebo)",
}
ENTRIES = {"late": "late", "residual": "linear first", "filters": "as filters"}
MODELS = {"reference_cnn": "small CNN", "bilstm": "BiLSTM", "transformer": "transformer"}
MODELS |= {LINEAR_MODEL: "linear model of the prior alone"}


def _effects(found: Tables, effect: str, **keys: object) -> pd.DataFrame:
    rows = found.tables["effects"]
    rows = rows[rows["effect"] == effect]
    for column, value in ({"data": "simulation"} | keys).items():
        rows = rows[rows[column] == value]
    return rows


def _main(found: Tables, config: Config, effect: str, **keys: object) -> pd.DataFrame:
    """Effects of the full-size main network with its features beside the embedding."""
    given = {"model": MAIN_MODEL, "entry": "late", "n_train": config.n_train}
    return _effects(found, effect, **given, **keys)


def _spoken(cell: str) -> str:
    """A condition as readers call it."""
    shift, _, point = cell.partition(" ")
    return f"{SHIFTS.get(shift, shift)} {point}".strip()


def _home_sentence(found: Tables, config: Config) -> str:
    home = {"split": "test", "prior": "motif_decoy"}
    placebo = first(_main(found, config, "rmse_f_ratio", against="permuted", **home))
    plain = first(_main(found, config, "rmse_f_ratio", against="none", **home))
    if placebo is None or plain is None:
        return ""
    text = (
        "- **In distribution**, motif features with decoys bring the error against the true "
        f"activity to {interval(placebo, 3)} times that of a network with permuted features, and "
        f"to {interval(plain, 3)} times that of one without any."
    )
    if max(placebo["upper"], plain["upper"]) >= 1:
        text += " Where the interval reaches one, there may be no gain at all."
    own = first(
        _main(found, config, "rmse_f_ratio", split="test", prior="permuted", against="none")
    )
    if own is not None:
        harm = own["lower"] > 1 or own["upper"] < 1
        text += (
            f" The placebo itself is at {interval(own, 3)} times the network without features"
            + (", so that part of the gain over it is the placebo's harm." if harm else ".")
        )
    bound = first(
        _main(found, config, "rmse_f_ratio", split="test", prior="motif_true", against="permuted")
    )
    if bound is not None:
        text += f" The generator's own motif responses, an upper bound, reach {interval(bound, 3)}."
    return text


def _shift_sentence(found: Tables, config: Config) -> str:
    cells = [cell_name(condition) for condition in PRIMARY]
    rows = _main(found, config, "rmse_f_ratio", prior="motif_decoy", against="permuted")
    rows = rows[rows["cell"].isin(cells) & (rows["split"] == "shifted")]
    if rows.empty:
        return ""
    said = [f"{_spoken(row['cell'])} {interval(row, 3)}" for _, row in rows.iterrows()]
    unclear = [_spoken(row["cell"]) for _, row in rows.iterrows() if row["upper"] >= 1]
    text = f"- **Under shift** the same ratio is, by shift: {listed(said)}."
    if unclear:
        text += f" Under {listed(unclear)} the interval reaches one: no gain is certain there."
    line = _main(found, config, "rmse_f_over_line", prior="motif_decoy")
    if not line.empty:
        beyond = [_spoken(row["cell"]) for _, row in line.iterrows() if row["upper"] < 1]
        text += (
            " Compared with networks without a prior that are as accurate in distribution, it is "
            + (f"more robust under {listed(beyond)}" if beyond else "more robust under no shift")
            + (", and not with certainty under the others." if 0 < len(beyond) < len(line) else ".")
        )
    return text


def _noise_sentence(found: Tables, config: Config) -> str:
    noise, genomic = (
        first(_main(found, config, name, prior="motif_decoy", against="permuted"))
        for name in ("gain_at_noise", "gain_under_shifts")
    )
    if noise is None or genomic is None:
        return ""
    return (
        "- **Where noise dominates**, in training and test, the features take "
        f"{interval(noise, 3)} of the placebo's squared error against the true activity; under "
        f"the genomic shifts they take {interval(genomic, 3)} on average."
    )


def answer(found: Tables, config: Config) -> Markdown:
    """What priors do, in a sentence per claim."""
    said = [
        profile_note(config.profile),
        _home_sentence(found, config),
        _shift_sentence(found, config),
        _noise_sentence(found, config),
        *assay_sentences(found),
    ]
    return Markdown("\n".join(line for line in said if line))


def prior_figure(found: Tables, config: Config) -> Figure:
    """Error in distribution over that of the placebo and of no prior, prior by prior."""
    rows = _main(found, config, "rmse_f_ratio", split="test")
    rows = rows[rows["prior"].isin(list(PRIORS))]
    table = rows.assign(prior=rows["prior"].map(PRIORS), against=rows["against"].map(AGAINST))
    table = table[["prior", "against", "value", "lower", "upper", "worlds"]].round(4)
    chart = dots(
        table,
        "value",
        "prior",
        colour="against",
        x_title="error against the true activity, ratio",
        order=[name for name in PRIORS.values() if name in set(table["prior"])],
        reference=1.0,
    )
    caption = (
        "Error against the noise-free activity in distribution, with a prior over that with "
        "permuted motif features and over that without any; geometric mean over worlds with 95 % "
        "intervals. A prior helps where the whole interval lies left of one in both comparisons."
    )
    return Figure("priors", chart, table, caption)


def shift_map(found: Tables, config: Config) -> Figure:
    """Error over that of the placebo by shift and prior."""
    rows = _main(found, config, "rmse_f_ratio", against="permuted", split="shifted")
    rows = rows[rows["prior"].isin(["motif_true", "motif_decoy", "motif_unrelated", "gc", "none"])]
    names = [name for name in PRIORS if name in set(rows["prior"])]
    rows = rows.assign(
        order=rows["prior"].map(names.index),
        first=rows["family"].map(FAMILIES.index),
        name=rows["cell"].map(_spoken),
        prior=rows["prior"].map(lambda name: name.replace("motif_", "")),
    ).sort_values(["first", "name", "order"])
    table = rows[["family", "name", "prior", "value", "lower", "upper"]].round(4)
    chart = heat_map(
        table,
        "prior",
        "name",
        "value",
        x_title="prior",
        title="error, ratio",
        domain=(1.2, 0.8),
        middle=1.0,
        facet="family",
        columns=1,
    )
    caption = (
        "Error against the noise-free activity under each shift, over that of the network with "
        "permuted motif features. Blue is better than the placebo. The number after a shift is its "
        "severity on the dial, or the distance d it was set to."
    )
    return Figure("priors-under-shift", chart, table, caption)


def line_table(found: Tables, config: Config) -> Table:
    """Robustness beyond accuracy."""
    rows = _main(found, config, "rmse_f_over_line")
    rows = rows[rows["prior"].isin(["motif_true", "motif_decoy", "gc", "permuted"])]
    rows = rows.assign(
        shift=rows["cell"].map(_spoken),
        prior=rows["prior"].map(PRIORS),
        text=[interval(row, 3) for _, row in rows.iterrows()],
    )
    wide = rows.pivot_table(
        index="shift", columns="prior", values="text", aggfunc="first", sort=False
    )
    caption = (
        "Shifted error over the one that networks without a prior have at the same error in "
        "distribution (a line through training sizes within each world). Below one a prior gives "
        "robustness beyond the accuracy it gives."
    )
    return Table(wide.rename_axis(None, axis=1).reset_index(), caption)


def entry_figure(found: Tables, config: Config) -> Figure:
    """Ways in, and other architectures: error over that of the same way with the placebo."""
    rows = _effects(found, "rmse_f_ratio", split="test", against="permuted")
    full = rows["n_train"].isin([config.n_train, config.other_train])
    rows = rows[full & rows["prior"].isin(["motif_true", "motif_decoy", "gc", "none"])]
    way = rows["model"].map(MODELS) + ", " + rows["entry"].map(ENTRIES)
    table = rows.assign(way=way, prior=rows["prior"].map(PRIORS))
    table = table[["way", "prior", "value", "lower", "upper", "worlds"]].round(4)
    chart = dots(
        table,
        "value",
        "way",
        colour="prior",
        x_title="error against the true activity, ratio",
        order=list(dict.fromkeys(table["way"])),
        reference=1.0,
    )
    caption = (
        "Three ways into the small CNN (late: beside the embedding), and the late way into other "
        "networks: error in distribution over that of the same network with permuted features (of "
        "filters: motifs with positions and letters in random order)."
    )
    return Figure("ways-in", chart, table, caption)


def noise_figure(found: Tables, config: Config) -> Figure:
    """Share of the error closed as the noise of training and test grows."""
    rows = _main(found, config, "share_closed", prior="motif_decoy")
    rows = rows[(rows["split"] == "test") | (rows["split"] == "matched")]
    table = rows.assign(against=rows["against"].map(AGAINST))
    table = table[["against", "severity", "value", "lower", "upper", "worlds"]].round(4)
    chart = lines(
        table.sort_values("severity"),
        "severity",
        "value",
        colour="against",
        x_title="noise in training and test, severity on the dial",
        y_title="share of squared error closed",
        reference=0.0,
    )
    caption = (
        "Share of the squared error against the noise-free activity that motif features with "
        "decoys close, as noise grows in training and test. All of that error is reducible: the "
        "oracle's is zero."
    )
    return Figure("noise-ladder", chart, table, caption)


def learning_figure(found: Tables, config: Config) -> Figure:
    """R² against f by size of the training sample."""
    rows = found.rows
    rows = rows[(rows["metric"] == "r2_f") & (rows["split"] == "test")]
    rows = rows[(rows["data"] == "simulation") & (rows["model"] == MAIN_MODEL)]
    rows = rows[(rows["entry"] == "late") & rows["prior"].isin(["none", "motif_decoy", "permuted"])]
    table = rows.assign(prior=rows["prior"].map(PRIORS))
    table = table[["prior", "n_train", "value", "lower", "upper", "worlds"]].round(4)
    chart = lines(
        table.sort_values("n_train"),
        "n_train",
        "value",
        colour="prior",
        x_title="training elements",
        y_title="R² against the true activity",
    )
    caption = (
        "Learning curves: share of the variance of the noise-free activity explained in "
        "distribution. Small samples were trained for more epochs, so that no curve is one of "
        "optimiser steps."
    )
    return Figure("sample-efficiency", chart, table, caption)


def misspecified_table(found: Tables) -> Table:
    """The same contrasts where a quarter of the variance is no motif's."""
    rows = found.tables["effects"]
    rows = rows[(rows["effect"] == "rmse_f_ratio") & (rows["against"] == "permuted")]
    rows = rows[rows["prior"].isin(["motif_decoy", "motif_true", "none"])]
    rows = rows[(rows["model"] == MAIN_MODEL) & (rows["entry"] == "late")]
    twins = rows[rows["data"] == "simulation_misspecified"]
    rows = rows[rows["n_train"].isin(set(twins["n_train"])) & rows["cell"].isin(set(twins["cell"]))]
    rows = rows[rows["split"].isin(["test", "shifted"])]
    rows = rows.assign(
        shift=rows["cell"].map(_spoken).replace("", "in distribution"),
        prior=rows["prior"].map(PRIORS),
        world=rows["data"].map({"simulation": "as usual"}).fillna("with a shape term"),
        text=[interval(row, 3) for _, row in rows.iterrows()],
    )
    wide = rows.pivot_table(
        index=["prior", "shift"], columns="world", values="text", aggfunc="first", sort=False
    )
    caption = (
        "Error over that of the placebo in worlds as usual and in worlds where a DNA-shape term "
        "that no motif explains owns a quarter of the variance: motif priors are not made for it."
    )
    return Table(wide.rename_axis(None, axis=1).reset_index(), caption)


def linear_table(found: Tables, config: Config) -> Table:
    """Linear models of a prior's features alone, beside networks."""
    rows = found.rows
    rows = rows[(rows["metric"] == "r2_f") & (rows["split"] == "test")]
    rows = rows[(rows["data"] == "simulation") & (rows["n_train"] == config.n_train)]
    rows = rows[(rows["entry"] == "late") & rows["model"].isin([MAIN_MODEL, LINEAR_MODEL])]
    given = rows["bin"].where(rows["model"] == LINEAR_MODEL, rows["prior"])
    rows = rows.assign(
        prior=given.map(PRIORS),
        model=rows["model"].map(MODELS),
        text=[interval(row, 3) for _, row in rows.iterrows()],
    )
    wide = rows.pivot_table(
        index="prior", columns="model", values="text", aggfunc="first", sort=False
    )
    caption = "Share of the variance of the noise-free activity explained in distribution."
    return Table(wide.fillna("").rename_axis(None, axis=1).reset_index(), caption)
