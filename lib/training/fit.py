"""Fitting one network to one training part, on one thread or one GPU.

In: codes ``(n, L)`` uint8, targets ``(n,)``, optionally side features and weights, and a
:class:`FitConfig`. Out: a :class:`FittedModel`. The same seed gives the same bytes on one machine
class, whatever else runs. Codes stay uint8; one-hot input exists for one batch at a time.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from lib.arrays import FloatArray
from lib.models import build
from lib.models.heads import beta_nll, pinball, positive_std
from lib.sequences import Codes, validate_codes
from lib.training.batches import (
    as_tensor,
    augment,
    autocast,
    channels_last,
    one_hot,
    one_thread,
    pick_device,
    pick_dtype,
)
from lib.training.config import FitConfig
from lib.training.fitted import (
    BATCH,
    FittedModel,
    check_features,
    embed,
    forward_batches,
    predict,
    predict_dropout,
    predict_interval,
    scaled_features,
)

__all__ = [
    "FitConfig",
    "FittedModel",
    "NonFiniteLoss",
    "embed",
    "fit",
    "predict",
    "predict_dropout",
    "predict_interval",
]

WARM_UP = 0.15  # share of the steps in which the learning rate rises
MAX_NORM = 5.0  # of a gradient; longer ones are cut, as the rates used here are high
Progress = Callable[[dict[str, float]], None]


class NonFiniteLoss(RuntimeError):
    """Training met a loss that is not a number and stopped.

    Attributes
    ----------
    step : int
        Counted from 0.
    last_good : FittedModel
        The best state up to then; the initial one where no epoch was finished.
    """

    def __init__(self, step: int, loss: float, last_good: FittedModel) -> None:
        self.step = step
        self.last_good = last_good
        super().__init__(
            f"the loss is {loss} at step {step} (epoch {len(last_good.history) + 1}) with "
            f"{last_good.config.model_dump(mode='json')}; a lower learning_rate or a higher "
            "std_floor would do. last_good holds the best state so far"
        )


class _Part(NamedTuple):
    """One part as tensors on the CPU; the target is standardised."""

    codes: Tensor  # (n, L) uint8
    target: Tensor  # (n,)
    features: Tensor | None  # (n, p)
    weight: Tensor | None  # (n,)


class _Scales(NamedTuple):
    target_mean: float
    target_std: float
    feature_mean: FloatArray
    feature_std: FloatArray


def _check_part(
    name: str, codes: Codes, target: ArrayLike, features: NDArray[Any] | None, p: int
) -> FloatArray:
    validate_codes(codes, f"{name} codes")
    values = np.asarray(target, np.float64)
    if values.shape != (len(codes),):
        raise ValueError(f"{name} target has shape {values.shape}; codes have {len(codes)} rows")
    if len(values) < 2:
        raise ValueError(f"{name} has {len(values)} rows; at least 2 are needed")
    if not np.isfinite(values).all():
        row = int(np.argwhere(~np.isfinite(values))[0][0])
        raise ValueError(f"{name} target is not finite in row {row}: {values[row]}")
    check_features(features, len(codes), p, f"{name} features")
    return values


def _check_weight(weight: ArrayLike | None, n: int) -> Tensor | None:
    if weight is None:
        return None
    values = np.asarray(weight, np.float64)
    bad = values.shape != (n,) or not (np.isfinite(values) & (values >= 0)).all()
    if bad or values.sum() == 0:
        raise ValueError(f"weight must be {n} finite numbers of at least 0 that are not all 0")
    return torch.from_numpy((values / values.mean()).astype(np.float32))


def _scales(target: FloatArray, features: NDArray[Any] | None) -> _Scales:
    if not target.std() > 0:
        raise ValueError(f"the training target is constant ({target[0]}); nothing can be learnt")
    if features is None:
        return _Scales(float(target.mean()), float(target.std()), np.zeros(0), np.zeros(0))
    std = features.std(0, dtype=np.float64)
    spread = np.where(std > 0, std, 1.0)  # a constant column stays at zero
    mean = features.mean(0, dtype=np.float64)
    return _Scales(float(target.mean()), float(target.std()), mean, spread)


def _part(
    codes: Codes,
    target: FloatArray,
    features: NDArray[Any] | None,
    scales: _Scales,
    weight: Tensor | None = None,
) -> _Part:
    standard = ((target - scales.target_mean) / scales.target_std).astype(np.float32)
    side = scaled_features(features, scales.feature_mean, scales.feature_std)
    return _Part(as_tensor(codes), torch.from_numpy(standard), side, weight)


def _optimiser(
    network: nn.Module, config: FitConfig, steps: int
) -> tuple[torch.optim.AdamW, torch.optim.lr_scheduler.LambdaLR]:
    """AdamW with one warm-up and one cosine; biases and norms do not decay."""
    parameters = [p for p in network.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimiser = torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)
    warm = max(1, round(WARM_UP * steps))

    def rate(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))

    return optimiser, torch.optim.lr_scheduler.LambdaLR(optimiser, rate)


def _snapshot(network: nn.Module) -> dict[str, NDArray[Any]]:
    return {name: v.detach().cpu().numpy().copy() for name, v in network.state_dict().items()}


def _validate(
    network: nn.Module, part: _Part, config: FitConfig, device: torch.device
) -> dict[str, float]:
    network.eval()
    output = forward_batches(
        network,
        part.codes,
        part.features,
        config,
        strands=config.reverse_complement,
        batch_size=BATCH,
        device=device,
    ).double()  # (n, 2)
    mean, std = output[:, 0], output[:, 1]
    target = part.target.double()
    if config.interval_level is None:
        loss = {"nll": float(beta_nll(mean, std, target, beta=0.0))}
    else:
        loss = {"pinball": float(pinball(mean, std, target, config.interval_level))}
    stacked = torch.stack([mean, target])  # (2, n)
    return loss | {"pearson_r": float(torch.corrcoef(stacked)[0, 1])}


def _load(network: nn.Module, state: Mapping[str, NDArray[Any]]) -> None:
    """Overwrite some parameters or buffers."""
    own = network.state_dict()
    for name, values in state.items():
        wanted = tuple(own[name].shape) if name in own else "absent"
        if wanted != np.shape(values) or not np.isfinite(values).all():
            raise ValueError(
                f"initial_state[{name!r}] has shape {np.shape(values)} and must be finite; in the "
                f"network it is {wanted}"
            )
    given = {name: torch.from_numpy(np.array(v)) for name, v in state.items()}
    network.load_state_dict(given, strict=False)


class _Loop:
    """The state of one fit while it runs."""

    def __init__(
        self,
        train: _Part,
        config: FitConfig,
        device: torch.device,
        initial_state: Mapping[str, NDArray[Any]] | None = None,
    ) -> None:
        self.train, self.config, self.device = train, config, device
        p = 0 if train.features is None else train.features.shape[1]
        network = build(config.model, train.codes.shape[1], p, **config.model_options)
        _load(network, initial_state or {})
        self.network = channels_last(network.to(device))
        self.batch = min(config.batch_size, len(train.codes))
        self.per_epoch = len(train.codes) // self.batch
        self.optimiser, self.schedule = _optimiser(
            self.network, config, config.epochs * self.per_epoch
        )
        self.dtype = pick_dtype(config.precision, device)
        self.generator = torch.Generator().manual_seed(config.seed)
        self.step = 0

    def _batches(self) -> Iterator[_Part]:
        """One epoch in random order, augmented, on the device; a short last batch is left out."""
        order = torch.randperm(len(self.train.codes), generator=self.generator)
        for index in order[: self.per_epoch * self.batch].split(self.batch):
            codes = augment(
                self.train.codes[index],
                self.generator,
                strands=self.config.reverse_complement,
                max_shift=self.config.shift,
            )
            others = [None if v is None else v[index].to(self.device) for v in self.train[1:]]
            yield _Part(codes.to(self.device), *others)  # type: ignore[arg-type]

    def _update(self, batch: _Part) -> float:
        with autocast(self.device, self.dtype):
            output = self.network(one_hot(batch.codes, self.dtype), batch.features)  # (b, 2)
        output = output.float()
        loss = self._loss(output[:, 0], positive_std(output[:, 1], self.config.std_floor), batch)
        value = float(loss.detach())
        if math.isfinite(value):
            self.optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(self.network.parameters(), MAX_NORM)
            self.optimiser.step()
            self.schedule.step()
            self.step += 1
        return value

    def _loss(self, mean: Tensor, std: Tensor, batch: _Part) -> Tensor:
        level = self.config.interval_level
        if level is not None:
            return pinball(mean, std, batch.target, level, batch.weight)
        return beta_nll(mean, std, batch.target, self.config.beta, batch.weight)

    def epoch(self) -> float:
        """Mean loss over one epoch; ends early on a loss that is not finite, and returns that."""
        self.network.train()
        total = 0.0
        for batch in self._batches():
            value = self._update(batch)
            if not math.isfinite(value):
                return value
            total += value
        return total / self.per_epoch


def fit(
    codes: Codes,
    target: ArrayLike,
    *,
    config: FitConfig,
    validation: tuple[Codes, ArrayLike] | None = None,
    features: NDArray[Any] | None = None,
    validation_features: NDArray[Any] | None = None,
    weight: ArrayLike | None = None,
    initial_state: Mapping[str, NDArray[Any]] | None = None,
    progress: Progress | None = None,
) -> FittedModel:
    """Fit one network.

    Parameters
    ----------
    codes : (n, L) uint8 array
    target : (n,) array
        Activity, in its own unit; standardised on this part.
    config : FitConfig
    validation : (codes, target), optional
        Elements unrelated to the training part. Training stops when their likelihood (pinball loss
        with ``interval_level``) no longer improves, and the best state is kept; without them the
        last state is.
    features, validation_features : (n, p) arrays, optional
        Side features; standardised on the training part.
    weight : (n,) array, optional
        Weights of the training elements, at least 0.
    initial_state : mapping of str to array, optional
        Parameters or buffers, by their names in the network's state, to start from; the others are
        drawn from ``config.seed``.
    progress : callable, optional
        Called after every epoch with its record (see :attr:`FittedModel.history`).

    Raises
    ------
    ValueError
        For arrays that do not fit each other, values that are not finite, a constant target, an
        unknown or unsuitable model.
    NonFiniteLoss
        When training diverges.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> codes = rng.integers(0, 4, (64, 30), dtype=np.uint8)
    >>> target = (codes == 2).mean(1)
    >>> model = fit(codes, target, config=FitConfig(epochs=2, batch_size=16))
    >>> mean, std = predict(model, codes)
    >>> mean.shape, bool((std > 0).all())
    ((64,), True)
    """
    p = 0 if features is None else np.shape(features)[-1]
    values = _check_part("training", codes, target, features, p)
    scales = _scales(values, features)
    train = _part(codes, values, features, scales, _check_weight(weight, len(codes)))
    held = None
    if validation is not None:
        held_values = _check_part("validation", *validation, validation_features, p)
        if validation[0].shape[1] != codes.shape[1]:
            raise ValueError(
                f"validation codes have length {validation[0].shape[1]}, training codes "
                f"{codes.shape[1]}"
            )
        held = _part(validation[0], held_values, validation_features, scales)
    with one_thread(config.seed):
        loop = _Loop(train, config, pick_device(config.device), initial_state)
        return _run(loop, held, scales, progress)


def _run(
    loop: _Loop, held: _Part | None, scales: _Scales, progress: Progress | None
) -> FittedModel:
    """Epochs until the schedule ends or patience does."""
    config = loop.config
    criterion = "nll" if config.interval_level is None else "pinball"
    history: list[dict[str, float]] = []
    best, best_epoch, lowest = _snapshot(loop.network), 0, math.inf

    def fitted() -> FittedModel:
        length = loop.train.codes.shape[1]
        return FittedModel(config, length, best, *scales, history, best_epoch)

    for epoch in range(1, config.epochs + 1):
        loss = loop.epoch()
        if not math.isfinite(loss):
            raise NonFiniteLoss(loop.step, loss, fitted())
        record = {"epoch": float(epoch), "loss": loss}
        if held is not None:
            record |= _validate(loop.network, held, config, loop.device)
        history.append(record)
        if progress is not None:
            progress(record)
        value = record.get(criterion, -math.inf)
        if held is None or value < lowest:
            best, best_epoch, lowest = _snapshot(loop.network), epoch, value
        elif epoch - best_epoch >= config.patience:
            break
    return fitted()
