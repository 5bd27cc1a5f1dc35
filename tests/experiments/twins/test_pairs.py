"""Pairs: from labels alone, and apart as the dial of the stand-in says."""

import numpy as np
import pandas as pd
import pytest

from lib.experiments.twins import pairs
from lib.experiments.twins.assays import standin_assays


def test_labels_shared_between_libraries_are_the_others_mean_and_its_error() -> None:
    names = [f"e{index:02d}" for index in range(12)]
    value = np.arange(12.0)
    tables = [
        pd.DataFrame({"library": library, "label": names, "origin": names})
        .assign(activity=value + add, noise_std=std)
        for library, add, std in (("1", 0.0, 0.3), ("2", 2.0, 0.4), ("3", 10.0, 0.1))
    ]  # fmt: skip
    pair = pairs.library_pair(pd.concat(tables), "3", ("1", "2", "3"))
    assert pair.activity_a == pytest.approx(value + 1)
    assert pair.activity_b == pytest.approx(value + 10)
    assert pair.std_a == pytest.approx(0.25)  # sqrt(0.09 + 0.16) / 2
    assert pair.std_b == pytest.approx(0.1)


def test_distances_grow_with_the_dial() -> None:
    assays = standin_assays(400)
    table = pairs.decompositions(assays, draws=50)
    own = table[(table["shift"] == "genotype") & (table["quantity"] == "total")]
    by = own[own["elements"] == "all"].set_index("condition")["value"]
    assert by["Ehom"] > by["Rhom"] > by["Rhet"]  # dials .8, .3 and .1
    assert {pairs.SITES, pairs.CONTROL} <= set(table["elements"])
