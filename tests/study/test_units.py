import shutil
import sys

import numpy as np
import pandas as pd
import pytest

from lib.data.folds import fold_split, group_folds
from lib.study import units
from lib.study.units import (
    DamagedUnit,
    Placement,
    Result,
    Store,
    Unit,
    machine,
    missing_units,
    provenance,
    run_units,
)

FITS = {"arrays", "sequences", "data", "simulator", "assays", "motifs", "models", "training"}
READERS = {f"lib.data.{name}" for name in ("table", "reading", "fasta", "predictions")}


def double(config, data=None):
    """A unit to run: counts its calls in a file beside the store, and fails at 13."""
    if config["n"] == 13:
        raise RuntimeError("thirteen")
    with open(config["log"], "a") as file:
        file.write("x")
    return Result({"values": np.arange(config["n"]) * 2.0}, {"n": config["n"]})


def make(tmp_path, sizes=(1, 2, 3)):
    log = tmp_path / "calls"
    return [Unit(double, {"n": n, "log": str(log)}) for n in sizes], Store(tmp_path / "store"), log


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_order_and_are_computed_once(tmp_path, workers):
    made, store, log = make(tmp_path, sizes=(1, 2, 3, 2))
    assert missing_units(made, store) == 3
    first = run_units(made, store, Placement(workers=workers))
    assert missing_units(made, store) == 0
    again = run_units(made[::-1], store, Placement(workers=workers))
    assert [len(result.arrays["values"]) for result in first] == [1, 2, 3, 2]
    assert [result.meta["n"] for result in again] == [2, 3, 2, 1]
    assert log.read_text() == "xxx"


def test_what_was_finished_before_a_failure_is_kept(tmp_path):
    made, store, _ = make(tmp_path, sizes=(1, 2, 13))
    with pytest.raises(RuntimeError, match="thirteen"):
        run_units(made, store, Placement(workers=1))
    assert [store.get(unit.key) is not None for unit in made] == [True, True, False]


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty"])
def test_a_damaged_unit_is_computed_again_with_a_warning(tmp_path, damage):
    made, store, log = make(tmp_path, sizes=(50,))
    run_units(made, store, Placement(workers=1))
    path = store.path(made[0].key)
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    spoilt = {"truncated": content[:-20], "flipped": content, "empty": b""}[damage]
    path.write_bytes(bytes(spoilt))
    with pytest.warns(DamagedUnit, match="computed again"):
        result = run_units(made, store, Placement(workers=1))[0]
    assert result.arrays["values"][-1] == 98
    assert log.read_text() == "xx"


def test_a_copy_of_another_unit_is_not_taken_for_this_one(tmp_path):
    made, store, log = make(tmp_path, sizes=(2, 3))
    run_units(made, store, Placement(workers=1))
    shutil.copy(store.path(made[0].key), store.path(made[1].key))
    with pytest.warns(DamagedUnit, match="another unit's file"):
        result = run_units(made, store, Placement(workers=1))[1]
    assert len(result.arrays["values"]) == 3 and log.read_text() == "xxx"


def test_stamps_say_who_computed_what_however_often_a_run_is_repeated(tmp_path):
    made, store, _ = make(tmp_path, sizes=(1, 2))
    first = Store(store.root, "one")
    run_units(made[:1], first, Placement(workers=1))
    again, other = Store(store.root, "one"), Store(store.root, "two")
    run_units(made[:1], again, Placement(workers=1))
    assert provenance(again) == provenance(first)
    run_units(made, other, Placement(workers=1))
    stamps = [store.get(unit.key).stamp for unit in made]
    assert [stamp["label"] for stamp in stamps] == ["one", "two"]
    assert provenance(other)["seconds"] == round(stamps[1]["seconds"], 1)
    assert stamps[0]["machine"] == machine() and stamps[0]["versions"]["python"]


def test_fits_are_counted_by_who_computed_them(tmp_path):
    store = Store(tmp_path, "two")
    known = {"seconds": 1.0, "machine": "m", "source": "s"}
    for key, (label, dtype) in enumerate([("one", "float32"), ("two", "float32"), ("two", "")]):
        store.used[str(key)] = known | {"label": label, "dtype": dtype}
    found = provenance(store)
    assert [found[name] for name in ("fits", "fits_computed", "fits_shared")] == [2, 1, 1]
    assert found["seconds"] == 2.0 and found["dtypes"] == ["float32"]


def test_a_worker_with_another_source_is_refused(tmp_path):
    made, store, _ = make(tmp_path)
    with pytest.raises(RuntimeError, match="this worker's lib is not the client's"):
        units._compute("0" * 64, made[0], store)
    assert not list(store.root.rglob("*.safetensors"))


def test_a_failed_write_leaves_nothing_and_names_the_store(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError("no space left")

    monkeypatch.setattr(units, "save_file", full)
    with pytest.raises(OSError, match=r"unit store .*no space left.*SHIFT_STORE"):
        Store(tmp_path).put("ab" * 32, Result({"a": np.zeros(3)}))
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_scalars_and_tables_come_back_as_they_were(tmp_path):
    table = pd.DataFrame(
        {"metric": ["rmse", "zms", "rmse"], "value": [0.5, np.nan, 2.0], "n": [1, 2, 3]}
    ).assign(shift="", seen=[True, False, True], cell=["a", None, "ü"])
    empty = table.head(0)
    Store(tmp_path).put("a" * 64, Result.of_tables({"values": table, "none": empty}))
    Store(tmp_path).put("b" * 64, Result({"steps": np.array(7)}))
    assert Store(tmp_path).get("b" * 64).arrays["steps"].shape == ()
    found = Store(tmp_path).get("a" * 64)
    pd.testing.assert_frame_equal(found.table("values"), table, check_dtype=False)
    assert list(found.table("none")) == list(table) and found.table("none").empty
    assert found.table("values")["n"].dtype == np.int64


def test_a_store_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "store").write_text("a file where the folder should be")
    with pytest.raises(OSError, match=r"unit store .*store.*SHIFT_STORE"):
        Store(tmp_path / "store").put("ab" * 32, Result({}))


def test_key_follows_config_data_and_earlier_units():
    group = np.arange(60)
    split, other = (fold_split(group_folds(group, 0), group, number, 0) for number in range(2))
    result, twin = Result({"w": np.zeros(2)}), Result({"w": np.ones(2)})
    keys = {
        Unit(double, {"n": 1}).key,
        Unit(double, {"n": 2}).key,
        Unit(double, {"n": 1}, {"data": split}).key,
        Unit(double, {"n": 1}, {"data": other}).key,
        Unit(double, {"n": 1}, {"data": result}).key,
        Unit(double, {"n": 1}, {"data": twin}).key,
        Unit(double, {"n": 1}, modules=("lib.sequences",)).key,
    }
    assert len(keys) == 7
    assert Unit(double, {"n": 1}).key == Unit(double, {"n": 1}).key


def test_dask_without_a_scheduler_is_refused(tmp_path):
    with pytest.raises(ValueError, match="needs scheduler"):
        run_units([], Store(tmp_path), Placement(executor="dask"))


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
    assert package(tmp_path, monkeypatch, documented) == plain
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
    assert {"lib", "lib.training"} <= set(units.source_files("lib.training.fit"))


def test_a_fit_depends_on_every_module_that_fits_and_on_no_other():
    """An edit of what judges, shows or reads strangers' tables computes no fit again."""
    files = units.source_files("lib.training.fit")
    assert {"lib.training.fit", "lib.models.networks", "lib.arrays"} <= set(files)
    assert {name.split(".")[1] for name in files if "." in name} <= FITS
    assert not set(files) & READERS
