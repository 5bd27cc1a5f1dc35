"""Text and figures of notebook 01, made from the experiment's tables.

In: :class:`lib.study.found.Tables`. Out: Markdown and
:class:`lib.page.charts.Figure`. No number is typed here: all come from the tables.
"""

import pandas as pd
from IPython.display import Markdown

from lib.experiments.baseline_fits import SIMULATED_BASELINES
from lib.experiments.simulation_shifts import GC_BLIND, MAIN_MODEL, Config
from lib.page.charts import Figure, dots, heat_map, lines, scatter
from lib.page.notes import interval, profile_note
from lib.study.found import Tables

FAMILIES = ("covariate", "concept", "technical")
SHIFT_NAMES = {
    "gc": "GC",
    "motif_density": "motif density",
    "effect_rewiring": "effect rewiring",
    "effect_sign_flip": "sign flips",
    "effect_permutation": "permuted effects",
    "cell_type": "cell type",
    "pwm_perturbation": "PWM perturbation",
    "grammar": "grammar",
    "depth": "depth",
    "batch": "batch",
    "noise": "noise",
    "gc_amplification": "GC amplification",
}
OPTION_NAMES = {"": "", "low": ", poorer", "neutral": ", motif load kept", GC_BLIND: ", no GC term"}
MODEL_NAMES = {
    "cnn": "CNN",
    "bilstm": "BiLSTM",
    "transformer": "transformer",
    "occupancy_linear": "linear in true occupancies",
    "kmer_ridge": "6-mer ridge",
    "gc_ridge": "GC only",
    "mean": "training mean",
}
TREATMENT_NAMES = {
    "single": "as trained",
    "std_scaling": "σ scaled in distribution",
    "constant_sigma": "constant σ",
    "sigma_regression": "σ from GC and mean",
}


def name_of(rows: pd.DataFrame) -> pd.Series:
    """How a reader calls a shift and its option."""
    option = rows["condition"].map(lambda text: OPTION_NAMES.get(text, f", {text}"))
    return rows["shift"].map(SHIFT_NAMES).fillna("") + option


def full(found: Tables, config: Config) -> pd.DataFrame:
    """Means over worlds of the full-size networks and the baselines."""
    rows = found.rows
    return rows[rows["seed"].isna() & (rows["n_train"] == config.n_train)]


