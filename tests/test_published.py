import hashlib
import io

import numpy as np
import pandas as pd
import pytest

from lib import published
from lib.sequences import decode, reverse_complement
from lib.training.config import FitConfig
from lib.training.fit import fit
from lib.training.fitted import combine, predict

LENGTH = 30
ABOUT = {"unit": "log2", "input": "30 nt", "split_seed": 0, "data_fingerprint": "f", "licence": "l"}
CODES = np.random.default_rng(0).integers(0, 4, (40, LENGTH)).astype(np.uint8)


@pytest.fixture(scope="module")
def small():
    """Two fits of one epoch on noise."""
    activity = np.random.default_rng(1).normal(3, 2, len(CODES))
    own = {"epochs": 1, "batch_size": 8, "model_options": {"channels": 4}}
    members = [fit(CODES, activity, config=FitConfig(**own, seed=seed)) for seed in (0, 1)]
    return published.Ensemble("small", members, ABOUT)


def test_members_are_mixed_and_a_file_changes_nothing(small, tmp_path, monkeypatch):
    monkeypatch.setattr(published, "FOLDER", tmp_path)
    published.write(small, tmp_path / "small.safetensors")
    again = published.load("small")
    means, stds = (
        np.stack(values) for values in zip(*(predict(m, CODES) for m in small.members), strict=True)
    )
    for given in (small, again):
        found = given.predict(CODES)
        for left, right in zip(found, combine(means, stds), strict=True):
            assert np.array_equal(left, right)
    assert (again.name, dict(again.about), again.length) == ("small", ABOUT, LENGTH)
    names = {"small.safetensors", "small.safetensors.sha256"}
    assert {path.name for path in tmp_path.iterdir()} == names


def test_a_fasta_gives_the_forecasts_of_its_sequences(small, tmp_path):
    path = tmp_path / "a.fa"
    records = [f">e{i} x\n{text.lower()}" for i, text in enumerate(decode(CODES))]
    path.write_text("\n".join(records), "utf-8")
    table = small.predict_fasta(path)
    assert list(table) == ["id", "mean", "std", "std_aleatoric", "std_epistemic"]
    assert table["id"].tolist() == [f"e{i}" for i in range(len(CODES))]
    assert np.array_equal(table["mean"], small.predict(CODES).mean)
    path.write_text(">a\nACGT\n", "utf-8")
    with pytest.raises(ValueError, match=r"record 'a' has 4 nt, 30 are needed.*takes 30 nt"):
        small.predict_fasta(path)


def test_other_files_are_one_error_and_an_unknown_name_lists_the_known(
    small, tmp_path, monkeypatch
):
    with pytest.raises(ValueError, match="'wtc12'; known are plant_leaf, wtc11"):
        published.load("wtc12")
    monkeypatch.setattr(published, "FOLDER", tmp_path)
    path = tmp_path / "a.safetensors"
    published.write(small, path)
    damaged = path.read_bytes()[:-100]
    for content in (b"", b"not a tensor", b"\x02\0\0\0\0\0\0\0{}", damaged):
        path.write_bytes(content)
        digest = f"{hashlib.sha256(content).hexdigest()}  {path.name}\n"
        path.with_name(f"{path.name}.sha256").write_text(digest)
        with pytest.raises(ValueError, match=r"a\.safetensors is not an ensemble"):
            published.load("a")


def test_a_published_file_has_its_digest_and_its_name(small, tmp_path, monkeypatch):
    """One other weight reads well; only the digest and the name inside tell the files apart."""
    monkeypatch.setattr(published, "FOLDER", tmp_path)
    path, other = tmp_path / "small.safetensors", tmp_path / "other.safetensors"
    published.write(small, path)
    digest = path.with_name("small.safetensors.sha256")
    assert digest.read_text() == f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
    assert published.load("small").name == "small"
    published.write(small, other)
    with pytest.raises(ValueError, match="holds the ensemble 'small'; restore it"):
        published.load("other")
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)
    with pytest.raises(ValueError, match=r"SHA-256 is not that in small\.safetensors\.sha256"):
        published.load("small")
    digest.unlink()
    with pytest.raises(ValueError, match=r"No such file.*small\.safetensors\.sha256"):
        published.load("small")


def test_padding_is_refused_or_flagged(small, tmp_path):
    path = tmp_path / "a.fa"
    for unknown in (LENGTH, LENGTH // 2 + 1):
        path.write_text(">a\n" + "ACGTA" * 6 + "\n>b\n" + "A" * (LENGTH - unknown) + "N" * unknown)
        with pytest.raises(ValueError, match=f"record 'b' is {unknown / LENGTH:.0%} N"):
            small.predict_fasta(path)
    path.write_text(">a\n" + "ACGTA" * 6 + "\n>b\n" + "ACGTA" * 5 + "N" * 5)
    with pytest.warns(UserWarning, match="over 10% of 1 records, such as 'b', is N"):
        assert len(small.predict_fasta(path)) == 2


@pytest.mark.parametrize("name", published.names())
def test_published_ensembles_forecast(name):
    given = published.load(name)
    assert published.FOLDER.joinpath(f"{name}.safetensors").stat().st_size <= 1_500_000
    codes = np.random.default_rng(0).integers(0, 4, (20, given.length)).astype(np.uint8)
    found = given.predict(codes)
    assert all(np.isfinite(part).all() for part in found) and (found.std > 0).all()
    # Both strands of a WTC11 element have one forecast; a promoter has a direction.
    same = np.allclose(given.predict(reverse_complement(codes)).mean, found.mean, atol=1e-5)
    assert same == (name == "wtc11")
    assert {"unit", "input", "split_seed", "data_fingerprint", "licence"} <= set(given.about)


def test_command_line_prints_csv(tmp_path, capsys):
    path = tmp_path / "a.fa"
    path.write_text(">a\n" + "ACGT" * 50 + "\n>=b\n" + "TTGA" * 50 + "\n", "utf-8")
    assert published.main(["wtc11", str(path)]) == 0
    shown = pd.read_csv(io.StringIO(capsys.readouterr().out))
    wanted = published.load("wtc11").predict_fasta(path)
    assert shown["id"].tolist() == ["a", "'=b"]  # a spreadsheet would run it
    assert np.allclose(shown["mean"], wanted["mean"], rtol=1e-5)
    assert published.main(["plant_leaf", str(path)]) == 1
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.count("\n") == 1
    assert "record 'a' has 200 nt, 170 are needed" in captured.err
