"""What notebook 08 says in words: the answer in five lines, and notes on what was left out.

In: :class:`lib.study.found.Tables`. Out: Markdown, in which names are escaped.
"""

import numpy as np
import pandas as pd
from IPython.display import Markdown

from lib.experiments.audit_measures import (
    BOOTSTRAP_ROWS,
    COMPARED_ROWS,
    RANKED_ROWS,
    REPAIRED_ROWS,
)
from lib.experiments.audit_page import (
    covariate,
    data_name,
    numbers,
    overall,
    table_of,
)
from lib.experiments.audit_your_own import Config
from lib.page.notes import plain, profile_note
from lib.study.found import Tables


def _pick(rows: pd.DataFrame, **keys: object) -> pd.Series | None:
    for column, value in keys.items():
        rows = rows[rows[column] == value]
    return None if rows.empty else rows.iloc[0]


def _accuracy_line(rows: pd.DataFrame) -> str:
    r, error, spread = (_pick(rows, metric=name) for name in ("pearson_r", "rmse", "sd_target"))
    if r is None or not np.isfinite(r["value"]):
        said = "there is no correlation to speak of, since predictions or targets do not vary"
    else:
        said = f"predictions correlate at r = {numbers(r)} with what was measured"
    if error is not None:
        said += f", with a root mean squared error of {numbers(error)}"
        said += "" if spread is None else f" where targets have an SD of {spread['value']:.2f}"
    return f"Accuracy: {said}."


def _told_apart(row: pd.Series, wanted: float, band: pd.Series | None) -> int:
    """-1 or 1 where a value lies below or above what is wanted by more than chance, else 0.

    Judged by the interval, which knows of relatives; by the band where there is no interval.
    """
    low, high = float(row["lower"]), float(row["upper"])
    if np.isfinite([low, high]).all():
        return int(low > wanted) - int(high < wanted)
    if band is None or not np.isfinite([band["band_lower"], band["band_upper"]]).all():
        return 0
    return int(row["value"] > band["band_upper"]) - int(row["value"] < band["band_lower"])


def _own_band(bands: pd.DataFrame, row: pd.Series) -> pd.Series | None:
    """The null band of a value; none where the value is pooled over splits, as the band is not."""
    band = _pick(bands, metric=row["metric"])
    return band if band is not None and np.isclose(band["value"], row["value"]) else None


def _band_words(band: pd.Series | None) -> str:
    if band is None or not np.isfinite([band["band_lower"], band["band_upper"]]).all():
        return ""
    ends = f"{band['band_lower']:.2f} to {band['band_upper']:.2f}"
    return f"; perfect forecasters of this size would show {ends}"


def _coverage_line(rows: pd.DataFrame, bands: pd.DataFrame) -> str:
    covered = _pick(rows, metric="picp_90")
    if covered is None:
        return ""
    band = _own_band(bands, covered)
    words = {-1: "fewer than the 0.90 promised", 0: "which fits the 0.90 promised"}
    said = words.get(_told_apart(covered, 0.9, band), "more than the 0.90 promised")
    return (
        f"In plain words: the 90 % intervals hold {numbers(covered)} of the targets, {said}"
        f"{_band_words(band)}."
    )


def _scale_line(rows: pd.DataFrame, bands: pd.DataFrame) -> str:
    zms = _pick(rows, metric="zms")
    if zms is None or not np.isfinite(zms["value"]):
        return ""
    if zms["value"] == 0:
        return "There are no errors at all, so any predicted std is too large."
    band = _own_band(bands, zms)
    root = float(np.sqrt(zms["value"]))
    size = {
        -1: f"{1 / root:.2f} times too large on the whole",
        0: "of the size of the errors on the whole",
    }.get(_told_apart(zms, 1.0, band), f"{root:.2f} times too small on the whole")
    return (
        f"The predicted std is {size}: mean squared z is {numbers(zms)}, where 1 is right"
        f"{_band_words(band)}."
    )


