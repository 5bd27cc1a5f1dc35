import gzip

import pytest

from lib.data.fasta import read_fasta, read_records
from lib.sequences import decode
from tests.refusals import refused


def test_fasta_records_as_written(write_text):
    path = write_text(">one and more\nAC GT\nnn\n\n>two;b,c\r\n\tTTTTTT\r\n")
    assert read_records(path) == {"one": "ACGTnn", "two;b,c": "TTTTTT"}
    ids, codes = read_fasta(path, 6)
    assert ids == ["one", "two;b,c"] and decode(codes) == ["ACGTNN", "TTTTTT"]


@pytest.mark.parametrize("wrap", [lambda raw: b"\xef\xbb\xbf" + raw, gzip.compress])
def test_a_byte_order_mark_and_gzip_make_no_difference(write_text, wrap):
    assert read_records(write_text(wrap(b">a\nAC\n"))) == {"a": "AC"}


test_bad_fasta_gives_one_error_that_names_the_file = refused(
    ("", "line 1 must be '>id'"),
    ("\n\n", "line 1 must be '>id'"),
    ("id,sequence\n>a\nACGT\n", "line 1 must be '>id'"),
    (">\nACGT\n", "record 1 has no id"),
    (">a\nACGT\n>a b\nACGT\n", "record 2 has the id 'a' again"),
    (">a\n>b\nACGT\n", "record 'a' has no sequence"),
    (">a\nACGT\n>b\nACG\n", "record 'b' has 3 nt, 4 are needed"),
    (">a\nACGU\n", "record 'a' holds 'U' at position 4; A, C, G, T, N would do"),
    (">a\nACÄT\n", "record 'a' holds 'Ä' at position 3"),
    (b"\xff\xfe>\x00a\x00", "cannot be read as a FASTA file"),
    (gzip.compress(b">a\nACGT\n", mtime=0)[:-6], "truncated or damaged gzip"),
    act=lambda write_text, text: read_fasta(write_text(text, "mine.fa"), 4),
    fixture="write_text",
    always=r"mine\.fa",
)
