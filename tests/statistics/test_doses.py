"""The dose at which a margin is reached, by hand, and the coverage of its intervals."""

import numpy as np
import pytest

from lib.statistics.doses import crossing, leaving, over_replicates

NEVER = float("inf")


@pytest.mark.parametrize(
    ("values", "margin", "dose"),
    [
        ([1.0, 1.2, 1.6, 2.0], 1.4, 1.5),  # half way from 1 to 2
        ([1.0, 1.2, 1.6, 2.0], 1.2, 1.0),  # on a dose
        ([1.0, 1.2, 1.6, 2.0], 1.0, 0.0),  # without a dose
        ([1.0, 1.2, 1.6, 2.0], 2.0, 3.0),  # on the last dose
        ([1.0, 1.2, 1.6, 2.0], 2.1, NEVER),  # nothing is extrapolated
        # 1.6 and 1.2 pool to 1.4, at doses 1 and 2: the margin 1.3 lies 3/4 of the way to dose 1.
        ([1.0, 1.6, 1.2, 2.0], 1.3, 0.75),
        # A first value out of order pools with the second: 1.1 from the start on.
        ([1.2, 1.0, 1.6, 2.0], 1.1, 0.0),
        ([1.2, 1.0, 1.6, 2.0], 1.35, 1.5),
    ],
)
def test_crossing_by_hand(values, margin, dose):
    assert crossing([0, 1, 2, 3], values, margin) == pytest.approx(dose)
    assert crossing([3, 1, 0, 2], [values[i] for i in (3, 1, 0, 2)], margin) == pytest.approx(dose)


def test_leaving_is_at_the_end_that_is_reached_first():
    doses = [0, 0.5, 1.0]
    assert leaving(doses, [1.0, 1.1, 1.5], 0.8, 1.25) == pytest.approx(0.5 + 0.5 * 0.15 / 0.4)
    assert leaving(doses, [1.0, 0.9, 0.7], 0.8, 1.25) == pytest.approx(0.75)
    assert leaving(doses, [1.0, 0.9, 1.1], 0.8, 1.25) == NEVER
    assert leaving(doses, [0.7, 0.9, 1.1], 0.8, 1.25) == 0


def test_where_all_cross_it_is_t_on_the_logarithm_else_order_statistics():
    # Logs 0, 1, 2: mean 1, standard error 1 / sqrt 3, t of two degrees 4.3027.
    found = over_replicates(np.exp([0.0, 1.0, 2.0]))
    half = 4.302653 / 3**0.5
    assert found[:3] == pytest.approx(np.exp([1.0, 1 - half, 1 + half]), rel=1e-6)
    assert found[3:] == (3, 0, 0, "t")
    # Of 10 replicates the second smallest and largest: 2 (1 + 10) / 2^10 = .021 fall outside.
    found = over_replicates([*np.arange(1.0, 9), NEVER, NEVER])
    assert found == (5.5, 2.0, NEVER, 10, 2, 0, "order")
    assert over_replicates([0.0, *np.arange(2.0, 11)])[:3] == (5.5, 2.0, 9.0)
    # Of 20 the sixth: P(at most 5 of 20 below the median) = .0207, of 6 the seventh .0577.
    found = over_replicates([*np.arange(1.0, 20), NEVER])
    assert (found.lower, found.upper) == (6.0, 15.0)
    # 2 / 2^5 = .0625 of samples of five lie on one side of the median: no interval holds it.
    assert over_replicates([1.0, 2.0, 3.0, 4.0, NEVER])[:3] == (3.0, 0.0, NEVER)
    assert over_replicates([NEVER] * 10)[:3] == (NEVER, NEVER, NEVER)
    assert over_replicates([1.0])[:3] == (1.0, 0.0, NEVER)


@pytest.mark.slow
@pytest.mark.parametrize(("typical", "least"), [(0.35, 0.93), (0.8, 0.95)])
def test_intervals_hold_the_dose_they_say(typical, least):
    """Response dose / c of a world whose log crossing c scatters by .25, read with an error."""
    rng = np.random.default_rng(7)
    doses = np.array([0, 0.05, 0.08, 0.16, 0.27, 0.4, 0.52, 0.64, 0.8, 0.88])
    held, how = [], []
    for _ in range(2000):
        true = typical * np.exp(0.25 * rng.standard_normal(10))
        curves = doses / true[:, None] + 0.03 * rng.standard_normal((10, len(doses)))
        found = over_replicates([crossing(doses, curve, 1.0) for curve in curves])
        held.append(found.lower <= typical <= found.upper)
        how.append(found.how)
    assert least <= np.mean(held) <= 0.985
    # At .8 most samples hold a world that does not cross by .88.
    assert np.mean(np.array(how) == "order") == pytest.approx(0 if typical < 0.5 else 1, abs=0.1)
