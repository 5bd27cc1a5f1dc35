"""Motifs read letter by letter, and sequences to read."""

import numpy as np

from lib.motifs.pwm import PWM, log_odds
from lib.sequences import Codes, reverse_complement


def random_codes(n: int, length: int = 60, seed: int = 0, unknown: bool = False) -> Codes:
    return np.random.default_rng(seed).integers(0, 4 + unknown, (n, length)).astype(np.uint8)


def window_scores(row: Codes, pwm: PWM) -> list[tuple[int, int, float]]:
    """Start, strand and log odds of every window of a sequence ``(L,)`` that holds no N."""
    found = []
    for start in range(len(row) - pwm.width + 1):
        window = row[None, start : start + pwm.width]
        if (window < 4).all():
            for strand, letters in ((1, window), (-1, reverse_complement(window))):
                found.append((start, strand, log_odds(pwm)[letters[0], range(pwm.width)].sum()))
    return found
