import numpy as np
import pytest

from lib.data.splits import gc_tilt


def test_tilt_moves_the_mean_on_the_same_support_by_whole_groups(rng):
    gc, group = rng.normal(0.5, 0.08, 4000), np.arange(4000)
    for wanted in (-1.5, 0.5, 1.0, 1.5):
        tilt = gc_tilt(gc, group, wanted, np.random.default_rng(1))
        assert tilt.shift_sd == pytest.approx(wanted, abs=0.02)
        assert set(tilt.rows) <= set(range(4000))
    gc, group = np.linspace(0.3, 0.7, 90), np.arange(90) // 3
    counts = np.bincount(gc_tilt(gc, group, 1.0, np.random.default_rng(0)).rows, minlength=90)
    assert (counts.reshape(-1, 3) == counts[::3, None]).all()
    with pytest.raises(ValueError, match="no tilt moves the mean GC"):
        gc_tilt(np.full(9, 0.5), np.arange(9), 1, np.random.default_rng(0))
