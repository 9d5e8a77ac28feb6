"""check() in a learner's own notebook: the card, the line raised, and nothing of the learner's disturbed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any

import classroom
import pytest
from classroom import solved
from tiny_course import TOPIC, released, write

# Runs cells in one real IPython shell, and reports what each showed, printed and raised.
SHELL = """
import json, os, sys, traceback
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

shell = InteractiveShell.instance()
told = {}
for name, execution, cells in json.load(sys.stdin):
    os.environ.pop("NBGRADER_EXECUTION", None)
    if execution:
        os.environ["NBGRADER_EXECUTION"] = execution
    shell.reset(new_session=False)
    for cell in cells[:-1]:
        assert shell.run_cell(cell, silent=True).success, (name, cell)
    with capture_output() as captured:
        done = shell.run_cell(cells[-1])
    error = done.error_in_exec or done.error_before_exec
    told[name] = {
        "data": [dict(output.data) for output in captured.outputs],
        "printed": captured.stdout if error is None else "",
        "error": None if error is None else type(error).__name__,
        "says": None if error is None else str(error),
        "lines": [] if error is None else ["".join(traceback.format_exception_only(error))],
        "shown": captured.stdout,
        "value": shell.user_ns.get("value"),
    }
sys.__stdout__.write(json.dumps(told))
"""
SETUP = "from autograde import check"
RIGHT = "def double_it(x):\n    return 2 * x"
CHECK = 'check("double_it")'
STATE = """
    import random, numpy as np, torch
    random.seed(1); np.random.seed(2); torch.manual_seed(3)
    torch.set_default_dtype(torch.float64); torch.set_grad_enabled(False)
    def state():
        return (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist(),
                torch.get_default_dtype(), torch.is_grad_enabled())
    before = state()
"""
# What a learner's function may do to the process that it is tested in.
RUDE = """
    def double_it(x):
        random.seed(9); np.random.seed(9); torch.manual_seed(9)
        torch.set_default_dtype(torch.float32); torch.set_grad_enabled(True)
        print("noise"); sys.stderr.write("noise")
        return 2 + x
"""
SCENES: dict[str, tuple[str, list[str]]] = {
    "right": ("", [SETUP, RIGHT, CHECK]),
    "wrong": ("", [SETUP, classroom.WRONG, CHECK]),
    "half": ("", [SETUP, classroom.HALF, CHECK]),
    "nothing": ("", [SETUP, CHECK]),
    "raises": ("", [SETUP, "def double_it(x):\n    raise KeyError('my own words')", CHECK]),
    "part": ("", [SETUP, classroom.HALF, 'check("double_it", part="extra")']),
    "no such part": ("", [SETUP, RIGHT, 'check("double_it", part="cuda")']),
    "only": ("", [SETUP, classroom.HALF, 'check("double_it", only="test_small")']),
    "only wrong": ("", [SETUP, classroom.HALF, 'check("double_it", only="test_negative")']),
    "no such test": ("", [SETUP, RIGHT, 'check("double_it", only="test_smal")']),
    "wrong slug": ("", [SETUP, RIGHT, 'check("doubel_it")']),
    "validate right": ("validate", [SETUP, RIGHT, CHECK]),
    "validate wrong": ("validate", [SETUP, classroom.WRONG, CHECK]),
    "stock right": ("autograde", [SETUP, RIGHT, CHECK]),
    "state": ("", [SETUP, "import sys", dedent(STATE), dedent(RUDE),
                   f"try:\n    {CHECK}\nexcept Exception as error:\n    said = error\nvalue = state() == before"]),
    "interrupt": ("", [SETUP, "def double_it(x):\n    raise KeyboardInterrupt", CHECK]),
    "exit": ("", [SETUP, "def double_it(x):\n    raise SystemExit(3)", CHECK]),
    "after an interrupt": ("", [SETUP, RIGHT, CHECK]),
    "magics": ("", [SETUP, "%precision 3\ndef double_it(x):\n    return 2 * x", CHECK]),
}  # fmt: skip


def shell(
    folder: Path, scenes: dict[str, tuple[str, list[str]]], **environment: str
) -> dict[str, dict[str, Any]]:
    """What each scene showed and raised, all in one IPython process."""
    asked = json.dumps([(name, execution, cells) for name, (execution, cells) in scenes.items()])
    done = subprocess.run(
        [sys.executable, "-c", SHELL],
        cwd=folder,
        env=classroom.environment(IPYTHONDIR=str(folder / ".ipython"), **environment),
        input=asked,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told: dict[str, dict[str, Any]] = json.loads(done.stdout)
    return told


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny course with its release."""
    return classroom.course(tmp_path_factory.mktemp("course") / "course")


