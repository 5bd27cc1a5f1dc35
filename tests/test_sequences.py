import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lib.sequences import canonical, decode, encode, gc_content, kmer_codes, one_hot
from lib.sequences import reverse_complement as other_strand
from tests.refusals import refused

dna = st.lists(st.text("ACGTN", min_size=7, max_size=7), min_size=1, max_size=5)


@given(dna)
def test_decode_inverts_encode_and_strand_flips_twice(sequences):
    codes = encode(sequences)
    assert decode(codes) == sequences
    assert decode(other_strand(other_strand(codes))) == sequences
    assert (canonical(codes) == canonical(other_strand(codes))).all()


def test_one_hot_gc_and_packed_words_by_hand():
    expected = [[[1, 0, 0], [0, 0, 0], [0, 1, 0], [0, 0, 0]]]  # A, G, N over rows A, C, G, T
    assert one_hot(encode(["AGN"])).tolist() == expected
    assert gc_content(encode(["GCNN", "ATGN", "NNNN"]))[:2].tolist() == [1.0, 1 / 3]
    assert np.isnan(gc_content(encode(["NNNN"]))[0])
    # ACG = 0·16 + 1·4 + 2 = 6; its reverse complement CGT = 27 is larger.
    kmers, valid = kmer_codes(encode(["ACGT", "ACNG"]), 3)
    assert kmers[0].tolist() == [6, 6] and valid[0].all()
    assert valid[1].tolist() == [False, False]


test_bad_sequences_are_named = refused(
    (["ACGT", "ACG"], "sequence 1 has length 3"),
    (["ACGT", "ACXT"], "sequence 1 holds 'X' at position 2"),
    (["ACGT", "ACgT"], "sequence 1 holds 'g'"),
    (["ACGÜ"], "sequence 0 holds a letter that is not ASCII"),
    act=lambda sequences: encode(sequences),
)

test_bad_words_and_codes_are_named = refused(
    *((lambda k=k: kmer_codes(encode(["ACGT"]), k), f"k is {k}") for k in (0, 5, 32)),
    (lambda: gc_content(np.zeros((2, 3), np.int64)), "dtype int64"),
    (lambda: gc_content(np.array([[0], [5]], np.uint8)), "row 1 holds 5"),
)
