"""In-silico mutagenesis of 1,000 sequences of 200 nt by the CNN of the book, both strands."""

from functools import partial

import numpy as np
from record import exponent, medians, peak_mib, record, row

from lib.study.units import cores
from lib.training.attribution import mutagenesis
from lib.training.config import FitConfig
from lib.training.fit import fit
from lib.training.fitted import FittedModel

N, LENGTH = 1_000, 200
SIZES = (125, 250, 500)  # growth to there; the whole is measured once


def library(n: int) -> np.ndarray:
    """Random sequences."""
    return np.random.default_rng(0).integers(0, 4, (n, LENGTH)).astype(np.uint8)


def model() -> FittedModel:
    """A network trained for one step: what a forecast costs does not depend on its weights."""
    codes = library(128)
    return fit(codes, (codes == 2).mean(axis=1), config=FitConfig(epochs=1))


def mutated(n: int) -> None:
    """Every single-letter change of ``n`` sequences, in this process alone."""
    mutagenesis(model(), library(n), workers=1)


def main() -> None:
    """Measure and record."""
    network = model()
    mutagenesis(network, library(2 * cores()), workers=cores())  # the workers are up
    works = [partial(mutagenesis, network, library(n), workers=cores()) for n in (*SIZES, N)]
    times = [median for median, _ in medians(1, *works)]
    record(
        [
            row(
                "ism_1000", "s", times[-1], N,
                peak_mib=peak_mib(partial(mutated, SIZES[0])),
                exponent=exponent([*SIZES, N], times),
            )
        ]
    )  # fmt: skip


if __name__ == "__main__":
    main()
