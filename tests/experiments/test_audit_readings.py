"""What the values of an audit say, each case worked by hand."""

import numpy as np
import pandas as pd
import pytest

from lib.experiments.audit_readings import derive

NONE = float("nan")


def derived(metric, value, lower=NONE, upper=NONE, band=(NONE, NONE), own=None, shift=""):
    rows = pd.DataFrame(
        {
            **{"data": ["mine"], "split": "shifted" if shift else "test", "shift": shift},
            **{"condition": "", "by": "", "metric": metric, "n": 100},
            **{"value": value, "lower": lower, "upper": upper},
        }
    )
    bands = pd.DataFrame(
        {
            **{"data": ["mine"], "part": shift or "in distribution", "metric": metric},
            **{"value": value if own is None else own},
            **{"band_lower": band[0], "band_upper": band[1]},
        }
    )
    tables = derive(rows, {"bands": bands})
    return tables["readings"].iloc[0], tables["bands"]["lies"].iloc[0]


@pytest.mark.parametrize(
    ("metric", "value", "lower", "upper", "band", "reading"),
    [
        ("picp_90", 0.88, 0.85, 0.91, (0.89, 0.91), "fits"),  # the interval knows of relatives
        ("picp_90", 0.80, 0.75, 0.85, (0.70, 0.95), "below"),
        ("picp_90", 0.97, 0.95, 0.99, (0.88, 0.92), "above"),
        ("zms", 1.5, 0.9, 2.1, (0.9, 1.1), "fits"),
        ("zms", 0.5, 0.4, 0.6, (0.9, 1.1), "below"),
        ("picp_90", 0.80, NONE, NONE, (0.88, 0.92), "below"),  # no interval: by the band
        ("picp_90", 0.90, NONE, NONE, (0.88, 0.92), "fits"),
        ("zms", 1.2, NONE, NONE, (0.9, 1.1), "above"),
        ("zms", 1.2, NONE, np.inf, (0.9, 1.1), "above"),
        ("zms", 9.0, NONE, NONE, (0.9, np.inf), "fits"),  # nor a band: nothing can be said
        ("zms", NONE, NONE, NONE, (0.9, 1.1), "fits"),
    ],
)
def test_a_value_is_told_from_what_was_promised(metric, value, lower, upper, band, reading):
    assert derived(metric, value, lower, upper, band)[0]["reading"] == reading


def test_a_value_pooled_over_splits_has_no_band():
    read, _ = derived("picp_90", 0.80, band=(0.88, 0.92), own=0.79)
    assert read["reading"] == "fits" and np.isnan(read["band_lower"])


def test_parts_are_those_of_the_bands():
    read, lies = derived("zms", 0.5, band=(0.9, 1.1), shift="heat_<b>")
    assert (read["part"], read["band_lower"], lies) == ("heat_<b>", 0.9, "below")


@pytest.mark.parametrize(
    ("value", "band", "lies"),
    [
        (1.0, (0.9, 1.1), "within"),
        (1.2, (0.9, 1.1), "above"),
        (0.8, (0.9, 1.1), "below"),
        (1.0, (NONE, 1.1), ""),
    ],
)
def test_where_a_value_lies(value, band, lies):
    assert derived("zms", value, band=band)[1] == lies
