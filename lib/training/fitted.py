"""A fitted network as plain arrays, and what can be asked of it: forecasts and embeddings.

In: codes ``(n, L)`` uint8 and side features ``(n, p)``. Out: mean and standard deviation in the
activity's own unit, float64. Two strands count as one forecast, see :func:`predict`; several
networks as one mixture, see :func:`combine`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import convert_conv2d_weight_memory_format

from lib.arrays import FloatArray
from lib.models import build
from lib.models.networks import positive_std
from lib.sequences import UNKNOWN, Codes, validate_codes
from lib.training.config import FitConfig, one_thread, pick_device, pick_dtype, pick_layout

BATCH = 128  # its activations stay in the cache of one core; larger ones are slower
CPU = torch.device("cpu")
_STATE = "state."
_SCALARS = ("length", "target_mean", "target_std", "best_epoch")
_COMPLEMENT = torch.tensor([3, 2, 1, 0, UNKNOWN], dtype=torch.uint8)


def as_tensor(values: NDArray[Any]) -> Tensor:
    """A tensor on the CPU; shares memory unless the array is read-only, as mapped ones are."""
    return torch.from_numpy(np.require(values, requirements=["C", "W"]))


def autocast(device: torch.device, dtype: torch.dtype) -> torch.autocast:
    """Mixed precision for a forward pass; nothing for float32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=dtype != torch.float32)


def laid_out(network: nn.Module, device: torch.device, dtype: torch.dtype) -> nn.Module:
    """The network there, its convolutions in the layout that is fast for that input."""
    layout = pick_layout(device, dtype)
    return convert_conv2d_weight_memory_format(network.to(device), layout)


