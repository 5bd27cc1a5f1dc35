"""A fitted network as plain arrays, and what can be asked of it: forecasts and embeddings.

In: codes ``(n, L)`` uint8 and side features ``(n, p)``. Out: mean and standard deviation in the
activity's own unit, float64. Two strands count as one forecast, see :func:`predict`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from torch import Tensor, nn

from lib.arrays import FloatArray
from lib.models import build
from lib.models.heads import positive_std
from lib.sequences import Codes, validate_codes
from lib.training.batches import (
    as_tensor,
    autocast,
    channels_last,
    one_hot,
    one_thread,
    pick_device,
    pick_dtype,
    reverse_complement,
)
from lib.training.config import FitConfig

_STATE = "state."
BATCH = 128  # its activations stay in the cache of one core; larger ones are slower


@dataclass(frozen=True, eq=False)
class FittedModel:
    """A network after training; nothing in it needs torch to be stored.

    Attributes
    ----------
    config : FitConfig
    length : int
        Sequence length L it was trained on.
    state : dict of str to array
        Parameters and buffers.
    target_mean, target_std : float
        Of the training targets: the network speaks in these units.
    feature_mean, feature_std : (p,) float arrays
        Of the training features; p = 0 without any.
    history : list of dict
        Per epoch: ``epoch``, ``loss``, and with a validation part ``nll`` and ``pearson_r`` there.
    best_epoch : int
        The epoch whose weights these are; 0 before the first.
    """

    config: FitConfig
    length: int
    state: Mapping[str, NDArray[Any]]
    target_mean: float
    target_std: float
    feature_mean: FloatArray = field(default_factory=lambda: np.zeros(0))
    feature_std: FloatArray = field(default_factory=lambda: np.zeros(0))
    history: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0

    def network(self) -> nn.Module:
        """The torch module, in evaluation mode, on the CPU."""
        options = self.config.model_options
        module = build(self.config.model, self.length, len(self.feature_mean), **options)
        module.load_state_dict({name: as_tensor(v) for name, v in self.state.items()})
        return channels_last(module).eval()

    def to_arrays(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Named arrays and a JSON-able description; :meth:`from_arrays` reads them."""
        arrays = {_STATE + name: values for name, values in self.state.items()}
        arrays |= {"feature_mean": self.feature_mean, "feature_std": self.feature_std}
        meta = {
            "config": self.config.model_dump(mode="json"),
            "length": self.length,
            "target_mean": self.target_mean,
            "target_std": self.target_std,
            "history": self.history,
            "best_epoch": self.best_epoch,
        }
        return arrays, meta

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, Any]
    ) -> "FittedModel":
        """The inverse of :meth:`to_arrays`."""
        prefix = len(_STATE)
        state = {name[prefix:]: v for name, v in arrays.items() if name.startswith(_STATE)}
        return cls(
            config=FitConfig(**meta["config"]),
            length=meta["length"],
            state=state,
            target_mean=meta["target_mean"],
            target_std=meta["target_std"],
            feature_mean=arrays["feature_mean"],
            feature_std=arrays["feature_std"],
            history=list(meta["history"]),
            best_epoch=meta["best_epoch"],
        )

    def save(self, path: str | Path) -> None:
        """Write one safetensors file."""
        arrays, meta = self.to_arrays()
        contiguous = {name: np.asarray(values, order="C") for name, values in arrays.items()}
        save_file(contiguous, path, metadata={"meta": json.dumps(meta, sort_keys=True)})

    @classmethod
    def load(cls, path: str | Path) -> "FittedModel":
        """Read what :meth:`save` wrote.

        Raises
        ------
        ValueError
            If the file is not a fitted model.
        """
        try:
            with safe_open(path, framework="numpy") as file:
                arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                meta = json.loads((file.metadata() or {})["meta"])
            return cls.from_arrays(arrays, meta)
        except (SafetensorError, KeyError) as error:
            raise ValueError(f"{path} is not a fitted model written by save: {error}") from error


def check_features(features: NDArray[Any] | None, n: int, p: int, name: str) -> None:
    """Refuse side features that do not fit ``n`` rows and ``p`` columns."""
    shape = None if features is None else np.shape(features)
    if shape != ((n, p) if p else None):
        wanted = f"({n}, {p})" if p else "None"
        raise ValueError(f"{name} has shape {shape}; this model needs {wanted}")
    if features is not None and not np.isfinite(features).all():
        row = int(np.argwhere(~np.isfinite(features))[0][0])
        raise ValueError(f"{name} is not finite in row {row}")


