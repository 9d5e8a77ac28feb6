"""A learner's copy of the release."""

from __future__ import annotations

import json
from pathlib import Path

from autograde import lab
from autograde.question import questions, require_root


def test_every_release_is_copied(tmp_path: Path) -> None:
    """The folder holds each released notebook, byte for byte, under its topic."""
    lab.prepare(tmp_path)
    for question in questions(require_root()):
        copy = tmp_path / question.topic / f"{question.slug}.ipynb"
        assert copy.read_bytes() == question.release.read_bytes()


def test_work_is_kept(tmp_path: Path) -> None:
    """A notebook that is there already is not touched."""
    place = lab.prepare(tmp_path)[0]
    place.write_text("my work", encoding="utf-8")
    assert place not in lab.prepare(tmp_path)
    assert place.read_text(encoding="utf-8") == "my work"


def test_instructor_panels_are_locked(tmp_path: Path) -> None:
    """Formgrader and its like are disabled, and can't be enabled from the page."""
    lab.prepare(tmp_path)
    page = json.loads((tmp_path / ".jupyter" / "labconfig" / "page_config.json").read_text(encoding="utf-8"))
    assert page["disabledExtensions"]["@jupyter/nbgrader:formgrader"] is True
    assert page["lockedExtensions"] == page["disabledExtensions"]