def one_hot(codes: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """``(n, L)`` uint8 codes to ``(n, 4, L)`` in the layout that is fast; N is zeros.

    With channels last it lies in memory as ``(n, L, 4)``: adding an axis of height one copies
    nothing.
    """
    table = torch.eye(UNKNOWN + 1, 4, dtype=dtype, device=codes.device)
    letters = F.embedding(codes.int(), table).transpose(1, 2)  # (n, 4, L), strides (4 L, 1, 4)
    plain = pick_layout(codes.device, dtype) == torch.contiguous_format
    return letters.contiguous() if plain else letters


def reverse_complement(codes: Tensor) -> Tensor:
    """``(n, L)`` uint8 codes of the other strand."""
    return _COMPLEMENT.to(codes.device)[codes.int()].flip(1)  # (n, L)


@dataclass(frozen=True, eq=False)
class FittedModel:
    """A network after training; nothing in it needs torch to be stored.

    ``length`` is that of the sequences it was trained on, ``state`` its parameters and buffers. The
    network speaks in units of ``target_mean`` and ``target_std``; ``feature_mean`` and
    ``feature_std`` ``(p,)`` are those of the training features, p = 0 without any. ``history`` has
    ``epoch``, ``loss``, and with a validation part ``nll`` and ``pearson_r`` there; the weights are
    of ``best_epoch``, 0 before the first.
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

    def network(self, device: torch.device = CPU, precision: str = "float32") -> nn.Module:
        """The torch module, in evaluation mode, laid out for a precision of ``FitConfig``."""
        options = self.config.model_options
        module = build(self.config.model, self.length, len(self.feature_mean), **options)
        module.load_state_dict({name: as_tensor(v) for name, v in self.state.items()})
        return laid_out(module, device, pick_dtype(precision, device)).eval()

    def to_arrays(self) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Named arrays and a JSON-able description; :meth:`from_arrays` reads them."""
        arrays = {_STATE + name: values for name, values in self.state.items()}
        arrays |= {"feature_mean": self.feature_mean, "feature_std": self.feature_std}
        meta = {"config": self.config.model_dump(mode="json"), "history": self.history}
        return arrays, meta | {name: getattr(self, name) for name in _SCALARS}

    @classmethod
    def from_arrays(
        cls, arrays: Mapping[str, NDArray[Any]], meta: Mapping[str, Any]
    ) -> "FittedModel":
        """The inverse of :meth:`to_arrays`."""
        return cls(
            config=FitConfig(**meta["config"]),
            state={k.removeprefix(_STATE): v for k, v in arrays.items() if k.startswith(_STATE)},
            feature_mean=arrays["feature_mean"],
            feature_std=arrays["feature_std"],
            history=list(meta["history"]),
            **{name: meta[name] for name in _SCALARS},
        )


def check_features(features: NDArray[Any] | None, n: int, p: int) -> None:
    """Refuse side features that do not fit ``n`` rows and ``p`` columns."""
    shape = None if features is None else np.shape(features)
    if shape != ((n, p) if p else None):
        wanted = f"({n}, {p})" if p else "None"
        raise ValueError(f"features has shape {shape}; this model needs {wanted}")
    if features is not None and not np.isfinite(features).all():
        row = int(np.argwhere(~np.isfinite(features))[0][0])
        raise ValueError(f"features is not finite in row {row}")


def inputs(
    model: FittedModel,
    codes: Codes,
    features: NDArray[Any] | None = None,
    device: torch.device = CPU,
) -> tuple[Tensor, Tensor | None]:
    """Codes and standardised side features as tensors, if they are such as the model knows."""
    validate_codes(codes)
    if codes.shape[1] != model.length:
        raise ValueError(
            f"codes have length {codes.shape[1]}, the model was trained on {model.length} nt"
        )
    check_features(features, len(codes), len(model.feature_mean))
    rows = as_tensor(codes).to(device)  # (n, L)
    if features is None:
        return rows, None
    scaled = ((features - model.feature_mean) / model.feature_std).astype(np.float32)
    return rows, torch.from_numpy(scaled).to(device)  # (n, p)


def _by_batch(
    ask: Callable[..., Tensor], codes: Tensor, features: Tensor | None, config: FitConfig
) -> Iterator[Tensor]:
    """What a network answers of each strand, ``(strands, b, ...)`` float32, batch by batch."""
    dtype = pick_dtype(config.precision, codes.device)
    for start in range(0, len(codes), BATCH):
        batch = codes[start : start + BATCH]  # (b, L)
        side = None if features is None else features[start : start + BATCH]  # (b, p)
        views = [batch] + [reverse_complement(batch)] * config.reverse_complement
        with autocast(codes.device, dtype):
            answers = [ask(one_hot(view, dtype), side).float() for view in views]
        yield torch.stack(answers)


def forward_batches(
    network: nn.Module, codes: Tensor, features: Tensor | None, config: FitConfig
) -> Tensor:
    """Standardised mean and std, ``(n, 2)``; all on one device."""
    found = [torch.zeros(0, 2)]
    with torch.inference_mode():
        for output in _by_batch(network, codes, features, config):  # (strands, b, 2)
            scale = positive_std(output[..., 1], config.std_floor)  # (strands, b)
            std = (scale**2).mean(0).sqrt()  # (b,)
            found.append(torch.stack([output[..., 0].mean(0), std], 1).cpu())  # (b, 2)
    return torch.cat(found)  # (n, 2)


def _forecasts(
    model: FittedModel,
    codes: Codes,
    features: NDArray[Any] | None = None,
    device: str = "auto",
    samples: int = 0,
    seed: int = 0,
) -> tuple[FloatArray, FloatArray]:
    """One forecast, or ``samples`` of them with dropout at work, each ``(samples, n)``."""
    place = pick_device(device)
    asked = *inputs(model, codes, features, place), model.config
    with one_thread(seed):
        network = model.network(place, model.config.precision)
        for module in network.modules():
            if samples and isinstance(module, nn.modules.dropout._DropoutNd):
                module.train()
        passes = [forward_batches(network, *asked) for _ in range(max(samples, 1))]
    both = torch.stack(passes).numpy().astype(np.float64)  # (samples, n, 2)
    return both[..., 0] * model.target_std + model.target_mean, both[..., 1] * model.target_std


def predict(
    model: FittedModel,
    codes: Codes,
    features: NDArray[Any] | None = None,
    *,
    device: str = "auto",
    mc_dropout_samples: int = 0,
    seed: int = 0,
) -> tuple[FloatArray, FloatArray]:
    """Mean and standard deviation of the measurement of each sequence.

    The two strands of an element share one label, so they are averaged where the model was trained
    on both (``config.reverse_complement``): the mean of the means, and the root of the mean
    variance. The spread between strands is not added, as it would be for two members of an
    ensemble: if each strand's variance is right for that strand's error, the averaged mean errs
    less, by exactly that spread, E(y - m̄)² = s² - (m₁ - m₂)²/4; the mean variance is already on
    the safe side.

    Of codes ``(n, L)`` and, if the model has them, features ``(n, p)``: mean and std ``(n,)``
    float64, in the unit of the activity. ``device`` is ``auto``, ``cpu`` or ``cuda``. With
    ``mc_dropout_samples`` so many passes with dropout, whose masks are those of ``seed``, are mixed
    as by :func:`combine` (Gal and Ghahramani 2016). Codes or features that do not fit the model are
    a ``ValueError``.
    """
    means, stds = _forecasts(model, codes, features, device, mc_dropout_samples, seed)
    if not mc_dropout_samples:
        return means[0], stds[0]
    return combine(means, stds)[:2]


def embed(model: FittedModel, codes: Codes) -> NDArray[np.float32]:
    """Pooled embedding of each sequence, averaged over strands as in :func:`predict`.

    ``(n, d)`` float32. A ``ValueError`` if the network offers no ``embed(one_hot)``, or the codes
    do not fit.
    """
    place = pick_device("auto")
    rows, _ = inputs(model, codes, device=place)
    with one_thread(0), torch.inference_mode():
        network: Any = model.network(place, model.config.precision)
        if not callable(getattr(network, "embed", None)):
            raise ValueError(f"model {model.config.model!r} offers no embed(one_hot) -> (n, d)")
        asked = _by_batch(lambda x, _: network.embed(x), rows, None, model.config)
        return torch.cat([both.mean(0).cpu() for both in asked]).numpy()  # (n, d)


class EnsemblePrediction(NamedTuple):
    """The members as one Gaussian; all are ``(n,)`` float64.

    The variance is the sum of two: the members' mean variance (aleatoric, the noise they expect)
    and the variance of their means (epistemic, over m, not m - 1: how far they disagree).
    """

    mean: FloatArray
    std: FloatArray
    std_aleatoric: FloatArray
    std_epistemic: FloatArray


def combine(means: ArrayLike, stds: ArrayLike) -> EnsemblePrediction:
    """One forecast from many: the equal mixture of the members, matched in mean and variance.

    ``means`` and ``stds`` are ``(m, n)``, one row per member (separate fits, or passes with
    dropout), in one unit; with one member, ``std_epistemic`` is 0. Other shapes, values that are
    not finite, or a standard deviation of 0 or less are a ``ValueError``. Source: Lakshminarayanan
    et al. 2017, "Simple and scalable predictive uncertainty estimation using deep ensembles",
    section 2.4.

    Examples
    --------
    >>> both = combine([[1.0], [3.0]], [[1.0], [2.0]])  # variances 1, and 1 and 4 on average
    >>> both.mean.tolist(), both.std_epistemic.tolist(), (both.std**2).round(12).tolist()
    ([2.0], [1.0], [3.5])
    """
    centres, widths = np.asarray(means, np.float64), np.asarray(stds, np.float64)
    if centres.ndim != 2 or len(centres) == 0 or centres.shape != widths.shape:
        raise ValueError(
            f"means has shape {centres.shape}, stds {widths.shape}; (members, elements) would do"
        )
    bad = np.argwhere(~np.isfinite(centres + widths) | (widths <= 0))
    if len(bad):
        member, row = bad[0]
        said = f"{centres[member, row]} ± {widths[member, row]}"
        raise ValueError(f"member {member} says {said} in row {row}")
    aleatoric = (widths**2).mean(0)  # (n,)
    epistemic = centres.var(0)  # (n,)
    return EnsemblePrediction(
        centres.mean(0), np.sqrt(aleatoric + epistemic), np.sqrt(aleatoric), np.sqrt(epistemic)
    )
