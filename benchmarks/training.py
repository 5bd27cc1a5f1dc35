"""Training and prediction: this project's engine against plain PyTorch loops of the same network.

200 nt, batch 256, 8,192 sequences. The engine runs one fit per core on one thread and augments each
batch (random strand, random shift); the plain loop keeps its input as float32 one-hot and uses two
threads, which is the best it can do. The reference CNN's plain loop is written with Conv1d; those
of the other networks train this project's own modules. Lightning stands beside where installed.
"""

import importlib.util
import logging
import shutil
import sys
import warnings
from collections.abc import Callable
from functools import partial
from unittest import mock

import numpy as np
import torch
from joblib import Parallel, delayed
from numpy.typing import NDArray
from record import medians, peak_mib, record, row, trained_in
from torch import nn

from lib import sequences
from lib.models import build
from lib.training.config import FitConfig
from lib.training.fit import fit
from lib.training.fitted import FittedModel, laid_out, predict

LENGTH = 200
SIZE = 8_192
BATCH = 256
MANY = 1_000_000
REPEATS = 5
Data = tuple[NDArray[np.uint8], NDArray[np.float64]]


def data(n: int) -> Data:
    """Random sequences whose activity is their GC content and noise."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (n, LENGTH), dtype=np.uint8)
    return codes, sequences.gc_content(codes) + rng.normal(0, 0.01, n)


def config(model: str = "reference_cnn", seed: int = 0, epochs: int = 1) -> FitConfig:
    """The engine as it is used, with the batch of the comparison."""
    return FitConfig(
        model=model, batch_size=BATCH, epochs=epochs, seed=seed, learning_rate=1e-3, device="cpu"
    )


def plain_network() -> nn.Module:
    """The reference CNN as one would write it with Conv1d."""

    def stage(inputs: int, kernel: int) -> list[nn.Module]:
        convolution = nn.Conv1d(inputs, 64, kernel, padding="same", bias=False)
        return [convolution, nn.BatchNorm1d(64), nn.ReLU()]

    return nn.Sequential(
        *stage(4, 15), nn.MaxPool1d(4), *stage(64, 7), nn.MaxPool1d(4), *stage(64, 7),
        nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(64, 64), nn.ReLU(),
        nn.Dropout(0.2), nn.Linear(64, 2),
    )  # fmt: skip


def plain_training(
    one_hot: torch.Tensor,
    target: torch.Tensor,
    fits: int = 1,
    make: Callable[[], nn.Module] = plain_network,
) -> None:
    """``fits`` epochs, one after another, on two threads."""
    torch.set_num_threads(2)
    for _ in range(fits):
        network = make()
        optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3)
        loss = nn.GaussianNLLLoss()
        for index in torch.randperm(len(one_hot)).split(BATCH):
            output = network(one_hot[index])
            optimiser.zero_grad()
            loss(output[:, 0], target[index], nn.functional.softplus(output[:, 1])).backward()
            optimiser.step()


def lightning_training(one_hot: torch.Tensor, target: torch.Tensor, fits: int) -> None:
    """The same by Lightning's Trainer, as its manual shows it: float32, two threads."""
    import lightning
    from torch.utils.data import DataLoader, TensorDataset

    class Module(lightning.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.network = plain_network()

        def training_step(self, batch: list[torch.Tensor], _: int) -> torch.Tensor:
            output = self.network(batch[0])
            std = nn.functional.softplus(output[:, 1])
            return nn.functional.gaussian_nll_loss(output[:, 0], batch[1], std)

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.AdamW(self.parameters(), lr=1e-3)

    torch.set_num_threads(2)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    for _ in range(fits):
        trainer = lightning.Trainer(
            max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False,
            enable_progress_bar=False, enable_model_summary=False,
        )  # fmt: skip
        loader = DataLoader(TensorDataset(one_hot, target), batch_size=BATCH, shuffle=True)
        trainer.fit(Module(), loader)


def plain_prediction(network: nn.Module, one_hot: torch.Tensor) -> None:
    """Both strands on two threads."""
    torch.set_num_threads(2)
    with torch.inference_mode():
        for batch in one_hot.split(512):
            (network(batch) + network(batch.flip(1, 2))) / 2


def engine(model: str, given: Data, seed: int = 0) -> FittedModel:
    """One epoch of one fit."""
    return fit(*given, config=config(model, seed))


def million() -> None:
    """One epoch on a million sequences, for its memory and time."""
    engine("reference_cnn", data(MANY))


def training_rows(given: Data, workers: Parallel) -> list[dict]:
    """One fit, and four fits on two cores."""
    one_hot = torch.from_numpy(sequences.one_hot(given[0]))
    target = torch.from_numpy(given[1].astype(np.float32))
    members = [delayed(engine)("reference_cnn", given, seed) for seed in range(4)]
    works = {
        "plain": partial(plain_training, one_hot, target),
        "plain4": partial(plain_training, one_hot, target, 4),
        "reference_cnn": partial(engine, "reference_cnn", given),
        "ensemble": partial(workers, members),
    }
    has_lightning = importlib.util.find_spec("lightning") is not None
    if has_lightning:
        works["lightning"] = partial(lightning_training, one_hot, target, 4)
    workers(members)
    times = dict(zip(works, medians(REPEATS, *works.values()), strict=True))
    plain, plain4 = SIZE / times["plain"][0], 4 * SIZE / times["plain4"][0]
    peer = "plain Conv1d loop, float32, 2 threads"
    four = 4 * SIZE / times["ensemble"][0]
    rows = [
        row(
            "train_cnn", "seq/s", SIZE / times["reference_cnn"][0], SIZE,
            peer=plain, peer_name=peer, spread=times["reference_cnn"][1], dtype=trained_in(),
        ),
        row(
            "train_cnn_ensemble", "seq/s", four, 4 * SIZE,
            peer=plain4, peer_name=peer, spread=times["ensemble"][1], dtype=trained_in(),
        ),
    ]  # fmt: skip
    if has_lightning:
        theirs = 4 * SIZE / times["lightning"][0]
        name = "train_cnn_ensemble__lightning"
        own = {"peer": theirs, "peer_name": "Lightning", "dtype": trained_in()}
        rows.append(row(name, "seq/s", four, 4 * SIZE, **own))
    return rows


def compiled_row(given: Data) -> dict:
    """The engine with its network compiled, which it is not as it stands, against itself."""
    compiled = mock.patch(
        "lib.training.fitted.laid_out", lambda *given: torch.compile(laid_out(*given))
    )

    def with_compiler() -> None:
        with compiled:
            engine("reference_cnn", given)

    with_compiler()  # compiles
    (ours, spread), (theirs, _) = medians(
        REPEATS, partial(engine, "reference_cnn", given), with_compiler
    )
    return row(
        "train_cnn__compiled", "seq/s", SIZE / ours, SIZE, peer=SIZE / theirs,
        peer_name="the same engine with torch.compile", spread=spread, dtype=trained_in(),
    )  # fmt: skip


def own_network_row(name: str, model: str, given: Data, workers: Parallel) -> dict:
    """Two fits on two cores against two epochs of the same module in the plain loop."""
    one_hot = torch.from_numpy(sequences.one_hot(given[0]))
    target = torch.from_numpy(given[1].astype(np.float32))
    members = [delayed(engine)(model, given, seed) for seed in range(2)]
    workers(members)
    make = partial(build, model, LENGTH)
    (ours, spread), (theirs, _) = medians(
        REPEATS, partial(workers, members), partial(plain_training, one_hot, target, 2, make)
    )
    return row(
        name, "seq/s", 2 * SIZE / ours, 2 * SIZE, peer=2 * SIZE / theirs,
        peer_name="the same module in a plain loop, float32, 2 threads", spread=spread,
        dtype=trained_in(),
    )  # fmt: skip


def prediction_rows(given: Data) -> list[dict]:
    """Forecasts with both strands averaged."""
    model = engine("reference_cnn", given)
    one_hot = torch.from_numpy(sequences.one_hot(given[0]))
    network = plain_network().eval()
    ours, theirs = medians(
        REPEATS, partial(predict, model, given[0]), partial(plain_prediction, network, one_hot)
    )
    return [
        row(
            "predict_cnn", "seq/s", SIZE / ours[0], SIZE, peer=SIZE / theirs[0],
            peer_name="plain Conv1d loop, float32, 2 threads, both strands", spread=ours[1],
            dtype=trained_in(),
        )
    ]  # fmt: skip


def large_row(given: Data) -> dict:
    """One epoch on a million sequences against the small case."""
    large = data(MANY)
    (small_time, _), (large_time, spread) = medians(
        1, partial(engine, "reference_cnn", given), partial(engine, "reference_cnn", large)
    )
    del large
    return row(
        "train_cnn_1m", "seq/s", MANY / large_time, MANY, peak_mib=peak_mib(million),
        exponent=float(np.log(large_time / small_time) / np.log(MANY / SIZE)), spread=spread,
        dtype=trained_in(),
    )  # fmt: skip


def main() -> None:
    """Measure and record; ``--small`` leaves out the million sequences (minutes)."""
    given = data(SIZE)
    with Parallel(n_jobs=2) as workers:
        record(training_rows(given, workers))
        for name in ("train_book_cnn", "train_bilstm", "train_transformer"):
            record([own_network_row(name, name.split("_")[-1], given, workers)])
    record(prediction_rows(given))
    if shutil.which("g++"):
        record([compiled_row(given)])
    if "--small" not in sys.argv[1:]:
        record([large_row(given)])


if __name__ == "__main__":
    main()
