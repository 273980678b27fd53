"""The notebook of the documentation, run from its first cell to its last."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbclient
import nbformat
import pytest
import yaml

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "docs" / "quickstart.ipynb"
QUICK = {"models": {"logistic": {"trials": 1}}, "evaluation": {"resamples": 50, "importance_rows": 50, "shap_rows": 10}}


def shown(cell: Any, kind: str) -> str:
    """What a cell shows in a form."""
    data = [output["data"] for output in cell.outputs if output.output_type == "execute_result"]
    return "".join(data[-1][kind])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::RuntimeWarning:zmq", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_notebook_runs_and_its_objects_show_themselves(
    tmp_path: Path, home: Path, copy_project: Callable[[Path], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = copy_project(tmp_path / "project")
    file = project / "configs" / "breast_cancer" / "defs.yaml"
    declared = yaml.safe_load(file.read_text())
    declared["attributes"] |= QUICK  # one small family: the notebook is about what comes after
    file.write_text(yaml.safe_dump(declared))
    monkeypatch.setenv("PYTHONPATH", str(project))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "jupyter"))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    for cell in notebook.cells:
        assert not cell.get("outputs"), "commit the notebook without outputs"

    nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()

    place, run, samples, ranking, report, answers, explanation, coordinates = (
        cell for cell in notebook.cells if cell.cell_type == "code"
    )
    assert str(home) in shown(place, "text/plain")
    assert "version 1" in shown(run, "text/html")
    assert "done   breast_cancer/bento" in "".join(output.get("text", "") for output in run.outputs)
    assert "mean_radius" in shown(samples, "text/html")
    assert "logistic" in shown(ranking, "text/plain")
    assert "roc_auc" in shown(report, "text/markdown")
    assert "decision" in shown(answers, "text/html")
    assert "row 564: " in shown(explanation, "text/html")
    assert "breast_cancer/onnx_model" in shown(coordinates, "text/html")
    streams = [
        output for cell in notebook.cells for output in cell.get("outputs", []) if output.get("name") == "stderr"
    ]
    assert streams == []
    assert os.environ["SEXTANT_HOME"] == str(home)