@pytest.fixture(scope="module")
def told(course: Path) -> dict[str, dict[str, Any]]:
    """All scenes, in one learner's kernel, in a checkout with graders."""
    return shell(course, SCENES)


def card(scene: dict[str, Any], kind: str = "text/plain") -> str:
    """The one thing that was displayed, as this kind."""
    (data,) = scene["data"]
    return str(data[kind])


def test_right_answer_shows_the_card_and_raises_nothing(told: dict[str, dict[str, Any]]) -> None:
    """All passed: the card is displayed as HTML and as text, and the cell succeeds."""
    assert told["right"]["error"] is None
    for line in ("doubles a small number", "doubles a negative number"):
        assert line in card(told["right"])
        assert line in card(told["right"], "text/html")
    assert told["right"]["printed"] == ""


def test_wrong_answer_raises_one_line(told: dict[str, dict[str, Any]]) -> None:
    """Not all passed: the card is displayed, and one line with the points is raised."""
    assert told["wrong"]["error"] == "NotYet"
    assert "0 of 5 points" in told["wrong"]["says"]
    assert "\n" not in told["wrong"]["says"]
    assert "four doubled came out wrong" in card(told["wrong"])


def test_traceback_shows_no_code_of_ours(told: dict[str, dict[str, Any]]) -> None:
    """What is raised stands alone: the learner sees one line and no frames of the grader."""
    shown = told["wrong"]["shown"] + "".join(told["wrong"]["lines"])
    assert "checking.py" not in shown
    assert "raise card" not in shown


def test_mistake_is_named(told: dict[str, dict[str, Any]]) -> None:
    """A known mistake is named with its advice."""
    assert "You add two." in card(told["wrong"])
    assert "You add two." in card(told["wrong"], "text/html")
    assert "You add two." not in card(told["half"])


def test_partly_right_has_its_points(told: dict[str, dict[str, Any]]) -> None:
    """What was earned is said."""
    assert "3 of 5 points" in told["half"]["says"]


def test_missing_function_is_said(told: dict[str, dict[str, Any]]) -> None:
    """A name that is not there is named."""
    assert told["nothing"]["error"] == "NotYet"
    assert "double_it" in card(told["nothing"])


def test_learners_own_error_is_shown(told: dict[str, dict[str, Any]]) -> None:
    """An exception of the learner's is shown with its own words."""
    assert "my own words" in card(told["raises"])
    assert told["raises"]["error"] == "NotYet"


def test_a_part_has_its_own_card(told: dict[str, dict[str, Any]]) -> None:
    """The check cell of a part shows the tests of that part only."""
    assert told["part"]["error"] is None
    assert "doubles a large number" in card(told["part"])
    assert "doubles a small number" not in card(told["part"])
    assert "doubles a large number" not in card(told["right"])


def test_unknown_part_is_named(told: dict[str, dict[str, Any]]) -> None:
    """A part that the question does not have is an error that names it."""
    assert "double_it has no part 'cuda'" in told["no such part"]["says"]


def test_one_test_alone(told: dict[str, dict[str, Any]]) -> None:
    """`only` runs one test again, and nothing else decides."""
    assert told["only"]["error"] is None
    assert "doubles a small number" in card(told["only"])
    assert "doubles a negative number" not in card(told["only"])
    assert told["only wrong"]["error"] == "NotYet"
    assert "0 of 2 points" in told["only wrong"]["says"]


def test_unknown_test_lists_the_tests(told: dict[str, dict[str, Any]]) -> None:
    """A test that is not there is answered with those that are."""
    assert "no test 'test_smal'" in told["no such test"]["says"]
    assert "test_small, test_negative, test_large" in told["no such test"]["says"]


def test_wrong_slug_suggests_the_near_one(told: dict[str, dict[str, Any]]) -> None:
    """A misspelt slug is answered with the right one."""
    assert told["wrong slug"]["error"] == "QuestionError"
    assert told["wrong slug"]["says"] == "no question 'doubel_it': did you mean 'double_it'?"


def test_validate_shows_the_card_as_traceback(told: dict[str, dict[str, Any]]) -> None:
    """Under Validate nothing is displayed; what is raised carries the whole card."""
    scene = told["validate wrong"]
    assert scene["error"] == "NotYet"
    assert scene["data"] == []
    assert "four doubled came out wrong" in scene["shown"]
    assert "You add two." in scene["shown"]
    assert "checking.py" not in scene["shown"]


def test_validate_lets_a_right_answer_pass(told: dict[str, dict[str, Any]]) -> None:
    """Under Validate a right answer raises and shows nothing."""
    assert told["validate right"]["error"] is None
    assert told["validate right"]["data"] == []


