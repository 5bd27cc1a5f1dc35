"""Sphinx extension: what the claims' verdicts are, in three readings.

In: ``results/claims.csv`` and ``results/claims/`` beside the book's folder. A claim's readings are
*as stated*, *strict* and *first*, the first round's rule; that which leads is the first of these
that the ledger has. Verdicts need published runs, so the quick report says only that.

The role ``verdict``, used as ``{verdict}`C3``` or ``{verdict}`C3 strict```, becomes the verdict's
word, of the leading reading unless one is named; the role ``effect`` becomes the effect of the
contrast that decides, with its interval. Variants of a reading stand one after the other. Without a
verdict they become "not judged yet" (or "not run") and a dash.

The directive ``verdicts`` becomes the table of all claims, a row per variant, each with a drawing
of its interval against the margin, and under it the counts and how many false calls to expect. With
a claim as its argument (``{verdicts} C3``) it becomes that claim's readings with their contrasts,
folded where they are many or not of the leading reading. The page ``claims`` needs a heading for
each claim, whose anchor is the claim's name in small letters.

The directive ``rounds`` becomes the first round's verdicts beside today's, and what each reading
changed of the first rule.
"""

import html
import re
from abc import abstractmethod
from collections import Counter
from pathlib import Path
from typing import ClassVar

import pandas as pd
from docutils import nodes
from meanings import is_smaller, meaning
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from lib.page import names
from lib.page.charts import GREEN, GREY
from lib.page.grammar import interval
from results import LOGGER, Row, TableRole, folded, make_table, page_link, read_table, text

READINGS = {"stated": "as stated", "strict": "strict", "first": "first rule"}
FAVOURS = {"for": "for the abstract", "against": "against the abstract", "neutral": "neutral"}
FALSE_CALL = 0.025  # how often a verdict is wrong, at most
NONE = "\N{EN DASH}"
LABELS = (
    names.NETWORKS
    | names.DATA
    | names.SHIFTS
    | names.MEASURED_SHIFTS
    | names.SCORES
    | names.METRICS
)
LABELS |= {"motif_unrelated": "unrelated motifs", "gc_high": "GC-rich", "gc_low": "GC-poor"}
LABELS |= {"crossing_rmse_ratio": "RMSE", "crossing_zms": "mean squared z"}
LABELS |= {"crossing_coverage_drop": "coverage"}
STARTS = " at which "  # in the names of parts that say at which dose something starts


def claim_order(row: Row) -> tuple[str, int, int]:
    """C2 before C10, as stated before strict."""
    number = re.sub(r"\D", "", row["id"])
    place = list(READINGS).index(row["reading"])
    return row["id"].rstrip("0123456789"), int(number or 0), place


def worded(name: str) -> str:
    """A contrast's name with what readers call the data, shifts and scores in it."""
    given = {"wtc11", *(key for key in LABELS if "_" in key)}
    before, bracket, values = name.partition(" (")  # which of several: identifiers and numbers
    said = re.sub(r"\w+", lambda word: LABELS[word[0]] if word[0] in given else word[0], before)
    values = re.sub(r"\b\d+\.0\b", lambda number: f"{float(number[0]):,.0f}", values)
    return said + bracket + re.sub(r"\w+", lambda word: LABELS.get(word[0], word[0]), values)


def margin(row: Row) -> str:
    """With a true minus."""
    return row["margin"].replace("-", "\N{MINUS SIGN}")


def which(row: Row) -> tuple[str, ...]:
    """Of which claim, reading and variant a row is."""
    return row["id"], row["reading"], row["variant"]


def of_reading(rows: list[Row], reading: str) -> list[Row]:
    """The rows of one reading."""
    return [row for row in rows if row["reading"] == reading]


def leading(rows: list[Row]) -> list[Row]:
    """The rows of one claim that are of its leading reading."""
    return of_reading(rows, min((row["reading"] for row in rows), key=list(READINGS).index))


def rule_dependent(rows: list[Row]) -> bool:
    """Whether a claim's verdict as stated is another than that by the first rule."""
    first, stated = (
        {row["verdict"] for row in of_reading(rows, reading) if "verdict" in row}
        for reading in ("first", "stated")
    )
    return bool(first and stated - first)


