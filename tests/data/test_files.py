import gzip
import os

import pandas as pd
import pytest

from lib.data.fasta import read_records
from lib.data.files import HeldFile
from lib.data.reading import read_table


@pytest.mark.parametrize("read", [read_table, read_records])
def test_what_is_no_file_is_said_at_once(read, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "gone").symlink_to("nowhere")
    said = {".": "is a folder", "pipe": "is a pipe or a device", "/dev/zero": "pipe or a device"}
    for name, what in (said | dict.fromkeys(["loop", "gone", "none"], "there is no file")).items():
        with pytest.raises(ValueError, match=f"{what}.*give the path of a"):
            read(tmp_path / name)


def test_unpacked_size_is_bounded_and_the_bound_can_be_moved(tmp_path, monkeypatch):
    text = ">a\n" + "A" * 3_000_000 + "\n"
    (tmp_path / "a.fa.gz").write_bytes(gzip.compress(text.encode()) * 2)  # of two members
    # In Parquet one run of equal values: without dictionaries 8 bytes each until it is packed.
    table = pd.DataFrame({"a": range(500_000), "b": 1.5})
    table.to_parquet(tmp_path / "a.parquet", compression="gzip", use_dictionary=False)
    for read, name in ((read_records, "a.fa.gz"), (read_table, "a.parquet")):
        monkeypatch.setenv("SHIFT_UNPACKED_GB", "0.004")
        with pytest.raises(ValueError, match=rf"{name} unpacks to more than 0\.004 GB.*SHIFT_UNP"):
            read(tmp_path / name)
        monkeypatch.setenv("SHIFT_UNPACKED_GB", "0.05")
        if read is read_table:
            assert len(read(tmp_path / name)) == 500_000
    monkeypatch.setenv("SHIFT_UNPACKED_GB", "much")
    with pytest.raises(ValueError, match="SHIFT_UNPACKED_GB is 'much'"):
        read_records(tmp_path / "a.fa.gz")


def test_a_held_file_is_read_as_it_was(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"a,b\n1,2\n")
    held = HeldFile.of(path, path.read_bytes())
    path.write_bytes(b"a,b\n3,4\n")
    assert read_table(held)["a"].tolist() == ["1"] and held.read_text() == "a,b\n1,2\n"
    pd.DataFrame({"a": ["1"]}).to_parquet(path)
    held = HeldFile.of(path, path.read_bytes())
    pd.DataFrame({"a": ["3"]}).to_parquet(path)
    assert read_table(held)["a"].tolist() == ["1"]