def _by_family(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows in reading order: family by family, severities growing."""
    names = list(dict.fromkeys(rows["name"]))
    ordered = rows.assign(
        first=rows["family"].map(FAMILIES.index), second=rows["name"].map(names.index)
    )
    return ordered.sort_values(["first", "second", "severity"]).drop(columns=["first", "second"])


def network(found: Tables, config: Config, metric: str, split: str = "shifted") -> pd.DataFrame:
    """One metric of the main network under every shift of the dial, in reading order."""
    rows = full(found, config)
    rows = rows[(rows["model"] == MAIN_MODEL) & (rows["uncertainty"] == "single")]
    rows = rows[(rows["metric"] == metric) & (rows["split"] == split)]
    return rows[~rows["condition"].str.startswith("d=")].assign(name=name_of(rows))


def _effect(found: Tables, effect: str, **keys: object) -> pd.Series | None:
    rows = found.tables["effects"]
    rows = rows[rows["effect"] == effect]
    for column, value in keys.items():
        rows = rows[rows[column] == value]
    return None if rows.empty else rows.iloc[0]


def answer(found: Tables, config: Config) -> Markdown:
    """The answer in a sentence per claim."""
    said = [profile_note(config.profile)]
    home = {"shift": "", "model": MAIN_MODEL}
    share = _effect(found, "r2_share", **home)
    covered = full(found, config)
    covered = covered[(covered["metric"] == "picp_90") & (covered["split"] == "test")]
    covered = covered[(covered["model"] == MAIN_MODEL) & (covered["uncertainty"] == "single")]
    covered = covered[covered["condition"] == ""]
    if share is not None and not covered.empty:
        said.append(
            f"- **In distribution** the CNN explains {interval(share)} of the variance of the "
            f"true activity, and its 90 % intervals cover {interval(covered.iloc[0], 3)}."
        )
    cells: list[tuple[str, dict[str, object], str]] = [
        ("A GC shift of half a standard deviation", {"shift": "gc", "severity": 0.25}, ""),
        ("Rewired motif effects (d = 0.5)", {"shift": "effect_rewiring"}, "d=0.5"),
        ("Noise that dominates training and test", {"shift": "noise"}, "trained"),
    ]
    for label, keys, condition in cells:
        where = keys | {"condition": condition, "model": MAIN_MODEL}
        ratio, zms, cover = (
            _effect(found, name, **where) for name in ("rmse_ratio", "zms", "picp_90")
        )
        if ratio is not None and zms is not None and cover is not None:
            said.append(
                f"- **{label}**: the error is {interval(ratio)} times that in distribution, mean "
                f"squared z {interval(zms)}, and 90 % intervals cover {interval(cover, 3)}."
            )
    hidden = _effect(found, "hidden_share")
    told = _effect(found, "explained_share")
    alike = _effect(found, "explained_share_alike")
    if hidden is not None and told is not None and alike is not None:
        said.append(
            f"- **Of {hidden['n']:.0f} networks**, a share of {interval(hidden)} look calibrated "
            "in distribution and then lose 0.15 of coverage or more under rewiring. How well a "
            f"network does in distribution explains {interval(told)} of the variance of that "
            f"loss; among networks of one kind and training size, {interval(alike)}."
        )
    return Markdown("\n".join(line for line in said if line))


def coverage_map(found: Tables, config: Config) -> Figure:
    """Coverage by shift and severity, one panel per family."""
    rows = network(found, config, "picp_90")
    rows = rows[rows["condition"] != GC_BLIND]
    rows = _by_family(rows)
    table = rows.assign(dial=rows["severity"].map("{:g}".format))[
        ["family", "name", "dial", "value", "lower", "upper", "severity_measured"]
    ].round(4)
    chart = heat_map(
        table,
        "dial",
        "name",
        "value",
        x_title="severity on the dial",
        title="coverage of 90 % intervals",
        domain=(0.5, 1.0),
        middle=0.9,
        facet="family",
        columns=2,
    )
    caption = (
        "Coverage of 90 % intervals by shift and severity, mean over worlds. Grey is nominal, red "
        "is too low. Severity runs along each shift's own dial; the table of severities gives "
        "physical units."
    )
    return Figure("coverage-map", chart, table, caption)


def error_map(found: Tables, config: Config) -> Figure:
    """RMSE over that in distribution by shift and severity."""
    rows = found.tables["effects"]
    rows = rows[(rows["effect"] == "rmse_ratio") & (rows["model"] == MAIN_MODEL)]
    rows = rows[~rows["condition"].str.startswith("d=") & ~rows["condition"].eq("trained")]
    rows = rows[rows["condition"] != GC_BLIND]
    families = found.tables["severities"].drop_duplicates("shift").set_index("shift")["family"]
    rows = _by_family(rows.assign(family=rows["shift"].map(families), name=name_of(rows)))
    table = rows.assign(dial=rows["severity"].map("{:g}".format))[
        ["family", "name", "dial", "value", "lower", "upper"]
    ].round(4)
    chart = heat_map(
        table,
        "dial",
        "name",
        "value",
        x_title="severity on the dial",
        title="RMSE over that in distribution",
        domain=(2.0, 0.8),
        middle=1.0,
        facet="family",
        columns=2,
    )
    caption = (
        "Error against the measurement, over that of the same networks in distribution; geometric "
        "mean over worlds. Red is worse. Depth and noise raise it with the mean left as it is."
    )
    return Figure("error-map", chart, table, caption)


DOSES = {
    "covariate": (
        "change of the mean (SD in distribution)",
        "the change of the mean GC content, or of the number of sites, in standard deviations",
    ),
    "concept": (
        "distance d from the old activity (variances of f)",
        "the mean squared distance between old and new activity of the same sequences",
    ),
    "technical": (
        "noise share, or displacement (variances of f)",
        "the error's share of the variance (depth, noise), or the mean squared displacement of "
        "labels (batch, GC amplification)",
    ),
}


def dose_figure(found: Tables, config: Config, family: str) -> Figure:
    """Coverage against the measured severity of a family's shifts."""
    rows = network(found, config, "picp_90")
    rows = rows[(rows["family"] == family) & (rows["condition"] != GC_BLIND)]
    table = rows.assign(measured=rows["severity_measured"].abs())
    table = table[["name", "measured", "value", "lower", "upper"]].round(4)
    title, means = DOSES[family]
    chart = lines(
        table,
        "measured",
        "value",
        colour="name",
        x_title=title,
        y_title="coverage of 90 % intervals",
        reference=0.9,
    )
    caption = f"Dose and response of {family} shifts in physical units: {means}."
    return Figure(f"dose-{family}", chart, table, caption)


def accuracy_figure(found: Tables, config: Config) -> Figure:
    """R² against f in distribution, networks beside baselines."""
    rows = full(found, config)
    rows = rows[(rows["metric"] == "r2_f") & (rows["split"] == "test") & (rows["condition"] == "")]
    rows = rows[(rows["uncertainty"] == "single") & (rows["model"] != "mean")]
    kind = rows["model"].isin(SIMULATED_BASELINES).map({True: "baseline", False: "network"})
    table = rows.assign(model=rows["model"].map(MODEL_NAMES), kind=kind)
    table = table[["model", "kind", "value", "lower", "upper", "worlds"]].round(4)
    order = [name for name in MODEL_NAMES.values() if name in set(table["model"])]
    chart = dots(
        table,
        "value",
        "model",
        colour="kind",
        x_title="R² against the noise-free activity",
        order=order,
    )
    caption = (
        "Accuracy in distribution: share of the variance of the noise-free activity that a "
        "prediction explains. The oracle has 1. The linear model is given the true motifs."
    )
    return Figure("accuracy", chart, table, caption)


def architecture_figure(found: Tables, config: Config) -> Figure:
    """Coverage at the highest severity, one colour per architecture."""
    rows = full(found, config)
    rows = rows[(rows["metric"] == "picp_90") & (rows["uncertainty"] == "single")]
    rows = rows[rows["model"].isin(config.models) & rows["split"].isin(["test", "shifted"])]
    at_top = (rows["severity"] == max(config.severities)) & (rows["condition"] == "")
    home = (rows["split"] == "test") & (rows["condition"] == "")
    rows = rows[at_top | home]
    name = name_of(rows).where(rows["split"] == "shifted", "in distribution")
    table = rows.assign(name=name, network=rows["model"].map(lambda m: MODEL_NAMES.get(m, m)))
    table = table[["name", "network", "value", "lower", "upper", "worlds"]].round(4)
    chart = dots(
        table,
        "value",
        "name",
        colour="network",
        x_title="coverage of 90 % intervals, highest severity",
        order=["in distribution", *[n for n in table["name"].unique() if n != "in distribution"]],
        reference=0.9,
    )
    caption = (
        "Every architecture under every shift at its highest severity. Bars are 95 % intervals "
        "over worlds, each the mean of so many networks as there are worlds."
    )
    return Figure("architectures", chart, table, caption)


def treatment_figure(found: Tables, config: Config) -> Figure:
    """Coverage of other uncertainties for the same mean, at the highest severity."""
    rows = full(found, config)
    rows = rows[(rows["metric"] == "picp_90") & (rows["model"] == MAIN_MODEL)]
    home = (rows["split"] == "test") & (rows["condition"] == "")
    top = (rows["split"] == "shifted") & (rows["severity"] == max(config.severities))
    top &= rows["condition"].eq("")
    rows = rows[home | top]
    table = rows.assign(
        name=name_of(rows).where(rows["split"] == "shifted", "in distribution"),
        uncertainty=rows["uncertainty"].map(TREATMENT_NAMES),
    )[["name", "uncertainty", "value", "lower", "upper"]].round(4)
    chart = dots(
        table,
        "value",
        "name",
        colour="uncertainty",
        x_title="coverage of 90 % intervals, highest severity",
        order=list(dict.fromkeys(table["name"])),
        reference=0.9,
    )
    caption = (
        "The same predicted mean with other standard deviations: scaled to mean squared z 1 in "
        "distribution, constant, or a regression on GC content and mean. What a shift takes from "
        "all of them is not a flaw of how the network learnt σ."
    )
    return Figure("treatments", chart, table, caption)


def conditional_figure(found: Tables, config: Config, by: str, title: str, name: str) -> Figure:
    """Coverage by decile of GC or of f, in distribution and under the strongest shifts."""
    table = found.tables["coverage_by"]
    table = table[(table["by"] == by) & table["condition"].isin(["", "d=0.5"])]
    top = table["severity"] == max(config.severities)
    wanted = table["shift"].isin(["gc", "motif_density", "noise"]) & top
    wanted |= table["condition"].eq("d=0.5") | table["split"].eq("test")
    table = table[wanted]
    label = name_of(table).where(table["split"] == "shifted", "in distribution")
    table = table.assign(
        part=label,
        bin=table["bin"].astype(int),
        lower=table["lower"].clip(0),
        upper=table["upper"].clip(upper=1),
    )
    table = table[["part", "bin", "value", "lower", "upper", "elements"]].round(4)
    chart = lines(
        table,
        "bin",
        "value",
        colour="part",
        x_title=f"decile of {title} in distribution",
        y_title="coverage of 90 % intervals",
        reference=0.9,
    )
    caption = f"Coverage by decile of {title}: a mean over all elements can hide where it fails."
    return Figure(name, chart, table, caption)


def hidden_figure(found: Tables) -> Figure:
    """Coverage lost under rewiring against NLL in distribution, one point per network."""
    table = found.tables["fits"]
    network = table["model"].map(MODEL_NAMES) + ", " + table["n_train"].astype(str) + " elements"
    table = table.assign(network=network)[
        ["network", "world", "nll", "picp_90", "shifted_picp_90", "drop"]
    ].round(4)
    chart = scatter(
        table,
        "nll",
        "drop",
        colour="network",
        x_title="negative log-likelihood in distribution",
        y_title="coverage lost under rewiring",
        reference=0.15,
    )
    caption = (
        "Each point is a network. To the left are those that look best in distribution; the height "
        "is the coverage they lose when motif effects are rewired (d = 0.5)."
    )
    return Figure("hidden-gap", chart, table, caption)
