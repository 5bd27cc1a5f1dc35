"""Where the time of training goes: one epoch under PyTorch's profiler, by kind of operation.

Writes ``results/trust/kinds.csv``: shares of one thread's time, a row per network and precision.
"""

from pathlib import Path

import pandas as pd
import torch
from torch.profiler import ProfilerActivity, profile
from training import config, data

from lib.study.stamps import machine
from lib.training.fit import fit

KINDS = {  # by what an operator's name holds, the first that fits
    "convolutions": ("convolution", "conv"),
    "matrix products": ("mm", "linear", "matmul"),
    "normalisation": ("norm",),
    "activation and dropout": ("relu", "silu", "clamp", "threshold", "dropout", "bernoulli"),
    "pooling": ("pool", "max", "mean"),
    "optimiser": ("adam", "foreach", "lerp", "addc"),
    "moving and converting": ("copy", "clone", "cat", "index", "gather", "flip", "stack", "fill"),
}


def kind(operator: str) -> str:
    """The kind of an operator."""
    name = operator.lower()
    return next((kind for kind, words in KINDS.items() if any(w in name for w in words)), "rest")


def main() -> None:
    """Profile both networks in every precision that this processor has natively."""
    torch.set_num_threads(1)
    given, rows = data(4096), []
    for precision in ("float32", "bfloat16")[: 1 + ("bf16" in machine())]:
        for model in ("reference_cnn", "cnn"):
            own = config(model).model_copy(update={"precision": precision})
            fit(*given, config=own)
            with profile(activities=[ProfilerActivity.CPU]) as found:
                fit(*given, config=own)
            spent = pd.Series(
                {event.key: event.self_cpu_time_total for event in found.key_averages()}
            )
            shares = spent.groupby(spent.index.map(kind)).sum() / spent.sum()
            told = {"network": model, "precision": precision, "processor": machine()}
            for name in (*KINDS, "rest"):
                rows.append(told | {"kind": name, "share": round(shares.get(name, 0.0), 3)})
    path = Path(__file__).parents[1] / "results" / "trust" / "kinds.csv"
    pd.DataFrame(rows).to_csv(path, index=False)


if __name__ == "__main__":
    main()
