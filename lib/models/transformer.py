"""A transformer on the convolutional stem of :mod:`lib.models.cnn`.

The stem pools by eight, so that 200 nt become 25 tokens. Blocks are pre-norm with rotary positions:
attention sees how far apart two tokens are, not where they stand. A learnt query pools the tokens.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from lib.models.cnn import residual_trunk
from lib.models.heads import GaussianHead, SequenceNetwork

ROTARY_BASE = 1000.0  # longest wavelength in tokens; elements have a few hundred at most


def rotate(x: Tensor) -> Tensor:
    """Rotary positions: turn each pair of channels by an angle that grows with the position.

    Parameters
    ----------
    x : (n, heads, T, d) tensor
        d even.

    References
    ----------
    Su et al. 2021, "RoFormer", equation 34.
    """
    tokens, half = x.shape[2], x.shape[3] // 2
    power = torch.arange(half, device=x.device, dtype=torch.float32) / half  # (d / 2,)
    position = torch.arange(tokens, device=x.device, dtype=torch.float32)  # (T,)
    angle = torch.outer(position, ROTARY_BASE**-power)  # (T, d / 2)
    cosine, sine = angle.cos().to(x.dtype), angle.sin().to(x.dtype)  # (T, d / 2)
    first, second = x[..., :half], x[..., half:]  # (n, heads, T, d / 2)
    turned = [first * cosine - second * sine, second * cosine + first * sine]
    return torch.cat(turned, -1)  # (n, heads, T, d)


class Block(nn.Module):
    """Attention, then a two-layer network, each on normalised input and added to it."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention = nn.LayerNorm(width)
        self.to_qkv = nn.Linear(width, 3 * width, bias=False)
        self.from_attention = nn.Linear(width, width, bias=False)
        self.norm_mlp = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 2 * width), nn.SiLU(), nn.Linear(2 * width, width)
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(n, T, width)`` to the same shape."""
        qkv = self.to_qkv(self.norm_attention(x))  # (n, T, 3 · width)
        qkv = qkv.unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)  # (3, n, heads, T, d)
        query, key, value = rotate(qkv[0]), rotate(qkv[1]), qkv[2]  # (n, heads, T, d)
        # Written out: torch's fused attention is many times slower on a CPU for so few tokens.
        score = query @ key.transpose(2, 3) * query.shape[3] ** -0.5  # (n, heads, T, T)
        seen = score.softmax(3).to(value.dtype) @ value  # (n, heads, T, d)
        seen = seen.transpose(1, 2).flatten(2)  # (n, T, width)
        x = x + self.from_attention(seen)  # (n, T, width)
        return x + self.mlp(self.norm_mlp(x))  # (n, T, width)


class Transformer(SequenceNetwork):
    """Stem, pre-norm blocks, pooling by a learnt query per head.

    Parameters
    ----------
    length : int
        L; the network itself takes any length.
    n_features : int
        Side features.
    channels, stem, kernels, pools
        Of the stem, see :class:`lib.models.cnn.CNN`.
    width : int
        Channels of a token; ``width / heads`` must be even.
    heads, depth : int
        Attention heads and blocks.
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
        width: int = 96,
        heads: int = 4,
        depth: int = 2,
        hidden: int = 64,
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        if width % (2 * heads):
            raise ValueError(f"width {width} is no multiple of 2 · heads = {2 * heads}")
        self.trunk = residual_trunk(channels, stem, kernels, pools)
        self.widen = nn.Linear(channels, width)
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, heads)
        self.head = GaussianHead(heads * width, n_features, hidden, dropout)

    def embed(self, one_hot: Tensor) -> Tensor:
        """``(n, 4, L)`` to ``(n, heads · width)``."""
        x = self.trunk(one_hot.unsqueeze(2))  # (n, channels, 1, T)
        x = self.widen(x.squeeze(2).transpose(1, 2))  # (n, T, width)
        x = self.norm(self.blocks(x))  # (n, T, width)
        share = self.query(x).float().softmax(1).to(x.dtype)  # (n, T, heads)
        return (share.transpose(1, 2) @ x).flatten(1)  # (n, heads · width)
