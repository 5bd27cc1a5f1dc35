"""A page's grammar: pick rows, name them, then draw, tabulate or say them.

In: tidy tables of an experiment. Out: figures of :mod:`lib.page.charts`, tables or Markdown. A cell
of a notebook is one such sentence; no number is typed in it. A table without rows may lack columns.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from IPython.display import HTML, Markdown

from lib.page.charts import Table
from lib.page.charts import dots as dots
from lib.page.charts import heat_map as heat_map
from lib.page.charts import lines as lines
from lib.study.results import Found

Names = Mapping[str, str]
BANNER = (
    '<div id="standin-banner" class="admonition warning"><p class="admonition-title">Stand-in '
    "assay</p><p>The real measurements could not be had here, so this page was run on a simulated "
    "stand-in. It shows that the code works and says nothing about any real assay. Set "
    "MPRA_DATA_DIR, or connect to the network, and run it again.</p></div>"
)


def standin_banner(found: Found) -> HTML:
    """A warning where the stand-in took the place of real data, else nothing."""
    return HTML(BANNER if (found.rows["data"] == "standin").any() else "")


def settings(found: Found) -> Table:
    """The parameters of the run that computed what the page shows."""
    content = [(name, str(value)) for name, value in vars(found.config).items()]
    table = pd.DataFrame(content, columns=["parameter", "value"])
    return Table(table, f"Effective configuration {found.entry['config_hash']}.")


def pick(rows: pd.DataFrame, **keys: Any) -> pd.DataFrame:
    """Rows whose columns hold what is wanted: a value, one of several, or what a test accepts.

    None and ``""`` both mean an empty cell.
    """
    for column, wanted in keys.items() if len(rows) else ():
        rows = rows[_holds(rows[column], wanted)]
    return rows


def drop(rows: pd.DataFrame, **keys: Any) -> pd.DataFrame:
    """Rows of which no column holds what is named; see :func:`pick`."""
    for column, unwanted in keys.items() if len(rows) else ():
        rows = rows[~_holds(rows[column], unwanted)]
    return rows


def _holds(cells: pd.Series, wanted: Any) -> pd.Series:
    if wanted is None or (isinstance(wanted, str) and not wanted):
        return cells.isna() | (cells == "")
    if callable(wanted):
        return cells.map(wanted).astype(bool)
    if pd.api.types.is_scalar(wanted):
        return cells == wanted
    return cells.isin(list(wanted))


def has(*words: str) -> Callable[[str], bool]:
    """A test for :func:`pick`: whether a cell holds one of these words."""
    return lambda cell: any(word in cell for word in words)


def one(rows: pd.DataFrame, **keys: Any) -> pd.Series | None:
    """The first such row, or None."""
    found = pick(rows, **keys)
    return None if found.empty else found.iloc[0]


def prefer(rows: pd.DataFrame, same: Sequence[str], **ranked: Sequence[str]) -> pd.DataFrame:
    """Of rows that agree in some columns those that hold what a list names first, of one column."""
    ((column, order),) = ranked.items()
    rows = pick(rows, **{column: order})
    if rows.empty:
        return rows
    rank = rows[column].map(order.index)
    groups = rank.groupby([rows[key] for key in same], dropna=False)
    return ordered(rows[rank == groups.transform("min")], **ranked)


def ordered(rows: pd.DataFrame, **orders: Iterable[Any]) -> pd.DataFrame:
    """Rows in the order in which lists name what columns hold; others last, as they came."""
    if rows.empty:
        return rows
    ranks = {column: {v: i for i, v in enumerate(order)} for column, order in orders.items()}

    def rank(cells: pd.Series) -> pd.Series:
        return cells.map(ranks[str(cells.name)]).astype(float)

    return rows.sort_values(list(orders), key=rank, kind="stable")


def furthest(rows: pd.DataFrame) -> pd.DataFrame:
    """Of simulated rows those in distribution, at the end of the dial or turned to one distance.

    All measured rows stay. ``part`` holds the distance as ``d=0.5``.
    """
    if rows.empty:
        return rows
    simulated = rows["data"] == "simulation"
    last = rows["severity"] == rows["severity"].where(simulated).max()
    return rows[~simulated | last | (rows["shift"] == "") | rows["part"].str.startswith("d=")]


def name(rows: pd.DataFrame, **names: Names | Callable[[pd.DataFrame], Any]) -> pd.DataFrame:
    """Columns in a reader's words: by a mapping, which may lack some, or by a function of rows."""
    if rows.empty:
        return rows.assign(**{new: pd.Series(dtype=object) for new in names if new not in rows})
    made = {
        column: how(rows) if callable(how) else rows[column].map(lambda v, how=how: how.get(v, v))
        for column, how in names.items()
    }
    return rows.assign(**made)


def interval(row: pd.Series, digits: int | None = None) -> str:
    """A value with its interval as text, which may have one infinite end; else the value alone.

    Two decimals where nothing else is asked for, none from 100 on.
    """
    shown = (2 if abs(row["value"]) < 100 else 0) if digits is None else digits
    numbers = (round(float(row[name]), shown) + 0.0 for name in ("value", "lower", "upper"))
    said = (f"{x:,.{shown}f}".replace("inf", "\N{INFINITY}") for x in numbers)  # never -0.00
    value, low, high = (number.replace("-", "\N{MINUS SIGN}") for number in said)
    ends = np.array([row["lower"], row["upper"]], float)
    known = np.isfinite(ends).any() and not np.isnan(ends).any()
    return f"{value} ({low} to {high})" if known else value


