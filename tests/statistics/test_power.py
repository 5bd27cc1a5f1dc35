"""What a contrast could have shown: worked by hand, and against simulation."""

import numpy as np
import pandas as pd
import pytest

from lib.statistics.claims import Claim, ClaimPart
from lib.statistics.intervals import decide
from lib.statistics.power import detectable, power_table, reach


def found(*numbers: float) -> dict[str, float]:
    return dict(zip(("effect", "lower", "upper", "level"), numbers, strict=True))


def part(**fields: object) -> ClaimPart:
    base = {"name": "ratio", "direction": "greater", "margin": 1.25, "null": 1}
    return ClaimPart.model_validate(base | fields)


def test_reach_by_hand() -> None:
    assert reach(0.95, 0.8) == pytest.approx((1.959964 + 0.841621) / 1.959964, abs=1e-6)
    assert reach(0.90, 0.9) == pytest.approx((1.644854 + 1.281552) / 1.644854, abs=1e-6)


def test_natural_and_logarithmic_intervals() -> None:
    # half-width .1: 1 + 1.429 · .1 and 1.25 + 1.429 · .1
    assert detectable(part(), found(1.5, 1.4, 1.6, 0.95)) == ("> 1.14", "> 1.39")
    # half-width ln 2 on the log scale: times 2 ** 1.429 = 2.693
    assert detectable(part(), found(2, 1, 4, 0.95)) == ("> 2.69", "> 3.37")
    less = part(direction="less", margin=0.5)
    assert detectable(less, found(1, 0.5, 2, 0.95)) == ("< 0.371", "< 0.186")


def test_equivalence_has_a_range() -> None:
    within = part(direction="within", margin=[0.85, 0.95], null=0.9)
    # half-width .02 of a 90 % interval: .9 ± 1.779 · .02
    assert detectable(within, found(0.9, 0.88, 0.92, 0.9)) == ("–", "0.864 to 0.936")


def test_the_smallest_effect_is_supported_in_four_of_five() -> None:
    rng = np.random.default_rng(0)
    half = 0.1
    told = 1.25 + reach(0.95, 0.8) * half
    effects = told + half / 1.959964 * rng.standard_normal(4000)
    supported = [
        decide(effect - half, effect + half, 1.25, "greater", 1.0).verdict == "supported"
        for effect in effects
    ]
    assert np.mean(supported) == pytest.approx(0.8, abs=0.025)  # 4 standard errors


def test_table_leaves_secondary_contrasts_out() -> None:
    ledger = {"id": "C1", "statement": "a", "table": "t", "parts": []}
    first = part(where={"a": "b"}, each={"model": ["cnn"]})
    claim = Claim.model_validate(ledger | {"parts": [first.model_dump()]})
    rows = pd.DataFrame(
        {
            "id": ["C1", "C1"],
            "part": ["ratio (cnn)", "other"],
            "secondary": [False, True],
            "n": [10, 5],
            "effect": [1.5, 1.5],
            "lower": [1.4, 1.4],
            "upper": [1.6, 1.6],
            "level": [0.95, 0.95],
            "margin": ["> 1.25", "> 1.25"],
        }
    )
    table = power_table(rows, [claim])
    assert table[["contrast", "told", "supported"]].to_numpy().tolist() == [
        ["ratio (cnn)", "> 1.14", "> 1.39"]
    ]
    with pytest.raises(ValueError, match="claim C1 has no part 'other'; run make claims"):
        power_table(rows.assign(secondary=False), [claim])