def show_effect(row: Row) -> str:
    """The effect with its interval, of less than a hundred to three decimals: margins are close by.

    A dose that no line reaches is infinite.
    """
    if float(row["effect"]) == float("inf"):
        return "never, as far as tried"
    named = {"value": "effect", "lower": "lower", "upper": "upper"}
    values = pd.Series({name: float(row[column]) for name, column in named.items()})
    shown = interval(values, 3 if abs(values["value"]) < 100 else 0)
    return shown.replace(" to ", "\N{NO-BREAK SPACE}to\N{NO-BREAK SPACE}")


def show_count(row: Row) -> str:
    """The count behind an effect, kept on one line."""
    return f"n\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{row['n']}"


def show_others(row: Row) -> str:
    """The verdicts at half and at twice the margin."""
    return f"{row['verdict_half']} / {row['verdict_double']}"


def show_quantity(row: Row) -> str:
    """What was measured, unless the contrast's name says it already."""
    return "" if row["part"].startswith(row["quantity"]) else f"{row['quantity']}: "


def limits(margin: str) -> list[float]:
    """The lower and the upper limit of what supports a claim; infinite where there is none.

    Examples
    --------
    >>> limits("> 0.8"), limits("0.85 to 0.95")
    ([0.8, inf], [0.85, 0.95])
    """
    numbers = [float(number) for number in re.findall(r"-?[\d.]+", margin.replace("\u2212", "-"))]
    if len(numbers) > 1:
        return numbers
    return [numbers[0], float("inf")] if margin.startswith(">") else [float("-inf"), numbers[0]]


def why(row: Row) -> str:
    """Why there is no verdict; the word itself stands before it."""
    said = re.sub("^(not run: |withheld, )", "", row["reason"])
    said = re.sub(r"^no results/\S+ yet$", "its table is not published yet", said)
    return worded(re.sub(r"^\S+\.csv has no row for", "no published row for", said))


def drawing(row: Row) -> nodes.raw:
    """The interval against the margin: on the shaded ground a claim is supported."""
    bounds = limits(row["margin"])
    ends = [float(row[column]) for column in ("lower", "upper")]
    known = [end for end in [*bounds, *ends, float(row["effect"])] if abs(end) != float("inf")]
    low, high = min(known), max(known)
    room = 0.12 * (high - low or 1)

    def place(value: float) -> float:
        return (
            150 * (min(max(value, low - room), high + room) - low + room) / (high - low + 2 * room)
        )

    left, right = map(place, bounds)
    a, b = map(place, ends)
    rules = "".join(
        f'<path d="M{place(x):.1f} 1V23" stroke="{GREY}" stroke-dasharray="3 2"/>'
        for x in bounds
        if abs(x) != float("inf")
    )
    said = html.escape(f"interval {show_effect(row)} against the margin {margin(row)}")
    return nodes.raw(
        "",
        f'<svg class="margin" role="img" aria-label="{said}" viewBox="0 0 150 24" width="150">'
        f'<rect x="{left:.1f}" width="{right - left:.1f}" height="24" fill="{GREEN}" '
        f'fill-opacity=".15"/>{rules}<path d="M{a:.1f} 12H{b:.1f}" stroke="currentColor" '
        f'stroke-width="2"/><circle cx="{place(float(row["effect"])):.1f}" cy="12" r="4" '
        'fill="currentColor"/></svg>',
        format="html",
    )


def verdict_word(row: Row) -> nodes.Element:
    """The word, which the style sheet colours; of a claim that waits, why."""
    if "reason" in row:
        said = row["reason"].split(":")[0].split(",")[0]
        return nodes.emphasis(text=said if said in ("not run", "withheld") else "not judged yet")
    verdict = row["verdict"]
    shown = "smaller than claimed" if is_smaller(row) else verdict
    return nodes.strong("", shown, classes=["verdict", f"verdict-{verdict.replace(' ', '-')}"])


