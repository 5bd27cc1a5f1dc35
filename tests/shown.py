"""What the cells of a page show, rendered in this process, and the data of its figures."""

import base64
import io
import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd
from bs4 import BeautifulSoup
from IPython.core.interactiveshell import InteractiveShell
from IPython.display import display
from IPython.utils.capture import capture_output

ROOT = Path(__file__).resolve().parents[1]


def render(name: str, **parameters: Any) -> list[str]:
    """What each cell of a notebook shows, run in this process; cells that train nothing."""
    main = sys.modules["__main__"]  # the shell puts its own in this place
    shell = InteractiveShell.instance()
    shell.reset()
    shown: list[Any] = []
    try:
        notebook = json.loads((ROOT / "notebooks" / f"{name}.ipynb").read_text("utf-8"))
        for cell in (cell for cell in notebook["cells"] if cell["cell_type"] == "code"):
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
    kinds = ("text/html", "text/markdown", "text/plain")
    texts = ("".join(next((out[kind] for kind in kinds if kind in out), "")) for out in shown)
    return [text for text in texts if text.strip() and not text.startswith("<IPython")]


def tables(shown: list[str]) -> list[str]:
    """Caption and cells of each table that is shown, a line each."""
    found = (BeautifulSoup(text, "html.parser").select("figure.table") for text in shown)
    cells = (figure.select("figcaption, th, td") for figures in found for figure in figures)
    return ["\n".join(cell.get_text() for cell in own) for own in cells]


def drawn(shown: list[str]) -> dict[str, pd.DataFrame]:
    """The data of each figure by its anchor, as a reader can have them."""
    found = {}
    for text in shown:
        for figure in BeautifulSoup(text, "html.parser").select("figure.chart[id]"):
            data = figure.select_one("figcaption a")["href"].partition("base64,")[2]
            found[str(figure["id"])] = pd.read_csv(io.BytesIO(base64.b64decode(data)))
    return found
