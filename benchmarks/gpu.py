"""Training and prediction on a graphics processor: the engine against plain loops there.

The work of ``training.py`` with 65,536 sequences, which the plain loop keeps on the device as
float32 one-hot. Printed besides: how far apart two fits of one seed are there.
"""

from functools import partial

import numpy as np
import torch
from record import medians, on_gpu, record, row
from training import LENGTH, REPEATS, config, data, plain_prediction, plain_training

from lib import sequences
from lib.models import build
from lib.training.config import pick_dtype
from lib.training.fit import fit
from lib.training.fitted import FittedModel, predict

SIZE = 65_536
NETWORKS = {"train_book_cnn": "cnn", "train_bilstm": "bilstm", "train_transformer": "transformer"}
PEER = "the same module in a plain loop, float32, on the device"


def engine(model: str, given: tuple[np.ndarray, np.ndarray]) -> FittedModel:
    """One epoch of one fit."""
    return fit(*given, config=config(model).model_copy(update={"device": "cuda"}))


def plain(model: str, one_hot: torch.Tensor, target: torch.Tensor) -> None:
    """One epoch of the plain loop."""
    plain_training(one_hot, target, make=lambda: build(model, LENGTH).to("cuda"))
    torch.cuda.synchronize()


def main() -> None:
    """Measure and record."""
    if not torch.cuda.is_available():
        print("no graphics processor that torch can use: nothing to measure")
        return
    dtype = str(pick_dtype("auto", torch.device("cuda"))).removeprefix("torch.")
    given = data(SIZE)
    one_hot = torch.from_numpy(sequences.one_hot(given[0])).to("cuda")
    target = torch.from_numpy(given[1].astype(np.float32)).to("cuda")
    for name, model in NETWORKS.items():
        works = partial(engine, model, given), partial(plain, model, one_hot, target)
        for work in works:
            work()
        (ours, spread), (theirs, _) = medians(REPEATS, *works)
        rate, peer = SIZE / ours, SIZE / theirs
        more = {"peer": peer, "peer_name": PEER, "spread": spread, "dtype": dtype}
        record([on_gpu(row(name, "seq/s", rate, SIZE, **more))])
    fitted = [engine("cnn", given) for _ in range(2)]
    means = [predict(model, given[0], device="cuda")[0] for model in fitted]
    print(
        "two fits of one seed: largest difference of forecasts", np.abs(means[0] - means[1]).max()
    )
    network = build("cnn", LENGTH).to("cuda").eval()

    def plain_forecast() -> None:
        plain_prediction(network, one_hot)
        torch.cuda.synchronize()

    ours, theirs = medians(
        REPEATS, lambda: predict(fitted[0], given[0], device="cuda"), plain_forecast
    )
    more = {
        "peer": SIZE / theirs[0],
        "peer_name": f"{PEER}, both strands",
        "spread": ours[1],
        "dtype": dtype,
    }
    record([on_gpu(row("predict_book_cnn", "seq/s", SIZE / ours[0], SIZE, **more))])


if __name__ == "__main__":
    main()
