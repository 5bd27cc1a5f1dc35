"""Fits are right, repeatable and safe; the variance of an ensemble is that of its mixture."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch

from lib import sequences
from lib.training.config import FitConfig
from lib.training.fit import NonFiniteLoss, fit
from lib.training.fitted import FittedModel, combine, embed, predict
from tests.refusals import refused

SMALL = {"channels": 8, "kernels": [5, 5], "pools": [2, 2], "hidden": 8}
MOTIF = sequences.encode(["TGACTCA"])[0]


def _toy(n: int, seed: int, length: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Half of the elements hold the motif on a random strand; it adds 2 to noise of sd 0.3."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, (n, length), dtype=np.uint8)
    has = rng.random(n) < 0.5
    for row in np.flatnonzero(has):
        start = rng.integers(0, length - 7)
        codes[row, start : start + 7] = MOTIF
    flip = rng.random(n) < 0.5
    codes[flip] = sequences.reverse_complement(codes)[flip]
    return codes, 5 + 2.0 * has + rng.normal(0, 0.3, n)


def _config(**changes) -> FitConfig:
    given = {"model_options": SMALL, "epochs": 2, "batch_size": 32, "max_shift": 3}
    return FitConfig(**(given | changes))


@pytest.fixture(scope="module")
def toy() -> tuple[np.ndarray, np.ndarray]:
    return _toy(160, 0)


@pytest.fixture(scope="module")
def fitted(toy) -> FittedModel:
    return fit(*toy, config=_config())


def _same(a: FittedModel, b: FittedModel) -> bool:
    return all(a.state[name].tobytes() == b.state[name].tobytes() for name in a.state)


def test_learns_a_planted_motif_on_either_strand() -> None:
    options = SMALL | {"channels": 16, "kernels": [7, 5], "dropout": 0.1}
    config = FitConfig(model_options=options, epochs=12, batch_size=32, max_shift=3)
    model = fit(*_toy(1000, 1), validation=_toy(200, 2), config=config)
    codes, target = _toy(500, 3)
    mean, std = predict(model, codes)
    assert np.corrcoef(mean, target)[0, 1] > 0.85
    # In the activity's own unit: near the truth's level and between its noise and its spread.
    assert mean.mean() == pytest.approx(target.mean(), abs=0.2)
    assert 0.2 < std.mean() < 1.0
    assert 0.8 < (np.abs(target - mean) < 1.645 * std).mean() <= 1


def test_side_features_are_learnt(rng) -> None:
    codes = rng.integers(0, 4, (600, 20), dtype=np.uint8)
    features = rng.normal(100, 20, (600, 2))
    target = features[:, 0] / 20 + rng.normal(0, 0.2, 600)
    model = fit(codes, target, features=features, config=_config(epochs=12))
    mean, _ = predict(model, codes, features)
    assert np.corrcoef(mean, target)[0, 1] > 0.9
    moved, _ = predict(model, codes, features + np.array([20, 0]))
    assert 0.3 < (moved - mean).mean() < 1.5  # the truth moves by 20 / 20 = 1


def test_same_seed_same_bytes_and_nothing_leaks_out(toy) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    torch.manual_seed(123)
    before = torch.get_rng_state()
    first = fit(*toy, config=_config())
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads + 1
    torch.set_num_threads(threads)
    torch.manual_seed(7)
    torch.rand(1000)
    second = fit(*toy, config=_config())
    assert _same(first, second)
    assert predict(first, toy[0])[0].tobytes() == predict(second, toy[0])[0].tobytes()
    assert not _same(first, fit(*toy, config=_config(seed=1)))


def test_fits_in_threads_do_not_disturb_each_other_nor_do_read_only_arrays(toy, fitted) -> None:
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda _: fit(*toy, config=_config()), range(3)))
    assert all(_same(model, fitted) for model in found)
    frozen = toy[0].copy(), toy[1].copy()
    for values in frozen:
        values.flags.writeable = False
    assert _same(fit(*frozen, config=_config()), fitted)
    assert np.isfinite(predict(fitted, frozen[0])).all()


@pytest.mark.filterwarnings("ignore:precision is .bfloat16")
def test_float32_and_bfloat16_agree_within_noise() -> None:
    data, test = _toy(400, 4), _toy(300, 5)
    more = {"epochs": 5, "learning_rate": 3e-3, "device": "cpu"}
    models = (fit(*data, config=_config(precision=p, **more)) for p in ("float32", "bfloat16"))
    r = np.corrcoef([*(predict(model, test[0])[0] for model in models), test[1]])
    assert r[0, 2] == pytest.approx(r[1, 2], abs=0.1) and r[0, 1] > 0.9


def test_early_stopping_keeps_the_best_state(toy) -> None:
    noise = np.random.default_rng(0).normal(size=len(toy[1]))
    held = toy[0][::-1].copy()
    config = _config(epochs=30, patience=2, learning_rate=0.02)
    model = fit(toy[0], noise, validation=(held, noise), config=config)
    nll = [record["nll"] for record in model.history]
    assert model.best_epoch == 1 + int(np.argmin(nll))
    assert len(nll) == model.best_epoch + 2 < 30
    arrays, meta = model.to_arrays()  # the state that was kept, stored and read back
    read = FittedModel.from_arrays(arrays, json.loads(json.dumps(meta)))
    assert _same(read, model) and (read.config, read.history) == (model.config, model.history)
    mean, std = predict(read, held)
    standard_nll = (0.5 * ((noise - mean) / std) ** 2 + np.log(std / model.target_std)).mean()
    assert standard_nll == pytest.approx(min(nll), abs=1e-3)


def test_weight_zero_is_absence() -> None:
    codes, target = _toy(200, 6)
    spoilt = np.concatenate([target[:100], target[100:] + 50])
    weight = np.repeat([1.0, 0.0], 100)
    model = fit(codes, spoilt, weight=weight, config=_config(epochs=10, learning_rate=0.02))
    mean, _ = predict(model, codes[:100])
    assert abs(mean.mean() - target[:100].mean()) < abs(mean.mean() - spoilt[100:].mean())


def test_strands_are_averaged(toy, fitted) -> None:
    codes, other = toy[0], sequences.reverse_complement(toy[0])
    mean, std = predict(fitted, codes)
    oriented = replace(fitted, config=_config(reverse_complement=False))
    forward, backward = predict(oriented, codes), predict(oriented, other)
    np.testing.assert_allclose(mean, (forward[0] + backward[0]) / 2, atol=1e-4)
    np.testing.assert_allclose(std**2, (forward[1] ** 2 + backward[1] ** 2) / 2, rtol=1e-4)
    np.testing.assert_allclose(predict(fitted, other), (mean, std), rtol=1e-5)
    embedding = embed(fitted, codes)
    assert embedding.shape == (160, 16) and embedding.dtype == np.float32
    np.testing.assert_allclose(embedding, embed(fitted, other), rtol=1e-5)


def test_mc_dropout(toy, fitted) -> None:
    codes = toy[0][:20]
    mean, std = predict(fitted, codes, mc_dropout_samples=5, seed=1)
    again, _ = predict(fitted, codes, mc_dropout_samples=5, seed=1)
    assert mean.tobytes() == again.tobytes()
    single = [predict(fitted, codes, mc_dropout_samples=1, seed=seed) for seed in range(100)]
    means, stds = (np.stack(values) for values in zip(*single, strict=True))
    assert (means.std(0) > 0).all()
    # The spread of passes adds to the variance, and five passes are a sample of such.
    total = np.sqrt((stds**2).mean(0) + means.var(0))
    assert np.abs(mean - means.mean(0)).max() < 4 * means.std(0).max() / np.sqrt(5)
    assert std.mean() == pytest.approx(total.mean(), rel=0.1)


def test_divergence_is_an_error_that_names_the_settings(toy) -> None:
    with pytest.raises(NonFiniteLoss, match=r"at step \d+ .*learning_rate=1e\+30"):
        fit(*toy, config=_config(epochs=5, learning_rate=1e30, precision="float32"))


def test_what_is_forecast_and_what_is_refused(toy, fitted) -> None:
    mean, std = predict(fitted, toy[0][:0])
    assert mean.shape == std.shape == (0,)
    codes = toy[0].copy()
    codes[:, :5] = sequences.UNKNOWN
    assert np.isfinite(predict(fitted, codes)).all()
    with pytest.raises(ValueError, match="length 39"):
        predict(fitted, toy[0][:, 1:])
    with pytest.raises(ValueError, match="needs None"):
        predict(fitted, toy[0], np.zeros((160, 1)))
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="finds none"):
            predict(fitted, toy[0], device="cuda")


test_bad_input = refused(
    ({"target": np.zeros(160)}, "constant"),
    ({"target": np.zeros(3)}, "training target has 3 rows"),
    ({"target": np.r_[np.nan, np.zeros(159)]}, "training target is nan in row 0"),
    ({"codes": np.zeros((160, 40))}, "uint8"),
    ({"weight": -np.ones(160)}, "weight must be"),
    ({"weight": np.zeros(160)}, "weight must be"),
    ({"features": np.zeros((3, 1))}, r"features has shape \(3, 1\)"),
    ({"features": np.full((160, 1), np.inf)}, "not finite in row 0"),
    ({"validation": (np.zeros((5, 9), np.uint8), np.arange(5))}, "length 9"),
    ({"validation": (np.zeros((1, 40), np.uint8), np.arange(1))}, "validation has 1 rows"),
    ({"config": FitConfig(model="cnm")}, "not known"),
    act=lambda toy, changes: fit(
        **({"codes": toy[0], "target": toy[1], "config": _config()} | changes)
    ),
    fixture="toy",
)


test_bad_members = refused(
    ([1.0], [1.0], "would do"),
    (np.zeros((0, 2)), np.zeros((0, 2)), "would do"),
    ([[1.0, 2.0]], [[1.0]], "would do"),
    ([[1.0], [np.nan]], [[1.0], [1.0]], "member 1 says nan ± 1.0 in row 0"),
    ([[1.0, 1.0]], [[1.0, 0.0]], "member 0 says 1.0 ± 0.0 in row 1"),
    act=lambda means, stds: combine(means, stds),
)
