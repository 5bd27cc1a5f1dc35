"""Sphinx extension: what was measured, broken on purpose and fed with rubbish, as tables.

In: ``benchmarks/{results,growth}.json``, ``benchmarks/{asked,absent}.csv``,
``benchmarks/peers.txt`` and ``results/trust/*.csv`` beside the book's folder. Out: the directive
``measured``, whose argument names one of :data:`TABLES`; with its option ``optional`` a strict
build does not warn where the table is not there yet. What was asked for stands beside what was
reached; a shortfall is said in per cent.
"""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
from docutils import nodes
from docutils.parsers.rst import directives
from front import TablesDirective, output
from sphinx.application import Sphinx

from lib.page.charts import Table
from lib.page.names import DATA, METRICS, MODELS
from lib.study.results import read_manifest
from lib.study.verify import EQUAL, NEITHER, WITHIN

TWIN_METRICS = ("pearson_r", "rmse", "crps_gaussian", "picp_90", "mpiw_90")
VERDICTS = (EQUAL, WITHIN, NEITHER)
MOST_EXPONENT = 1.1  # asked of every growth
RATE, SECONDS = "seq/s", "s"
WITHOUT = "__avx2"  # how names of what a processor without bfloat16 did end
GPU = "__gpu"  # and those of a graphics processor
NETWORKS = ("train", "predict")  # how names of their benchmarks begin


def number(value: float) -> str:
    """Three significant digits; from 1,000 on, whole numbers with separators."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def judged(value: float, asked: float, most: bool = False) -> str:
    """Whether a value reaches what was asked for, or by how much it misses."""
    if (value <= asked) if most else (value >= asked):
        return "reached"
    return f"missed by {abs(value / asked - 1):.0%}"


def read_json(path: Path) -> Any:
    """Content of a file.

    Raises
    ------
    FileNotFoundError
        With the command that writes it.
    """
    if not path.is_file():
        raise FileNotFoundError(f"benchmarks/{path.name} does not exist; make bench writes it")
    return json.loads(path.read_text("utf-8"))


def read_rows(root: Path) -> tuple[dict[str, dict[str, Any]], pd.DataFrame]:
    """Benchmarks by name, and what was asked of each, under the names of every kind of processor.

    What no line asks of a processor without bfloat16 is what is asked of the other one; what a
    graphics processor does has lines of its own.

    Raises
    ------
    ValueError
        If a benchmark has no line in ``asked.csv``.
    """
    rows = {row["name"]: row for row in read_json(root / "benchmarks" / "results.json")}
    asked = pd.read_csv(root / "benchmarks" / "asked.csv").set_index("name")
    known = {name.removesuffix(WITHOUT) for name in rows if rows[name]["unit"] != "r"}
    if unknown := sorted(known - set(asked.index)):
        raise ValueError(f"benchmarks/asked.csv has no line for {', '.join(unknown)}")
    plain = asked[~asked.index.str.endswith((WITHOUT, GPU))]
    others = plain.rename(index=lambda name: f"{name}{WITHOUT}")
    others["against"] += WITHOUT
    others.update(asked.loc[asked.index.intersection(others.index)])
    return rows, pd.concat([plain, others, asked[asked.index.str.endswith(GPU)]])


def plain_name(name: str) -> str:
    """A benchmark's name without the kind of processor."""
    return name.removesuffix(WITHOUT).removesuffix(GPU)


def kind(name: str) -> str:
    """What kind of processor a benchmark's name says."""
    ends = {WITHOUT: "without bfloat16", GPU: "graphics"}
    return next((said for end, said in ends.items() if name.endswith(end)), "with bfloat16")


def measured_kinds(asked: pd.DataFrame, rows: Mapping[str, Any]) -> pd.DataFrame:
    """Lines of the kinds of processor that were measured, what is alike side by side."""
    seen = {kind(name) for name, row in rows.items() if row["unit"] != "r"}
    kept = asked[[kind(name) in seen for name in asked.index]]
    place = {name: at for at, name in enumerate(asked.index)}
    order = [(place.get(plain_name(name), place[name]), name) for name in kept.index]
    return kept.loc[[name for _, name in sorted(order)]]


def machines(rows: list[Mapping[str, Any]]) -> str:
    """The machines of some rows, as the end of a caption."""
    return f"Machine: {'; '.join(sorted({str(row['processor']) for row in rows}))}."


