"""Codes to network input, batch by batch: one-hot on the device, strands, shifts, precision.

In: codes ``(n, L)`` uint8 tensors. Out: one-hot ``(n, 4, L)`` that lies in memory as ``(n, L, 4)``,
so that adding an axis of height one makes it channels-last without a copy.
"""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import convert_conv2d_weight_memory_format

from lib.sequences import UNKNOWN

_COMPLEMENT = torch.tensor([3, 2, 1, 0, UNKNOWN], dtype=torch.uint8)
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
    """``auto`` is CUDA where there is one.

    Raises
    ------
    ValueError
        If CUDA is asked for and absent.
    """
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


def autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[object]:
    """Mixed precision for a forward pass; nothing for float32."""
    if dtype == torch.float32:
        return nullcontext()
    return torch.autocast(device.type, dtype)


def as_tensor(values: NDArray[Any]) -> Tensor:
    """A tensor on the CPU; shares memory unless the array is read-only, as mapped ones are."""
    return torch.from_numpy(np.require(values, requirements=["C", "W"]))


def channels_last(network: nn.Module) -> nn.Module:
    """The network with its convolutions laid out for input whose channels lie side by side."""
    return convert_conv2d_weight_memory_format(network, torch.channels_last)


def one_hot(codes: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """``(n, L)`` uint8 codes to ``(n, 4, L)``; an N is four zeros.

    Examples
    --------
    >>> one_hot(torch.tensor([[0, 4]], dtype=torch.uint8)).tolist()
    [[[1.0, 0.0], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]]]
    """
    table = torch.eye(UNKNOWN + 1, 4, dtype=dtype, device=codes.device)
    return F.embedding(codes.int(), table).transpose(1, 2)  # (n, 4, L), strides (4 L, 1, 4)


def reverse_complement(codes: Tensor) -> Tensor:
    """``(n, L)`` uint8 codes of the other strand."""
    return _COMPLEMENT.to(codes.device)[codes.int()].flip(1)  # (n, L)


def augment(codes: Tensor, generator: torch.Generator, *, strands: bool, max_shift: int) -> Tensor:
    """Each row on a random strand, moved by up to ``max_shift`` nt with N where it leaves a gap.

    Parameters
    ----------
    codes : (n, L) uint8 tensor, on the CPU
    generator : torch.Generator
    strands : bool
        Whether both strands stand for the same activity.
    max_shift : int
        0 for none.
    """
    n, length = codes.shape
    if strands:
        flip = torch.rand(n, 1, generator=generator) < 0.5  # (n, 1)
        codes = torch.where(flip, reverse_complement(codes), codes)  # (n, L)
    if max_shift > 0:
        shift = torch.randint(-max_shift, max_shift + 1, (n, 1), generator=generator)  # (n, 1)
        source = torch.arange(length) + shift + max_shift  # (n, L)
        padded = F.pad(codes, (max_shift, max_shift), value=UNKNOWN)  # (n, L + 2 max_shift)
        codes = padded.gather(1, source)  # (n, L)
    return codes
