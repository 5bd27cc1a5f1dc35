import numpy as np
import pytest

from lib.motifs.pwm import core_motifs, information_content, jaspar, log_odds, make_pwm, read_meme
from tests.refusals import refused

HEADER = "MEME version 4\n\nALPHABET= ACGT\n\nstrands: + -\n\n"
MOTIF = "MOTIF one\nletter-probability matrix: alength= 4 w= 2\n0.5 0.5 0 0\n0 0 0.25 0.75\n"


def column(*p: float) -> np.ndarray:
    return np.array(p, float)[:, None]


def test_information_content_and_log_odds_by_hand_of_what_cannot_be_written_into():
    # A or C alike: 2 + 2 * .5 log2 .5 = 1 bit; (1/8, 1/8, 1/4, 1/2): 2 - 1.75 = .25 bits
    pwm = make_pwm("m", np.hstack([column(0.5, 0.5, 0, 0), column(0.125, 0.125, 0.25, 0.5)]))
    assert information_content(pwm) == pytest.approx([1.0, 0.25])
    assert log_odds(make_pwm("flat", np.full((4, 3), 0.25))) == pytest.approx(np.zeros((4, 3)))
    assert np.isfinite(log_odds(make_pwm("A", column(1, 0, 0, 0)))).all()
    with pytest.raises(ValueError, match="read-only"):
        jaspar(["FOXA1"])[0].probabilities[0, 0] = 1


test_bad_matrices_are_refused = refused(
    (np.ones((3, 2)) / 3, "must be"),
    (np.zeros((4, 0)), "must be"),
    (column(1.5, -0.5, 0, 0), "in \\[0, 1\\]"),
    (np.hstack([column(1, 0, 0, 0), column(0.5, 0.2, 0, 0)]), "position 1 sums to 0.7"),
    act=lambda matrix: make_pwm("bad", matrix),
)


def test_matrices_by_id_by_name_in_any_case_the_human_one_first_and_by_release():
    by_id, by_name, lower = jaspar(["MA0148.5", "FOXA1", "foxa1"])
    assert by_id.name == by_name.name == lower.name == "FOXA1"
    assert (by_id.probabilities == by_name.probabilities).all()
    assert (jaspar(["sp1"])[0].probabilities == jaspar(["MA0079.5"])[0].probabilities).all()
    assert jaspar(["CTCF"], "JASPAR2014")[0].width == 19
    assert jaspar(["MA0139.2"])[0].width == 15


test_what_is_unknown_or_ambiguous_is_named = refused(
    (["FOXA1", "NOSUCH"], "JASPAR2024", "'NOSUCH' is not in JASPAR2024"),
    (["MA9999.1"], "JASPAR2024", r"'MA9999\.1' is not in"),
    (["HNF4A"], "JASPAR2024", r"MA1494\.2.*MA0114\.5|MA0114\.5.*MA1494\.2"),
    (["FOXA1"], "JASPAR1999", "JASPAR2022"),
    act=jaspar,
)


def test_motifs_of_a_file_are_read_in_order(write_text):
    second = MOTIF.replace("MOTIF one", "MOTIF two alternative")
    one, two = read_meme(write_text(HEADER + MOTIF + "\n" + second))
    assert (one.name, two.name) == ("one", "two")
    expected = np.array([[0.5, 0.5, 0, 0], [0, 0, 0.25, 0.75]])
    assert np.allclose(one.probabilities.T, expected, atol=1e-12)


test_the_line_of_a_fault_is_named = refused(
    ("", "line 1: a MEME file starts"),
    ("MOTIF one\n", "line 1: a MEME file starts"),
    (HEADER, "line 6: the file holds no motif"),
    (HEADER.replace("ACGT", "ACDEF"), "line 3: alphabet 'ACDEF'"),
    (HEADER + MOTIF + MOTIF, "line 11: motif one occurs twice"),
    (HEADER + "MOTIF\n", "line 7: MOTIF has no name"),
    (HEADER + MOTIF.replace("0.5 0.5 0 0", "0.5 0.4 0 0"), "line 9: .*sum to 0.9"),
    (HEADER + MOTIF.replace("0.5 0.5 0 0", "0.5 0.5 0"), "line 9: 3 numbers"),
    (HEADER + MOTIF.replace("0.5 0.5 0 0", "0.5 half 0 0"), "line 9: .*half"),
    (HEADER + MOTIF.replace("0.5 0.5 0 0", "nan 0.5 0.5 0"), "line 9: .*sum to nan"),
    (HEADER + MOTIF.replace("0.5 0.5 0 0", "1.5 -0.5 0 0"), "line 10: .*in \\[0, 1\\]"),
    (HEADER + MOTIF.replace("w= 2", "w= 3"), "line 10: motif one ends after 2 of 3"),
    (HEADER + MOTIF.replace("w= 2", "w= 0"), "line 8: w= 0"),
    (HEADER + MOTIF.replace("w= 2", "k= 2"), "line 8: .*states no w="),
    (HEADER + MOTIF.replace("MOTIF one\n", ""), "line 7: .*must follow its MOTIF"),
    (HEADER + MOTIF.replace("w= 2", "w= 3") + "MOTIF two\n", "line 11: motif one ends"),
    ((HEADER + MOTIF).replace("one", "\u00e9").encode("latin-1"), r"m\.meme is not UTF-8 text"),
    act=lambda write_text, text: read_meme(write_text(text, "m.meme")),
    fixture="write_text",
)


def test_core_motifs_are_those_of_the_release_by_id():
    motifs = core_motifs("vertebrates")
    names = [pwm.name for pwm in motifs]
    assert len(motifs) == 879 and names == sorted(set(names))
    (foxa1,) = (pwm for pwm in motifs if pwm.name == "MA0148.5")
    assert np.array_equal(foxa1.probabilities, jaspar(["MA0148.5"])[0].probabilities)
    assert {pwm.width for pwm in motifs} <= set(range(5, 36))


test_unknown_collections_are_named = refused(
    (("vertebrates", "JASPAR1999"), "pyjaspar holds"),
    (("cats",), "'cats' has no CORE"),
    act=lambda given: core_motifs(*given),
)
