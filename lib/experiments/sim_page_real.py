"""Simulated beside real in notebook 01: figures and logos made from the experiment's tables.

In: :class:`lib.study.found.Tables`. Out: :class:`lib.page.charts.Figure`,
:class:`lib.page.charts.Table` and :class:`lib.page.logos.Drawing`. No number is typed here.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lib.experiments.sim_arms import world_of
from lib.experiments.sim_page import MODEL_NAMES
from lib.experiments.simulation_shifts import Config
from lib.motifs.pwm import perturb
from lib.page.charts import Figure, Table, histogram, lines
from lib.page.logos import Drawing, logos
from lib.simulator.shifts import PWM_NOISE
from lib.study.found import Tables

LOGO_MOTIFS, LOGO_SEVERITIES = 3, (0.0, 0.5, 1.0)


def _both(table: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    """The first simulated world beside the real assay."""
    shown = table[table["world"].isin([-1, table["world"].max(), 0])]
    name = shown["data"].map({"simulation": "simulated, world ", "wtc11": "WTC11"})
    world = shown["world"].astype(str).where(shown["world"] >= 0, "")
    return shown.assign(assay=name + world)[["assay", *columns]].round(4)


def activity_figure(found: Tables) -> Figure:
    """Histogram of measured activity, simulated beside real."""
    table = _both(found.tables["histogram"], ["left", "right", "share", "count"])
    chart = histogram(table, colour="assay", x_title="measured activity (log2 RNA/DNA)")
    caption = "Measured activity: simulated worlds beside WTC11."
    return Figure("activity-histogram", chart, table, caption)


def variance_figure(found: Tables) -> Figure:
    """Error variance against activity, simulated beside real."""
    table = _both(found.tables["variance"], ["activity", "error_variance", "lower", "upper", "n"])
    chart = lines(
        table,
        "activity",
        "error_variance",
        colour="assay",
        x_title="mean of two measurements (log2), decile",
        y_title="error variance of one",
    )
    caption = (
        "Variance of a measurement's error against activity, from pairs of measurements of one "
        "element: two draws of the simulator, the two orientations of a WTC11 element."
    )
    return Figure("variance-mean", chart, table, caption)


def learning_figure(found: Tables) -> Figure:
    """Learning curve of the 6-mer ridge, simulated beside real."""
    table = _both(found.tables["learning"], ["size", "pearson_r"])
    chart = lines(
        table,
        "size",
        "pearson_r",
        colour="assay",
        x_title="training elements",
        y_title="Pearson correlation, test part",
    )
    caption = (
        "How fast a 6-mer ridge learns: simulated worlds beside WTC11. Where the simulated curve "
        "lies higher, the simulated task is the easier one."
    )
    return Figure("learning-ridge", chart, table, caption)


def network_learning_figure(found: Tables, config: Config) -> Figure:
    """Learning curve of every network against f."""
    rows = found.rows
    rows = rows[rows["seed"].isna() & (rows["metric"] == "r2_f") & (rows["split"] == "test")]
    rows = rows[rows["model"].isin(config.models) & (rows["uncertainty"] == "single")]
    rows = rows[rows["condition"] == ""]
    table = rows.assign(network=rows["model"].map(lambda name: MODEL_NAMES.get(name, name)))
    table = table[["network", "n_train", "value", "lower", "upper", "worlds"]]
    table = table.sort_values(["network", "n_train"]).round(4)
    chart = lines(
        table,
        "n_train",
        "value",
        colour="network",
        x_title="training elements",
        y_title="R² against the noise-free activity",
        reference=0.8,
    )
    caption = "Learning curves on the simulated task; the dashed line is the margin of C1."
    return Figure("learning-network", chart, table, caption)


def realism_table(found: Tables) -> Table:
    """Simulated assays beside WTC11 in numbers."""
    table = found.tables["realism"]
    names = {
        "mean": "mean activity (log2)",
        "sd": "SD of activity (log2)",
        "skewness": "skewness of activity",
        "reliability": "correlation of two measurements",
        "r_gc_activity": "correlation of GC and activity",
        "gc_mean": "mean GC",
        "gc_sd": "SD of GC",
    }
    simulated = table[table["data"] == "simulation"].groupby("measure", sort=False)["value"]
    wide = simulated.agg(["mean", "min", "max"]).rename(
        columns={"mean": "simulated, mean of worlds", "min": "least", "max": "most"}
    )
    real = table[table["data"] == "wtc11"].set_index("measure")["value"]
    if len(real):
        wide["WTC11"] = real
    wide = wide.rename(index=names).rename_axis("measure").reset_index().round(3)
    return Table(wide, "Simulated assays beside the real one they are anchored to.")


def perturbed_logos(config: Config) -> Drawing:
    """Motifs before and after PWM perturbation, as the simulator applies it."""
    world = world_of(config.world_seeds[0])
    rows = [
        [
            (
                f"{pwm.name}, severity {severity:g}",
                perturb(
                    pwm, severity, np.random.default_rng([world.seed, 104, i]), sd=PWM_NOISE
                ).probabilities.T,
            )
            for severity in LOGO_SEVERITIES
        ]
        for i, pwm in enumerate(world.program.motifs[:LOGO_MOTIFS])
    ]
    caption = (
        "What PWM perturbation does to a factor's preference: three motifs of the first world, in "
        "bits, at severity 0, one half and 1. Sequences stay as they are; the factor reads them "
        "differently."
    )
    return Drawing("perturbed-motifs", logos(rows), caption)
