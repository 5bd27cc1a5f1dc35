"""Generated tables, written by other hands, give the values that were written or one error."""

import csv
import gzip
import io
import re
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from lib.data import predictions

OURS = ("id", "target", "mean", "std", "group", "shift")
THEIRS = (
    *("y", "ŷ", "Predicted mean (log2)", "a,b", "a;b", "σ|x", "007", "=x", 'say "x"', "µ\u00a0g"),
)
LABELS = (
    *("007", "7", "é", "=1+1", "a,b", "a;b", "x|y", "1e5", "True", "2020-01-01", "Na"),
    "\U0001f9ec",
)
GONE = ("", "NA", "NaN", "null", "None")
NUMBERS = (pa.float64(), pa.string(), pa.large_string(), pa.decimal128(30, 12), "dictionary")
TEXTS = (pa.string(), pa.large_string(), pa.string_view(), pa.binary(), "dictionary")


def written(columns, header, rng):
    """Bytes of a text table, and the error that they must give, if any."""
    separator = ",;\t|"[rng.integers(4)]
    comma = separator in ";\t" and rng.random() < 0.5
    numbers = [
        [repr(v).replace(".", ",") if comma else repr(v) for v in columns[c]] for c in OURS[1:4]
    ]
    rows = zip(columns["id"], *numbers, columns["group"], columns["shift"], strict=True)
    buffer = io.StringIO()
    quoting = (csv.QUOTE_MINIMAL, csv.QUOTE_ALL)[rng.integers(2)]
    end = ("\n", "\r\n")[rng.integers(2)]
    writer = csv.writer(buffer, delimiter=separator, quoting=quoting, lineterminator=end)
    writer.writerows([header, *rows])
    encoding = rng.choice(["utf-8", "utf-8", "utf-8-sig", "utf-16"])
    content = buffer.getvalue().encode(encoding)
    packed = gzip.compress(content) if rng.random() < 0.3 else content
    return packed, "UTF-16" if encoding == "utf-16" else None


def column(values, kind):
    """An Arrow column of one type that holds these values."""
    if kind == "dictionary":
        return pa.array(values).dictionary_encode()
    if isinstance(kind, pa.Decimal128Type):
        return pa.array([Decimal(repr(value)) for value in values], kind)
    if pa.types.is_binary(kind):
        return pa.array([value.encode() for value in values], kind)
    return pa.array([value if kind == pa.float64() else str(value) for value in values], kind)


def columnar(columns, header, rng):
    """Bytes of a Parquet file, whose columns are of any type that can hold them."""
    kinds = [NUMBERS if name in OURS[1:4] else TEXTS for name in OURS]
    made = [column(columns[n], k[rng.integers(len(k))]) for n, k in zip(OURS, kinds, strict=True)]
    if rng.random() < 0.3:  # labels that are numbers
        columns["group"] = [str(i // 2) for i in range(len(made[4]))]
        kind = (pa.int8(), pa.uint64(), pa.float64(), pa.decimal128(20, 0))[rng.integers(4)]
        made[4] = pa.array([i // 2 for i in range(len(made[4]))]).cast(kind)
    buffer = io.BytesIO()
    parquet.write_table(pa.table(made, header), buffer)
    return buffer.getvalue(), None


@pytest.mark.slow
@pytest.mark.parametrize("case", range(300))
def test_what_was_written_is_read_or_refused_in_a_documented_way(case, tmp_path):
    rng = np.random.default_rng([2026, case])
    n = int(rng.integers(1, 30))
    scale = 10.0 ** rng.integers(-6, 7)
    label = lambda more=(): str(rng.choice(np.array([*LABELS, *more], object)))  # noqa: E731
    columns = {
        "id": [f"{label()}{i}" for i in range(n)],
        "target": (scale * rng.normal(size=n)).round(6).tolist(),
        "mean": (scale * rng.normal(size=n)).round(6).tolist(),
        "std": (scale * rng.uniform(1, 9, n)).round(9).tolist(),
        "group": [label() for _ in range(n)],
        "shift": [label(GONE) for _ in range(n)],
    }
    if rng.random() < 0.1:
        columns["group"][int(rng.integers(n))] = str(rng.choice(GONE[1:]))
    names = rng.choice(np.array(THEIRS, object), len(OURS), replace=False)
    header = [str(t) if rng.random() < 0.4 else o for o, t in zip(OURS, names, strict=True)]
    rename = {t: o for o, t in zip(OURS, header, strict=True) if t != o}
    made = (written, columnar)[rng.integers(2)]
    content, error = made(columns, header, rng)
    error = error or ("every row needs a group" if {*GONE} & {*columns["group"]} else None)
    path = tmp_path / str(rng.choice(["a.csv", "b.txt", "c.tsv"]))
    path.write_bytes(content)
    if error:
        with pytest.raises(ValueError, match=error):
            predictions.read(path, rename=rename)
        return
    found, _ = predictions.read(path, rename=rename)
    for name in OURS[1:4]:
        np.testing.assert_array_equal(found[name], columns[name])
    for name in ("id", "group", "shift"):
        wanted = ["" if re.fullmatch("|".join(GONE), cell) else cell for cell in columns[name]]
        assert found[name].tolist() == wanted, name
