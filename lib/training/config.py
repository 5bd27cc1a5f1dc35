"""The settings of one fit, and where, in what precision and memory layout it runs here."""

import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import torch
from filelock import FileLock
from platformdirs import user_cache_dir
from pydantic import BaseModel, ConfigDict, Field, JsonValue
from torch.nn import functional as F


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

    def resolved(self) -> "FitConfig":
        """The same with the precision that ``auto`` takes here: it is part of a unit's key."""
        dtype = pick_dtype(self.precision, pick_device(self.device))
        return self.model_copy(update={"precision": str(dtype).removeprefix("torch.")})


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


FEWEST_STEPS, MOST_EPOCHS = 1000, 100


def enough_epochs(epochs: int, n: int, largest: int) -> int:
    """Epochs of a small sample of ``n``: 1,000 steps if the ``largest`` sample gets them, too.

    So that no learning curve is one of optimiser steps; never above 100.

    >>> enough_epochs(20, 2_000, largest=30_000)  # 31 steps of 64 an epoch
    33
    """
    batch = FitConfig().batch_size
    fewest = min(FEWEST_STEPS, epochs * (largest // batch))
    return max(epochs, min(MOST_EPOCHS, -(-fewest // max(1, n // batch))))


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
    """``auto`` is bfloat16 where the processor or GPU multiplies it natively, else float32.

    bfloat16 that is asked for and not native is warned of: it is emulated, and slower.
    """
    native = bool(torch.cpu.get_capabilities().get("avx512_bf16", False))
    if device.type == "cuda":
        native = torch.cuda.is_bf16_supported()
    if precision == "bfloat16" and not native:
        warnings.warn(
            f"precision is 'bfloat16', which this {device.type} does not multiply natively: "
            "it is emulated, slower than float32; precision='auto' takes float32 here",
            stacklevel=2,
        )
    wanted = native if precision == "auto" else precision == "bfloat16"
    return torch.bfloat16 if wanted else torch.float32


LAYOUTS: Final = {"channels_last": torch.channels_last, "plain": torch.contiguous_format}
_PLAIN_PAYS = 0.9  # of the time with channels last; a small gain would turn with the noise


def _seconds_in(layout: torch.memory_format) -> float:
    """Of one convolution of the book's CNN, forward and backward in float32."""
    x = torch.ones(64, 32, 1, 200).contiguous(memory_format=layout).requires_grad_()
    weight = torch.ones(32, 32, 1, 9).contiguous(memory_format=layout).requires_grad_()
    start = time.perf_counter()
    F.conv2d(x, weight, padding="same").sum().backward()
    return time.perf_counter() - start


@cache
def _layout() -> str:
    """The faster layout of float32 on this processor, measured once and kept in the user's cache.

    Processors with the same instructions differ in it. Rounding follows the layout, so the file
    also keeps a machine's results the same byte for byte.
    """
    kind = f"{torch.__version__}-{torch.backends.cpu.get_cpu_capability()}"
    kept = Path(user_cache_dir("regulatory-shift-companion")) / f"layout-{kind}.txt"
    with suppress(OSError):  # where nothing can be kept, nothing is measured
        kept.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(kept.with_suffix(".lock")):  # of several processes the first one decides
            if not kept.exists() or kept.read_text("utf-8") not in LAYOUTS:
                with one_thread(0):
                    times = [[_seconds_in(each) for each in LAYOUTS.values()] for _ in range(9)]
                last, plain = np.median(times, axis=0)
                kept.write_text("plain" if plain < _PLAIN_PAYS * last else "channels_last", "utf-8")
            return kept.read_text("utf-8")
    return "channels_last"


def pick_layout(device: torch.device, dtype: torch.dtype) -> torch.memory_format:
    """How images of one row lie in memory: channels last, or plain where float32 is faster so."""
    if device.type != "cpu" or dtype != torch.float32:
        return torch.channels_last
    return LAYOUTS[_layout()]
