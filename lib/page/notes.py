"""What the pages of all experiments share: settings, banner, a value with its interval."""

import re

import numpy as np
import pandas as pd
from IPython.display import HTML

from lib.page.charts import Table
from lib.study.run import Found

BANNER = (
    '<div id="standin-banner" class="admonition warning"><p class="admonition-title">Stand-in '
    "assay</p><p>The real measurements could not be had here, so this page was run on a simulated "
    "stand-in. It shows that the code works and says nothing about any real assay. Set "
    "MPRA_DATA_DIR, or connect to the network, and run it again.</p></div>"
)


def plain(text: object) -> str:
    r"""Text that Markdown shows as it stands.

    Examples
    --------
    >>> print(plain("<b>_x_"))
    \<b\>\_x\_
    """
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", str(text))


def standin_banner(standin: bool) -> HTML:
    """A warning where the stand-in took the place of real data, else nothing."""
    return HTML(BANNER if standin else "")


def settings(found: Found) -> Table:
    """The parameters of the run that computed what the page shows."""
    content = vars(found.config)
    table = pd.DataFrame({"parameter": list(content), "value": [str(v) for v in content.values()]})
    return Table(table, f"Effective configuration {found.entry['config_hash']}.")


def interval(row: pd.Series, digits: int | None = None) -> str:
    """A value with its interval as text; the value alone where there is no interval.

    Two decimals where nothing else is asked for, none from 100 on.
    """
    shown = (2 if abs(row["value"]) < 100 else 0) if digits is None else digits
    value, low, high = (f"{row[name]:.{shown}f}" for name in ("value", "lower", "upper"))
    return (
        f"{value} ({low} to {high})" if np.isfinite([row["lower"], row["upper"]]).all() else value
    )


def profile_note(profile: str) -> str:
    """What pages below the full profile say first; empty for the full one."""
    if profile == "full":
        return ""
    return f"**{profile.capitalize()} profile: not for conclusions.**\n"
