"""Drawings: the same bytes on every run, letters and names where they belong."""

import numpy as np

from lib.page.logos import drawing, score_logos


def one_letter(letter, size, length=6):
    scores = np.zeros((length, 4))
    scores[2, "ACGT".index(letter)] = size
    return scores


def test_equal_scores_give_equal_bytes_and_a_drawing_carries_its_caption():
    first = score_logos([("one", one_letter("A", 1.0), [])])
    assert first == score_logos([("one", one_letter("A", 1.0), [])])
    assert first != score_logos([("one", one_letter("C", 1.0), [])])
    assert first != score_logos([("one", one_letter("A", 1.0), [(1, 4, "site")])])
    svg = score_logos([("motif", np.eye(4), [])])
    shown = drawing("some-motif", svg, "Less than < this").data
    assert 'id="some-motif"' in shown and "Less than &lt; this" in shown
