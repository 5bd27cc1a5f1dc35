import numpy as np
import pandas as pd
import pytest

from lib.data.dataset import SequenceDataset
from lib.experiments import gc_tables
from lib.experiments.assays import FittedArm, build_arms
from lib.sequences import reverse_complement


def assay(codes, activity, **more):
    return SequenceDataset("made", codes, activity, np.arange(len(codes)), **more)


def random_codes(n, length=80, seed=0):
    return np.random.default_rng(seed).integers(0, 4, (n, length)).astype(np.uint8)


def test_deciles_hold_a_tenth_each():
    data = assay(random_codes(5000, 200), np.zeros(5000))
    labels, counts = np.unique(gc_tables.gc_deciles(data), return_counts=True)
    assert len(labels) == 10
    assert counts.min() > 350 and counts.sum() == 5000


def test_reliability_recovers_a_known_share_of_signal():
    rng = np.random.default_rng(0)
    n = 4000
    codes = np.vstack([random_codes(n), np.zeros((n, 80), np.uint8)])
    codes[n:] = reverse_complement(codes[:n])
    signal = rng.normal(size=n) * 0.744**0.5
    noise = rng.normal(size=2 * n) * 0.256**0.5
    data = assay(codes, np.tile(signal, 2) + noise)
    found, bound = gc_tables.reliability(data, 500).itertuples()
    assert found.lower < 0.744 < found.upper and found.upper - found.lower < 0.05
    assert bound.value == pytest.approx(found.value**0.5)


def test_an_assay_of_one_orientation_has_no_reliability():
    assert gc_tables.reliability(assay(random_codes(50), np.zeros(50)), 100).empty


def test_no_aggregate_of_fewer_than_ten_elements():
    data = assay(random_codes(900), np.random.default_rng(0).normal(size=900))
    arms = build_arms(data, ("group", "tail"), 0.8, (), 0)
    table = gc_tables.gc_histogram(arms)
    assert table["count"].min() >= 10
    forecast = data.activity + 0.1, np.ones(900)
    binned = gc_tables.predicted_measured([FittedArm(arm, (), (forecast,)) for arm in arms])
    assert binned["n"].min() >= 10
    assert (binned["predicted"] - binned["measured"]).to_numpy() == pytest.approx(0.1)


def test_repairs_are_counted_in_the_table():
    table = gc_tables.assay_table(
        [assay(random_codes(50), np.arange(50.0), repairs={"upper": 3})], 100
    )
    row = table[table["measure"] == "repaired_upper"]
    assert row["value"].item() == 3
    assert isinstance(table, pd.DataFrame)
