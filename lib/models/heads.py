"""The head that all networks share, its loss, and the base class that carries it.

In: a pooled embedding ``(n, d)`` and optional side features ``(n, p)``. Out: ``(n, 2)``, the mean
and the raw standard deviation of the standardised target; :func:`positive_std` makes the latter a
standard deviation.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def positive_std(raw: Tensor, floor: float) -> Tensor:
    """Standard deviation from the raw output: softplus, plus a floor.

    The floor keeps the loss bounded where a network has learnt its training targets by heart.

    >>> positive_std(torch.tensor([-100.0, 100.0]), 0.05).tolist()
    [0.05000..., 100.05000...]
    """
    return F.softplus(raw) + floor


def _average(terms: Tensor, weight: Tensor | None) -> Tensor:
    return terms.mean() if weight is None else (terms * weight).sum() / weight.sum()


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
    return _average(terms * std.detach() ** (2 * beta), weight)


class GaussianHead(nn.Module):
    """Embedding of ``width`` numbers and side features to mean and raw standard deviation.

    One hidden layer; dropout before each of the two layers.
    """

    def __init__(self, width: int, n_features: int, hidden: int = 64, dropout: float = 0.3) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(width + n_features, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, 2),
        )

    def forward(self, embedding: Tensor, features: Tensor | None) -> Tensor:
        """``(n, d)`` and ``(n, p)`` or None to ``(n, 2)`` float32."""
        if features is not None:
            embedding = torch.cat([embedding, features.to(embedding.dtype)], 1)  # (n, d + p)
        return self.layers(embedding).float()  # (n, 2)


class SequenceNetwork(nn.Module):
    """Base of the networks here: :meth:`embed` is theirs, the head is common."""

    head: GaussianHead

    def embed(self, one_hot: Tensor) -> Tensor:
        """``(n, 4, L)`` one-hot sequences to the pooled embedding ``(n, d)``."""
        raise TypeError(f"{type(self).__name__} defines no embed")

    def forward(self, one_hot: Tensor, features: Tensor | None = None) -> Tensor:
        """``(n, 4, L)`` and side features ``(n, p)`` or None to ``(n, 2)``: mean, raw std."""
        return self.head(self.embed(one_hot), features)  # (n, 2)
