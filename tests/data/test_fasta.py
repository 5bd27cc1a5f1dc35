import gzip

import numpy as np
import pytest

from lib.data.fasta import read, read_records
from lib.sequences import decode


def write(tmp_path, text, name="a.fa"):
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_records_as_written(tmp_path):
    text = ">one and more\nAC GT\nnn\n\n>two\r\n\tTTTTTT\r\n"
    assert read_records(write(tmp_path, text)) == [("one", "ACGTnn"), ("two", "TTTTTT")]
    ids, codes = read(write(tmp_path, text), 6)
    assert ids == ["one", "two"] and decode(codes) == ["ACGTNN", "TTTTTT"]
    assert codes.dtype == np.uint8


@pytest.mark.parametrize("wrap", [lambda raw: b"\xef\xbb\xbf" + raw, gzip.compress])
def test_a_byte_order_mark_and_gzip_make_no_difference(tmp_path, wrap):
    assert read_records(write(tmp_path, wrap(b">a\nAC\n"))) == [("a", "AC")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no record"),
        ("\n\n", "holds no record"),
        ("ACGT\n>a\nACGT\n", "line 1 must be '>id'"),
        ("id,sequence\n", "line 1 must be '>id'"),
        (">\nACGT\n", "a record without an id in line 1"),
        (">a\nACGT\n>a b\nACGT\n", "the id 'a' again in line 3"),
        (">a\n>b\nACGT\n", "record 'a' has no sequence"),
        (">a\nACGT\n>b\n", "record 'b' has no sequence"),
        (">a\nACGT\n>b\nACG\n", "record 'b' has 3 nt, 4 are needed"),
        (">a\nACGU\n", "record 'a' holds 'U' at position 4; A, C, G, T, N would do"),
        (">a\nAC-T\n", "record 'a' holds '-' at position 3"),
        (">a\nACÄT\n", "record 'a' holds 'Ä' at position 3"),
        (b"\xff\xfe>\x00a\x00", "cannot be read as a FASTA file"),
        (gzip.compress(b">a\nACGT\n")[:-6], "cannot be read as a FASTA file"),
    ],
)
def test_bad_files_give_one_error_that_names_the_file(tmp_path, text, message):
    with pytest.raises(ValueError, match=message) as error:
        read(write(tmp_path, text, "mine.fa"), 4)
    assert "mine.fa" in str(error.value)


def test_a_missing_file_and_a_folder_are_errors_too(tmp_path):
    for path in (tmp_path / "none.fa", tmp_path):
        with pytest.raises(ValueError, match="cannot be read as a FASTA file"):
            read(path, 4)
