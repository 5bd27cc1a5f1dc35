"""What is written is read back, whatever names and numbers it holds."""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.data.table import load_table
from lib.motifs.pwm import read_meme
from lib.sequences import decode

# Text as a table can hold it: no control characters, nothing that UTF-8 cannot say.
CELLS = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1)


@settings(max_examples=60)
@given(notes=st.lists(CELLS, min_size=1, max_size=5), seed=st.integers(0, 2**32 - 1))
def test_other_columns_of_a_measured_table_are_carried_not_interpreted(notes, seed) -> None:
    rng = np.random.default_rng(seed)
    dna = decode(rng.integers(0, 4, (len(notes), 30), dtype=np.uint8))
    activity = rng.normal(size=len(notes))
    frame = pd.DataFrame({"sequence": dna, "activity": activity, "note": notes})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.tsv"
        frame.to_csv(path, sep="\t", index=False)
        data = load_table(path)
    assert decode(data.codes) == dna and data.metadata["note"].tolist() == notes
    np.testing.assert_allclose(data.activity, activity, rtol=1e-15)


@settings(max_examples=60)
@given(
    columns=st.lists(st.lists(st.floats(0.001, 1), min_size=4, max_size=4), min_size=1, max_size=8),
    name=st.text(st.characters(codec="ascii", exclude_categories=("Cc", "Zs")), min_size=1),
)
def test_motifs_are_read_back_from_a_minimal_meme_file(columns, name) -> None:
    matrix = np.array(columns) / np.sum(columns, axis=1, keepdims=True)
    rows = "\n".join(" ".join(f"{p:.12f}" for p in row) for row in matrix)
    head = f"MEME version 4\n\nALPHABET= ACGT\n\nMOTIF {name}\n"
    text = f"{head}letter-probability matrix: alength= 4 w= {len(matrix)}\n{rows}\n"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "motif.meme"
        path.write_text(text, "utf-8")
        (motif,) = read_meme(path)
    assert motif.name == name
    np.testing.assert_allclose(motif.probabilities, matrix.T, atol=1e-9)
