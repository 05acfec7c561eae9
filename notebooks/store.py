"""Run notebooks and store them with their outputs; pictures become PNG images, which code hosts show.

    python notebooks/store.py                 # all of them
    python notebooks/store.py 01 09           # those whose names begin so

Needs `pip install -e '.[images,test]'` and a Chrome or Chromium. `tests/test_notebooks.py` compares what is stored with
a new run.
"""

import base64
import json
import os
import sys
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from plotly import io

FOLDER = Path(__file__).parent
PLOTLY = "application/vnd.plotly.v1+json"


def draw_image(figure: dict[str, Any]) -> str:
    """A plotly figure as PNG, in base64."""
    layout = figure["layout"]
    size = {"width": layout.get("width", 760), "height": layout.get("height", 400)}
    return base64.b64encode(io.from_json(json.dumps(figure), skip_invalid=True).to_image("png", **size)).decode()


def is_result(output: Any) -> bool:
    """Whether an output is what a cell computes: no warning of a library, and no progress, which slow machines show."""
    return output.get("name") != "stderr" and output.get("metadata", {}).get("faithlens") != "progress"


def keep_output(output: Any) -> Any:
    """An output without what differs from run to run, and with an image in place of a plotly figure."""
    data = output.get("data", {})
    if PLOTLY in data:
        output.data = nbformat.from_dict({"image/png": draw_image(data[PLOTLY]), "text/plain": "<picture>"})
    if "metadata" in output:
        output.metadata = nbformat.from_dict({})
    return output


def store(path: Path) -> None:
    """Run one notebook and write it back with its outputs."""
    notebook = nbformat.read(path, as_version=4)
    folder = {"metadata": {"path": str(path.parent)}}
    NotebookClient(notebook, timeout=None, resources=folder, coalesce_streams=True).execute()
    for number, cell in enumerate((cell for cell in notebook.cells if cell.cell_type == "code"), start=1):
        cell.execution_count, cell.metadata = number, {}
        cell.outputs = [keep_output(output) for output in cell.outputs if is_result(output)]
        for output in cell.outputs:
            if output.output_type == "execute_result":
                output.execution_count = number
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    nbformat.write(notebook, path)


if __name__ == "__main__":
    os.environ |= {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(FOLDER.parent)}
    for path in sorted(FOLDER.glob("*.ipynb")):
        if len(sys.argv) == 1 or path.name.startswith(tuple(sys.argv[1:])):
            store(path)
