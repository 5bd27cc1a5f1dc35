import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtr, ndtri

from lib.experiments import worlds
from lib.experiments.repair_measures import EMBEDDING, Settings, closed_forms, detect, known_weights
from lib.experiments.uncertainty_repair import REWIRING
from lib.experiments.worlds import Condition

SETTINGS = Settings(5, (10,), 1, 0.03, detection_size=200, permutations=99)
HALF = ndtri(0.95)  # a 90 % interval reaches so many standard deviations each way


def part(target, mean=0.0, std=1.0, gc=None, group=None):
    n = len(target)
    gc = np.linspace(0, 1, n) if gc is None else gc
    group = np.arange(n) if group is None else group
    table = pd.DataFrame({"target": target, "gc": gc, "group": group})
    return table.assign(mean=mean, std=std)


def test_closed_forms_of_a_gaussian_shift():
    """Calibration variance 1, shifted variance 1 + 1: 2 Phi(q / sqrt 2) - 1 whatever the form."""
    rng = np.random.default_rng(2)
    n = 200_000
    held = part(rng.normal(size=n))
    moved = rng.normal(size=n)
    asked = part(moved + rng.normal(size=n))
    asked = asked.assign(true_mean=moved, true_std=1.0)
    found = closed_forms(held, asked, (0.5, 1.0))
    expected = 2 * ndtr(HALF / 2**0.5) - 1
    assert expected == pytest.approx(0.7552, abs=1e-4)
    assert found.pop("distance") == 0.5
    assert found == pytest.approx(dict.fromkeys(found, expected), abs=0.005) and len(found) == 3
    observed = np.mean(asked["target"].abs() <= np.quantile(held["target"].abs(), 0.9))
    assert observed == pytest.approx(expected, abs=0.005)
    assert len(closed_forms(held, asked)) == 2


def test_known_weights_carry_the_home_law_to_the_shifted_one():
    home, shifted = (worlds.test_data(0, Condition("gc", s), 6000) for s in (0.0, 0.5))
    weights, at_shifted = known_weights(Condition("gc", 0.5), 0, home, shifted)
    law = home.metadata["gc_law"]
    assert weights.mean() == pytest.approx(1, abs=0.06)
    moved = shifted.metadata["gc_law"].mean() - law.mean()
    assert np.average(law, weights=weights) - law.mean() == pytest.approx(moved, rel=0.1)
    assert len(at_shifted) == len(shifted)
    assert known_weights(Condition("motif_density", 0.5), 0, home, home) is None
    ones, _ = known_weights(REWIRING, 0, home, home)
    assert (ones == 1).all()


def seen(n, first, shift, rng):
    gc = rng.normal(shift, 1, n)
    table = pd.DataFrame(rng.normal(shift, 1, (n, 3))).add_prefix(EMBEDDING)
    return table.assign(gc=gc, std=1.0, group=first + np.arange(n))


def test_detection_sees_a_shift_and_repeats_itself():
    rng = np.random.default_rng(7)
    held, moved, same = seen(400, 0, 0, rng), seen(200, 400, 1, rng), seen(200, 400, 0, rng)
    tables = [detect(held, new, SETTINGS, 0) for new in (moved, same, same)]
    assert tables[1].equals(tables[2])
    value = [table.set_index(["detector", "quantity"])["value"] for table in tables]
    assert value[0].xs("p", level=1).max() <= 0.02 < value[1].xs("p", level=1).min()
    # GC distance |x|: a standard deviation 1 away, P(|N(1,1)| > |N(0,1)|) = .636 drawn 10^6 times
    assert value[0]["GC distance", "auroc"] == pytest.approx(0.636, abs=0.06)
    assert value[0]["predicted std", "auroc"] == 0.5
