import numpy as np
import pandas as pd
import pytest

from lib.experiments import repair_tables
from lib.experiments.repair_tables import FROM_WEIGHTS
from lib.experiments.repairs import ESTIMATED, KNOWN


def test_label_budget_is_the_size_from_which_on_coverage_holds():
    def enough(*restored):
        return repair_tables.enough(pd.Series(restored, index=[10, 20, 50]))

    assert enough(True, True, True) == 10 and enough(True, False, True) == 50
    assert np.isnan(enough(True, True, False))


def world_values(coverages, **keys):
    base = {"shift": "effect_rewiring", "family": "concept", "severity": 0.5, "condition": "d=0.5"}
    base |= {"uncertainty": "norm_cp", "variant": "", "metric": "picp_90", "by": "", "bin": ""}
    base |= {"dial": np.nan}
    return pd.DataFrame({"value": coverages, "replicate": range(len(coverages))}).assign(
        **(base | keys)
    )


@pytest.mark.parametrize(
    ("coverages", "verdict"),
    [
        ([0.74, 0.75, 0.76], "supported"),
        ([0.84, 0.85, 0.86], "contradicted"),
        ([0.70, 0.80, 0.90], "undecided"),
    ],
)
def test_undercoverage_is_judged_on_the_whole_interval(coverages, verdict):
    table = repair_tables.concept(world_values(coverages))
    assert table["verdict"].tolist() == [verdict]
    assert table["drop"].iloc[0] == pytest.approx(0.9 - np.mean(coverages))


def test_weighted_coverage_is_judged_in_standard_errors():
    """Mean .90 + 2 se is nominal; the same spread further off is not."""
    spread = np.array([-0.01, 0.0, 0.01])  # se = .01 / sqrt 3 = .00577
    keys = {"shift": "gc", "family": "covariate", "condition": ""}
    repairs = [("norm_cp", ""), ("weighted_cp", KNOWN), ("weighted_cp", ESTIMATED)]
    metrics = [f"picp_{name}" for name in (50, 80, 90, 95)]
    for offset, verdict in ((0.011, "nominal"), (0.012, "not nominal")):
        named = [
            {"uncertainty": repair, "variant": variant, "metric": metric}
            for repair, variant in repairs
            for metric in (*metrics, "n_eff", "infinite_90", FROM_WEIGHTS)
        ]
        values = pd.concat([world_values(0.9 + offset + spread, **keys, **row) for row in named])
        table = repair_tables.weighted(values).set_index("level")
        assert table.loc[0.9, "verdict"] == verdict
        assert table.loc[0.9, "off"] == pytest.approx(offset / (0.01 / 3**0.5))
