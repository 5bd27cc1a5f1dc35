"""The networks, the head that all share, and its loss.

A CNN, a smaller one, and an LSTM and a transformer on a convolutional trunk. In: one-hot sequences
``(n, 4, L)`` and side features ``(n, p)`` or None. Out: ``(n, 2)``, the mean and the raw standard
deviation of the standardised target; :func:`positive_std` makes the latter a standard deviation. A
network is made for a length L but takes any. Options of all: ``channels`` of each convolution,
``hidden`` units, ``dropout``, ``entry`` and ``side_dropout`` of the :class:`GaussianHead`.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

STEM = 9  # width of the first convolution
HEADS = 4  # of attention
ENTRIES = ("late", "narrow", "residual")  # ways of side features into a network
NARROW = 16  # numbers that a narrow way in leaves of them
ROTARY_BASE = 1000.0  # longest wavelength in tokens; elements have a few hundred at most


def positive_std(raw: Tensor, floor: float) -> Tensor:
    """Standard deviation from the raw output: softplus, plus a floor.

    The floor keeps the loss bounded where a network has learnt its training targets by heart.

    >>> positive_std(torch.tensor([-100.0, 100.0]), 0.05).tolist()
    [0.05000..., 100.05000...]
    """
    return F.softplus(raw) + floor


def beta_nll(
    mean: Tensor, std: Tensor, target: Tensor, beta: float, weight: Tensor | None = None
) -> Tensor:
    """Gaussian negative log-likelihood, each term weighted by its variance to the power ``beta``.

    The plain likelihood (``beta=0``) divides the gradient of the mean by the variance, so that a
    network stops learning elements it calls noisy; ``beta=1`` restores the gradient of the squared
    error. The weight itself is not differentiated (Seitzer et al. 2022, "On the pitfalls of
    heteroscedastic uncertainty estimation with probabilistic neural networks", equation 3).
    Without the constant ½ log 2π.

    >>> one, two = torch.ones(1), torch.full((1,), 2.0)
    >>> float(beta_nll(mean=one, std=two, target=one + two, beta=0.0))  # ½·1² + log 2
    1.193147...
    """
    terms = 0.5 * ((target - mean) / std) ** 2 + torch.log(std)  # (n,)
    terms = terms * std.detach() ** (2 * beta)
    return terms.mean() if weight is None else (terms * weight).sum() / weight.sum()


class GaussianHead(nn.Module):
    """Embedding of ``width`` numbers and side features to mean and raw standard deviation.

    One hidden layer; dropout before each of the two layers. Features pass ``side_dropout`` first,
    on a linear path a ridge penalty; ``entry`` says how they go on (a ``ValueError`` if unknown):

    ``late``      beside the embedding, into the hidden layer
    ``narrow``    the same, after a linear map to :data:`NARROW` numbers
    ``residual``  past the network: a linear map, zero at the start, is added to its output

    The last two divide the p features by √p. Adam moves each weight by about the learning rate,
    and features that rise and fall together (motif scores do, with GC content) add up: one step
    moves their sum by p times the rate, 1.5 s.d. for 192 features at the CNN's, which was chosen
    without any.
    """

    def __init__(
        self,
        width: int,
        n_features: int,
        hidden: int = 64,
        dropout: float = 0.3,
        entry: str = "late",
        side_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if entry not in ENTRIES:
            raise ValueError(f"entry {entry!r} is not known; use one of {', '.join(ENTRIES)}")
        self.entry, self.scale = entry, 1.0 if entry == "late" else max(n_features, 1) ** -0.5
        joined = {"late": n_features, "narrow": min(n_features, NARROW), "residual": 0}[entry]
        self.layers = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(width + joined, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, 2),
        )
        self.side = nn.Sequential(nn.Dropout(side_dropout))
        if n_features and entry != "late":
            linear = nn.Linear(n_features, joined or 2, bias=False)
            self.side.append(linear)
            if entry == "residual":
                nn.init.zeros_(linear.weight)

    def forward(self, embedding: Tensor, features: Tensor | None) -> Tensor:
        """``(n, d)`` and ``(n, p)`` or None to ``(n, 2)`` float32."""
        if features is None:
            return self.layers(embedding).float()  # (n, 2)
        side = self.side(self.scale * features.to(embedding.dtype))  # (n, joined) or (n, 2)
        if self.entry == "residual":
            return self.layers(embedding).float() + side.float()  # (n, 2)
        return self.layers(torch.cat([embedding, side], 1)).float()  # (n, 2)


class SequenceNetwork(nn.Module):
    """Base of the networks here: :meth:`embed` is theirs, the head is common."""

    head: GaussianHead

    def embed(self, one_hot: Tensor) -> Tensor:
        """``(n, 4, L)`` one-hot sequences to the pooled embedding ``(n, d)``."""
        raise TypeError(f"{type(self).__name__} defines no embed")

    def forward(self, one_hot: Tensor, features: Tensor | None = None) -> Tensor:
        """``(n, 4, L)`` and side features ``(n, p)`` or None to ``(n, 2)``: mean, raw std."""
        return self.head(self.embed(one_hot), features)  # (n, 2)


def _convolution(inputs: int, outputs: int, kernel: int, then: type[nn.Module]) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, (1, kernel), padding="same", bias=False)
    return [convolution, nn.BatchNorm2d(outputs), then()]


class Residual(nn.Module):
    """Convolution and batch norm, added to their input, then SiLU."""

    def __init__(self, channels: int, kernel: int) -> None:
        super().__init__()
        self.convolution, self.norm, self.activation = _convolution(
            channels, channels, kernel, nn.SiLU
        )

    def forward(self, x: Tensor) -> Tensor:
        """``(n, channels, 1, L)`` to the same shape."""
        return self.activation(x + self.norm(self.convolution(x)))  # (n, channels, 1, L)


def residual_trunk(channels: int, kernels: Sequence[int], pools: Sequence[int]) -> nn.Sequential:
    """Stem, then residual convolutions with max-pooling between them; see :class:`CNN`.

    Maps ``(n, 4, 1, L)`` to ``(n, channels, 1, L / product of pools)``.
    """
    if len(kernels) != len(pools):
        raise ValueError(f"{len(kernels)} kernels but {len(pools)} pools; give one pool each")
    layers = _convolution(4, channels, STEM, nn.SiLU)
    for kernel, pool in zip(kernels, pools, strict=True):
        layers.append(Residual(channels, kernel))
        if pool > 1:
            layers.append(nn.MaxPool2d((1, pool), ceil_mode=True))
    return nn.Sequential(*layers)


class CNN(SequenceNetwork):
    """The CNN of the book: narrow residual convolutions at full resolution, pooled late.

    Chosen by measuring on WTC11 and plant leaf (accuracy against seconds of one core). What counts
    is that several narrow convolutions follow each other before the first pooling: they compose a
    motif from its parts at the resolution of one nucleotide.

    ``kernels`` are the widths of the residual convolutions, ``pools`` the max-pooling after each, 1
    for none; a ``ValueError`` if their numbers differ.
    """

    def __init__(
        self,
        length: int,
        n_features: int = 0,
        *,
        channels: int = 32,
        kernels: Sequence[int] = (9, 9, 9, 5, 5),
        pools: Sequence[int] = (1, 2, 2, 2, 2),
        **head: Any,
    ) -> None:
        super().__init__()
        self.trunk = residual_trunk(channels, kernels, pools)
        self.head = GaussianHead(2 * channels, n_features, **head)

    def embed(self, one_hot: Tensor) -> Tensor:
        """``(n, 4, L)`` to ``(n, 2 · channels)``: mean and maximum over positions."""
        x = self.trunk(one_hot.unsqueeze(2))  # (n, channels, 1, L / product of pools)
        return torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1)  # (n, 2 · channels)


class ReferenceCNN(SequenceNetwork):
    """Convolutions of width 15, 7 and 7 with early pooling: fast, and widely used in this shape.

    Less accurate than :class:`CNN` on human elements: pooling by four right after the first
    convolution loses where motif parts lie.
    """

    def __init__(
        self,
        length: int,
        n_features: int = 0,
        *,
        channels: int = 64,
        **head: Any,
    ) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            *_convolution(4, channels, 15, nn.ReLU),
            nn.MaxPool2d((1, 4), ceil_mode=True),
            *_convolution(channels, channels, 7, nn.ReLU),
            nn.MaxPool2d((1, 4), ceil_mode=True),
            *_convolution(channels, channels, 7, nn.ReLU),
        )
        self.head = GaussianHead(channels, n_features, **{"dropout": 0.2} | head)

    def embed(self, one_hot: Tensor) -> Tensor:
        """``(n, 4, L)`` to ``(n, channels)``."""
        x = self.trunk(one_hot.unsqueeze(2))  # (n, channels, 1, L / 16)
        return x.mean((2, 3))  # (n, channels)


class BiLSTM(SequenceNetwork):
    """Trunk, one bidirectional LSTM layer with ``units`` each way, mean and maximum over positions.

    The trunk finds motif parts at the resolution of one nucleotide and pools them by eight; the
    LSTM reads their order and spacing in both directions. So short a sequence keeps it fast on a
    CPU, where its steps follow one another.
    """

    def __init__(
        self,
        length: int,
        n_features: int = 0,
        *,
        channels: int = 32,
        kernels: Sequence[int] = (9, 9, 9),
        pools: Sequence[int] = (1, 2, 4),
        units: int = 96,
        **head: Any,
    ) -> None:
        super().__init__()
        self.trunk = residual_trunk(channels, kernels, pools)
        self.lstm = nn.LSTM(channels, units, batch_first=True, bidirectional=True)
        self.head = GaussianHead(4 * units, n_features, **head)

    def embed(self, one_hot: Tensor) -> Tensor:
        """``(n, 4, L)`` to ``(n, 4 · units)``: mean and maximum of both directions."""
        x = self.trunk(one_hot.unsqueeze(2))  # (n, channels, 1, T)
        x, _ = self.lstm(x.squeeze(2).transpose(1, 2))  # (n, T, 2 · units)
        return torch.cat([x.mean(1), x.amax(1)], 1)  # (n, 4 · units)


def rotate(x: Tensor) -> Tensor:
    """Rotary positions: turn each pair of channels by an angle that grows with the position.

    ``x`` is ``(n, heads, T, d)`` with an even d (Su et al. 2021, "RoFormer", equation 34).
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

    def __init__(self, width: int) -> None:
        super().__init__()
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
        qkv = qkv.unflatten(2, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)  # (3, n, heads, T, d)
        query, key, value = rotate(qkv[0]), rotate(qkv[1]), qkv[2]  # (n, heads, T, d)
        # Written out: torch's fused attention is many times slower on a CPU for so few tokens.
        score = query @ key.transpose(2, 3) * query.shape[3] ** -0.5  # (n, heads, T, T)
        seen = score.softmax(3).to(value.dtype) @ value  # (n, heads, T, d)
        seen = seen.transpose(1, 2).flatten(2)  # (n, T, width)
        x = x + self.from_attention(seen)  # (n, T, width)
        return x + self.mlp(self.norm_mlp(x))  # (n, T, width)


class Transformer(SequenceNetwork):
    """Trunk, ``depth`` pre-norm blocks with rotary positions, pooling by a learnt query per head.

    The trunk pools by eight, so that 200 nt become 25 tokens of ``width`` channels, a multiple of
    8. Attention sees how far apart two tokens are, not where they stand.
    """

    def __init__(
        self,
        length: int,
        n_features: int = 0,
        *,
        channels: int = 32,
        kernels: Sequence[int] = (9, 9, 9),
        pools: Sequence[int] = (1, 2, 4),
        width: int = 96,
        depth: int = 2,
        **head: Any,
    ) -> None:
        super().__init__()
        self.trunk = residual_trunk(channels, kernels, pools)
        self.widen = nn.Linear(channels, width)
        self.blocks = nn.Sequential(*(Block(width) for _ in range(depth)))
        self.norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, HEADS)
        self.head = GaussianHead(HEADS * width, n_features, **head)

    def embed(self, one_hot: Tensor) -> Tensor:
        """``(n, 4, L)`` to ``(n, heads · width)``."""
        x = self.trunk(one_hot.unsqueeze(2))  # (n, channels, 1, T)
        x = self.widen(x.squeeze(2).transpose(1, 2))  # (n, T, width)
        x = self.norm(self.blocks(x))  # (n, T, width)
        share = self.query(x).float().softmax(1).to(x.dtype)  # (n, T, heads)
        return (share.transpose(1, 2) @ x).flatten(1)  # (n, heads · width)