def compared(root: Path, kept: Callable[[str], bool]) -> tuple[pd.DataFrame, str]:
    """The kept benchmarks, by name, that have something to be compared with."""
    rows, asked = read_rows(root)
    asked = measured_kinds(asked, rows)
    lines = []
    for name, wanted in asked[asked.index.map(kept)].iterrows():
        row = rows.get(str(name), {})
        against, theirs, ratio = (row.get(key) for key in ("peer_name", "peer", "ratio"))
        if wanted["against"] in rows and row:
            against, theirs = asked["what"][wanted["against"]], rows[wanted["against"]]["ours"]
            ratio = row["ours"] / theirs
        want = wanted["ratio"]
        if ratio is None and (pd.isna(want) or str(name).endswith(WITHOUT)):
            continue
        unit, compared = row.get("unit", ""), ratio is not None
        line = {"what": wanted["what"], "processor": kind(str(name))}
        line |= {"ours": f"{number(row['ours'])} {unit}" if row else "", "against": against}
        line |= {"theirs": f"{number(theirs)} {unit}" if compared else ""}
        line |= {"times as fast": number(ratio) if compared else ""}
        line |= {"asked": "" if pd.isna(want) else number(want), "outcome": "not asked"}
        if pd.notna(want):
            line["outcome"] = judged(ratio, want) if compared else "not compared"
        lines.append(line)
    own = [row for name, row in rows.items() if kept(name) and row["unit"] != "r"]
    caption = "Ours beside others in the same run, medians; above 1 means ours is faster."
    return pd.DataFrame(lines), f"{caption} {machines(own)}"


def networks(root: Path) -> tuple[pd.DataFrame, str]:
    """Training and prediction on processors."""
    return compared(root, lambda name: name.startswith(NETWORKS) and not name.endswith(GPU))


def graphics(root: Path) -> tuple[pd.DataFrame, str]:
    """Those on a graphics processor, of which nothing was asked."""
    table, caption = compared(root, lambda name: name.endswith(GPU))
    return table.drop(columns=["processor", "asked", "outcome"]), caption


def peers(root: Path) -> tuple[pd.DataFrame, str]:
    """Everything else."""
    return compared(root, lambda name: not name.startswith(NETWORKS))


def limits(root: Path) -> tuple[pd.DataFrame, str]:
    """Rates, times and memory that were asked for."""
    rows, asked = read_rows(root)
    lines = []
    for name, wanted in measured_kinds(asked, rows).iterrows():
        row = rows.get(str(name))
        if row is None:
            continue
        if pd.notna(wanted["rate"]):
            said = judged(row["ours"], wanted["rate"])
            lines.append((name, "rate", row["ours"], "at least", wanted["rate"], RATE, said))
        if pd.notna(wanted["seconds"]):
            said = judged(row["ours"], wanted["seconds"], most=True)
            lines.append((name, "time", row["ours"], "at most", wanted["seconds"], SECONDS, said))
        if pd.notna(wanted["gigabytes"]) and row["peak_mib"] is not None:
            used = row["peak_mib"] * 2**20 / 1e9
            said = judged(used, wanted["gigabytes"], most=True)
            lines.append((name, "memory", used, "at most", wanted["gigabytes"], "GB", said))
    table = pd.DataFrame(
        {
            "what": asked["what"][name],
            "processor": kind(str(name)),
            "of": of,
            "reached": f"{number(value)} {unit}",
            "asked": f"{bound} {number(limit)} {unit}",
            "outcome": said,
        }
        for name, of, value, bound, limit, unit, said in lines
    )
    own = [row for name, row in rows.items() if not name.endswith(GPU)]
    return table, f"What was asked for in itself. {machines(own)}"


def precision(root: Path) -> tuple[pd.DataFrame, str]:
    """Accuracy of the same fits in another arithmetic."""
    every = {row["name"]: row for row in read_json(root / "benchmarks" / "results.json")}
    rows = {name: row for name, row in every.items() if row["unit"] == "r"}
    if not rows:
        raise ValueError("benchmarks/results.json has no accuracies; benchmarks/precision.py does")
    table = pd.DataFrame(
        {
            "fits": plain_name(name).removeprefix("accuracy_").replace("_", " "),
            "processor": kind(name),
            "correlation": f"{row['ours']:.4f}",
            "±": f"{row['spread']:.4f}",
            "seeds": row["n"],
        }
        for name, row in rows.items()
    )
    caption = (
        "The same fits in another arithmetic: ± is the spread between seeds, of a difference its "
        "standard error."
    )
    return table, caption