def test_stock_autograde_always_raises(told: dict[str, dict[str, Any]]) -> None:
    """Under stock autograde even a right answer raises, and the message tells the instructor what to do."""
    assert told["stock right"]["error"] == "NotYet"
    assert "from autograde import configure; configure(c)" in told["stock right"]["says"]


def test_state_of_the_process_is_restored(told: dict[str, dict[str, Any]]) -> None:
    """Random numbers, default dtype and grad mode are as before, whatever the learner's function did."""
    assert told["state"]["value"] is True


def test_noise_of_the_learner_is_not_shown(told: dict[str, dict[str, Any]]) -> None:
    """What the learner's function prints while it is tested does not bury the card."""
    assert "noise" not in told["state"]["shown"]
    assert "2 + x" not in told["state"]["shown"]


def test_interrupt_passes_through(told: dict[str, dict[str, Any]]) -> None:
    """A KeyboardInterrupt stops the check, and the next check works."""
    assert told["interrupt"]["error"] == "KeyboardInterrupt"
    assert told["after an interrupt"]["error"] is None


def test_exit_is_the_learners_error(told: dict[str, dict[str, Any]]) -> None:
    """A function that exits fails its tests and does not end the kernel."""
    assert told["exit"]["error"] == "NotYet"
    assert "0 of 5 points" in told["exit"]["says"]


def test_magics_do_no_harm(told: dict[str, dict[str, Any]]) -> None:
    """A notebook that uses magics is checked like any other."""
    assert told["magics"]["error"] is None


# --- where there are no graders ---


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The scenes of a learner who has the package and no questions."""
    folder = tmp_path_factory.mktemp("learner")
    package = Path(__file__).parent.parent / "autograde"
    shutil.copytree(
        package, folder / "lib" / "autograde", ignore=shutil.ignore_patterns("questions", "__pycache__")
    )
    (folder / "work").mkdir()
    names = ("right", "wrong", "validate wrong", "stock right")
    scenes = {name: SCENES[name] for name in names}
    scenes["where"] = ("", ["import autograde", "value = autograde.__file__"])
    found = shell(folder / "work", scenes, PYTHONPATH=str(folder / "lib"))
    assert str(folder) in found["where"]["value"]
    return found


@pytest.mark.parametrize("scene", ["right", "wrong", "validate wrong"])
def test_without_graders_check_passes(installed: dict[str, dict[str, Any]], scene: str) -> None:
    """Without graders check() passes and says when the hidden tests run."""
    assert installed[scene]["error"] is None
    assert "The hidden tests run when you hand in." in installed[scene]["printed"]


def test_without_graders_stock_autograde_still_raises(installed: dict[str, dict[str, Any]]) -> None:
    """Under stock autograde check() raises, graders or not."""
    assert installed["stock right"]["error"] == "NotYet"


# --- the Validate button ---


@pytest.fixture(scope="module")
def validated(course: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What `nbgrader validate` says of a right and a wrong notebook."""
    root = classroom.copied(course, tmp_path_factory.mktemp("validate") / "course")
    (root / "mine").mkdir()
    write(root / "mine" / "right.ipynb", solved(root, "double_it"))
    write(root / "mine" / "wrong.ipynb", solved(root, "double_it", classroom.WRONG))
    done = classroom.command(root, "validate", "mine/right.ipynb", "mine/wrong.ipynb", module="nbgrader")
    assert done.returncode == 0, done.stderr
    right, _, wrong = done.stdout.partition("VALIDATION FAILED")
    return {"right": right, "wrong": wrong}


def test_validate_button_on_a_right_notebook(validated: dict[str, str]) -> None:
    """nbgrader's Validate is content with a right notebook."""
    assert validated["right"].strip() == "Success! Your notebook passes all the tests."


def test_validate_button_on_a_wrong_notebook(validated: dict[str, str]) -> None:
    """nbgrader's Validate shows the card of a wrong notebook: the tests, what failed, the mistake."""
    assert validated["wrong"].startswith(" ON 2 CELL(S)")
    for line in ("doubles a small number", "four doubled came out wrong", "You add two."):
        assert line in validated["wrong"]
    assert "checking.py" not in validated["wrong"]


def test_released_notebook_checks_its_own_question(course: Path) -> None:
    """The check cell of a release names its own question."""
    for slug in ("double_it", "add_up"):
        sources = ["".join(cell["source"]) for cell in released(course, slug)["cells"]]
        assert f'check("{slug}")' in sources
        assert (course / "release" / TOPIC / f"{slug}.ipynb").is_file()


def test_check_reads_in_no_notebook_library() -> None:
    """A learner's first check() does not wait for nbformat, which takes a second and only grading needs."""
    code = "import sys, autograde.checking; sys.exit('nbformat' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
