"""Sphinx extension: defaults of the simulator and of training, read from the code that uses them.

In: :data:`ROWS`, which say where in ``lib`` a default stands, what it means, in which unit, and
where it comes from. Out: the directive ``defaults``, whose argument names one of the tables, and
``dials``, the table of shifts. No value is typed here, so none can differ from the code's.
"""

from dataclasses import MISSING, fields, is_dataclass
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from lib.simulator.shifts import SEVERITIES, dial_table
from results import make_table, text

WTC11 = "WTC11, measured"
RETINA = "retina libraries, measured"
OURS = "ours"
TRIALS = "trials above"
TRAINING = "/training.config:"


class Row(NamedTuple):
    """One default: ``module:name``, or ``module:name.key`` of a dict or dataclass."""

    symbol: str
    meaning: str
    unit: str
    source: str
    at: str


ROWS: dict[str, tuple[Row, ...]] = {
    "sequences": (
        Row("L", "length of an element", "nt", WTC11, "assay:ANCHORS.length"),
        Row("p_i", "levels of the GC quantiles", "", WTC11, "assay:ANCHORS.gc_levels"),
        Row("q_i", "GC quantiles at these levels", "", WTC11, "assay:ANCHORS.gc_quantiles"),
        Row("", "factor on their distance to the median", "", "fitted", "assay:ANCHORS.gc_spread"),
        Row("", "what is added to them", "", "fitted", "assay:ANCHORS.gc_move"),
        Row("", "values that the background's GC takes", "", OURS, "background:GC_GRID"),
        Row("R", "odds of two letters in a row; A, C, G, T", "", WTC11,
            "assay:ANCHORS.dinucleotide_odds"),
        Row("", "letters dropped before the first", "nt", OURS, "background:BURN_IN"),
        Row("", "mean number of planted units", "", OURS, "background:SequenceLaw.units_mean"),
        Row("", "most units in an element", "", OURS, "background:MAX_UNITS"),
        Row("", "share of units that are pairs", "", OURS, "background:SequenceLaw.pair_share"),
        Row("", "widest gap in a planted pair", "nt", OURS, "background:WIDEST_GAP"),
    ),
    "binding": (
        Row("", "counts added to a column of a motif", "", OURS, "/motifs.pwm:PSEUDOCOUNT"),
        Row(r"\epsilon", "smallest probability in a score", "", OURS, "/motifs.pwm:FLOOR"),
        Row("", "release of the motifs", "", "JASPAR", "/motifs.pwm:RELEASE"),
        Row("", "how far below its information a site binds half", "nats", OURS, "activity:EASE"),
        Row("", "least potential", "nats", OURS, "activity:LEAST_POTENTIAL"),
        Row("", "width of the pair kernel, s.d.", "nt", OURS, "activity:SPACING_SD"),
        Row("", "least binding that counts in a pair", "", OURS, "activity:PAIR_FLOOR"),
        Row("", "largest gap at which sites see each other", "nt", OURS, "activity:REACH"),
        Row("h", "turn of the helix", "nt", OURS, "activity:HELIX_STEP"),
    ),
    "program": (
        Row("", "share of the drive's variance: motifs", "", OURS, "programs:MOTIF_SHARE"),
        Row("", "share of the drive's variance: pairs", "", OURS, "programs:PAIR_SHARE"),
        Row("", "share of the drive's variance: GC", "", OURS, "programs:GC_SHARE"),
        Row("", "share of the variance: shape, if misspecified", "", OURS, "programs:SHAPE_SHARE"),
        Row("", "Dirichlet concentrations of motifs: the cell type's own; shared and repressors; "
            "those of other cell types", "", OURS, "programs:CONCENTRATIONS"),
        Row("", "Dirichlet concentration of pairs", "", OURS, "programs:PAIR_CONCENTRATION"),
        Row("", "probability that a pair is synergistic", "", OURS, "programs:SYNERGY"),
        Row("", "probability that GC acts upwards", "", OURS, "programs:GC_UPWARDS"),
        Row("", "pairs of a world", "", OURS, "programs:PAIRS"),
        Row("", "preferred gaps, first and last", "nt", OURS, "programs:GAPS"),
        Row("", "most that one motif may explain of the drive", "", OURS,
            "programs:LARGEST_SHARE"),
        Row("", "elements a world is calibrated on", "", OURS, "programs:REFERENCE_SIZE"),
        Row("B", "bound of the activity", "s.d.", OURS, "activity:BOUND"),
        Row("m", "mean of the activity", "log2 RNA/DNA", WTC11, "assay:ANCHORS.activity_mean"),
        Row("s", "s.d. of the activity", "log2 RNA/DNA", WTC11, "assay:ANCHORS.activity_sd"),
    ),
    "measurement": (
        Row(r"\rho", "reliability: correlation of an element's two orientations", "", WTC11,
            "assay:ANCHORS.reliability"),
        Row("b", "linear term of the error's variance", "", WTC11,
            "assay:ANCHORS.variance_linear"),
        Row("c", "quadratic term of the error's variance", "", WTC11,
            "assay:ANCHORS.variance_quadratic"),
        Row("D_0", "median depth", "DNA reads per element", RETINA, "assay:ANCHORS.depth_median"),
        Row(r"\delta", "s.d. of the depth's natural logarithm", "", RETINA,
            "assay:ANCHORS.depth_log_sd"),
        Row("w", "share of the error's variance that falls as 1/depth", "", RETINA,
            "assay:ANCHORS.depth_share"),
        Row("", "depth relative to the median", "fold", OURS, "assay:Assay.depth_fold"),
        Row("A", "GC-dependent amplification", "log2 per s.d. of GC", OURS,
            "assay:Assay.amplification"),
        Row("", "s.d. between batches of the log gain", "", RETINA,
            "assay:ANCHORS.batch_log_gain_sd"),
        Row("", "s.d. between batches of the offset", "s.d. of activity", RETINA,
            "assay:ANCHORS.batch_offset_sd"),
    ),
    "shifts": (
        Row("", "least effect of an active motif", "s.d. of activity", OURS, "shifts:ACTIVE"),
        Row("", "unseen batches", "", OURS, "shifts:NEW_BATCHES"),
        Row("", "s.d. of their log gains, at the end of the dial", "", "5 times the anchor",
            "shifts:GAIN_SD"),
        Row("", "noise on the log odds, at the end of the dial", "nats", OURS, "shifts:PWM_NOISE"),
        Row("", "reference elements on which occupancies are held", "", OURS,
            "shifts:MATCHING_SIZE"),
        Row("", "error share of the variance, at the end of the dial", "", OURS,
            "shifts:NOISE_LIMIT"),
    ),
    "training": (
        Row("", "most passes over the training part", "", OURS, TRAINING + "FitConfig.epochs"),
        Row("", "passes without a better validation loss that end it", "", OURS,
            TRAINING + "FitConfig.patience"),
        Row("", "elements in a step", "", OURS, TRAINING + "FitConfig.batch_size"),
        Row("", "highest learning rate, CNN", "", TRIALS, TRAINING + "FitConfig.learning_rate"),
        Row("", "the same, BiLSTM", "", TRIALS, TRAINING + "LEARNING_RATES.bilstm"),
        Row("", "the same, transformer", "", TRIALS, TRAINING + "LEARNING_RATES.transformer"),
        Row("", "weight decay", "", OURS, TRAINING + "FitConfig.weight_decay"),
        Row(r"\beta", "exponent of the loss", "", "Seitzer et al.", TRAINING + "FitConfig.beta"),
        Row("", "least standard deviation", "s.d. of the training target", OURS,
            TRAINING + "FitConfig.std_floor"),
    ),
}  # fmt: skip