def growth(root: Path) -> tuple[pd.DataFrame, str]:
    """Slopes of time and memory, and the largest size of each."""
    entries = read_json(root / "benchmarks" / "growth.json")
    works = {name: entry for name, entry in entries.items() if not name.startswith("share")}

    def slope(value: float | None) -> str:
        if value is None:
            return "too little growth to fit"
        return f"{value:.2f}, {judged(value, MOST_EXPONENT, most=True)}"

    table = pd.DataFrame(
        {
            "what": work["what"],
            "processor": kind(name),
            "elements": f"{work['points'][-1]['n']:,}",
            "seconds": number(work["points"][-1]["seconds"]),
            "peak MiB": number(work["points"][-1]["peak_mib"]),
            "exponent of time": slope(work["time_exponent"]),
            "exponent of memory": slope(work["memory_exponent"]),
        }
        for name, work in works.items()
    )
    caption = (
        f"The largest size of each, and slopes over all sizes; at most {MOST_EXPONENT} was asked. "
        "Memory grows from what the libraries take. "
    )
    return table, caption + machines([*works.values()])


def sizes(root: Path) -> tuple[pd.DataFrame, str]:
    """Every size that was measured."""
    entries = read_json(root / "benchmarks" / "growth.json")
    lines = [
        {
            "what": work["what"],
            "processor": kind(name),
            "elements": f"{point['n']:,}",
            "seconds": number(point["seconds"]),
            "MiB at the start": number(point["start_mib"]),
            "peak MiB": number(point["peak_mib"]),
        }
        for name, work in entries.items()
        if not name.startswith("share")
        for point in work["points"]
    ]
    return pd.DataFrame(lines), "Each size in a process of its own."


def share(root: Path) -> tuple[pd.DataFrame, str]:
    """What part of the machine's measured peak training and prediction use."""
    rows, asked = read_rows(root)
    entries = read_json(root / "benchmarks" / "growth.json")
    found = {name: entry for name, entry in entries.items() if name.startswith("share")}
    if not found:
        raise ValueError("benchmarks/growth.json has no share; python benchmarks/growth.py share")
    lines, peaks = [], []
    for name, entry in found.items():
        dtype = "bfloat16" if kind(name) == "with bfloat16" else "float32"
        peak = entry[f"{dtype}_flops"]
        peaks.append(f"{number(peak / 1e9)} thousand million operations per second in {dtype}")
        for work, each in entry["operations"].items():
            own = work if name == "share" else f"{work}{WITHOUT}"
            if own in rows:
                line = {"what": asked["what"][own], "processor": kind(name)}
                line |= {"million operations per sequence": number(each / 1e6)}
                line |= {"sequences per second": number(rows[own]["ours"])}
                reached = each * rows[own]["ours"] / peak
                lines.append(line | {"share of the peak": f"{reached:.0%}"})
    caption = (
        f"The peak is a matrix product on all cores: {' and '.join(peaks)}. "
        "A fit or forecast has one core, an ensemble all. "
    )
    return pd.DataFrame(lines), caption + machines([*found.values()])


def kinds(root: Path) -> tuple[pd.DataFrame, str]:
    """Where the time of training goes."""
    table = read_table(root, "kinds")
    named = table["network"].map(MODELS) + ", " + table["precision"]
    shown = table.assign(named=named, share=(100 * table["share"]).map("{:.0f} %".format))
    order = {"index": "kind", "columns": "named", "values": "share"}
    shown = shown.pivot(**order).reindex(columns=[*dict.fromkeys(named)])
    shown = shown.loc[[*dict.fromkeys(table["kind"])]].rename_axis(columns=None)
    caption = "Shares of the time of one epoch on one thread, by kind of operation. "
    return shown.reset_index(), caption + machines(table.to_dict("records"))


def absent(root: Path) -> tuple[pd.DataFrame, str]:
    """Peers with their versions, and those that could not be installed."""
    text = (root / "benchmarks" / "peers.txt").read_text("utf-8")
    pins = [line.split("==") for line in text.splitlines() if "==" in line]
    have = pd.DataFrame(pins, columns=["peer", "version"]).assign(state="installed")
    lack = pd.read_csv(root / "benchmarks" / "absent.csv")
    lack = lack.rename(columns={"name": "peer", "why": "state"}).assign(version="")
    lack["state"] = "not installed: " + lack["state"]
    return pd.concat([have, lack]), "Other software, in an environment of its own."


def ci(root: Path) -> tuple[pd.DataFrame, str]:
    """Steps of continuous integration."""
    table = read_table(root, "ci")
    asked = pd.read_csv(root / "benchmarks" / "asked.csv").set_index("name")["seconds"]
    bounds = [asked.get(f"ci_{step}", float("nan")) for step in table["step"]]
    pairs = list(zip(table["seconds"], bounds, strict=True))
    table["asked"] = [f"at most {number(most)}" if pd.notna(most) else "" for _, most in pairs]
    table["outcome"] = [judged(s, most, most=True) if pd.notna(most) else "" for s, most in pairs]
    return table, "Seconds of steps of .ci/run in a fresh clone, nothing else running."


