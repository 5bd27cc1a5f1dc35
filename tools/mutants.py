"""Lines of ``lib`` changed one at a time (``tests/mutants.csv``): the test that notices, if any."""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

if __name__ == "__main__":
    rows = pd.read_csv("tests/mutants.csv", dtype=str)
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copytree(".", f"{folder}/copy", ignore=shutil.ignore_patterns(".?*", "runs"))
        for index, row in rows.iterrows():
            path, text = Path(copy, row["file"]), Path(row["file"]).read_text("utf-8")
            assert text.count(row["line"]) == 1, row["line"]
            path.write_text(text.replace(row["line"], row["mutant"]), "utf-8")
            test = [sys.executable, "-m", "pytest", "-qx", *row["tests"].split()]
            run = subprocess.run(test, cwd=copy, stdout=subprocess.PIPE, text=True)
            found = re.findall(r"^(?:FAILED|ERROR) tests/(\S+)", run.stdout, re.M)
            rows.loc[index, "noticed_by"] = found[0] if found else "none"
            path.write_text(text, "utf-8")
    rows.to_csv("results/trust/mutants.csv", index=False)