def value(at: str) -> Any:
    """A default where the code has it."""
    module, name = at.split(":")
    package = "lib" if module.startswith("/") else "lib.simulator"
    name, _, key = name.partition(".")
    found = getattr(import_module(f"{package}.{module.removeprefix('/')}"), name)
    if not key:
        return found
    if hasattr(found, "model_fields"):  # of pydantic
        return found.model_fields[key].default
    if is_dataclass(found):
        return next(f.default for f in fields(found) if f.name == key and f.default is not MISSING)
    return found[key]


def show(found: Any) -> str:
    """A value as readers see it: numbers in up to four digits, long grids by their ends."""
    if isinstance(found, str):
        return found
    array = np.asarray(found, float)
    if array.size > 20:
        return f"{array.size} values from {array.flat[0]:g} to {array.flat[-1]:g}"
    if array.ndim == 2:
        return "; ".join(show(row) for row in array)
    if array.ndim == 1:
        return ", ".join(map(show, array))
    return f"{float(array):,.0f}" if abs(array) >= 1000 else f"{float(array):.4g}"


class DefaultsDirective(SphinxDirective):
    """The directive ``defaults``."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """The table that the argument names."""
        if self.arguments[0] not in ROWS:
            raise self.error(f"no defaults {self.arguments[0]!r}; there are {', '.join(ROWS)}")
        lines = []
        for row in ROWS[self.arguments[0]]:
            symbol = [nodes.math(row.symbol, row.symbol), *text(" ")] if row.symbol else []
            where = row.at.replace("/", "").replace(":", ".")
            name = [*symbol, *text(row.meaning)]
            value_of = text(show(value(row.at)))
            code = [nodes.literal(text=where)]
            lines.append([name, value_of, text(row.unit or "–"), text(row.source), code])
        header = ["what", "default", "unit", "from", "in the code"]
        return [make_table(header, lines, "defaults")]


class DialsDirective(SphinxDirective):
    """The directive ``dials``: every shift, what its dial turns and how far."""

    def run(self) -> list[nodes.Node]:
        """A line per shift."""
        ends = [f"{SEVERITIES[0]:g}", f"{SEVERITIES[-1]:g}"]
        header = ["shift", "kind", "what the dial turns", *(f"at {end}" for end in ends)]
        lines = []
        for row in dial_table().to_dict("records"):
            cells = [row["shift"].replace("_", " "), row["family"], row["quantity"]]
            cells += [show(row[end]) for end in ends]
            lines.append([text(cell) for cell in cells])
        return [make_table(header, lines, "dials")]


def setup(app: Sphinx) -> dict[str, object]:
    """Register the directives."""
    app.add_directive("defaults", DefaultsDirective)
    app.add_directive("dials", DialsDirective)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
