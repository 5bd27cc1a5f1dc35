"""A forecast on the ladder: closed forms of coverage after offset, gain, rewiring and noise."""

import numpy as np
import pytest
from scipy.stats import norm

from lib.statistics.paired import paired_assay
from lib.statistics.paired_ladder import forecast_ladder

N = 4000
Z = norm.ppf(0.95)


def coverage(width: float) -> float:
    """Of a 90 % interval whose s.d. is ``width`` times the true one."""
    return 2 * norm.cdf(Z * width) - 1


def ladder(
    slope: float = 1.0,
    offset: float = 0.0,
    rest: float = 0.0,
    noise_b: float = 0.5,
    controls: int = 0,
):
    """An exact forecast of A: mean f_A, std .5; controls lie on the same line."""
    rng = np.random.default_rng(7)
    f_a, e_a, e_b, r = rng.normal(size=(4, N))
    anchors = np.arange(N) < controls
    f_b = offset + slope * f_a + np.where(anchors, 0, rest * r)
    assay = paired_assay(
        f_a + 0.5 * e_a,
        f_b + noise_b * e_b,
        np.full(N, 0.5),
        np.full(N, noise_b),
        np.arange(N),
        anchors,
    )
    mean = np.where(anchors, np.nan, f_a)  # forecasts of anchors are not looked at
    table = forecast_ladder(assay, mean, np.full(N, 0.5), rng, draws=40)
    return table.set_index(["rung", "metric"])


def test_offset_alone_is_closed_by_every_line():
    table = ladder(offset=1.5, controls=1000)
    assert table.loc[("reference", "picp_90"), "value"] == pytest.approx(0.9, abs=0.015)
    assert table.loc[("raw", "zms"), "value"] == pytest.approx(1 + 1.5**2 / 0.25, rel=0.03)
    for rung in ("anchor_offset", "anchor_affine", "oracle_affine"):
        assert table.loc[(rung, "picp_90"), "value"] == pytest.approx(0.9, abs=0.02), rung
        assert table.loc[(rung, "rmse"), "value"] == pytest.approx(0.5, rel=0.05), rung


def test_gain_needs_the_slope():
    # f_B = 3 f_A, noise as in A. The line is right; its s.d. is 3 times too wide.
    table = ladder(slope=3.0, controls=1000)
    wide = coverage(3.0)
    assert table.loc[("oracle_affine", "picp_90"), "value"] == pytest.approx(wide, abs=0.01)
    assert table.loc[("anchor_affine", "rmse"), "value"] == pytest.approx(0.5, rel=0.05)
    # offset alone leaves E[(2 f_A)^2] = 4
    assert table.loc[("anchor_offset", "rmse"), "value"] == pytest.approx(4.25**0.5, rel=0.05)


def test_rewiring_stays_open():
    # what is left at the oracle line is z with variance 1 + .5^2 / .25 = 2
    table = ladder(offset=1.0, rest=0.5)
    left = coverage(0.5**0.5)
    assert table.loc[("oracle_affine", "picp_90"), "value"] == pytest.approx(left, abs=0.02)
    assert table.loc[("oracle_affine", "zms"), "value"] == pytest.approx(2, rel=0.05)
    assert table.loc[("raw", "zms"), "value"] == pytest.approx(6, rel=0.05)
    same = table.loc[("oracle_affine_noise", "zms"), "value"]
    assert same == pytest.approx(table.loc[("oracle_affine", "zms"), "value"], rel=0.01)


def test_growth_of_measured_noise_is_a_rung_of_its_own():
    table = ladder(noise_b=1.0)
    assert table.loc[("oracle_affine", "picp_90"), "value"] == pytest.approx(
        coverage(0.5), abs=0.02
    )
    assert table.loc[("oracle_affine_noise", "picp_90"), "value"] == pytest.approx(0.9, abs=0.015)


def test_bad_input():
    a = np.arange(20.0)
    assay = paired_assay(a, a + 1, np.zeros(20), np.zeros(20), a)
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match=r"mean has shape \(19,\); one value per row, \(20,\)"):
        forecast_ladder(assay, a[1:], np.ones(20), rng)
    with pytest.raises(ValueError, match=r"std is 0\.0 in row 0"):
        forecast_ladder(assay, a, np.zeros(20), rng)
    with pytest.raises(ValueError, match="mean is nan in row 3"):
        forecast_ladder(assay, np.where(a == 3, np.nan, a), np.ones(20), rng)
