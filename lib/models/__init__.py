"""Networks by name: one-hot sequences in, mean and raw standard deviation out.

A network is an ``nn.Module`` made as ``Class(length, n_features, **options)`` whose
``forward(one_hot, features)`` takes ``(n, 4, L)`` float and ``(n, p)`` float or None, and returns
``(n, 2)``: the mean and the raw standard deviation of the standardised target
(:func:`lib.models.networks.positive_std`). ``embed(one_hot) -> (n, d)`` is optional. A user's own
is named as ``"package.module:Class"``.
"""

import importlib
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

MODELS: Mapping[str, str] = {
    "cnn": "lib.models.networks:CNN",
    "bilstm": "lib.models.networks:BiLSTM",
    "transformer": "lib.models.networks:Transformer",
    "reference_cnn": "lib.models.networks:ReferenceCNN",
}


def model_path(name: str) -> tuple[str, str]:
    """Module and class of a network; an error if it is neither known nor of the user's form.

    >>> model_path("cnn")
    ('lib.models.networks', 'CNN')
    """
    module, colon, attribute = MODELS.get(name, name).partition(":")
    if not colon:
        raise ValueError(
            f"model {name!r} is not known; use one of {', '.join(MODELS)}, or your own as "
            "'package.module:Class'"
        )
    return module, attribute


def _probe(network: nn.Module, name: str, length: int, n_features: int) -> None:
    """Refuse a network that does not answer ``(n, 2)``."""
    features = torch.zeros(3, n_features) if n_features else None
    try:
        network.eval()
        with torch.no_grad():
            shape = tuple(network(torch.zeros(3, 4, length), features).shape)
    except Exception as error:
        raise ValueError(
            f"model {name!r} fails on 3 sequences of {length} nt and {n_features} side features: "
            f"{type(error).__name__}: {error}"
        ) from error
    network.train()
    if shape != (3, 2):
        raise ValueError(
            f"model {name!r} returns {shape} for 3 sequences; forward(one_hot, features) must "
            "return (n, 2): mean and raw standard deviation"
        )


def build(name: str, length: int, n_features: int = 0, **options: Any) -> nn.Module:
    """A network by name, freshly initialised from torch's generator, with options of its class.

    A ValueError says that the name is unknown, that the class cannot be imported, does not take the
    options, or that its output is not ``(n, 2)``.

    >>> network = build("cnn", length=40, channels=8)
    >>> tuple(network(torch.zeros(5, 4, 40)).shape)
    (5, 2)
    """
    module, attribute = model_path(name)
    try:
        maker = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"model {name!r} cannot be imported: {error}") from error
    try:
        network = maker(length, n_features, **options)
    except TypeError as error:
        raise ValueError(f"model {name!r} does not take options {options}: {error}") from error
    _probe(network, name, length, n_features)
    return network
