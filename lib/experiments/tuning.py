"""The settings that each network is fitted with."""

from typing import Any

from lib.training.config import FitConfig

# One trial each: the BiLSTM on a WTC11 split, the transformer in a simulated world. The CNN's
# stands in FitConfig.
LEARNING_RATES = {"bilstm": 0.004, "transformer": 0.004}


def tuned(model: str, **settings: Any) -> FitConfig:
    """The settings of a network by name, with its own learning rate unless one is given."""
    if model in LEARNING_RATES:
        settings = {"learning_rate": LEARNING_RATES[model]} | settings
    return FitConfig(model=model, **settings)