def cost(root: Path) -> tuple[pd.DataFrame, str]:
    """What the full run was estimated to cost, beside what it took."""
    table = read_table(root, "cost")
    table["planned"] = pd.to_numeric(table["core_hours"]).fillna(0)
    planned = table.groupby("notebook", as_index=False)[["fits", "planned"]].sum()
    manifest = read_manifest(root / "results")
    took = []
    for number_of in planned["notebook"]:
        (page,) = (root / "book" / "experiments").glob(f"{int(number_of):02d}_*.ipynb")
        entry = manifest.get(page.stem.partition("_")[2], {})
        took.append(entry["seconds"] / 3600 if entry.get("dtype") else float("nan"))
    shown = planned.assign(took=took, notebook=planned["notebook"].astype(int))
    total, spent = planned["planned"].sum(), shown["took"].sum()
    for name in ("planned", "took"):
        shown[name] = shown[name].map("{:.1f}".format).replace("nan", "")
    caption = (
        "The full profile in hours of one core: planned beforehand for a processor with AVX2 "
        f"({total:.1f} in all), and what the published run took on the processor of the table "
        f"above ({spent:.1f} in all). Fits count once in each chapter that uses them; their time "
        "stands where they were trained. The plan's number of fits is not that of "
        "the table above, since some were left out or shared later."
    )
    return shown.rename(columns={"fits": "fits planned", "planned": "hours planned"}), caption


def read_table(root: Path, name: str) -> pd.DataFrame:
    """A table of ``results/trust``.

    Raises
    ------
    FileNotFoundError
        If it was not recorded.
    """
    path = root / "results" / "trust" / f"{name}.csv"
    if not path.is_file():
        raise FileNotFoundError(f"results/trust/{name}.csv does not exist")
    return pd.read_csv(path, keep_default_na=False)


def fuzz(root: Path) -> tuple[pd.DataFrame, str]:
    """How damaged inputs ended, per kind of input."""
    table = read_table(root, "fuzz")
    seed = ", ".join(map(str, sorted(set(table["seed"]))))
    names = {
        "errors": "documented errors",
        "known": "known errors",
        "other_ends": "other ends",
        "distinct_messages": "different messages",
        "slowest_s": "slowest, s",
    }
    caption = (
        f"Cases of seed {seed} and how they ended. Other ends are exceptions that are not "
        "documented, results that break their contract, hangs and files left behind."
    )
    return table.drop(columns="seed").rename(columns=names), caption


def _faults(root: Path, name: str, caption: str) -> tuple[pd.DataFrame, str]:
    table = read_table(root, name)
    held = table["held"].astype(str).map({"True": "yes", "False": "NO"})
    shown = table[["fault", "happened", "lost"]].assign(held=held)
    names = {"happened": "what happened", "held": "as promised"}
    told = table.rename(columns={"machine": "processor"}).to_dict("records")
    return shown.rename(columns=names), f"{caption} {machines(told)}"


def faults(root: Path) -> tuple[pd.DataFrame, str]:
    """Faults on a small run."""
    return _faults(root, "faults", "Faults of a run of notebook 02's experiment, smoke profile.")


def faults_quick(root: Path) -> tuple[pd.DataFrame, str]:
    """Kills of a quick run."""
    return _faults(root, "faults_quick", "The same kills on the quick profile.")


def mutants(root: Path) -> tuple[pd.DataFrame, str]:
    """Which test notices that a line is wrong."""
    table = read_table(root, "mutants").drop(columns="tests")
    shown = table.rename(columns={"mutant": "changed to", "noticed_by": "noticed by"})
    return shown, "Lines that were made wrong, one at a time, and the first test that failed."


def verified(root: Path) -> tuple[pd.DataFrame, str]:
    """How published units agreed that were computed again."""
    table = read_table(root, "verify")
    work = table["function"].str.partition(":")[2].str.removesuffix("_unit")
    rows = [table["processor"], table["experiment"].str.replace("_", " "), work.rename("unit")]
    counts = table.groupby([*rows, table["verdict"]]).size().unstack(fill_value=0)
    shown = counts.reindex(columns=VERDICTS, fill_value=0).rename_axis(columns=None)
    caption = (
        "Published units that were computed again, each from nothing, and how many agreed: in "
        "every byte, or in their score within three standard deviations between seeds."
    )
    return shown.reset_index(), caption


