"""Sphinx extension: the front page's answer, made from the published tables.

In: ``results/``, or where a build has ``results_required`` off (the quick report) the published
tables of the checkout, which are then said to be published. Out: the directive ``findings``, three
sentences with one number each, which choose their words by the values; ``picture``, what intervals
hold as the same sequences meet mutant retinas; ``strip``, one line of verdicts.
"""

from abc import abstractmethod
from collections import Counter
from pathlib import Path

import pandas as pd
from docutils import nodes
from front import output
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from verdicts import READINGS, of_reading, verdict_word

from lib.page.charts import Figure
from lib.page.grammar import dots, one, ordered, pick
from lib.study.config import repository_root
from lib.study.results import read_csv
from results import LOGGER, read_table

PUBLISHED = "Published answer, not of this run, which is too small for one of its own."
SHIFTS = "assay_and_program_shifts"
GENOTYPES = {
    "WT": "wild type",
    "Rhet": "R90W × 1 (Rhet)",
    "Ehet": "E168d2 × 1 (Ehet)",
    "Rhom": "R90W × 2 (Rhom)",
    "CrxKO": "no CRX (CrxKO)",
    "Ehom": "E168d2 × 2 (Ehom)",
}
Said = tuple[str, str]  # a finding in a few words, and the sentence with its number


def table(folder: Path, name: str) -> pd.DataFrame:
    """A table of results; empty cells of text columns are ``""``."""
    path = folder / f"{name}.csv"
    if not path.is_file():
        raise LookupError(f"results/{name}.csv does not exist; make publish writes it")
    return read_csv(path)


def only(rows: pd.DataFrame, what: str, **keys: object) -> pd.Series:
    """The first such row, or a LookupError that says what is missing."""
    row = one(rows, **keys)
    if row is None:
        raise LookupError(f"the published tables hold no {what}")
    return row


def rewired(folder: Path) -> Said:
    """What becomes of intervals in the retina where they hold least."""
    ladder = pick(table(folder, f"{SHIFTS}/ladder"), metric="picp_90", shift="genotype")
    ladder = pick(ladder, condition=list(GENOTYPES))
    raw = pick(ladder, rung="raw").sort_values("value")
    lowest = only(raw, "coverage under another genotype")
    rungs = pick(ladder, condition=lowest["condition"]).set_index("rung")["value"]
    lost = rungs["reference"] - rungs["raw"]
    back = (rungs["matched_moments"] - rungs["raw"]) / lost if lost > 0 else 0
    part = "most" if back > 0.6 else "about half" if back > 0.4 else "little"
    share = f"{100 * lowest['value']:.0f} %"
    if lost < 0.05:
        return (
            "Other cells hardly cost coverage.",
            f"Nine in ten measurements should lie inside a network's intervals; where a mutant "
            f"retina reads the same sequences, {share} do.",
        )
    return (
        "A cell that reads the same letters otherwise breaks a network's intervals, and no letter "
        "warns.",
        "Nine in ten measurements should lie inside them; of a mutant retina, whose rules have "
        f"changed (rewiring), {share} do. Rescaling to the mean and spread there brings {part} of "
        "it back.",
    )


def told(folder: Path) -> Said:
    """What features made from motifs do to a network's error in simulation."""
    rows = pick(
        table(folder, "structural_priors/effects"),
        effect="rmse_f_ratio",
        data="simulation",
        split="test",
        shift="",
        model="cnn",
        prior="motif_decoy",
        against="none",
    )
    sizes = rows.sort_values("n_train", ascending=False)
    row = only(sizes, "gain by features made from motifs")
    few = sizes.iloc[-1]["upper"] < 1
    helps, hurts = row["upper"] < 1, row["lower"] > 1
    less = 100 * (1 - row["value"])
    head = "Telling a network about motifs "
    if helps:
        head += "helps little." if less < 5 else "helps in simulation."
    else:
        head += "helps only where data are few." if few else "hurts." if hurts else "does not help."
    much = f"{abs(less):.1f} % {'lower' if less > 0 else 'higher'}"
    much += "" if helps or hurts else ", within chance"
    much += "; only with fewer does it clearly fall." if few and not helps else "."
    of = f"{row['n_train']:,.0f} sequences to learn from"
    return head, f"In simulation, with {of} and motif scores among decoys, its error is {much}"


