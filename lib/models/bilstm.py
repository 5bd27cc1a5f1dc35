"""A bidirectional LSTM on the convolutional stem of :mod:`lib.models.cnn`.

The stem finds motif parts at the resolution of one nucleotide and pools them by eight; the LSTM
reads their order and spacing in both directions. So short a sequence keeps it fast on a CPU, where
its steps follow one another.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lib.models.cnn import residual_trunk
from lib.models.heads import GaussianHead, SequenceNetwork


class BiLSTM(SequenceNetwork):
    """Stem, one bidirectional LSTM layer, mean and maximum over positions.

    Parameters
    ----------
    length : int
        L; the network itself takes any length.
    n_features : int
        Side features.
    channels, stem, kernels, pools
        Of the stem, see :class:`lib.models.cnn.CNN`.
    units : int
        State of the LSTM in each direction.
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
        kernels: Sequence[int] = (9, 9, 9),
        pools: Sequence[int] = (1, 2, 4),
        units: int = 96,
        hidden: int = 64,
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        self.trunk = residual_trunk(channels, stem, kernels, pools)
        self.lstm = nn.LSTM(channels, units, batch_first=True, bidirectional=True)
        self.head = GaussianHead(4 * units, n_features, hidden, dropout)

    def embed(self, one_hot: Tensor) -> Tensor:
        """``(n, 4, L)`` to ``(n, 4 · units)``: mean and maximum of both directions."""
        x = self.trunk(one_hot.unsqueeze(2))  # (n, channels, 1, T)
        x = x.squeeze(2).transpose(1, 2)  # (n, T, channels)
        x, _ = self.lstm(x)  # (n, T, 2 · units)
        return torch.cat([x.mean(1), x.amax(1)], 1)  # (n, 4 · units)
