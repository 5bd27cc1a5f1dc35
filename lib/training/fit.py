"""Fitting one network to one training part, on one thread or one GPU; and what stored units do.

In: codes ``(n, L)`` uint8, targets ``(n,)``, optionally side features and weights, and a
:class:`lib.training.config.FitConfig`. Out: a :class:`lib.training.fitted.FittedModel`. The same
seed gives the same bytes on one machine class, whatever else runs. Codes stay uint8; one-hot input
exists for one batch at a time.

The units at the end take the JSON-able config of a unit and its data (a data set, a split, a
finished fit). :mod:`lib.experiments.assays` makes them; what judges forecasts is not imported, so
that a change there leaves fits valid.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from operator import itemgetter, methodcaller
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from lib.arrays import FloatArray, IndexArray, as_vector
from lib.data.dataset import Result, SequenceDataset
from lib.data.splits import Split
from lib.models import build
from lib.models.networks import beta_nll, positive_std
from lib.sequences import UNKNOWN, Codes, validate_codes
from lib.training import fitted
from lib.training.config import FitConfig, one_thread, pick_device, pick_dtype
from lib.training.fitted import FittedModel, forward_batches, one_hot, predict

WARM_UP = 0.15  # share of the steps in which the learning rate rises
MAX_NORM = 5.0  # of a gradient; longer ones are cut, as the rates used here are high

Forecast = tuple[FloatArray, FloatArray]  # mean and standard deviation, (n,) each


class NonFiniteLoss(RuntimeError):
    """Training met a loss that is not a number and stopped."""


class _Part(NamedTuple):
    """One part as tensors on the CPU; the target is standardised."""

    codes: Tensor  # (n, L) uint8
    target: Tensor  # (n,)
    features: Tensor | None = None  # (n, p)
    weight: Tensor | None = None  # (n,)

    def each(self, change: Callable[[Tensor], Tensor]) -> "_Part":
        """The part with every tensor changed."""
        return _Part(*(None if v is None else change(v) for v in self))  # type: ignore[arg-type]


def _target(name: str, codes: Codes, target: ArrayLike) -> FloatArray:
    validate_codes(codes, f"{name} codes")
    values = as_vector(f"{name} target", target, len(codes))
    if len(values) < 2:
        raise ValueError(f"{name} has {len(values)} rows; at least 2 are needed")
    return values


def _untrained(
    codes: Codes, target: FloatArray, features: NDArray[Any] | None, config: FitConfig
) -> FittedModel:
    """What is known of a model before its network: the scales of targets and side features."""
    if not target.std() > 0:
        raise ValueError(f"the training target is constant ({target[0]}); nothing can be learnt")
    side = np.zeros((len(codes), 0)) if features is None else features
    fitted.check_features(features, len(codes), np.shape(side)[-1])
    mean, std = side.mean(0, dtype=np.float64), side.std(0, dtype=np.float64)
    std = np.where(std > 0, std, 1.0)  # a constant column stays at zero
    scales = float(target.mean()), float(target.std()), mean, std
    return FittedModel(config, codes.shape[1], {}, *scales)


def _part(
    model: FittedModel, codes: Codes, target: FloatArray, features: NDArray[Any] | None
) -> _Part:
    rows, side = fitted.inputs(model, codes, features)
    standard = ((target - model.target_mean) / model.target_std).astype(np.float32)
    return _Part(rows, torch.from_numpy(standard), side)


def _scaled_weight(weight: ArrayLike | None, n: int) -> Tensor | None:
    if weight is None:
        return None
    values = as_vector("weight", weight, n)
    if values.min() < 0 or values.sum() == 0:
        raise ValueError("weight must be numbers of at least 0 that are not all 0")
    return torch.from_numpy((values / values.mean()).astype(np.float32))


def augment(codes: Tensor, generator: torch.Generator, config: FitConfig) -> Tensor:
    """Each row ``(n, L)`` on a random strand, moved by some nt with N where it leaves a gap."""
    n, length = codes.shape
    most = config.shift
    if config.reverse_complement:
        flip = torch.rand(n, 1, generator=generator) < 0.5  # (n, 1)
        codes = torch.where(flip, fitted.reverse_complement(codes), codes)  # (n, L)
    if most > 0:
        shift = torch.randint(-most, most + 1, (n, 1), generator=generator)  # (n, 1)
        padded = F.pad(codes, (most, most), value=UNKNOWN)  # (n, L + 2 most)
        codes = padded.gather(1, torch.arange(length) + shift + most)  # (n, L)
    return codes


def _optimiser(
    network: nn.Module, config: FitConfig, steps: int
) -> tuple[torch.optim.AdamW, torch.optim.lr_scheduler.LambdaLR]:
    """AdamW with one warm-up and one cosine; biases and norms do not decay."""
    flat = [p for p in network.parameters() if p.ndim <= 1]
    wide = [p for p in network.parameters() if p.ndim > 1]
    groups: list[dict[str, Any]] = [{"params": wide}, {"params": flat, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(
        groups, lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
    )
    warm = max(1, round(WARM_UP * steps))

    def rate(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))

    return optimiser, torch.optim.lr_scheduler.LambdaLR(optimiser, rate)


class _Loop:
    """The state of one fit while it runs."""

    def __init__(self, model: FittedModel, train: _Part) -> None:
        config = model.config
        self.train, self.config, self.device = train, config, pick_device(config.device)
        self.to_device = methodcaller("to", self.device)
        network = build(config.model, model.length, len(model.feature_mean), **config.model_options)
        self.dtype = pick_dtype(config.precision, self.device)
        self.network = fitted.laid_out(network, self.device, self.dtype)
        self.batch = min(config.batch_size, len(train.codes))
        self.per_epoch = len(train.codes) // self.batch
        steps = config.epochs * self.per_epoch
        self.optimiser, self.schedule = _optimiser(self.network, config, steps)
        self.generator = torch.Generator().manual_seed(config.seed)

    def _batches(self) -> Iterator[_Part]:
        """One epoch in random order, augmented, on the device; a short last batch is left out."""
        order = torch.randperm(len(self.train.codes), generator=self.generator)
        for index in order[: self.per_epoch * self.batch].split(self.batch):
            batch = self.train.each(itemgetter(index))
            codes = augment(batch.codes, self.generator, self.config)
            yield batch._replace(codes=codes).each(self.to_device)

    def epoch(self) -> float:
        """Mean loss over one epoch; stops at a loss that is no number."""
        self.network.train()
        total = 0.0
        for step, batch in enumerate(self._batches()):
            with fitted.autocast(self.device, self.dtype):
                output = self.network(one_hot(batch.codes, self.dtype), batch.features)  # (b, 2)
            mean, raw = output.float().unbind(1)  # (b,)
            std = positive_std(raw, self.config.std_floor)
            loss = beta_nll(mean, std, batch.target, self.config.beta, batch.weight)
            if not math.isfinite(loss.item()):
                raise NonFiniteLoss(
                    f"the loss is {loss.item()} at step {step} of an epoch with {self.config!r}; "
                    "a lower learning_rate or a higher std_floor would do"
                )
            self.optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.network.parameters(), MAX_NORM)
            self.optimiser.step()
            self.schedule.step()
            total += loss.item()
        return total / self.per_epoch

    def validate(self, part: _Part) -> tuple[float, dict[str, float]]:
        """Loss on a part, and its record."""
        self.network.eval()
        here = part.each(self.to_device)
        output = forward_batches(self.network, here.codes, here.features, self.config)  # (n, 2)
        mean, std = output.double().unbind(1)  # (n,)
        target = part.target.double()
        loss = beta_nll(mean, std, target, 0.0).item()
        pearson_r = torch.corrcoef(torch.stack([mean, target]))[0, 1].item()
        return loss, {"nll": loss, "pearson_r": pearson_r}

    def state(self) -> dict[str, NDArray[Any]]:
        """A copy of the network's parameters and buffers."""
        own = self.network.state_dict()
        return {name: value.detach().cpu().numpy().copy() for name, value in own.items()}


