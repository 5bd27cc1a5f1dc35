import base64
import json
import os
import re
import shutil
import subprocess
import sys
from typing import get_args

import nbformat
import numpy as np
import pandas as pd
import pytest

from lib import assays
from lib.audit import main
from lib.models import MODELS
from lib.page.charts import Table, lines
from lib.study import report as command
from lib.study.config import Profile
from lib.study.report import NotebookError, convert, slug, standalone

HOSTILE = '=1+1 pytest a\'b "c" $(touch x) $HOME `id` <b>.csv'
EVIL = "<script>alert(1)</script>"


def table(n=300):
    rng = np.random.default_rng(0)
    mean, std = rng.normal(size=n), rng.uniform(0.5, 1.5, n)
    target = mean + std * rng.normal(size=n)
    kind = np.array([EVIL, "=1+1"])[np.arange(n) % 2]
    columns = {"id": np.arange(n), "target": target, "mean": mean, "std": std, "kind": kind}
    return pd.DataFrame(columns)


def test_names_of_folders_stay_inside_and_a_table_must_be_named(capsys):
    names = ("../../etc/passwd", "=cmd|x.csv", "...", "a/m.v1.csv.gz", "é.csv")
    assert [*map(slug, names)] == ["passwd", "cmd_x", "audit", "m_v1", "é"]
    assert main([]) == 1
    assert main(["--predictions=", "--table="]) == 1  # as make passes what was not given
    line = "error: name a table: predictions='mine.csv'\n"
    assert capsys.readouterr().err == 2 * line


def test_known_names_are_those_of_the_package():
    assert set(command.NETWORKS) == set(MODELS)
    assert set(command.ASSAYS) == {*assays.names(), "standin", "default"}
    assert get_args(Profile) == command.PROFILES


HEAVY = [
    *("torch", "captum", "numba", "pyjaspar", "scipy", "sklearn", "nbformat", "altair", "papermill")
]
REFUSED = {
    "lib.audit": {
        "--predictions={bad}": "no column 'target' (did you mean 'targe'?)",
        "--predictions={bad} --rename=targ=target": "no column 'targ'",
        "--predictions={bad} --rename=targe": "rename is 'targe'",
        "--table={bad} --rename=id=sequence": "no column 'activity'",
        "--predictions=none.csv": "error: there is no file none.csv; give the path of a",
        "--table=none.csv": "error: there is no file none.csv; give the path of a table",
        "--dataset=wtc12": "data set 'wtc12' is not known",
        "--dataset=wtc11 --profile=smok": "profile is 'smok'; use one of smoke",
        "--dataset=wtc11 --model=resnet": "model 'resnet' is not known",
    },
    "lib.report": {"quick 09_none": "no notebook 09_none"},
    "lib.published": {
        "wtc11 none.fa": "there is no file none.fa",
        "wtc12 none.fa": "invalid choice: 'wtc12'",
    },
}


