import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from lib.data.folds import fold_split, group_folds
from lib.study import units
from lib.study.stamps import machine

FITS = {"arrays", "sequences", "data", "simulator", "assays", "motifs", "models", "training"}
READERS = {f"lib.data.{name}" for name in ("table", "cells", "reading", "fasta", "predictions")}


def double(config, data=None):
    """A unit to run: counts its calls in a file beside the store, and fails at 13."""
    if config["n"] == 13:
        raise RuntimeError("thirteen")
    with open(config["log"], "a") as file:
        file.write("x")
    return units.Result({"values": np.arange(config["n"]) * 2.0}, {"n": config["n"]})


def make(tmp_path, sizes=(1, 2, 3)):
    log = tmp_path / "calls"
    made = [units.Unit(double, {"n": n, "log": str(log)}) for n in sizes]
    return made, units.Store(tmp_path / "store"), log


def ran(made, store):
    return units.run_units(made, store, units.Placement(workers=1))


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_order_and_are_computed_once(tmp_path, workers):
    made, store, log = make(tmp_path, sizes=(1, 2, 3, 2))
    first = units.run_units(made, store, units.Placement(workers=workers))
    again = units.run_units(made[::-1], store, units.Placement(workers=workers))
    assert [len(result.arrays["values"]) for result in first] == [1, 2, 3, 2]
    assert [result.meta["n"] for result in again] == [2, 3, 2, 1]
    assert log.read_text() == "xxx"


def test_what_was_finished_before_a_failure_is_kept(tmp_path):
    made, store, _ = make(tmp_path, sizes=(1, 2, 13))
    with pytest.raises(RuntimeError, match="thirteen"):
        ran(made, store)
    assert [store.get(unit.key) is not None for unit in made] == [True, True, False]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        *((damage, "computed again") for damage in ("truncated", "flipped", "empty")),
        *[("of another unit", "another unit's file"), ("of an earlier source", "another source")],
    ],
)
def test_a_unit_that_is_not_what_was_asked_for_is_computed_again(tmp_path, damage, said):
    made, store, log = make(tmp_path, sizes=(50, 3))
    first = ran(made, store)[0]
    path, other = (store.path(unit.key) for unit in made)
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    spoilt = {"truncated": content[:-20], "flipped": content, "empty": b""}
    if damage == "of an earlier source":
        store.put(made[0].key, replace(first, stamp=first.stamp | {"source": "an earlier"}))
    else:
        path.write_bytes(bytes(spoilt.get(damage, other.read_bytes())))
    with pytest.warns(units.DamagedUnit, match=said):
        again = ran(made, store)[0]
    assert again.arrays["values"][-1] == 98 and again.stamp["source"] == made[0].source
    assert log.read_text() == "xxx"


@pytest.mark.filterwarnings("ignore::lib.study.units.DamagedUnit")
def test_no_flipped_bit_changes_what_is_read(tmp_path):
    store, key, stamp = units.Store(tmp_path), "0" * 64, {"source": "abc", "seconds": 1.5}
    store.put(key, result := units.Result({"a": np.arange(3.0)}, {"x": 1}, stamp))
    whole = store.path(key).read_bytes()
    for place in range(len(whole)):
        spoilt = bytearray(whole)
        spoilt[place] ^= 1 << place % 8
        store.path(key).write_bytes(spoilt)
        found = store.get(key)
        same = ("fingerprint", "meta", "stamp")
        assert not found or all(getattr(found, n) == getattr(result, n) for n in same), place


def test_stamps_say_who_computed_what_and_fits_are_counted_by_it(tmp_path):
    made, store, _ = make(tmp_path, sizes=(1, 2))
    first = units.Store(store.root, "one")
    ran(made[:1], first)
    again, other = units.Store(store.root, "one"), units.Store(store.root, "two")
    ran(made[:1], again)
    assert units.provenance(again) == units.provenance(first)
    ran(made, other)
    stamps = [store.get(unit.key).stamp for unit in made]
    assert [stamp["label"] for stamp in stamps] == ["one", "two"]
    assert units.provenance(other)["seconds"] == round(stamps[1]["seconds"], 1)
    assert stamps[0]["machine"] == machine() and stamps[0]["versions"]["python"]
    store = units.Store(tmp_path, "two")
    known = {"seconds": 1.0, "machine": "m", "source": "s", "kind": "k"}
    for key, (label, dtype) in enumerate([("one", "float32"), ("two", "float32"), ("two", "")]):
        store.used[str(key)] = known | {"label": label, "dtype": dtype}
    found = units.provenance(store)
    assert [found[name] for name in ("fits", "fits_computed", "fits_shared")] == [2, 1, 1]
    assert found["seconds"] == 2.0 and found["dtype"] == "float32"


