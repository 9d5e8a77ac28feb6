"""Notebooks as other programs than JupyterLab save them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from malformed_case import FULL, PUT_BACK, Case, Good


def platforms(good: Good) -> Iterator[Case]:
    """Saved by what learners use in place of JupyterLab."""
    for what, change in {
        "Colab": _colab, "VS Code": _vscode, "Kaggle": _kaggle, "Deepnote": _deepnote, "jupytext": _jupytext,
        "Databricks": _databricks, "nbdime": _nbdime, "RISE": _rise,
    }.items():  # fmt: skip
        yield Case(what, good.changed(change), FULL)
        yield Case(
            f"{what}, without the metadata of cells",
            good.changed(lambda nb, c=change: _bare(nb, c)),
            FULL,
            PUT_BACK,
        )


def _bare(notebook: dict[str, Any], change: Any) -> None:
    for cell in notebook["cells"]:
        cell["metadata"] = {}
    change(notebook)


def _colab(notebook: dict[str, Any]) -> None:
    notebook["nbformat_minor"] = 0
    notebook["metadata"] = {
        "colab": {"provenance": [{"file_id": "1a", "timestamp": 1}], "gpuType": "T4", "collapsed_sections": []},
        "kernelspec": {"name": "python3", "display_name": "Python 3"}, "language_info": {"name": "python"},
        "accelerator": "GPU", "widgets": {"application/vnd.jupyter.widget-state+json": {}},
    }  # fmt: skip
    for number, cell in enumerate(notebook["cells"]):
        cell.pop("id")
        cell["metadata"].update(
            id=f"a{number}B-_x", colab={"base_uri": "https://localhost:8080/"}, outputId="1a2b-3c"
        )


def _vscode(notebook: dict[str, Any]) -> None:
    notebook["nbformat_minor"] = 2
    notebook["metadata"]["vscode"] = {"interpreter": {"hash": "31f2aee4"}}
    notebook["metadata"]["orig_nbformat"] = 4
    for number, cell in enumerate(notebook["cells"]):
        cell["id"] = f"#VSC-{number}"
        cell["metadata"]["vscode"] = {"languageId": "python"}


def _kaggle(notebook: dict[str, Any]) -> None:
    notebook["metadata"]["kaggle"] = {"accelerator": "none", "dataSources": [], "isInternetEnabled": True}
    for cell in notebook["cells"]:
        cell.pop("id")
        cell["metadata"].update(
            _uuid="8f2839f2", _cell_guid="b1076dfc", trusted=True, execution={"iopub.status.busy": "1"}
        )


def _deepnote(notebook: dict[str, Any]) -> None:
    notebook["nbformat_minor"] = 0
    notebook["metadata"] = {"orig_nbformat": 2, "deepnote": {}, "deepnote_notebook_id": "1a-2b"}
    for cell in notebook["cells"]:
        cell.pop("id")
        cell["metadata"].update(
            cell_id="00000-1a-2b", deepnote_cell_type="code", deepnote_to_be_reexecuted=False, tags=[]
        )


def _jupytext(notebook: dict[str, Any]) -> None:
    notebook["metadata"]["jupytext"] = {
        "formats": "ipynb,py:percent",
        "text_representation": {"format_version": "1.3"},
    }
    for cell in notebook["cells"]:
        cell["metadata"]["lines_to_next_cell"] = 2


def _databricks(notebook: dict[str, Any]) -> None:
    notebook["metadata"]["application/vnd.databricks.v1+notebook"] = {"language": "python", "dashboards": []}
    for cell in notebook["cells"]:
        cell["metadata"]["application/vnd.databricks.v1+cell"] = {
            "title": "",
            "inputWidgets": {},
            "nuid": "1a",
        }


def _nbdime(notebook: dict[str, Any]) -> None:
    notebook["metadata"]["nbdime-conflicts"] = {"local_diff": [], "remote_diff": []}
    notebook["cells"].insert(
        1, {"cell_type": "markdown", "metadata": {}, "id": "c", "source": "<<<<<<< local"}
    )


def _rise(notebook: dict[str, Any]) -> None:
    notebook["metadata"]["celltoolbar"] = "Slideshow"
    for cell in notebook["cells"]:
        cell["metadata"]["slideshow"] = {"slide_type": "skip"}


PLATFORMS = {"saved by Colab, VS Code, Kaggle, Deepnote, jupytext": platforms}