def show_verdict(row: Row, *more: str) -> list[nodes.Node]:
    """The verdict, and how it came about where that needs saying."""
    built = "by construction" if row.get("by_construction") == "true" else ""
    more = tuple(note.removeprefix("smaller than claimed").removeprefix("; ") for note in more)
    said = "; ".join(one.rstrip(".") for one in (built, *more) if one)
    return [verdict_word(row), *text(f" ({said})" if said else "")]


def in_turn(rows: list[Row]) -> list[nodes.Node]:
    """The verdicts of a reading's variants, one after the other."""
    found: list[nodes.Node] = []
    for row in rows:
        found += text(", ") if found else []
        found += show_verdict(row, row["variant"])
    return found or text(NONE)


def tables(env, names: tuple[str, ...]) -> list[list[Row]]:
    """Rows of files of ``results/``, which a page depends on.

    Raises
    ------
    LookupError
        If one does not exist.
    """
    found = []
    for name in names:
        path = Path(env.srcdir).parent / "results" / name
        env.note_dependency(str(path))
        if not path.is_file():
            raise LookupError(f"results/{name} does not exist; make claims writes it")
        found.append(read_table(path))
    return found


class ClaimRole(TableRole):
    """What the roles ``verdict`` and ``effect`` share: the rows of a claim's reading."""

    def rows(self) -> list[Row]:
        """Those that the role names."""
        judged, waiting = tables(self.env, ("claims.csv", "claims/not_judged.csv"))
        claim, *named = self.text.split()
        found = [row for row in [*judged, *waiting] if row["id"] == claim]
        found = [row for row in found if {*named} <= {row["reading"], row["variant"]}]
        if not found:
            raise LookupError(f"0 rows of results/claims.csv are of {self.text}")
        return leading(found)

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Replace the claim by what is said of it."""
        try:
            return self.said(self.rows()), []
        except LookupError as error:
            return self.absent(str(error))

    @abstractmethod
    def said(self, rows: list[Row]) -> list[nodes.Node]:
        """What stands in the text."""


class VerdictRole(ClaimRole):
    """The role ``verdict``."""

    def said(self, rows: list[Row]) -> list[nodes.Node]:
        """The verdict's word, of several variants with their names."""
        return in_turn(rows) if len(rows) > 1 else [verdict_word(rows[0])]


class EffectRole(ClaimRole):
    """The role ``effect``."""

    def said(self, rows: list[Row]) -> list[nodes.Node]:
        """The effect that decides."""
        shown = ", ".join(show_effect(row) if "verdict" in row else NONE for row in rows)
        return [nodes.inline(text=shown, classes=["result"])]


class ClaimsDirective(SphinxDirective):
    """What the directives share."""

    files: ClassVar[tuple[str, ...]] = ("claims.csv", "claims/parts.csv", "claims/not_judged.csv")

    def run(self) -> list[nodes.Node]:
        """What the directive becomes, or that there is no verdict in this run."""
        try:
            return self.said(*tables(self.env, self.files))
        except LookupError as error:
            if self.config.results_required:
                LOGGER.warning(str(error), location=self.get_location())
        said = "No verdict in this run: only published full runs are judged."
        return [nodes.paragraph("", "", nodes.emphasis(text=said))]

    @abstractmethod
    def said(self, *found: list[Row]) -> list[nodes.Node]:
        """The directive's content from the rows of its files."""

    def link(self, evidence: str) -> list[nodes.Node]:
        """The page of the evidence by its title, or what the table says where it has no page."""
        page = evidence.split(", ")[0].removesuffix(".html")
        if page not in self.env.found_docs:
            return text(evidence)
        return page_link(self.env, page)

    def anchor(self, claim: str) -> nodes.reference:
        """A link to the claim's section, from whichever page."""
        page = "" if self.env.docname == "claims" else "claims.html"
        return nodes.reference("", claim, refuri=f"{page}#{claim.lower()}", internal=True)