def _run(loop: _Loop, model: FittedModel, held: _Part | None) -> FittedModel:
    """Epochs until the schedule ends or patience does."""
    history: list[dict[str, float]] = []
    best, lowest = replace(model, state=loop.state(), history=history), math.inf
    for epoch in range(1, model.config.epochs + 1):
        record = {"epoch": float(epoch), "loss": loop.epoch()}
        value, judged = (-math.inf, {}) if held is None else loop.validate(held)
        history.append(record | judged)
        if held is None or value < lowest:
            best, lowest = replace(best, state=loop.state(), best_epoch=epoch), value
        elif epoch - best.best_epoch >= model.config.patience:
            break
    return best


def fit(
    codes: Codes,
    target: ArrayLike,
    *,
    config: FitConfig,
    validation: tuple[Codes, ArrayLike] | None = None,
    features: NDArray[Any] | None = None,
    validation_features: NDArray[Any] | None = None,
    weight: ArrayLike | None = None,
) -> FittedModel:
    """Fit one network.

    ``codes`` are ``(n, L)`` uint8, ``target`` ``(n,)`` in the activity's own unit; it and the side
    features ``(n, p)`` are standardised on this part. ``weight`` ``(n,)`` is at least 0.
    ``validation`` is codes and target of elements unrelated to the training part: training stops
    when their likelihood no longer improves, and the best state is kept; without them the last is.
    Arrays that do not fit each other, values that are not finite, a constant target, an unknown or
    unsuitable model are a ``ValueError``; training that diverges is a :class:`NonFiniteLoss`.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> codes = rng.integers(0, 4, (64, 30), dtype=np.uint8)
    >>> target = (codes == 2).mean(1)
    >>> model = fit(codes, target, config=FitConfig(epochs=2, batch_size=16))
    >>> len(model.history), model.best_epoch
    (2, 2)
    """
    values = _target("training", codes, target)
    model = _untrained(codes, values, features, config)
    train = _part(model, codes, values, features)
    train = train._replace(weight=_scaled_weight(weight, len(codes)))
    held = None
    if validation is not None:
        held_values = _target("validation", *validation)
        held = _part(model, validation[0], held_values, validation_features)
    with one_thread(config.seed):
        return _run(_Loop(model, train), model, held)


