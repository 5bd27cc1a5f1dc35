"""What the values of an audit say: told from what was promised by more than chance, or not.

In: rows and tables of :mod:`lib.experiments.audit_your_own`, as written. Out: tables that follow
from them.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

PROMISED = {"picp_90": 0.9, "zms": 1.0}
HOME = "in distribution"


def readings(rows: pd.DataFrame, bands: pd.DataFrame) -> pd.DataFrame:
    """Coverage and mean squared z of each part beside what was promised, with ``reading``.

    A value is ``below``, ``above`` or ``fits``: judged by its interval, which knows of relatives,
    or by the null band where there is no interval. A value that is pooled over splits has no band.
    """
    whole = rows[(rows["by"] == "") & rows["metric"].isin(PROMISED)]
    home = HOME + (", " + whole["split"]).where(whole["split"] != "test", "")
    part = (whole["shift"] + " " + whole["condition"]).str.strip()
    whole = whole.assign(part=part.where(whole["shift"] != "", home))
    keys = ["data", "part", "metric"]
    null = bands[[*keys, "value", "band_lower", "band_upper"]].rename(columns={"value": "own"})
    found = whole.merge(null, on=keys, how="left")
    ends = found[["band_lower", "band_upper"]]
    own = np.isclose(found["value"], found["own"]) & np.isfinite(ends).all(axis=1)
    found[["band_lower", "band_upper"]] = ends.where(own)
    wanted = found["metric"].map(PROMISED)
    known = np.isfinite(found[["lower", "upper"]]).all(axis=1)
    below = np.where(known, found["upper"] < wanted, found["value"] < found["band_lower"])
    above = np.where(known, found["lower"] > wanted, found["value"] > found["band_upper"])
    found["reading"] = np.select([below, above], ["below", "above"], "fits")
    shown = ["value", "lower", "upper", "n", "band_lower", "band_upper", "reading"]
    return found[[*keys, *shown]]


def derive(rows: pd.DataFrame, tables: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """``readings``, and of each value of ``bands`` where it ``lies``: empty without a band."""
    bands = tables["bands"]
    value, low, high = (bands[name] for name in ("value", "band_lower", "band_upper"))
    nowhere = ~np.isfinite(bands[["band_lower", "band_upper"]]).all(axis=1)
    lies = np.select([nowhere, value < low, value > high], ["", "below", "above"], "within")
    return {"readings": readings(rows, bands), "bands": bands.assign(lies=lies)}