class VerdictsDirective(ClaimsDirective):
    """The directive ``verdicts``."""

    optional_arguments = 1

    def said(self, judged: list[Row], parts: list[Row], waiting: list[Row]) -> list[nodes.Node]:
        """The table of all claims, or one claim with its contrasts."""
        notes = {(*which(part), part["part"]): part["note"] for part in parts}
        judged = [row | {"how": notes.get((*which(row), row["part"]), "")} for row in judged]
        rows = sorted([*judged, *waiting], key=claim_order)
        if not self.arguments:
            return [self.overview(rows, parts), *self.counts(judged, waiting)]
        own = [row for row in rows if row["id"] == self.arguments[0]]
        if not own:
            raise LookupError(f"0 rows of results/claims.csv are of {self.arguments[0]}")
        leads = leading(own)
        found: list[nodes.Node] = []
        for row in own:
            its = [part for part in parts if which(part) == which(row)]
            found += self.reading(row, its, row in leads, own)
        return found

    def overview(self, rows: list[Row], parts: list[Row]) -> nodes.table:
        """All claims, in their order, led by what the abstract says."""
        lines = []
        for claim in dict.fromkeys(row["id"] for row in rows):
            own = [row for row in rows if row["id"] == claim]
            starts = [part for part in parts if part["id"] == claim and STARTS in part["part"]]
            lines += [self.line(row, own, starts) for row in leading(own)]
        header = ["claim", "verdict", "in plain words", "interval against the margin", "passed"]
        return make_table(header, lines, "all")

    def line(self, row: Row, own: list[Row], starts: list[Row]) -> list[list[nodes.Node]]:
        """One claim of the overview; a claim's own note is left to its section."""
        depends = "rule-dependent" if rule_dependent(own) else ""
        cells = [[self.anchor(row["id"]), *text(f" {row['statement']}")]]
        name = f"{READINGS[row['reading']]}: "
        cells.append([*text(name), *show_verdict(row, row["variant"], row.get("how", ""), depends)])
        cells[1] += text(f": {why(row)}") if "reason" in row else []
        for reading in READINGS:
            others = of_reading(own, reading) if reading != row["reading"] else []
            cells[1] += [*text(f"; {READINGS[reading]}: "), *in_turn(others)] if others else []
        if "reason" in row:
            return cells + [text(NONE) for _ in range(3)]
        starts = [part for part in of_reading(starts, row["reading"]) if part["effect"]]
        counted = [part for part in starts if part["secondary"] != "True"]
        at = ""
        for part in counted or starts:
            said = worded(part["part"])
            at += f" {said[0].upper()}{said[1:]}: {show_effect(part)}"
            at += "." if counted else " (carries no weight)."
        cells.append([*text(f"{meaning(row)}{at} "), *self.link(row["evidence"])])
        values = f" {show_quantity(row)}{show_effect(row)}, {show_count(row)}; margin "
        values += f"{margin(row)}; at half / at twice the margin: {show_others(row)}"
        cells.append([drawing(row), *text(values)])
        return [*cells, text(f"{row['parts_passed']} of {row['parts']}")]

    def counts(self, judged: list[Row], waiting: list[Row]) -> list[nodes.Node]:
        """How many verdicts are what, those by construction apart, and the false ones to expect."""
        said = []
        for reading, name in READINGS.items():
            own = of_reading(judged, reading)
            built = sum(row["by_construction"] == "true" for row in own)
            counts = Counter(row["verdict"] for row in own if row["by_construction"] != "true")
            words = [f"{count} {word}" for word, count in sorted(counts.items())]
            words += [f"{built} by construction, counted apart"] if built else []
            held = Counter(verdict_word(row).astext() for row in of_reading(waiting, reading))
            words += [f"{count} {word}" for word, count in sorted(held.items())]
            said += [f"{name.capitalize()}: {', '.join(words)}."] if own else []
        number = sum(row["reading"] != "first" for row in judged)
        if number:
            said.append(
                f"Of the {number} verdicts as stated and strict, at most {FALSE_CALL * number:.1f} "
                "false calls are expected."
            )
        return [nodes.paragraph("", " ".join(said))]

    def reading(self, row: Row, parts: list[Row], leads: bool, own: list[Row]) -> list[nodes.Node]:
        """Statement, verdict and what decided it, then the contrasts."""
        name = READINGS[row["reading"]].capitalize()
        start = f"{name}, {row['variant']}" if row["variant"] else name
        head = [nodes.strong(text=f"{start}."), *text(f" “{row['statement']}.” ")]
        counts = Counter(part["verdict"] for part in parts if part["secondary"] != "True")
        words = ", ".join(f"{count} {word}" for word, count in sorted(counts.items()))
        secondary = len(parts) - sum(counts.values())
        words += f"; {secondary} secondary" if secondary else ""
        many = f"{len(parts)} contrast{'s' if len(parts) > 1 else ''}"
        fold = folded(f"{many}, {start}: {words}", self.contrasts(parts)) if parts else []
        if "reason" in row:
            said = nodes.paragraph("", "", *head, verdict_word(row), *text(f": {why(row)}."))
            return [said, *fold]
        depends = "rule-dependent" if leads and rule_dependent(own) else ""
        figures = f"{show_effect(row)}, {show_count(row)}, margin {margin(row)}"
        passed = f" {row['parts_passed']} of {row['parts']} parts passed; decided by: "
        decided = f".{passed}{worded(row['part'])}: {show_quantity(row)}{figures}. Evidence: "
        ending = [*text(decided), *self.link(row["evidence"]), nodes.Text(".")]
        said = nodes.paragraph("", "", *head, *show_verdict(row, row["note"], depends), *ending)
        return [said, *fold]

    def contrasts(self, parts: list[Row]) -> nodes.table:
        """A claim's contrasts, those that carry no weight marked."""
        header = ["contrast", "effect, interval, n", "margin", "verdict", "at half / at twice"]
        header.append("smallest detectable / supported")
        lines = []
        for row in parts:
            name = worded(row["part"]) + (", secondary" if row["secondary"] == "True" else "")
            file = nodes.literal(text=f"{row['table']}.csv")
            source = nodes.inline("", "", *text(f" {show_quantity(row)}"), file, classes=["source"])
            first = [nodes.Text(name), source]
            verdict = show_verdict(row, row["note"])
            if row["verdict"] == "not run":
                lines.append([first, text(NONE), text(NONE), verdict, text(NONE), text(NONE)])
                continue
            level = f"{100 * float(row['level']):.0f} %, {show_count(row)}"
            cells = [first, text(f"{show_effect(row)}, {level}"), text(margin(row)), verdict]
            lines.append(
                [
                    *cells,
                    text(show_others(row)),
                    text(f"{row['told']} / {row['supported']}"),
                ]
            )
        return make_table(header, lines, "contrasts")


