"""Tables of the real shifts: splits pooled, what forecasts are held against."""

import pandas as pd
import pytest
from scipy.stats import t

from lib.experiments.twins.tables import observed, pooled_splits


def test_splits_are_pooled_with_the_correction_for_overlap() -> None:
    """Values 1 and 3, each ± 1.96 * 0.5: variance 0.25 + (1/2 + 1/4) * 2."""
    table = pd.DataFrame({"k": "a", "value": [1.0, 3.0], "n": 10, "n_train": 40})
    table["lower"], table["upper"] = table["value"] - 0.979982, table["value"] + 0.979982
    row = pooled_splits(table, ["k"]).iloc[0]
    total, between = 0.25 + 1.5, 1.5
    half = t.ppf(0.975, (total / between) ** 2) * total**0.5
    assert row["value"] == 2
    assert row["upper"] - row["value"] == pytest.approx(half, rel=1e-4)
    one = pooled_splits(table[:1].assign(upper=9.0), ["k"]).iloc[0]
    assert (one["lower"], one["upper"]) == pytest.approx((0.020018, 9.0))


def test_a_loss_of_coverage_is_a_fall_with_its_ends_turned() -> None:
    row = {"shift": "batch", "condition": "3", "model": "cnn", "uncertainty": "single"}
    row |= {"against": "reference", "value": -0.2, "lower": -0.3, "upper": -0.05}
    found = observed(pd.DataFrame([row | {"metric": "picp_90"}, row | {"metric": "zms"}]))
    columns = ["metric", "observed", "observed_lower", "observed_upper"]
    assert found[columns].to_numpy().tolist() == [
        ["coverage_drop", 0.2, 0.05, 0.3],
        ["zms_ratio", -0.2, -0.3, -0.05],
    ]