@pytest.mark.parametrize("command", REFUSED)
def test_what_is_wrong_is_said_within_two_seconds(command, tmp_path, root):
    """Of the processor: nothing is imported that only a run needs."""
    (tmp_path / "bad.csv").write_text("id,targe,mean,std\na,1,1,1\n", "utf-8")
    typed = [words.format(bad=tmp_path / "bad.csv").split() for words in REFUSED[command]]
    code = f"""
import contextlib, io, json, sys, time
from importlib import import_module
spent = 0.0
for words in {typed}:
    status = 2  # argparse's
    with contextlib.redirect_stderr(io.StringIO()) as said, contextlib.suppress(SystemExit):
        status = import_module({command!r}).main(words)
    heavy = [m for m in {HEAVY} if m in sys.modules]
    print(json.dumps([status, said.getvalue(), heavy, time.process_time() - spent]))
    spent = time.process_time()
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True)
    for expected, line in zip(REFUSED[command].values(), done.stdout.splitlines(), strict=True):
        status, said, heavy, seconds = json.loads(line)
        assert status in (1, 2) and expected in said and heavy == [] and seconds < 2
        assert status == 2 or len(said.splitlines()) == 1


def test_a_page_has_the_name_of_its_table_and_an_error_keeps_an_earlier_one(tmp_path, monkeypatch):
    mine = tmp_path / "mine.csv"
    mine.write_text("id\n", "utf-8")
    out = tmp_path / "runs" / "audit" / "mine"
    names = ["first"]

    def run(root, name, profile, out, parameters):
        if not names:
            raise NotebookError("08 failed: ValueError: seen; see there", "seen")
        folder = out / "results" / "audit_your_own"
        folder.mkdir(parents=True, exist_ok=True)
        (out / "results" / "audit_your_own.csv").write_text("a\n", "utf-8")
        (folder / f"{names.pop(0)}.csv").write_text("a\n", "utf-8")
        return 1.0

    monkeypatch.setattr(command, "run_notebook", run)
    monkeypatch.setattr(command, "convert", lambda _, title: title)
    page = command.audit(tmp_path, {"predictions": str(mine)}, "quick")
    assert page.read_text("utf-8") == "Audit of mine.csv"
    kept = [path.name for path in (out / "results" / "audit_your_own").iterdir()]
    assert kept == ["first.csv"]
    with pytest.raises(ValueError, match=r"^seen$"):
        command.audit(tmp_path, {"predictions": str(mine)}, "quick")
    assert page.exists() and (out / "results" / "audit_your_own" / "first.csv").exists()


QUOTED = 'He said "x" & <b>y</b>'


def figure(name, part, caption="A caption."):
    data = pd.DataFrame({"x": [0.0, 1.0], "y": [0.0, 1.0], "part": [part] * 2})
    said = {"colour": "part", "x_title": "x", "y_title": "y", "caption": caption}
    return lines(name, data, "x y part", "x", "y", **said)._repr_html_()


def links(page):
    return [part.split('"')[0] for part in page.split('href="')[1:]]


def test_a_page_shows_drawings_without_code_and_asks_nothing_of_others(tmp_path):
    shown = Table(pd.DataFrame({"name": [EVIL]}), "A table.")._repr_html_()
    page = standalone(figure("a", EVIL, QUOTED) + figure("b", "x") + shown, QUOTED)
    assert "<script" not in page and "vegaEmbed" not in page and "chart-live" not in page
    assert page.count('src="data:image/svg+xml;base64,') == page.count("<img") == 2
    assert "&lt;script&gt;" in page  # shown as text
    assert "<title>He said &quot;x&quot; &amp; &lt;b&gt;y&lt;/b&gt;</title>" in page
    assert all(link.startswith(("data:text/csv", "#")) for link in links(page))
    html = {"text/html": figure("a", EVIL, QUOTED)}
    outputs = [nbformat.v4.new_output("display_data", html)]
    cells = [
        nbformat.v4.new_markdown_cell("# A title"),
        nbformat.v4.new_code_cell("secret = 1", outputs=outputs, execution_count=1),
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "a.ipynb")
    page = convert(tmp_path / "a.ipynb", "mine")
    assert "secret" not in page and "A title" in page
    assert page.count("<img") == 1 and "<script" not in page
    (link,) = [link for link in links(page) if link.startswith("data:")]
    data = base64.b64decode(link.removeprefix("data:text/csv;base64,")).decode()
    assert data.splitlines() == ["x,y,part", f"0,0,{EVIL}", f"1,1,{EVIL}"]


def test_words_of_a_shell_reach_the_commands_as_words(root, tmp_path):
    """A stand-in for the interpreter says what it is given."""
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text('#!/bin/sh\nprintf "<%s>" "$@"\n', "utf-8")
    python.chmod(0o755)
    (tmp_path / ".ready").touch()
    for given, seen in {
        ("report", "ONLY=01_a $(touch x) * `id`; id", "PROFILE=smoke;id"): (
            "<-m><lib.report><smoke;id><01_a><$(touch><x)><*><`id`;><id>"
        ),
        ("pages", "ONLY="): "<-m><lib.report><pages>",
        ("audit", "TABLE=a b", "TRIM_PREFIX=AC"): "<--trim-prefix=AC><--trim-suffix=>",
    }.items():
        words = ["make", "-s", f"VENV={tmp_path}", "-o", str(tmp_path / ".ready"), *given]
        said = subprocess.run(words, cwd=root, capture_output=True, text=True).stdout
        assert seen in said


@pytest.mark.slow
def test_a_table_of_any_name_becomes_a_page(root, tmp_path, request):
    out = root / "runs" / "audit" / slug(HOSTILE)
    request.addfinalizer(lambda: shutil.rmtree(out, ignore_errors=True))
    theirs = table().rename(columns={"target": "y", "kind": "=kind"})
    theirs.to_csv(tmp_path / HOSTILE, index=False)
    before = set(root.iterdir())
    # Below another make, such as that of the tests, it would speak of the folders it enters.
    outside = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    words = [f"PREDICTIONS={tmp_path / HOSTILE}", "RENAME=y=target", "BY==kind"]
    command = ["make", "audit", f"VENV={sys.prefix}", "-o", f"{sys.prefix}/.ready", *words]
    done = subprocess.run(command, cwd=root, env=outside, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    assert line.startswith(f"Open {(out / 'audit.html').relative_to(root)}")
    made = {path.name for path in set(root.iterdir()) - before}
    assert {name for name in made if name[0] != "."} <= {"runs"}  # nothing was touched
    page = (out / "audit.html").read_text("utf-8")
    name = "=1+1 pytest a&#x27;b &quot;c&quot; $(touch x) $HOME `id` &lt;b&gt;"
    assert f"<title>Audit of {name}" in page
    assert "<script" not in page and "&lt;script&gt;" in page and "<b>" not in page
    assert page.count("<img") == page.count('src="data:image/svg+xml') >= 5
    assert str(root) not in page
    assert not re.search(r"(?:src|href)=[\"'](?!data:|#)", page)
    tables = list((out / "results").rglob("*.csv"))
    assert len(tables) > 5
    for path in tables:
        assert not re.search(r"(?:^|,)\"?=", path.read_text("utf-8"), re.M)
