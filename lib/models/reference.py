"""The reference CNN of the benchmarks: three convolutions with early pooling.

It is fast and widely used in this shape, and less accurate than :mod:`lib.models.cnn` on human
elements: pooling by four right after the first convolution loses where motif parts lie.
"""

from torch import Tensor, nn

from lib.models.heads import GaussianHead, SequenceNetwork


class ReferenceCNN(SequenceNetwork):
    """Convolutions of width 15, 7 and 7, each with batch norm, ReLU and pooling.

    Parameters
    ----------
    length : int
        L; the network itself takes any length.
    n_features : int
        Side features.
    channels : int
        Channels of each convolution.
    hidden, dropout
        See :class:`lib.models.heads.GaussianHead`.
    """

    def __init__(
        self,
        length: int,
        n_features: int = 0,
        *,
        channels: int = 64,
        hidden: int = 64,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            *_stage(4, channels, 15),
            nn.MaxPool2d((1, 4), ceil_mode=True),
            *_stage(channels, channels, 7),
            nn.MaxPool2d((1, 4), ceil_mode=True),
            *_stage(channels, channels, 7),
        )
        self.head = GaussianHead(channels, n_features, hidden, dropout)

    def embed(self, one_hot: Tensor) -> Tensor:
        """``(n, 4, L)`` to ``(n, channels)``."""
        x = self.trunk(one_hot.unsqueeze(2))  # (n, channels, 1, L / 16)
        return x.mean((2, 3))  # (n, channels)


def _stage(inputs: int, outputs: int, kernel: int) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, (1, kernel), padding="same", bias=False)
    return [convolution, nn.BatchNorm2d(outputs), nn.ReLU()]
