"""Simulated sequences per second with everything, and motif scanning; simdna and FIMO as peers.

Ours makes sequences, occupancies of 16 motifs on both strands, activity, noise and the oracle;
simdna makes the sequences alone. Ours and FIMO have two threads. Peers are optional: simdna (which
needs setuptools < 80) and memelite are timed where they are installed, and else said not to be.
"""

import contextlib
import importlib.util
import io
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from record import exponent, medians, peak_mib, record, row, seconds

from lib.motifs.binding import occupancy, scan, scanner, score_threshold
from lib.motifs.pwm import PWM, log_odds
from lib.sequences import Codes, one_hot
from lib.simulator import draw_world, simulate

SIZES = (10_000, 31_600, 100_000, 316_000, 1_000_000)
THREADS = 2
TIMED = 200_000
PEER_SIZE = 2_000
SCANNED = 20_000
P_VALUE = 1e-4


def simulated(n: int) -> None:
    """Simulate ``n`` elements in a world of 16 motifs."""
    simulate(draw_world(0), n, seed=1, workers=THREADS)


def simdna_generator(motifs: tuple[PWM, ...], n: int) -> Callable[[], None]:
    """The same sequences by simdna: 200 nt, as many sites on average, either strand."""
    from simdna import synthetic as sn

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "motifs.txt"
        path.write_text("".join(_encode_motif(pwm) for pwm in motifs))
        loaded = sn.LoadedEncodeMotifs(str(path), pseudocountProb=0.001)
    embedders = [
        sn.RepeatedEmbedder(
            sn.SubstringEmbedder(
                sn.ReverseComplementWrapper(sn.PwmSamplerFromLoadedMotifs(loaded, pwm.name))
            ),
            sn.PoissonQuantityGenerator(2.3 / len(motifs)),
        )
        for pwm in motifs
    ]
    background = sn.ZeroOrderBackgroundGenerator(seqLength=200)
    generator = sn.GenerateSequenceNTimes(sn.EmbedInABackground(background, embedders), n)

    def generate() -> None:
        with contextlib.redirect_stdout(io.StringIO()):  # it reports every retried placement
            for _ in generator.generateSequences():
                pass

    return generate


def _encode_motif(pwm: PWM) -> str:
    rows = "\n".join("N " + " ".join(f"{p:.6f}" for p in column) for column in pwm.probabilities.T)
    return f">{pwm.name} {pwm.name}\n{rows}\n"


def convolved(codes: Codes, motifs: tuple[PWM, ...]) -> Callable[[], None]:
    """Summed occupancies of both strands as one would write them with PyTorch's convolution."""
    letters = torch.from_numpy(one_hot(codes))
    odds = [torch.from_numpy(log_odds(pwm).astype("float32")) for pwm in motifs]
    filters = [torch.stack([each, each.flip(0, 1)]) for each in odds]
    torch.set_num_threads(THREADS)

    def work() -> None:
        with torch.inference_mode():
            for batch in letters.split(512):
                for each in filters:
                    torch.sigmoid(torch.conv1d(batch, each)).sum((1, 2))

    return work


def installed(package: str) -> bool:
    """Whether a peer can be imported."""
    return importlib.util.find_spec(package) is not None


def peer(name: str, package: str, rate: Callable[[], float]) -> dict[str, Any]:
    """The peer's columns of a row, empty where it is not installed."""
    if not installed(package):
        return {"peer": None, "peer_name": f"{name} (not installed)"}
    return {"peer": rate(), "peer_name": name}


def main() -> None:
    """Measure and record."""
    world = draw_world(0)
    motifs = world.sequence.motifs
    simulate(world, 5000, seed=0)  # compiles
    ((full, spread),) = medians(5, lambda: simulate(world, TIMED, seed=1, workers=THREADS))
    times = [seconds(partial(simulate, world, n, 1, workers=THREADS)) for n in SIZES]

    def simdna_rate() -> float:
        return PEER_SIZE / medians(3, simdna_generator(motifs, PEER_SIZE))[0][0]

    more = {"spread": spread / full * TIMED / full, "exponent": exponent(SIZES, times)}
    more |= {"peak_mib": peak_mib(partial(simulated, SIZES[-1]))}
    more |= peer("simdna", "simdna", simdna_rate)
    record([row("simulate", "seq/s", TIMED / full, TIMED, **more)])

    codes = simulate(world, SCANNED, seed=2).codes
    cutoffs = [score_threshold(pwm, P_VALUE) for pwm in motifs]
    scan(codes[:10], motifs, cutoffs)
    halves = [codes[::2], codes[1::2]]  # FIMO takes all cores by itself
    with ThreadPoolExecutor(THREADS) as threads:
        both = partial(threads.map, lambda half: scan(half, motifs, cutoffs), halves)
        ((scanned, scan_spread),) = medians(5, lambda: [*both()])

    def fimo_rate() -> float:
        from memelite import fimo

        named = {pwm.name: pwm.probabilities for pwm in motifs}
        letters = one_hot(codes).astype("int8")
        fimo(named, letters[:10], threshold=P_VALUE)  # compiles
        return SCANNED / medians(3, lambda: fimo(named, letters, threshold=P_VALUE))[0][0]

    more = {"spread": scan_spread / scanned * SCANNED / scanned}
    more |= peer("memelite FIMO", "memelite", fimo_rate)
    record([row("motif_scan", "seq/s", SCANNED / scanned, SCANNED, **more)])

    sites = scanner(motifs, np.zeros(len(motifs)))

    def occupied() -> None:
        [*threads.map(lambda half: occupancy(half, sites), halves)]

    with ThreadPoolExecutor(THREADS) as threads:
        occupied()
        (ours, summed_spread), (theirs, _) = medians(5, occupied, convolved(codes, motifs))
    peer_name = "the same sums by PyTorch convolutions, float32, 2 threads"
    more = {"spread": summed_spread / ours * SCANNED / ours, "peer": SCANNED / theirs}
    record([row("occupancy", "seq/s", SCANNED / ours, SCANNED, peer_name=peer_name, **more)])


if __name__ == "__main__":
    main()