def selected(folder: Path) -> Said:
    """What is left of the squared error where the less certain half is set aside."""
    every = pick(
        table(folder, "selective_prediction/effects"), shift="none", target="measured", model="cnn"
    )
    rows = pick(every, data="wtc11")
    half = only(rows, "risk of a kept half", effect="risk_ratio_50", score="std")
    trivial = pick(every, effect="risk_over_trivial").dropna(subset="value")
    trivial = trivial.sort_values("value", ascending=False).drop_duplicates("data")
    best = only(trivial, "risk beside trivial scores", data="wtc11")
    other = one(trivial, data="plant_leaf")
    ahead = other is not None and other["upper"] < 1 < best["upper"]
    share = f"{100 * half['value']:.0f} %"
    head = "Throwing out what a network is unsure of "
    head += "lowers the risk" if half["upper"] < 1 else "does not surely lower the risk"
    said = f"On human elements the mean squared error of the surer half is {share} of that of all"
    if best["upper"] < 1:
        return f"{head}.", f"{said}, less than any rule leaves that knows nothing of uncertainty."
    rule = {
        "mean": "the predicted activity",
        "mean_distance": "how far a prediction is from average",
    }
    by, beaten = rule.get(best["score"], "GC content"), "less" if best["lower"] > 1 else "as little"
    said += f"; choosing by {by} alone leaves {beaten}"
    if half["upper"] < 1:
        head += "; on one of two assays a simple rule does as well" if ahead else ""
        head += "" if ahead else ", but so does a simple rule"
    return f"{head}.", f"{said}, on plant promoters more." if ahead else f"{said}."


def picture(folder: Path) -> Figure:
    """Coverage as the same sequences meet mutant retinas, beside the simulated twin."""
    ladder = pick(table(folder, f"{SHIFTS}/ladder"), metric="picp_90", shift="genotype")
    ladder = pick(ladder, condition=list(GENOTYPES))
    series = {"raw": "network", "matched_moments": "rescaled"}
    home = pick(ladder, rung="reference").head(1).assign(condition="WT", rung="raw")
    real = pd.concat([home, pick(ladder, rung=series)])
    real = real.assign(forecast=real["rung"].map(series))
    base = pick(ladder, rung="reference").set_index("condition")["value"]
    twins = pick(table(folder, f"{SHIFTS}/twins"), metric="coverage_drop", shift="genotype")
    twins = pick(twins, axis="signal", condition=[*base.index]).set_index("condition")
    ends = {"value": "forecast", "lower": "upper", "upper": "lower"}
    twin = pd.DataFrame({end: base - twins[column] for end, column in ends.items()}).dropna()
    twin = twin.reset_index().assign(forecast="simulated twin")
    mean = pick(
        table(folder, SHIFTS),
        **{"data": "retina_genotypes", "model": "mean", "uncertainty": "single", "by": ""},
        **{"metric": "picp_90", "split": ["test", "shifted"], "shift": ["", "genotype"]},
    )
    mean = mean.replace({"condition": {"": "WT"}}).assign(forecast="training mean")
    mean = pick(mean, condition=list(GENOTYPES))
    rows = pd.concat([real, twin, mean], ignore_index=True).replace({"condition": GENOTYPES})
    if rows.empty:
        raise LookupError("the published tables hold no coverage under another genotype")
    rows[["lower", "upper"]] = rows[["lower", "upper"]].clip(0, 1)
    rows = ordered(rows, condition=GENOTYPES.values())
    return dots(
        "headline",
        rows.rename(columns={"value": "coverage", "condition": "retina"}),
        "retina forecast coverage lower upper n",
        "retina",
        "coverage",
        colour="forecast",
        x_title="share of measurements inside 90 % intervals",
        order=[*GENOTYPES.values()],
        reference=0.9,
        caption="Networks trained on wild-type retina forecast the same sequences in retinas whose "
        "transcription factor CRX is mutated, in one or both copies (× 1, × 2) or gone. The "
        "dashed line is what their intervals promise. Points far to its left are intervals that "
        "no longer hold. For the green points, forecasts and intervals were rescaled to the mean "
        "and spread of that retina, which takes labels: a repair, and no proof that only the "
        "scale had changed. The simulated twin is what the simulator had predicted "
        "for a shift of that size. The training mean reads no letters: what it loses, a change of "
        "level and spread takes from every forecast. Bars are 95 % intervals.",
    )