def test_a_write_that_fails_leaves_nothing_and_names_the_store(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError("no space left")

    monkeypatch.setattr(units, "save_file", full)
    with pytest.raises(OSError, match=r"unit store .*no space left.*SHIFT_STORE"):
        units.Store(tmp_path).put("ab" * 32, units.Result({"a": np.zeros(3)}))
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    (tmp_path / "store").write_text("a file where the folder should be")
    with pytest.raises(OSError, match=r"unit store .*store.*SHIFT_STORE"):
        units.Store(tmp_path / "store").put("ab" * 32, units.Result({}))


def test_scalars_and_tables_come_back_as_they_were(tmp_path):
    table = pd.DataFrame(
        {"metric": ["rmse", "zms", "rmse"], "value": [0.5, np.nan, 2.0], "n": [1, 2, 3]}
    ).assign(shift="", seen=[True, False, True], cell=["a", None, "ü"])
    empty = table.head(0)
    units.Store(tmp_path).put("a" * 64, units.Result.of_tables({"values": table, "none": empty}))
    units.Store(tmp_path).put("b" * 64, units.Result({"steps": np.array(7)}))
    assert units.Store(tmp_path).get("b" * 64).arrays["steps"].shape == ()
    found = units.Store(tmp_path).get("a" * 64)
    pd.testing.assert_frame_equal(found.table("values"), table, check_dtype=False)
    assert list(found.table("none")) == list(table) and found.table("none").empty
    assert found.table("values")["n"].dtype == np.int64


def test_key_follows_config_data_and_earlier_units():
    group = np.arange(60)
    split, other = (fold_split(group_folds(group, 0), group, number, 0) for number in range(2))
    result, twin = units.Result({"w": np.zeros(2)}), units.Result({"w": np.ones(2)})
    keys = {
        *(units.Unit(double, {"n": n}).key for n in (1, 2)),
        *(units.Unit(double, {"n": 1}, {"data": d}).key for d in (split, other, result, twin)),
        units.Unit(double, {"n": 1}, modules=("lib.sequences",)).key,
    }
    assert len(keys) == 7
    assert units.Unit(double, {"n": 1}).key == units.Unit(double, {"n": 1}).key


def package(tmp_path, monkeypatch, body):
    """A package of its own, so that no file of ours is touched."""
    root = tmp_path / "madepackage"
    root.mkdir(exist_ok=True)
    (root / "__init__.py").write_text("")
    (root / "low.py").write_text(body)
    (root / "high.py").write_text("from madepackage.low import f\n\n\ndef g():\n    return f()\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(units, "PACKAGE", "madepackage")
    for name in [name for name in sys.modules if name.startswith("madepackage")]:
        del sys.modules[name]
    units.source_hash.cache_clear()
    return units.source_hash("madepackage.high")


def test_a_line_makes_stale_a_docstring_or_comment_does_not(tmp_path, monkeypatch):
    plain = package(tmp_path, monkeypatch, "def f():\n    return 1\n")
    documented = '"""Module."""\n\n\ndef f():\n    """Say."""\n    # why\n    return 1\n'
    told = package(tmp_path, monkeypatch, documented)
    assert told == plain and told.startswith("0399cb68fa62")  # by any version of Python
    assert package(tmp_path, monkeypatch, "def f():\n    return 2\n") != plain
    units.source_hash.cache_clear()


def test_a_strangers_module_counts_with_what_it_imports_from_its_folder(tmp_path, monkeypatch):
    (tmp_path / "helper_of_mine.py").write_text("SIGN = 1.0\n")
    (tmp_path / "net_of_mine.py").write_text("import json\n\nimport helper_of_mine\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert set(units.source_files("net_of_mine")) == {"net_of_mine", "helper_of_mine"}
    before = units.source_hash("net_of_mine")
    (tmp_path / "helper_of_mine.py").write_text("SIGN = -1.0\n")
    units.source_hash.cache_clear()
    assert units.source_hash("net_of_mine") != before
    # A folder without __init__.py, and imports relative to it.
    (tmp_path / "nets_of_mine").mkdir()
    (tmp_path / "nets_of_mine" / "net.py").write_text("from . import low\nfrom .high import x\n")
    (tmp_path / "nets_of_mine" / "low.py").write_text("")
    (tmp_path / "nets_of_mine" / "high.py").write_text("import helper_of_mine\n\nx = 1\n")
    names = {"nets_of_mine.net", "nets_of_mine.low", "nets_of_mine.high", "helper_of_mine"}
    assert set(units.source_files("nets_of_mine.net")) == names
    assert {"lib", "lib.training"} <= set(units.source_files("lib.training.fit"))


def test_a_fit_depends_on_every_module_that_fits_and_on_no_other():
    """An edit of what judges, shows or reads strangers' tables computes no fit again."""
    files = units.source_files("lib.training.fit")
    assert {"lib.training.fit", "lib.models.networks", "lib.arrays"} <= set(files)
    assert {name.split(".")[1] for name in files if "." in name} <= FITS
    assert not set(files) & READERS