def scaled_features(
    features: NDArray[Any] | None, mean: FloatArray, std: FloatArray
) -> Tensor | None:
    """``(n, p)`` float32, standardised as in training; None without features."""
    if features is None:
        return None
    return torch.from_numpy(((features - mean) / std).astype(np.float32))  # (n, p)


def _check(model: FittedModel, codes: Codes, features: NDArray[Any] | None) -> None:
    validate_codes(codes)
    if codes.shape[1] != model.length:
        raise ValueError(
            f"codes have length {codes.shape[1]}, the model was trained on {model.length} nt"
        )
    check_features(features, len(codes), len(model.feature_mean), "features")


def _check_head(model: FittedModel, interval: bool) -> None:
    level = model.config.interval_level
    if interval and level is None:
        raise ValueError("the model has a Gaussian head (interval_level is None); use predict")
    if not interval and level is not None:
        raise ValueError(f"the model forecasts {level:.0%} intervals only; use predict_interval")


def forward_batches(
    network: nn.Module,
    codes: Tensor,
    features: Tensor | None,
    config: FitConfig,
    *,
    strands: bool,
    batch_size: int,
    device: torch.device,
) -> Tensor:
    """Standardised mean and std (or centre and half-width), ``(n, 2)`` float32.

    The network is already on ``device``.
    """
    dtype = pick_dtype(config.precision, device)
    found = []
    with torch.inference_mode():
        for start in range(0, len(codes), batch_size):
            batch = codes[start : start + batch_size].to(device)  # (b, L)
            side = None
            if features is not None:
                side = features[start : start + batch_size].to(device)  # (b, p)
            views = [batch, reverse_complement(batch)] if strands else [batch]
            means, scales = [], []
            for view in views:
                with autocast(device, dtype):
                    output = network(one_hot(view, dtype), side).float()  # (b, 2)
                means.append(output[:, 0])
                scales.append(positive_std(output[:, 1], config.std_floor))
            scale = torch.stack(scales)  # (strands, b)
            # Variances are averaged; of an interval the ends are.
            gaussian = config.interval_level is None
            std = (scale**2).mean(0).sqrt() if gaussian else scale.mean(0)  # (b,)
            found.append(torch.stack([torch.stack(means).mean(0), std], 1).cpu())  # (b, 2)
    return torch.cat(found) if found else torch.zeros(0, 2)  # (n, 2)


def _forecasts(
    model: FittedModel,
    codes: Codes,
    features: NDArray[Any] | None,
    average_strands: bool | None,
    batch_size: int,
    device: str,
    samples: int,
    seed: int,
) -> list[tuple[FloatArray, FloatArray]]:
    """One forecast, or ``samples`` of them with dropout at work."""
    _check(model, codes, features)
    config, place = model.config, pick_device(device)
    strands = config.reverse_complement if average_strands is None else average_strands
    rows = as_tensor(codes)
    side = scaled_features(features, model.feature_mean, model.feature_std)
    found = []
    with one_thread(seed):
        network = model.network().to(place)
        for module in network.modules():
            if samples and isinstance(module, nn.modules.dropout._DropoutNd):
                module.train()
        for _ in range(max(samples, 1)):
            output = forward_batches(
                network, rows, side, config, strands=strands, batch_size=batch_size, device=place
            )
            both = output.numpy().astype(np.float64)  # (n, 2)
            mean = both[:, 0] * model.target_std + model.target_mean  # (n,)
            found.append((mean, both[:, 1] * model.target_std))
    return found