def twin(root: Path) -> tuple[pd.DataFrame, str]:
    """Notebook 02 in bfloat16, its rows in distribution, beside what was published in float32."""
    published = pd.read_csv(root / "results" / "mpra_gc_ood.csv", keep_default_na=False)
    keys = ["data", "model", "prior", "uncertainty", "metric"]
    whole = ["shift", "condition", "by", "seed"]  # empty
    inside = published["split"].eq("test") & (published[whole] == "").all(axis=1)
    kept = published[inside & published["metric"].isin(TWIN_METRICS)]
    both = kept.merge(read_table(root, "twin")[[*keys, "value"]], on=keys, suffixes=("", "_twin"))
    both["model"] = both["model"].mask(both["prior"] == "motif_jaspar", "motif_network")
    alone = both["model"].isin(["leading", "joint", "motif_network"])
    both = both[both["uncertainty"].eq("ensemble") | alone]
    shown = both[["data", "model"]].apply(lambda column: column.map(DATA | MODELS))
    shown["repaired"] = both["uncertainty"].eq("std_scaling").map({True: "yes", False: ""})
    shown["metric"] = both["metric"].map(METRICS)
    for name, column in (("float32", "value"), ("from", "lower"), ("to", "upper")):
        shown[name] = both[column].astype(float).map("{:.3f}".format)
    shown["bfloat16"] = both["value_twin"].map("{:.3f}".format)
    caption = (
        "Scores of notebook 02 in distribution: published, in float32 with a 95 % interval, and "
        "of the same fits in bfloat16. Another rounding acts like another seed."
    )
    return shown, caption


TABLES: Mapping[str, Callable[[Path], tuple[pd.DataFrame, str]]] = {
    "networks": networks,
    "graphics": graphics,
    "peers": peers,
    "limits": limits,
    "precision": precision,
    "growth": growth,
    "sizes": sizes,
    "share": share,
    "kinds": kinds,
    "absent": absent,
    "ci": ci,
    "cost": cost,
    "fuzz": fuzz,
    "faults": faults,
    "faults-quick": faults_quick,
    "mutants": mutants,
    "verify": verified,
    "twin": twin,
}


def in_short(root: Path) -> str:
    """How training and prediction compare with a plain loop, and how many targets are reached."""
    rows, _ = read_rows(root)
    names = ("train_cnn_ensemble", "train_book_cnn", "predict_cnn")
    with_it, without = (
        [number(rows[name + end]["ratio"]) for name in names if name + end in rows]
        for end in ("", WITHOUT)
    )
    if not len(with_it) == len(without) == len(names):
        raise ValueError("benchmarks/results.json lacks training or prediction; make bench adds it")
    small, own, predicted = with_it
    made = compared(root, lambda _: True), limits(root), ci(root)
    said = [line for table, _ in made for line in table["outcome"]]
    said += [cell.partition(", ")[2] for cell in growth(root)[0].filter(like="exponent").stack()]
    reached = said.count("reached")
    missed = sum(outcome.startswith("missed") for outcome in said)
    return (
        f"In short: where the processor has bfloat16, small CNNs on two cores train {small} times "
        f"as fast as a plain loop, the book's CNN {own} times, and prediction is {predicted} times "
        f"as fast; where it has not, {', '.join(without[:2])} and {without[2]} times. Of "
        f"{reached + missed} targets {reached} are reached."
    )


class ShortDirective(TablesDirective):
    """The directive ``benchmarks-in-short``."""

    def content_nodes(self, folder: Path) -> list[nodes.Node]:
        """A paragraph."""
        return [nodes.paragraph(text=in_short(folder.parent))]


class MeasuredDirective(TablesDirective):
    """The directive ``measured``."""

    required_arguments = 1
    option_spec: ClassVar = {"optional": directives.flag}

    def content_nodes(self, folder: Path) -> list[nodes.Node]:
        """The table that the argument names."""
        name = self.arguments[0]
        if name not in TABLES:
            raise ValueError(f"no table {name!r}; there are {', '.join(TABLES)}")
        for place in ("benchmarks", "results/trust"):
            for path in sorted((folder.parent / place).glob("*.*")):
                self.env.note_dependency(str(path))
        try:
            return [output(Table(*TABLES[name](folder.parent))._repr_html_())]
        except (FileNotFoundError, ValueError):
            if "optional" not in self.options:
                raise
            return [nodes.paragraph("", "", nodes.emphasis(text="Not recorded yet."))]


def setup(app: Sphinx) -> dict[str, object]:
    """Register the directive; the roles' extension brings the switch ``results_required``."""
    app.setup_extension("results")
    app.add_directive("measured", MeasuredDirective)
    app.add_directive("benchmarks-in-short", ShortDirective)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