def network_of(model: Result) -> FittedModel:
    """The network that a finished fit holds."""
    return FittedModel.from_arrays(model.arrays, model.meta)


def fit_unit(config: Mapping[str, Any], data: SequenceDataset, split: Split) -> Result:
    """Fit one network on the training part, stopped early on the validation part."""
    train, validation = data.take(split["train"]), data.take(split["validation"])
    model = fit(
        train.codes,
        train.activity,
        validation=(validation.codes, validation.activity),
        features=train.features,
        validation_features=validation.features,
        weight=train.weight,
        config=FitConfig(**config),
    )
    return Result(*model.to_arrays())


def _of_unseen(model: Result, data: SequenceDataset, seen: IndexArray, **asked: Any) -> Result:
    """Forecast the rows that are not ``seen``; those are NaN."""
    rows = np.setdiff1d(np.arange(len(data)), seen)
    unseen = data.take(rows)
    mean, std = np.full((2, len(data)), np.nan)
    mean[rows], std[rows] = predict(network_of(model), unseen.codes, unseen.features, **asked)
    return Result({"mean": mean, "std": std})


def predict_unit(
    _: Mapping[str, Any], model: Result, data: SequenceDataset, split: Split
) -> Result:
    """Forecast the rows that the network has not seen; the others are NaN."""
    return _of_unseen(model, data, np.concatenate([split["train"], split["validation"]]))


def dropout_unit(
    config: Mapping[str, Any], model: Result, data: SequenceDataset, split: Split
) -> Result:
    """Forecast with dropout at work; the rows of the training part are NaN."""
    asked = {"mc_dropout_samples": config["samples"], "device": config["device"]}
    return _of_unseen(model, data, split["train"], **asked)