def predict(
    model: FittedModel,
    codes: Codes,
    features: NDArray[Any] | None = None,
    *,
    average_strands: bool | None = None,
    batch_size: int = BATCH,
    device: str = "auto",
    mc_dropout_samples: int = 0,
    seed: int = 0,
) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation of the measurement of each sequence.

    The two strands of an element share one label, so they are averaged: the mean of the means,
    and the root of the mean variance. The spread between strands is not added, as it would be for
    two members of an ensemble: if each strand's variance is right for that strand's error, the
    averaged mean errs less, by exactly that spread, E(y - m̄)² = s² - (m₁ - m₂)²/4; the mean
    variance is already on the safe side.

    Parameters
    ----------
    model : FittedModel
    codes : (n, L) uint8 array
    features : (n, p) array, optional
    average_strands : bool, optional
        By default as the model was trained (``config.reverse_complement``).
    batch_size : int
    device : {"auto", "cpu", "cuda"}
    mc_dropout_samples : int
        0: dropout is off. Otherwise so many passes with dropout, mixed: the variance of their
        means adds to the mean variance.
    seed : int
        Of the dropout masks.

    Returns
    -------
    mean, std : (n,) float64 arrays
        In the unit of the activity.

    Raises
    ------
    ValueError
        If length, features or codes do not fit the model, or it forecasts intervals only.
    """
    _check_head(model, interval=False)
    if mc_dropout_samples:
        means, stds = predict_dropout(
            model,
            codes,
            features,
            samples=mc_dropout_samples,
            seed=seed,
            average_strands=average_strands,
            batch_size=batch_size,
            device=device,
        )
        return means.mean(0), np.sqrt((stds**2).mean(0) + means.var(0))
    found = _forecasts(
        model, codes, features, average_strands, batch_size, device, samples=0, seed=seed
    )
    return found[0]


def predict_interval(
    model: FittedModel,
    codes: Codes,
    features: NDArray[Any] | None = None,
    *,
    average_strands: bool | None = None,
    batch_size: int = BATCH,
    device: str = "auto",
) -> tuple[FloatArray, FloatArray]:
    """Ends of the central interval of a network trained with ``interval_level``.

    Parameters are those of :func:`predict`; strands are averaged end by end.

    Returns
    -------
    lower, upper : (n,) float64 arrays
        In the unit of the activity; uncalibrated, see :func:`lib.repair.conformal.cqr`.

    Raises
    ------
    ValueError
        As :func:`predict`, or if the model has a Gaussian head.
    """
    _check_head(model, interval=True)
    ((centre, half_width),) = _forecasts(
        model, codes, features, average_strands, batch_size, device, samples=0, seed=0
    )
    return centre - half_width, centre + half_width


def predict_dropout(
    model: FittedModel,
    codes: Codes,
    features: NDArray[Any] | None = None,
    *,
    samples: int,
    seed: int = 0,
    average_strands: bool | None = None,
    batch_size: int = BATCH,
    device: str = "auto",
) -> tuple[FloatArray, FloatArray]:
    """Forecasts with dropout at work (Gal and Ghahramani 2016), for :mod:`lib.training.ensembles`.

    Returns
    -------
    means, stds : (samples, n) float64 arrays

    Raises
    ------
    ValueError
        If ``samples`` is under 1, or as for :func:`predict`.
    """
    _check_head(model, interval=False)
    if samples < 1:
        raise ValueError(f"samples is {samples}; at least 1 is needed")
    drawn = _forecasts(model, codes, features, average_strands, batch_size, device, samples, seed)
    return np.stack([mean for mean, _ in drawn]), np.stack([std for _, std in drawn])


def embed(
    model: FittedModel, codes: Codes, *, batch_size: int = BATCH, device: str = "auto"
) -> NDArray[np.float32]:
    """Pooled embedding of each sequence, averaged over strands as in :func:`predict`.

    Returns
    -------
    (n, d) float32 array

    Raises
    ------
    ValueError
        If the network offers no ``embed(one_hot)``, or the length does not fit.
    """
    validate_codes(codes)
    place = pick_device(device)
    dtype = pick_dtype(model.config.precision, place)
    with one_thread(0), torch.inference_mode():
        network = model.network().to(place)
        if not callable(getattr(network, "embed", None)):
            raise ValueError(f"model {model.config.model!r} offers no embed(one_hot) -> (n, d)")
        found = []
        for start in range(0, len(codes), batch_size):
            batch = as_tensor(codes[start : start + batch_size]).to(place)  # (b, L)
            views = [batch] + [reverse_complement(batch)] * model.config.reverse_complement
            with autocast(place, dtype):
                both = [network.embed(one_hot(v, dtype)).float() for v in views]  # type: ignore[operator]
            found.append(torch.stack(both).mean(0).cpu())  # (b, d)
    return torch.cat(found).numpy()
