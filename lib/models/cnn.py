"""The CNN of the book: narrow residual convolutions at full resolution, pooled late.

Chosen by measuring on WTC11 and plant leaf (accuracy against seconds of one core). What counts is
that several narrow convolutions follow each other before the first pooling: they compose a motif
from its parts at the resolution of one nucleotide.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lib.models.heads import GaussianHead, SequenceNetwork


class Residual(nn.Module):
    """Convolution and batch norm, added to their input, then SiLU."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, channels, (1, kernel), padding="same", bias=False)
        self.norm = nn.BatchNorm2d(channels)
        self.activation = nn.SiLU()

    def forward(self, x: Tensor) -> Tensor:
        """``(n, channels, 1, L)`` to the same shape."""
        return self.activation(x + self.norm(self.convolution(x)))  # (n, channels, 1, L)


def residual_trunk(
    channels: int, stem: int, kernels: Sequence[int], pools: Sequence[int]
) -> nn.Sequential:
    """Stem, then residual convolutions with max-pooling between them; see :class:`CNN`.

    Maps ``(n, 4, 1, L)`` to ``(n, channels, 1, L / product of pools)``.

    Raises
    ------
    ValueError
        If there is not one pool per kernel.
    """
    if len(kernels) != len(pools):
        raise ValueError(f"{len(kernels)} kernels but {len(pools)} pools; give one pool each")
    layers: list[nn.Module] = [
        nn.Conv2d(4, channels, (1, stem), padding="same", bias=False),
        nn.BatchNorm2d(channels),
        nn.SiLU(),
    ]
    for kernel, pool in zip(kernels, pools, strict=True):
        layers.append(Residual(channels, kernel))
        if pool > 1:
            layers.append(nn.MaxPool2d((1, pool), ceil_mode=True))
    return nn.Sequential(*layers)


class CNN(SequenceNetwork):
    """Stem, residual convolutions with pooling by two between them, mean and maximum over L.

    Parameters
    ----------
    length : int
        L; the network itself takes any length.
    n_features : int
        Side features.
    channels : int
        Channels throughout.
    stem : int
        Width of the first convolution.
    kernels : sequence of int
        Width of each residual convolution.
    pools : sequence of int
        Max-pooling after each residual convolution; 1 for none.
    hidden, dropout
        See :class:`lib.models.heads.GaussianHead`.
    """

    def __init__(
        self,
        length: int,
        n_features: int = 0,
        *,
        channels: int = 32,
        stem: int = 9,
        kernels: Sequence[int] = (9, 9, 9, 5, 5),
        pools: Sequence[int] = (1, 2, 2, 2, 2),
        hidden: int = 64,
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        self.trunk = residual_trunk(channels, stem, kernels, pools)
        self.head = GaussianHead(2 * channels, n_features, hidden, dropout)

    def embed(self, one_hot: Tensor) -> Tensor:
        """``(n, 4, L)`` to ``(n, 2 · channels)``: mean and maximum over positions."""
        x = self.trunk(one_hot.unsqueeze(2))  # (n, channels, 1, L / product of pools)
        return torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1)  # (n, 2 · channels)
