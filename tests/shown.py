"""What the cells of a page show, rendered in this process, and its figures, tables and texts."""

import base64
import json
import re
import sys
from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup
from IPython.core.interactiveshell import InteractiveShell
from IPython.display import display
from IPython.utils.capture import capture_output

ROOT = Path(__file__).resolve().parents[1]
_SPEC = re.compile(r"vegaEmbed\('#[^']*',(.*),\{actions:false", re.DOTALL)


def render(name: str, **parameters: Any) -> list[str]:
    """What each cell of a notebook shows, run in this process; cells that train nothing."""
    main = sys.modules["__main__"]  # the shell puts its own in this place
    shell = InteractiveShell.instance()
    shell.reset()
    shown: list[Any] = []
    try:
        for cell in cells_of(ROOT / "notebooks" / f"{name}.ipynb"):
            with capture_output() as caught:
                done = shell.run_cell("".join(cell["source"]))
                done.raise_error()
                if done.result is not None:
                    display(done.result)
            shown += [output.data for output in caught.outputs]
            if "parameters" in cell["metadata"].get("tags", []):
                shell.user_ns.update(parameters)
    finally:
        sys.modules["__main__"] = main
    return as_text(shown)


def cells_of(notebook: Path) -> list[dict[str, Any]]:
    cells = json.loads(notebook.read_text("utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def as_text(outputs: list[dict[str, Any]]) -> list[str]:
    """HTML, Markdown or plain text of each output that has any."""
    kinds = ("text/html", "text/markdown", "text/plain")
    texts = ("".join(next((out[kind] for kind in kinds if kind in out), "")) for out in outputs)
    return [text for text in texts if text.strip() and not text.startswith("<IPython")]


def described(shown: list[str]) -> dict[str, dict[str, str]]:
    """Figures, tables and texts by a label that tells them apart."""
    made: dict[str, dict[str, str]] = {}

    def keep(label: str, **item: str) -> None:
        while label in made:
            label += "'"
        made[label] = item

    for text in shown:
        soup = BeautifulSoup(text, "html.parser")
        scripts = [script.string or "" for script in soup.find_all("script")]
        figures = soup.find_all("figure")
        if not figures:
            keep(f"text {text.strip()[:40]}", text=text.strip())
        for figure in figures:
            caption = figure.find("figcaption")
            words = caption.get_text() if caption else ""
            if words.startswith("Effective configuration"):
                continue  # fields come and go
            if "chart" in figure.get("class", []) and "id" in figure.attrs:
                name = str(figure["id"])
                script = next(s for s in scripts if f"'#{name}-live'" in s)
                spec = json.loads(_SPEC.findall(script)[0])
                data = base64.b64decode(caption.find("a")["href"].partition("base64,")[2])
                lines = json.dumps(spec, indent=1, sort_keys=True)
                keep(name, text=words, spec=lines, data=data.decode())
            else:
                cells = [cell.get_text() for cell in figure.find_all(["th", "td"])]
                keep(f"table {words[:50]}", text=words, data="\n".join(cells))
    return made
