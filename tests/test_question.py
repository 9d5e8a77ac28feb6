"""Questions: found by slug, and errors that say what to do."""

from __future__ import annotations

import shutil
from pathlib import Path

import classroom
import pytest
import tiny_course

from autograde.question import SYLLABUS, QuestionError, course_root, find, questions, require_root, syllabus


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tiny course, without its release; nothing in the environment names another."""
    monkeypatch.delenv("AUTOGRADE_COURSE", raising=False)
    return tiny_course.build(tmp_path / "course")


def test_syllabus_keeps_its_order(root: Path) -> None:
    """Topics and questions come in the order of the file, with what it says of them."""
    ((topic, rows),) = syllabus(root).items()
    assert (topic.name, topic.title) == ("warmup", "Warm-up")
    assert [row.slug for row in rows] == ["double_it", "add_up"]
    assert (rows[0].title, rows[0].difficulty, rows[0].minutes, rows[0].prerequisites) == (
        "Double it",
        1,
        5,
        (),
    )
    assert questions(root) == rows


def test_find_gives_the_files(root: Path) -> None:
    """A question knows where its files are, in every tree."""
    question = find("add_up", root)
    assert question.source.is_file()
    assert question.tests.is_file()
    assert question.mistakes.is_file()
    assert question.variants.is_file()
    assert question.release == root / "release" / "warmup" / "add_up.ipynb"
    assert question.solution == root / "solutions" / "warmup" / "add_up.ipynb"
    assert question.apparatus == question.folder / "apparatus.py"


def test_a_near_slug_is_suggested(root: Path) -> None:
    """A misspelt slug is answered with the nearest one."""
    with pytest.raises(QuestionError, match=r"^no question 'doubel_it': did you mean 'double_it'\?$"):
        find("doubel_it", root)


def test_a_far_slug_suggests_nothing(root: Path) -> None:
    """A slug that resembles none is only said not to be there."""
    with pytest.raises(QuestionError, match=r"^no question 'attention'$"):
        find("attention", root)


@pytest.mark.parametrize("below", ["", "source", "autograde/questions/warmup/add_up"])
def test_course_is_found_from_within(root: Path, below: str) -> None:
    """From any folder of a checkout the checkout is found."""
    assert course_root(root / below) == root


def test_environment_names_the_course(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """AUTOGRADE_COURSE goes before the working folder."""
    other = tiny_course.build(tmp_path / "other")
    monkeypatch.chdir(other)
    monkeypatch.setenv("AUTOGRADE_COURSE", str(root))
    assert require_root() == root


def test_wrong_course_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """AUTOGRADE_COURSE that leads nowhere is an error with the path of the file that is missing."""
    monkeypatch.setenv("AUTOGRADE_COURSE", str(tmp_path / "nowhere"))
    with pytest.raises(QuestionError, match=rf"nowhere/{SYLLABUS}"):
        find("double_it")


def test_no_course_at_all_says_what_to_do(tmp_path: Path) -> None:
    """Without a checkout, here or beside the package, a command says where to run it."""
    package = Path(__file__).parent.parent / "autograde"
    shutil.copytree(
        package, tmp_path / "autograde", ignore=shutil.ignore_patterns("questions", "__pycache__")
    )
    done = classroom.command(tmp_path, "grade", PYTHONPATH=str(tmp_path))
    assert done.returncode == 2
    assert "run this inside a checkout, or set AUTOGRADE_COURSE to one" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[warmup", "TOMLDecodeError"),
        ("[warmup]\ntitle = 'x'\n", "questions"),
        ("[warmup]\ntitle = 'x'\n[warmup.questions.a]\ntitle = 'A'\nminutes = 5\n", "difficulty"),
        ("warmup = 5\n", "TypeError"),
        ("[warmup]\ntitle = 'x'\nquestions = 3\n", "AttributeError"),
        ("[warmup]\ntitle = 'x'\n[warmup.questions.a]\ntitle = 'A'\ntitle = 'B'\n", "TOMLDecodeError"),
    ],
)
def test_damaged_syllabus_is_named(root: Path, text: str, says: str) -> None:
    """A syllabus that is no TOML, or lacks a field, is an error with its path and the reason."""
    (root / SYLLABUS).write_text(text, encoding="utf-8")
    with pytest.raises(QuestionError, match=says) as error:
        questions(root)
    assert str(root / SYLLABUS) in str(error.value)


def test_syllabus_that_is_not_utf8_is_named(root: Path) -> None:
    """A syllabus in another encoding is an error with its path."""
    (root / SYLLABUS).write_bytes("[wärm]\n".encode("latin-1"))
    with pytest.raises(QuestionError, match=r"syllabus\.toml"):
        questions(root)


def test_missing_release_says_how_to_make_it(root: Path) -> None:
    """A release that was never made is answered with the command that makes it."""
    with pytest.raises(QuestionError, match=r"add_up\.ipynb is missing: run `autograde release`"):
        _ = find("add_up", root).release_notebook


def test_broken_source_is_named(root: Path) -> None:
    """A source that is no notebook is an error with its path."""
    question = find("add_up", root)
    question.source.write_text("{", encoding="utf-8")
    with pytest.raises(QuestionError, match=r"source/warmup/add_up\.ipynb is not a notebook"):
        _ = question.source_notebook
