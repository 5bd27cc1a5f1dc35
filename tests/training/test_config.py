"""Where and how a fit runs on a machine: the layout measured, the precision asked for."""

import numpy as np
import pytest
import torch

from lib.models import MODELS
from lib.training import config
from lib.training.fit import fit
from lib.training.fitted import predict

CPU = torch.device("cpu")


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """A machine on which no layout was measured yet."""
    monkeypatch.setattr(config, "user_cache_dir", lambda _: tmp_path / "cache")
    config._layout.cache_clear()
    yield tmp_path / "cache"
    config._layout.cache_clear()


@pytest.mark.parametrize("model", sorted(MODELS))
def test_both_layouts_give_the_same_fit(monkeypatch, model, rng):
    codes, target = rng.integers(0, 5, (96, 40), dtype=np.uint8), rng.normal(size=96)
    found = {}
    for layout in config.LAYOUTS:
        monkeypatch.setattr(config, "_layout", lambda layout=layout: layout)
        settings = config.FitConfig(model=model, epochs=1, learning_rate=1e-3, precision="float32")
        found[layout] = predict(fit(codes, target, config=settings), codes)
    np.testing.assert_allclose(found["plain"], found["channels_last"], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("plain", "last", "layout"), [(1.0, 2.0, "plain"), (1.0, 1.05, "channels_last")]
)
def test_the_faster_layout_is_measured_once_and_kept(fresh, monkeypatch, plain, last, layout):
    seconds = {torch.contiguous_format: plain, torch.channels_last: last}
    monkeypatch.setattr(config, "_seconds_in", seconds.get)
    assert config.pick_layout(CPU, torch.float32) is config.LAYOUTS[layout]
    assert config.pick_layout(CPU, torch.bfloat16) is torch.channels_last
    monkeypatch.setattr(config, "_seconds_in", None)  # a second measurement would fail
    config._layout.cache_clear()
    assert config.pick_layout(CPU, torch.float32) is config.LAYOUTS[layout]


def test_a_broken_record_is_measured_again_and_precision_not_native_is_told(fresh, monkeypatch):
    config._layout()
    (kept,) = fresh.glob("*.txt")
    kept.write_text("", "utf-8")
    assert config._layout.__wrapped__() in config.LAYOUTS
    monkeypatch.setattr(config, "user_cache_dir", lambda _: kept / "below a file")
    assert config._layout.__wrapped__() == "channels_last"
    able = {"avx512_bf16": False}
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: able)
    assert config.pick_dtype("auto", CPU) is torch.float32
    with pytest.warns(UserWarning, match="does not multiply natively"):
        assert config.pick_dtype("bfloat16", CPU) is torch.bfloat16
    able["avx512_bf16"] = True
    assert config.pick_dtype("auto", CPU) is torch.bfloat16
