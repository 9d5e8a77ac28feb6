"""JupyterLab on a learner's copy of the release: no instructor's panels, no question about news."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from autograde.question import questions, require_root

# What an instructor's install shows and a learner has no use for.
PANELS = ("create-assignment", "formgrader", "course-list", "assignment-list")
SERVERS = ("formgrader", "course_list", "assignment_list")
NEWS = {"fetchNews": "false", "checkForUpdates": False}


def prepare(folder: Path) -> list[Path]:
    """Copy the release into a learner's folder and write the settings; work that is there is kept.

    Args:
        folder: where the learner works.

    Returns:
        The notebooks that were copied now.
    """
    copied = []
    for question in questions(require_root()):
        place = folder / question.topic / f"{question.slug}.ipynb"
        if not place.exists() and question.release.is_file():
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(question.release, place)
            copied.append(place)
    _settings(folder / ".jupyter")
    return copied


def start(folder: Path, arguments: Sequence[str]) -> int:
    """Become JupyterLab on the folder; does not return.

    Args:
        folder: what prepare made.
        arguments: further options of `jupyter lab`.
    """
    config = (folder / ".jupyter").resolve()
    os.environ["JUPYTER_CONFIG_DIR"] = str(config)
    os.environ["JUPYTERLAB_SETTINGS_DIR"] = str(config / "lab-settings")
    command = [sys.executable, "-m", "jupyter", "lab", f"--ServerApp.root_dir={folder.resolve()}", *arguments]
    sys.stdout.flush()
    os.execv(sys.executable, command)  # noqa: S606  our own interpreter


def _settings(config: Path) -> None:
    panels = {f"@jupyter/nbgrader:{name}": True for name in PANELS}
    _write(
        config / "labconfig" / "page_config.json", {"disabledExtensions": panels, "lockedExtensions": panels}
    )
    servers = {f"nbgrader.server_extensions.{name}": False for name in SERVERS}
    _write(config / "jupyter_server_config.json", {"ServerApp": {"jpserver_extensions": servers}})
    news = config / "lab-settings" / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    _write(news, NEWS)


def _write(path: Path, data: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
