"""The settings of one fit, and where and in what precision it runs on this machine."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, JsonValue


class FitConfig(BaseModel):
    """Everything a fit depends on but its data; JSON-able, so that it can stand in a unit's key.

    ``model`` is a name of :data:`lib.models.MODELS` or ``"package.module:Class"``, its options are
    plain values and lists. ``beta`` is that of :func:`lib.models.networks.beta_nll`; ``std_floor``
    the smallest standard deviation, in those of the training target. ``epochs`` is the length of
    the learning-rate schedule, which rises over the first 15 % of the steps and falls along a
    cosine to 0, under AdamW; ``patience`` the epochs without a better validation loss after which
    training stops. ``reverse_complement``: train on a random strand and average both in forecasts.
    Training elements move by up to ``max_shift`` nt, the gap filled with N; None takes 10, or 3 for
    oriented elements, whose parts stand at fixed places. ``precision`` ``auto`` takes bfloat16
    where the processor multiplies it natively. ``seed``: initialisation, batch order, augmentation
    and dropout.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    model: str = "cnn"
    model_options: dict[str, JsonValue] = {}
    beta: float = Field(default=0.5, ge=0, le=1)
    std_floor: float = Field(default=0.05, gt=0)
    epochs: int = Field(default=20, ge=1)
    patience: int = Field(default=8, ge=1)
    batch_size: int = Field(default=64, ge=2)
    learning_rate: float = Field(default=8e-3, gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    reverse_complement: bool = True
    max_shift: int | None = Field(default=None, ge=0)
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    device: Literal["auto", "cpu", "cuda"] = "auto"
    seed: int = Field(default=0, ge=0)

    @property
    def shift(self) -> int:
        """``max_shift`` with its default filled in."""
        default = 10 if self.reverse_complement else 3
        return default if self.max_shift is None else self.max_shift


# One trial each: the BiLSTM on a WTC11 split, the transformer in a simulated world. The CNN's
# stands in FitConfig.
LEARNING_RATES = {"bilstm": 0.004, "transformer": 0.004}


def tuned(model: str, **settings: Any) -> FitConfig:
    """The settings of a network by name, with its own learning rate unless one is given.

    Examples
    --------
    >>> tuned("bilstm", epochs=3).learning_rate, tuned("cnn").learning_rate
    (0.004, 0.008)
    """
    own = {"learning_rate": LEARNING_RATES[model]} if model in LEARNING_RATES else {}
    return FitConfig(**{"model": model} | own | settings)


# Torch keeps its thread count and default generator per process: within one, fits take turns.
_PROCESS = threading.RLock()


@contextmanager
def one_thread(seed: int) -> Iterator[None]:
    """Own torch's thread count (1) and default generator (``seed``), and give both back after.

    With one thread the sums of a convolution have one order, so results are the same byte for byte
    whatever else the machine does; one fit per core is also the fastest use of several cores.
    """
    with _PROCESS, torch.random.fork_rng():
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        torch.manual_seed(seed)
        try:
            yield
        finally:
            torch.set_num_threads(threads)


def pick_device(device: str) -> torch.device:
    """``auto`` is CUDA where there is one; CUDA that is asked for and absent is a ValueError."""
    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise ValueError("device is 'cuda' but torch finds none; use device='auto' or 'cpu'")
    return torch.device("cuda" if device != "cpu" and available else "cpu")


def pick_dtype(precision: str, device: torch.device) -> torch.dtype:
    """``auto`` is bfloat16 where the processor multiplies it natively, else float32."""
    if precision == "auto":
        on_gpu = device.type == "cuda" and torch.cuda.is_bf16_supported()
        on_cpu = device.type == "cpu" and torch.cpu.get_capabilities().get("avx512_bf16", False)
        precision = "bfloat16" if on_gpu or on_cpu else "float32"
    return torch.bfloat16 if precision == "bfloat16" else torch.float32


def autocast(device: torch.device, dtype: torch.dtype) -> torch.autocast:
    """Mixed precision for a forward pass; nothing for float32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=dtype != torch.float32)