class RoundsDirective(ClaimsDirective):
    """The directive ``rounds``."""

    files = (
        *("claims.csv", "claims/not_judged.csv"),
        *("claims/first_round.csv", "claims/changes.csv"),
    )

    def said(
        self, judged: list[Row], waiting: list[Row], before: list[Row], changes: list[Row]
    ) -> list[nodes.Node]:
        """A line per claim of the first round."""
        rows, lines = sorted([*judged, *waiting], key=claim_order), []
        for old in before:
            own = [row for row in rows if row["id"] == old["id"]]
            depends = " rule-dependent" if rule_dependent(own) else ""
            then = [verdict_word(old), *text(f" {show_effect(old)}")]
            now = [in_turn(of_reading(own, name)) for name in ("first", "stated", "strict")]
            said = [
                f"{', '.join(filter(None, (READINGS[row['reading']], row['variant'])))}: "
                f"{row['what']} ({FAVOURS[row['direction']]}): {row['why']}."
                for row in changes
                if row["id"] == old["id"]
            ]
            claim = [self.anchor(old["id"]), *text(depends)]
            lines.append([claim, then, *now, text(" ".join(said) or NONE)])
        header = ["claim", "first round", "first rule, fresh worlds", "as stated", "strict"]
        return [make_table([*header, "what changed, for whom, why"], lines, "rounds")]


def setup(app: Sphinx) -> dict[str, object]:
    """Register the roles and directives; the switch ``results_required`` is another extension's."""
    app.setup_extension("results")
    app.add_role("verdict", VerdictRole())
    app.add_role("effect", EffectRole())
    app.add_directive("verdicts", VerdictsDirective)
    app.add_directive("rounds", RoundsDirective)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