class AnswerDirective(SphinxDirective):
    """What the directives share: the tables are published ones, or the page says what is amiss."""

    @abstractmethod
    def content_nodes(self, folder: Path) -> list[nodes.Node]:
        """What the directive becomes, from the tables of ``folder``."""

    def run(self) -> list[nodes.Node]:
        """The content; greyed and marked in a build whose own tables are not published ones."""
        own = self.config.results_required
        root = Path(self.env.srcdir).parent if own else repository_root()
        # It holds the hash of every table, so that the page is drawn anew where one changes.
        self.env.note_dependency(str(root / "results" / "manifest.json"))
        try:
            found = self.content_nodes(root / "results")
        except (LookupError, OSError, ValueError) as error:
            if own:
                LOGGER.warning(str(error), location=self.get_location())
            return [nodes.paragraph("", "", nodes.emphasis(text="No published answer yet."))]
        if own:
            return found
        note = nodes.paragraph("", "", nodes.emphasis(text=PUBLISHED))
        return [nodes.container("", note, *found, classes=["published"])]


FINDINGS = (
    (f"experiments/05_{SHIFTS}", "real shifts", rewired),
    ("experiments/03_structural_priors", "priors", told),
    ("experiments/04_selective_prediction", "ranking", selected),
)


class FindingsDirective(AnswerDirective):
    """The directive ``findings``."""

    def content_nodes(self, folder: Path) -> list[nodes.Node]:
        """Three sentences."""
        found = nodes.enumerated_list(classes=["findings"])
        for page, word, finding in FINDINGS:
            head, sentence = finding(folder)
            said = nodes.paragraph("", "", nodes.strong(text=head), nodes.Text(f" {sentence} "))
            if page in self.env.found_docs:
                link = nodes.reference("", word, refuri=f"{page}.html", internal=True)
                said += [nodes.Text("(more: "), link, nodes.Text(")")]
            found += nodes.list_item("", said)
        return [found]


class PictureDirective(AnswerDirective):
    """The directive ``picture``."""

    def content_nodes(self, folder: Path) -> list[nodes.Node]:
        """The figure."""
        return [output(picture(folder)._repr_html_())]


def count(rows: list[dict[str, str]], waiting: list[dict[str, str]]) -> str:
    """How many verdicts are what; of claims that wait, why."""
    counts = Counter(row["verdict"] for row in rows)
    built = sum(row["by_construction"] == "true" for row in rows)
    words = [f"{counts.get(word, 0)} {word}" for word in ("supported", "contradicted", "undecided")]
    held = sum(r["by_construction"] == "true" and r["verdict"] == "supported" for r in rows)
    if held:
        words[0] += f" ({held} by construction)"
    elif built:
        words.append(f"{built} of these by construction")
    why = Counter(verdict_word(row).astext() for row in waiting)
    words += [f"{number} {word}" for word, number in sorted(why.items())]
    return ", ".join(words)


class StripDirective(AnswerDirective):
    """The directive ``strip``."""

    def content_nodes(self, folder: Path) -> list[nodes.Node]:
        """As stated, and strict."""
        judged, waiting = map(read_table, (folder / "claims.csv", folder / "claims/not_judged.csv"))
        said: list[nodes.Node] = []
        for reading in ("stated", "strict"):
            own, late = (of_reading(rows, reading) for rows in (judged, waiting))
            name = READINGS[reading]
            said += [nodes.strong(text=f"{name.capitalize() if not said else name}: ")]
            said += [nodes.Text(count(own, late) + ("; " if reading == "stated" else ". "))]
        said.append(nodes.reference("", "All claims", refuri="claims.html", internal=True))
        return [nodes.paragraph("", "", *said, classes=["strip"])]


def setup(app: Sphinx) -> dict[str, object]:
    """Register the directives."""
    app.setup_extension("verdicts")
    app.add_directive("findings", FindingsDirective)
    app.add_directive("picture", PictureDirective)
    app.add_directive("strip", StripDirective)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