def texts(rows: pd.DataFrame, digits: int | None = None) -> list[str]:
    """Each row's value with its interval; empty where there is no value."""
    return [interval(row, digits) if pd.notna(row["value"]) else "" for _, row in rows.iterrows()]


def worded(row: pd.Series | None, words: Sequence[str], middle: float = 1.0) -> str | None:
    """Of three words the one for an interval below a middle value, around it or above it."""
    if row is None:
        return None
    return words[0 if row["upper"] < middle else 2 if row["lower"] > middle else 1]


def spans(rows: pd.DataFrame, lower: str, upper: str) -> list[str]:
    """Two ends as text; empty where one is missing."""
    ends = rows[[lower, upper]].to_numpy(float)
    return [f"{a:.3f} to {b:.3f}" if np.isfinite([a, b]).all() else "" for a, b in ends]


def first(rows: pd.DataFrame, most: int, of: str = "part", within: str = "data") -> pd.DataFrame:
    """Rows of the first values of a column, in each value of another: as a chart has room."""
    if rows.empty:
        return rows
    place = rows.groupby(within)[of].transform(lambda cells: pd.factorize(cells)[0])
    return rows[place < most]


def listing(rows: pd.DataFrame, headed: Names, caption: str) -> Table:
    """One line per row: the columns that ``headed`` names, under its heads."""
    return Table(rows.reindex(columns=[*headed]).rename(columns=headed), caption)


def wide(rows: pd.DataFrame, index: Sequence[str] | Names, columns: str, caption: str, *,
         cell: str | int | None = None, names: Names | None = None, sort: bool = True,
         **words: Names) -> Table:  # fmt: skip
    """One line per ``index``, one column per value of ``columns``, named and ordered by ``names``.

    ``index`` may head its columns. ``cell`` is a column, or the digits of a value with its
    interval. ``sort=False`` keeps the order in which lines came, those of one value of the first
    index together; ``words`` name an index after the lines were sorted.
    """
    if rows.empty:
        return Table(rows, caption)
    values = rows[cell] if isinstance(cell, str) else texts(rows, cell)
    how: Any = {"aggfunc": "first", "sort": sort, "dropna": False}
    table = rows.assign(_cell=values).pivot_table("_cell", [*index], columns, **how)
    table = table.dropna(how="all")
    if not sort:
        parts = [part for _, part in rows.groupby(next(iter(index)), sort=False, dropna=False)]
        order = pd.concat(parts).set_index([*index]).index.unique()
        table = table.reindex(order[order.isin(table.index)])
    if names is not None:
        table = table[[key for key in names if key in table]].rename(columns=names)
    table = name(table.rename_axis(None, axis=1).reset_index(), **words)
    return Table(table.rename(columns=index) if isinstance(index, Mapping) else table, caption)


def columns(
    rows: pd.DataFrame, line: Names, cells: Mapping[str, tuple[str, str]], caption: str
) -> Table:
    """One line per value of a column; in each column a metric's ``interval``, or a number of it."""
    ((key, title),) = line.items()
    parts = {}
    for label, (metric, kind) in cells.items():
        part = pick(rows, metric=metric)
        text = texts(part) if kind == "interval" else (part[kind].round(2) + 0).map("{:.2f}".format)
        parts[label] = pd.Series(list(text), index=part[key])
    return Table(pd.concat(parts, axis=1).rename_axis(title).reset_index(), caption)


def capital(text: str) -> str:
    """A text that opens a sentence."""
    return text[0].upper() + text[1:]


def listed(names: Sequence[str]) -> str:
    """Names as an English list."""
    return ", ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else "".join(names)


def plain(text: object) -> str:
    r"""Text that Markdown shows as it stands.

    Examples
    --------
    >>> print(plain("<b>_x_"))
    \<b\>\_x\_
    """
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", str(text))


def said(profile: str, *sentences: str) -> Markdown:
    """The answer: the profile's note, but for the full one, and what could be said."""
    note = f"**{profile.capitalize()} profile: not for conclusions.**\n"
    return Markdown("\n".join(filter(None, ("" if profile == "full" else note, *sentences))))


def say(sentence: str, **rows: pd.Series | str | None) -> str:
    """A sentence with values and intervals in its braces, ``{r}`` or ``{r:3}`` for three digits.

    In per cent ``{r:%}`` is a share, which ends at 0 and 100, ``{r:+%}`` a ratio or change. Empty
    where one of the rows is missing.
    """
    known = all(row is not None for row in rows.values())
    return sentence.format(**{key: _Said(row) for key, row in rows.items()}) if known else ""


class _Said:
    def __init__(self, row: Any) -> None:
        self.row = row  # of a table, or text

    def __format__(self, digits: str) -> str:
        if isinstance(self.row, str):
            return self.row
        if digits.endswith("%"):
            percent = 100 * self.row[["value", "lower", "upper"]].astype(float)
            text = interval(percent.clip(0, 100) if digits == "%" else percent, 0)
            return re.sub("(?= )|$", "\N{NO-BREAK SPACE}%", text, count=1)
        return interval(self.row, int(digits) if digits else None)

    def __getattr__(self, name: str) -> Any:  # {hidden.n:.0f}
        return self.row[name]