def _place(by: str, cell: str) -> str:
    """Where a bin lies, in words; tenths without limits have numbers, from low to high."""
    if by.endswith("_decile") and cell.isdigit():
        return f"in tenth {int(cell)} of ten by {plain(covariate(by))}, counted from the lowest"
    return f"where {plain(covariate(by))} is {plain(cell)}"


def _worst_line(found: Tables, data: str) -> str:
    rows = found.rows[found.rows["data"] == data]
    said = []
    worst = rows[(rows["metric"] == "picp_90") & (rows["by"] != "") & (rows["shift"] == "")]
    worst = worst[worst["by"] != "score"].sort_values("value")
    if len(worst):
        row = worst.iloc[0]
        place = _place(str(row["by"]), str(row["bin"]))
        said.append(f"lowest {place}, {numbers(row)} of {row['n']:,} rows")
    shifted = overall(found)
    shifted = shifted[(shifted["data"] == data) & (shifted["shift"] != "")]
    shifted = shifted[shifted["metric"] == "picp_90"].sort_values("value")
    if len(shifted):
        row = shifted.iloc[0]
        said.append(f"under shift lowest for {plain(row['part'])}, {numbers(row)}")
    return f"That coverage is {'; '.join(said)}." if said else ""


def _use_line(found: Tables, data: str) -> str:
    said = []
    effects, repaired = table_of(found, "effects"), table_of(found, "repairs")
    if len(effects):
        ratio = _pick(
            effects, data=data, effect="risk_ratio_50", shift="none", score="std", target="measured"
        )
        if ratio is not None:
            said.append(
                f"Setting aside the half with the larger std leaves {numbers(ratio)} times the "
                "squared error"
            )
    if len(repaired):
        row = _pick(repaired, data=data, shift="", metric="picp_90", uncertainty="std_scaling")
        if row is not None:
            said.append(f"one factor on the std brings coverage to {numbers(row)}")
    return f"{'; '.join(said)}." if said else ""


def answer(found: Tables, config: Config) -> Markdown:
    """Five lines per data set."""
    said = [] if config.source == "predictions" else [profile_note(config.profile)]
    rows, bands = overall(found), table_of(found, "bands")
    for data in dict.fromkeys(rows["data"]):
        first = rows[(rows["data"] == data) & (rows["shift"] == "")]
        part = first["part"].iloc[0] if len(first) else rows["part"].iloc[0]
        own = rows[(rows["data"] == data) & (rows["part"] == part)]
        null = bands[(bands["data"] == data) & (bands["part"] == part)]
        n = own["n"].max()
        said.append(f"**{plain(data_name(data))}**, {plain(part)}, {n:,} rows:\n")
        lines_ = [
            _accuracy_line(own),
            _coverage_line(own, null),
            _scale_line(own, null),
            _worst_line(found, data),
            _use_line(found, data),
        ]
        said += [f"- {line}" for line in lines_ if line] + [""]
    return Markdown("\n".join(said))


def notes(found: Tables) -> Markdown:
    """What was made up or left out, and which column would add what."""
    table = table_of(found, "notes")
    if table.empty:
        return Markdown("Nothing was left out.")
    many = table["data"].nunique() > 1
    said = []
    for note, part in table.groupby("note", sort=False):
        names = " and ".join(data_name(data) for data in part["data"])
        said.append(f"- {plain(names) + ': ' if many else ''}{plain(note)}")
    return Markdown("\n".join(said))


def limits() -> Markdown:
    """Where a subsample stands in for all rows."""
    return Markdown(
        f"Parts of more than {BOOTSTRAP_ROWS:,} rows have values without intervals. Ranking takes "
        f"at most {RANKED_ROWS:,} rows of a part, repairs {REPAIRED_ROWS:,} of each side and tests "
        f"of a shift {COMPARED_ROWS:,}, drawn at random."
    )
