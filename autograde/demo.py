"""The main job on a small class: release, submissions right, wrong, hostile and broken, grading, feedback."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent
from typing import Any

from autograde import mistakes, report
from autograde.batch import grade_class
from autograde.errors import Explained
from autograde.lock import Limits
from autograde.question import Question, questions, require_root
from autograde.release import make_release
from autograde.submission import grade_id

MARKER = ".made-by-autograde-demo"
CONFIG = """\
from autograde import configure

c = get_config()
configure(c)
c.CourseDirectory.course_id = "demo"
"""

# Ways to end badly, each in the body of the learner's function.
HOSTILE = {
    "hugo_hangs": "while True:\n    pass",
    "mia_memory": "import numpy as np\nreturn np.ones(8 * 2**30, dtype=np.uint8)",
    "pia_prints": "while True:\n    print('still running ' * 10)",
    "egon_exits": "import os\nos._exit(0)",
    "fritz_forks": "import os\nwhile True:\n    os.fork()",
    "rita_reads": "return open({source!r}).read()",
}

# A notebook that is wrong, and tries to be graded as right.
CHEAT = """
import sys, unittest, numpy, IPython
for name in dir(numpy.testing):
    if name.startswith("assert"):
        setattr(numpy.testing, name, lambda *a, **k: None)
IPython.core.interactiveshell.InteractiveShell.run_code = lambda *a, **k: False
try:
    exec("".join(open({source!r}).read()))
except Exception as error:
    print("no luck:", type(error).__name__)

class Equal(float):
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    __hash__ = float.__hash__
    def __sub__(self, other): return 0.0
    __rsub__ = __sub__

def {function}(*args, **kwargs):
    return Equal()
"""


class DemoError(Explained):
    """The folder is not the demo's, or a step of it failed."""


def run(folder: Path, limits: Limits | None = None) -> int:
    """Build the class in a folder, grade it, print the class table, write the feedback.

    Args:
        folder: made anew; one that the demo did not make is left alone.
        limits: what each submission may use.

    Raises:
        DemoError: the folder is there and is not the demo's.
    """
    began = time.monotonic()
    root = require_root()
    question = questions(root)[0]
    _say(f"1  release: {question.topic}/{question.slug}")
    make_release(root, [question.topic])
    _empty(folder)
    students = _hand_in(question, folder)
    _say(f"2  a class of {students} in {folder}/submitted: right, wrong, hostile and broken")
    limits = limits or Limits()
    _say(f"3  grading in the sandbox, into nbgrader's gradebook (a hang is given {limits.budget_s:.3g} s)")
    graded = grade_class(folder / "submitted", limits=limits)
    print(report.class_table(graded.rows[question]), flush=True)  # noqa: T201
    for note in graded.notes:
        _say(f"note: {note}")
    _say("4  feedback and grades, by nbgrader's own commands")
    _nbgrader(folder, "generate_feedback", question.topic)
    _nbgrader(folder, "export")
    page = folder / "feedback" / "nina_no_idea" / question.topic / f"{question.slug}.html"
    pages = sorted((folder / "feedback").rglob("*.html"))
    _say(f"   {len(pages)} pages, such as {page if page.exists() else pages[0]}")
    _say(f"   {folder / 'grades.csv'}")
    _say(f"done in {time.monotonic() - began:.0f} s. Next: cd {folder} && autograde grade --why ada")
    return int(graded.troubled)


def _hand_in(question: Question, folder: Path) -> int:
    count = 0
    for student, data in _class(question):
        home = folder / "submitted" / student / question.topic
        home.mkdir(parents=True)
        if data is not None:
            (home / f"{question.slug}.ipynb").write_bytes(data)
        else:
            (home / "notes.txt").write_text("my notebook is on my other computer\n", encoding="utf-8")
        stamp = datetime(2026, 1, 12, 9, count, tzinfo=UTC)
        (home / "timestamp.txt").write_text(f"{stamp:%Y-%m-%d %H:%M:%S} UTC\n", encoding="ascii")
        count += 1
    return count


def _class(question: Question) -> Iterator[tuple[str, bytes | None]]:
    """Students and what they hand in; None for a folder without the notebook."""
    yield "ada", mistakes.solved_bytes(question)
    for name, change in zip(("bela", "carl", "dora"), mistakes.variants(question), strict=False):
        yield name, mistakes.solved_bytes(question, change)
    for name, change in zip(
        ("emil", "fay", "gus", "hana", "ida"), mistakes.mistakes(question)[::3], strict=False
    ):
        yield name, mistakes.solved_bytes(question, change)
    yield "emma_as_emil", mistakes.solved_bytes(question, mistakes.mistakes(question)[0])
    yield "nina_no_idea", question.release.read_bytes()
    name, function = _first_function(question)
    for student, body in HOSTILE.items():
        code = body.format(source=str(question.source)) if "{source" in body else body
        lines = "\n".join(f"    {line}" for line in code.splitlines())
        yield student, _with_cell(question, name, f"def {function}(*args, **kwargs):\n{lines}\n")
    yield "chad_cheats", _cheat(question, name, function)
    yield "sara_syntax", _with_cell(question, name, f"def {function}(:\n    return\n")
    yield "bert_broken", mistakes.solved_bytes(question)[:700]
    yield "max_missing", None


def _cheat(question: Question, name: str, function: str) -> bytes:
    code = dedent(CHEAT).format(source=str(question.source), function=function)
    notebook = json.loads(_with_cell(question, name, code))
    for cell in notebook["cells"]:
        if grade_id(cell).startswith("check"):
            cell["metadata"]["tags"] = ["skip-execution"]
            cell["metadata"]["nbgrader"]["points"] = 1000
    return json.dumps(notebook).encode()


def _with_cell(question: Question, name: str, source: str) -> bytes:
    notebook = mistakes.solved(question)
    for cell in notebook["cells"]:
        if grade_id(cell) == name:
            cell["source"] = source
    return json.dumps(notebook).encode()


def _first_function(question: Question) -> tuple[str, str]:
    """The first solution cell and the first function it defines."""
    for cell in question.source_notebook["cells"]:
        about: dict[str, Any] = cell["metadata"].get("nbgrader", {})
        found = re.search(r"^def (\w+)", "".join(cell["source"]), re.MULTILINE)
        if about.get("solution") and found:
            return about["grade_id"], found.group(1)
    raise DemoError(f"{question.source} defines no function in a solution cell")


def _empty(folder: Path) -> None:
    if folder.exists() and not (folder / MARKER).is_file() and any(folder.iterdir()):
        raise DemoError(f"{folder} is there and was not made by the demo: name another folder")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / MARKER).touch()
    (folder / "nbgrader_config.py").write_text(CONFIG, encoding="utf-8")


def _nbgrader(folder: Path, *arguments: str) -> None:
    done = subprocess.run(  # noqa: S603  our own interpreter
        [sys.executable, "-m", "nbgrader", *arguments], cwd=folder, capture_output=True, text=True
    )
    if done.returncode:
        raise DemoError(f"nbgrader {' '.join(arguments)} failed:\n{done.stderr[-2000:]}")


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201
