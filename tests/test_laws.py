"""The laws: a clean course breaks none, and every planted violation is caught by number, place and advice."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import classroom
import pytest
import two_tasks
from classroom import cell_of_json, write_source
from tiny_course import TOPIC

from autograde.cli import main
from autograde.errors import GraderError
from autograde.grading import Grader
from autograde.laws import Violation, behaviour, examine_all, files, notebooks, pretence, prove
from autograde.question import SYLLABUS, Question, find, questions
from autograde.release import make_release
from autograde.student import Remote


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete course that breaks no law."""
    return classroom.complete(tmp_path_factory.mktemp("clean") / "course")


@pytest.fixture
def root(clean: Path, tmp_path: Path) -> Path:
    """A copy of the course to plant something in."""
    return classroom.copied(clean, tmp_path / "course")


@pytest.fixture
def question(root: Path) -> Question:
    """A question of that copy."""
    return find("double_it", root)


def edit(path: Path, old: str, new: str) -> None:
    """Replace a text that is there in a file."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def change(path: Path, do: Callable[[dict[str, Any]], object]) -> None:
    """Change a notebook on the disk."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    do(notebook)
    path.write_text(json.dumps(notebook, indent=1) + "\n", encoding="utf-8")


def only(found: Iterable[Violation], law: int) -> Violation:
    """The one violation there is, and of which law."""
    (violation,) = found
    assert violation.law == law, violation
    return violation


def says(violation: Violation, where: str, what: str, do: str) -> bool:
    """Whether a violation has these words at its place, its finding and its advice."""
    assert where in violation.where
    assert what in violation.what
    assert do in violation.do
    return True


def planted(root: Path, file: str, text: str) -> Question:
    """The question with this text added to its mistakes, variants or tests."""
    question = find("double_it", root)
    with (question.folder / file).open("a", encoding="utf-8") as out:
        out.write(text)
    return question


# --- a clean course ---


def test_command_says_that_every_law_holds(
    clean: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """`autograde laws` ends with 0 and says so, a line for each question, whatever it is proven beside."""
    monkeypatch.chdir(clean)
    monkeypatch.delenv("AUTOGRADE_COURSE", raising=False)
    with pytest.raises(SystemExit) as ended:
        main(["laws", "--jobs", "2"])
    said = capsys.readouterr().out.splitlines()
    assert ended.value.code == 0
    assert [line.partition(",")[0] for line in said] == [
        "✓ files  (0 of 2 questions",
        "✓ double_it  (1 of 2 questions",
        "✓ add_up  (2 of 2 questions",
        "every law holds",
    ]
    assert said[2].endswith("ETA 0 s)")


def test_command_names_what_is_broken(root: Path) -> None:
    """A broken law is said with its number, place and advice, and the exit code is 1."""
    (root / "source" / TOPIC / "stray.txt").write_text("x", encoding="utf-8")
    said: list[str] = []
    assert examine_all(root, ["add_up"], say=said.append) == 1
    assert said[-1] == "1 violation"
    assert "✗ files" in said[0]
    assert said[1].startswith(f"    law 1  source/{TOPIC}/stray.txt: belongs to no question")
    assert "or delete the file" in said[1]


def test_file_that_can_not_be_read_is_named(question: Question, grader: Grader) -> None:
    """A question whose own files are damaged is named."""
    question.mistakes.write_text("[torn", encoding="utf-8")
    violation = only(prove(question, grader), 0)
    assert says(violation, "double_it", "mistakes.toml", "mend the file")
    assert str(violation).lstrip().startswith("error  double_it")


def test_rewrite_that_fits_nothing_is_named(question: Question, grader: Grader) -> None:
    """rewrites.toml may be there, and an entry that fits no variant is named."""
    question.rewrites.write_text('[adds_two]\nlost = [["a", "b"]]\n', encoding="utf-8")
    assert not list(files.names(question.root))
    violation = only(prove(question, grader), 0)
    assert says(violation, "double_it", "rewrites.toml: [adds_two] lost", "mend the file")


def test_process_that_dies_is_told(root: Path) -> None:
    """Where the proof of a question ends its process, the command says so and what to do."""
    edit(find("double_it", root).tests, "import pytest", "import os\nimport pytest\n\nos._exit(9)")
    with pytest.raises(GraderError, match="a process was killed"):
        examine_all(root, [], jobs=2, say=lambda _: None)


# --- law 1: names ---


def test_law_1_file_that_a_cell_writes(root: Path, question: Question) -> None:
    """What a notebook's own cell writes beside it when it is run is no unexpected file; another is."""
    change(question.source, lambda n: cell_of_json(n, "setup").update(source="%%writefile kernel.py\nx = 1"))
    for name in ("kernel.py", "other.py"):
        question.solution.with_name(name).touch()
    assert says(
        only(files.names(root), 1), "solutions/warmup/other.py", "belongs to no question", "list its slug"
    )


@pytest.mark.parametrize(
    "name",
    [
        "source/warmup/stray.ipynb",
        "release/other/double_it.ipynb",
        "solutions/warmup/notes.md",
        "autograde/questions/warmup/double_it/helper.py",
    ],
)
def test_law_1_unexpected_file(root: Path, name: str) -> None:
    """A file that belongs to no question is named."""
    (root / name).parent.mkdir(exist_ok=True)
    (root / name).write_text("{}", encoding="utf-8")
    assert says(only(files.names(root), 1), name, "belongs to no question", "list its slug")


def test_law_1_expected_extras(question: Question) -> None:
    """An apparatus, data files and caches of tools have their place."""
    question.apparatus.write_text("x = 1\n", encoding="utf-8")
    for folder in (
        question.data,
        question.folder / "__pycache__",
        question.source.parent / ".ipynb_checkpoints",
    ):
        folder.mkdir(exist_ok=True)
        (folder / "file").write_text("x", encoding="utf-8")
    assert list(files.names(question.root)) == []


@pytest.mark.parametrize(
    ("tree", "do"),
    [("source", "write it"), ("release", "autograde release"), ("solutions", "autograde solutions")],
)
def test_law_1_missing_notebook(root: Path, tree: str, do: str) -> None:
    """A question without its notebook in a tree is named, with the way to make it."""
    (root / tree / TOPIC / "add_up.ipynb").unlink()
    assert says(only(files.names(root), 1), f"{tree}/{TOPIC}/add_up.ipynb", "is missing", do)


@pytest.mark.parametrize("name", ["test_add_up.py", "mistakes.toml", "variants.toml"])
def test_law_1_missing_hidden_file(root: Path, name: str) -> None:
    """A question without one of its hidden files is named."""
    (find("add_up", root).folder / name).unlink()
    assert says(only(files.names(root), 1), f"add_up/{name}", "is missing", "out of the syllabus")


@pytest.mark.parametrize("slug", ["add-up", "a" * 33, "2nd"])
def test_law_1_bad_slug(root: Path, slug: str) -> None:
    """A slug that is no identifier, or too long, is named."""
    edit(root / SYLLABUS, "questions.add_up]", f"questions.{slug}]")
    found = [v for v in files.names(root) if "identifier" in v.what]
    assert says(only(found, 1), f"syllabus.toml: {slug}", "at most 32 characters", "rename it")


def test_law_1_slug_listed_twice(root: Path) -> None:
    """A slug in two topics is named in both."""
    with (root / SYLLABUS).open("a", encoding="utf-8") as file:
        file.write(
            '[other]\ntitle = "O"\n[other.questions.add_up]\ntitle = "A"\ndifficulty = 1\nminutes = 5\n'
        )
    found = [v for v in files.names(root) if "more than once" in v.what]
    assert [v.law for v in found] == [1, 1]
    assert says(found[0], "syllabus.toml: add_up", "listed more than once", "rename one")


# --- laws 2, 3, 4 and 8: behaviour ---


def test_law_2_wrong_reference(root: Path, grader: Grader) -> None:
    """A reference solution that loses a point is named with the test and what it said."""
    write_source(
        root / "source" / TOPIC / "add_up.ipynb", "add_up",
        "def add_up(xs):\n    ### BEGIN SOLUTION\n    return 1 + sum(xs)\n    ### END SOLUTION\n",
    )  # fmt: skip
    found = [v for v in behaviour.examine(find("add_up", root), grader) if v.law == 2]
    violation = only(found, 2)
    assert says(violation, "add_up: the reference", "does not pass test_sum (failed)", "mend the test if")
    assert "the sum came out wrong" in violation.what


def test_law_2_test_that_is_broken_itself(root: Path, grader: Grader) -> None:
    """Of a test that breaks on the reference nothing else is said: all the rest follows from it."""
    edit(find("add_up", root).tests, "def test_sum(student)", "def test_sum(student, closer)")
    violation = only(behaviour.examine(find("add_up", root), grader), 2)
    assert violation.what == "does not pass test_sum (broken): there is no fixture 'closer'"
    assert violation.do == "mend the test"


def test_inputs_of_another_course(root: Path, grader: Grader) -> None:
    """The laws can be proven under the seed of any course: the tests then draw other inputs."""
    question = planted(
        root,
        "test_double_it.py",
        '''

@pytest.mark.points(1)
def test_drawn(student, rng):
    """says what it drew"""
    assert False, f"drew {rng.integers(10**9)}"
''',
    )
    first, again, other = (only(behaviour.examine(question, grader, seed), 2).what for seed in (0, 0, 1))
    assert "drew" in first
    assert (first == again, first == other) == (True, False)


def test_law_2_variant_that_can_not_run(root: Path, grader: Grader) -> None:
    """What a variant loses for one reason is said once, with the names of the tests."""
    question = planted(root, "variants.toml", '[torn]\ncell = "double_it"\nwhole = "def double_it(x)"\n')
    violation = only(behaviour.examine(question, grader), 2)
    assert says(
        violation, "the variant [torn]", "pass test_small, test_negative, test_large (error)", "else the code"
    )
    assert "the cell 'double_it' raised SyntaxError" in violation.what


def test_law_2_wrong_variant(root: Path, grader: Grader) -> None:
    """A variant that loses a point is named."""
    question = planted(
        root, "variants.toml", '[slow]\ncell = "double_it"\nold = "2 * x"\nnew = "2 * abs(x)"\n'
    )
    violation = only(behaviour.examine(question, grader), 2)
    assert says(violation, "double_it: the variant [slow]", "does not pass test_negative", "mend the test if")


def test_law_3_test_that_checks_no_value(root: Path, grader: Grader) -> None:
    """A test that any answer passes is named once for each pretence, the stub among them where it can."""
    question = planted(
        root, "test_double_it.py",
        '\n\n@pytest.mark.points(1)\ndef test_loose(student):\n    """answers at all"""\n    student.double_it(2)\n',
    )  # fmt: skip
    found = [v for v in behaviour.examine(question, grader) if v.law == 3]
    assert {v.what for v in found} == {f"is passed by {name}" for name in pretence.ANSWERS}
    assert says(found[0], "double_it: test_loose", "is passed by", "make the test check values too")


def test_law_3_zeros_of_texts_and_objects() -> None:
    """The pretence of zeros keeps neither a text nor an object that the reference gave."""
    answer = ("text", [Remote(None, ["h", 1, "Node", False, []], "node"), 2.5])  # type: ignore[arg-type]
    assert pretence.ANSWERS["answers of zeros"](answer, ()) == ("", [None, 0.0])


def test_law_3_attributes_and_constants_are_answers(root: Path, grader: Grader) -> None:
    """A test that reads what the learner's names and objects hold checks values, as one that calls does."""
    code = "class double_it:\n    def __new__(cls, x):\n        return 2 * x\n    table = (2, 4)\n"
    write_source(
        root / "source" / TOPIC / "double_it.ipynb", "double_it",
        f"### BEGIN SOLUTION\n{code}### END SOLUTION\n",
    )  # fmt: skip
    question = planted(
        root, "test_double_it.py",
        '\n\n@pytest.mark.points(1)\ndef test_table(student):\n    """has a table"""\n'
        "    assert student.double_it.table == (2, 4)\n",
    )  # fmt: skip
    assert [v for v in behaviour.examine(question, grader) if v.law == 3] == []


def test_law_3_stub_that_earns(root: Path, grader: Grader) -> None:
    """A test of an error alone, which the released stub passes too, is named."""
    question = planted(
        root, "test_double_it.py",
        '\n\n@pytest.mark.points(1)\ndef test_none(student, raises):\n    """needs an argument"""\n'
        "    with raises(TypeError):\n        student.double_it()\n",
    )  # fmt: skip
    found = [v for v in behaviour.examine(question, grader) if v.law == 3]
    assert says(found[0], "double_it: test_none", "is passed by the released stub", "check values")
    assert {v.where for v in found} == {"double_it: test_none"}


def test_law_3_test_that_breaks(root: Path, grader: Grader) -> None:
    """A test that breaks on an answer of another type is named."""
    edit(
        find("add_up", root).tests,
        "    assert student",
        "    len(str(3 + student.add_up([1])))\n    assert student",
    )
    found = [v for v in behaviour.examine(find("add_up", root), grader) if v.law == 3]
    on = {v.what.partition(": ")[0].removeprefix("breaks on ") for v in found}
    assert on == set(pretence.ANSWERS) - {"answers of zeros"}
    assert says(found[0], "add_up: test_sum", "TypeError in the test: unsupported", "check its type")


GRADIENT = """

@pytest.mark.points(1)
def test_gradient(student, backward, close):
    \"\"\"has the right slope\"\"\"
    x = torch.tensor([1.0, 2.0])
    output, grads, _ = backward(student.double_it, x, cotangent=torch.ones(2), wrt=(0,))
    close(output, 2 * x)
    close(student.double_it(-1), -2)
    {check}
"""


@pytest.mark.parametrize(
    ("check", "passed"),
    [
        ("close(grads[0], 2 * torch.ones(2))", set()),
        ("close(torch.isfinite(grads[0]), torch.tensor([True, True]))", {"zeros", "echo"}),
        ("assert len(grads) == 1", {"zeros", "echo", "None"}),
    ],
)
def test_law_3_gradient_that_is_not_compared(
    root: Path, grader: Grader, check: str, passed: set[str]
) -> None:
    """A test of gradients that any gradient passes is named, though it compares the outputs."""
    question = planted(root, "test_double_it.py", GRADIENT.format(check=check))
    edit(question.tests, "import pytest", "import pytest\nimport torch")
    found = [v for v in behaviour.examine(question, grader) if v.law == 3 and "is passed" in v.what]
    assert {name for v in found for name in ("zeros", "echo", "None") if name in v.what} == passed
    for violation in found:
        assert says(violation, "double_it: test_gradient", "gradients", "compare the gradients with `close`")


def test_law_3_gradient_that_is_used_unseen(root: Path, grader: Grader) -> None:
    """A test that computes with a gradient, and so breaks where none arrives, is named."""
    check = "close(grads[0] / 2, torch.ones(2))"
    question = planted(root, "test_double_it.py", GRADIENT.format(check=check))
    edit(question.tests, "import pytest", "import pytest\nimport torch")
    found = [v for v in behaviour.examine(question, grader) if v.law == 3]
    assert says(only(found, 3), "double_it: test_gradient", "breaks on gradients of None", "use `close`")


def test_law_4_mistake_that_costs_nothing(root: Path, grader: Grader) -> None:
    """A mistake that no test catches is a hole in the tests."""
    question = planted(
        root,
        "mistakes.toml",
        '[at_zero]\ncell = "double_it"\nold = "2 * x"\nnew = "2 * x if x else 1"\nsays = "a"\n',
    )
    violation = only(behaviour.examine(question, grader), 4)
    assert says(violation, "double_it: [at_zero]", "loses no point", "write the test that it must fail")


def test_law_4_mistake_that_never_ends(root: Path, grader: Grader) -> None:
    """A mistake that the room has to stop is named, once and with where it hangs."""
    question = planted(
        root,
        "mistakes.toml",
        '[endless]\ncell = "double_it"\nold = "return 2 * x"\nnew = "while x: pass"\nsays = "a"\n',
    )
    violation = only(behaviour.examine(question, grader), 4)
    assert says(violation, "double_it: [endless]", "ran longer than 2 s in double_it", "let it end by itself")


@pytest.mark.parametrize(
    ("how", "order", "name", "told"),
    [('new = "x + 2"', 1, "again", "adds_two"), ('new = "x + 3"\nby = "message"', -1, "adds_two", "again")],
)
def test_law_4_mistake_that_is_told_as_another(
    root: Path, grader: Grader, how: str, order: int, name: str, told: str
) -> None:
    """A mistake that another one is taken for, by its answers or by what its tests say, is named with that one."""
    question = find("double_it", root)
    tables = [
        question.mistakes.read_text(encoding="utf-8"),
        f'[again]\ncell = "double_it"\nold = "2 * x"\n{how}\nsays = "a"\n',
    ]
    question.mistakes.write_text("".join(tables[::order]), encoding="utf-8")
    violation = only(behaviour.examine(question, grader), 4)
    assert says(
        violation, f"double_it: [{name}]", f"is told as [{told}]", "an input first that tells them apart"
    )


def test_law_4_mistake_that_is_no_python(root: Path, grader: Grader) -> None:
    """A mistake whose cell does not parse loses its points for that alone, and is named."""
    question = planted(
        root, "mistakes.toml", '[typo]\ncell = "double_it"\nold = "2 * x"\nnew = "2 *"\nsays = "a"\n'
    )
    violation = only(behaviour.examine(question, grader), 4)
    assert says(violation, "double_it: [typo]", "is no Python: invalid syntax", "mend its texts")


def test_law_4_test_that_nothing_fails(root: Path, grader: Grader) -> None:
    """A hidden test that no mistake fails is named."""
    question = planted(
        root, "test_double_it.py",
        '\n\n@pytest.mark.points(1)\ndef test_two(student):\n    """doubles two"""\n'
        "    assert student.double_it(2) == 4\n",
    )  # fmt: skip
    violation = only(behaviour.examine(question, grader), 4)
    assert says(
        violation, "double_it: test_two", "is failed by no mistake", "add the mistake it is there for"
    )


def test_law_4_mistake_that_breaks_a_test(root: Path, grader: Grader) -> None:
    """A mistake on which a hidden test breaks, in place of failing, is named."""
    question = planted(
        root,
        "mistakes.toml",
        '[silent]\ncell = "double_it"\nold = "return 2 * x"\nnew = "pass"\nsays = "a"\n',
    )
    edit(question.tests, "    assert student.double_it(4) == 8", "    assert student.double_it(4) + 0 == 8")
    found = [v for v in behaviour.examine(question, grader) if v.law == 4]
    violation = only(found, 4)
    assert says(violation, "double_it: [silent]", "breaks test_small: TypeError in the test", "mend the test")


def test_law_8_program_that_knows_where_it_is(root: Path, grader: Grader) -> None:
    """A variant that is right in the room and wrong in check() is named, test by test."""
    code = (
        f"try:\n    open({str(root / SYLLABUS)!r}).close()\n    here = True\nexcept OSError:\n    here = False\n"
        "def double_it(x):\n    return 0 if here else 2 * x\n"
    )
    question = planted(root, "variants.toml", f'[spy]\ncell = "double_it"\nwhole = """\n{code}"""\n')
    found = behaviour.examine(question, grader)
    assert {v.law for v in found} == {8}
    assert len([v for v in found if "says" in v.what]) == 3
    assert says(
        found[0], "double_it: the variant [spy]", "test_small says failed in check() and passed in the room",
        "find what differs",
    )  # fmt: skip


def test_law_8_mistake_that_reaches_further(
    tmp_path: Path, grader: Grader, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mistake that spoils another cell's work by a setting, and not by a name, is named with the test it spoils."""
    monkeypatch.setenv("SCALE", "1")  # what the mistake sets in this process is gone afterwards
    question = find(two_tasks.SLUG, two_tasks.course(tmp_path))
    scaled = two_tasks.SPREAD.replace(
        "    return (", "    import os\n    return float(os.environ.get('SCALE', 1)) * ("
    )
    write_source(question.source, "spread", scaled)
    whole = "import os\\nos.environ['SCALE'] = '2'\\ndef mean(xs):\\n    return sum(xs)\\n"
    setting = f'[setting]\ncell = "mean"\nwhole = "{whole}"\nsays = "You set a scale. Who else reads it?"\n'
    question.mistakes.write_text(setting + question.mistakes.read_text(encoding="utf-8"), encoding="utf-8")
    found = [v for v in behaviour.examine(question, grader) if "rests on the cell" in v.what]
    assert says(
        only(found, 8), "mean_and_spread: [setting]", "test_spread says failed, and takes no name", "no settings"
    )  # fmt: skip


# --- laws 5 and 6: fresh, closed, summed up ---


def test_law_5_stale_release(root: Path) -> None:
    """A source that was edited since the release was made is named in both trees."""
    write_source(root / "source" / TOPIC / "add_up.ipynb", "title", "# Other words")
    found = list(files.freshness(root, questions(root)))
    assert [v.law for v in found] == [5, 5]
    assert says(
        found[0], f"release/{TOPIC}/add_up.ipynb", "is not what source/ gives", "run `autograde release`"
    )
    assert says(
        found[1], f"solutions/{TOPIC}/add_up.ipynb", "is not what source/ gives", "`autograde solutions`"
    )


def test_law_5_source_that_nbgrader_refuses(root: Path) -> None:
    """A source that gives no release at all is named with nbgrader's reason."""
    write_source(root / "source" / TOPIC / "add_up.ipynb", "add_up", "### BEGIN SOLUTION\nx = 1")
    found = list(files.freshness(root, questions(root)))
    assert found
    assert all(v.law == 5 for v in found)
    assert says(found[0], "release", TOPIC, "mend the source notebook")


@pytest.mark.parametrize(
    "line",
    ["assert student.double_it(-3) == marker_of_the_hidden_test", "marker_of_the_hidden_test = -6"],
)
def test_law_5_hidden_test_in_the_release(question: Question, line: str) -> None:
    """A line of a hidden test that a learner could read is named."""
    edit(
        question.tests,
        'marker_of_the_hidden_test, "a negative number came out wrong"',
        "marker_of_the_hidden_test",
    )
    write_source(question.release, "title", f"# Title\n{line}\n")
    assert says(only(notebooks.secrets(question), 5), "release/warmup/double_it", line, "autograde release")


def test_law_5_solution_in_the_release(question: Question) -> None:
    """A line of the solution that a learner could read is named."""
    line = "return sum([x, x]) + 0 * 12345"
    write_source(
        question.source,
        "double_it",
        f"def double_it(x):\n    ### BEGIN SOLUTION\n    {line}\n    ### END SOLUTION\n",
    )
    write_source(question.release, "double_it", f"def double_it(x):\n    {line}\n")
    assert says(only(notebooks.secrets(question), 5), "release/warmup/double_it", line, "autograde release")


@pytest.mark.parametrize("marker", ["### BEGIN SOLUTION", "### BEGIN HIDDEN TESTS"])
def test_law_5_marker_in_the_release(question: Question, marker: str) -> None:
    """A marker that was left in a release is named."""
    write_source(question.release, "double_it", f"{marker}\npass\n")
    found = [v for v in notebooks.secrets(question) if "marker" in v.what]
    assert says(only(found, 5), "release/warmup/double_it", marker.removeprefix("### "), "close the region")


def test_law_5_answer_in_the_release(question: Question) -> None:
    """An answer cell in a release is named by its id."""
    answer = {
        "cell_type": "markdown",
        "id": "answer-1",
        "metadata": {"tags": ["answer"]},
        "source": "It is so.",
    }
    change(question.release, lambda notebook: notebook["cells"].append(answer))
    assert says(
        only(notebooks.secrets(question), 5), "release/", "the answer cell 'answer-1'", "autograde release"
    )


@pytest.mark.parametrize(
    ("do", "what"),
    [
        (lambda n: n["metadata"]["language_info"].update(version="3.11"), "names the version of Python"),
        (lambda n: n["cells"][1]["metadata"].update(execution={}), "records timing in cell 'setup'"),
        (
            lambda n: n["cells"][1].update(
                outputs=[{"output_type": "error", "ename": "KeyError", "evalue": "", "traceback": []}]
            ),
            "cell 'setup' raised KeyError",
        ),
        (
            lambda n: n["cells"][1].update(
                outputs=[{"output_type": "stream", "name": "stdout", "text": ["x\n", "<Line2D at 0x7f1a2b>"]}]
            ),
            "cell 'setup' shows a memory address (0x7f1a2b)",
        ),
        (
            lambda n: n["cells"][1].update(
                outputs=[
                    {
                        "output_type": "execute_result",
                        "execution_count": 1,
                        "metadata": {},
                        "data": {"application/json": {"a": 1}, "text/plain": "<function f at 0x7F00>"},
                    }
                ]
            ),
            "cell 'setup' shows a memory address (0x7F00)",
        ),
    ],
)
def test_law_5_noise_in_the_solution(
    question: Question, do: Callable[[dict[str, Any]], object], what: str
) -> None:
    """A version, a timing, an error or the address of an object in a solution is named."""
    change(question.solution, do)
    violation = only(notebooks.secrets(question), 5)
    assert says(violation, "solutions/warmup/double_it.ipynb", what, "")
    assert violation.do


@pytest.mark.parametrize(("cell", "points"), [("check", 6), ("check_extra", 3)])
def test_law_6_points_that_do_not_add_up(question: Question, grader: Grader, cell: str, points: int) -> None:
    """A check cell that is worth something else than its hidden tests is named with both sums."""
    change(
        question.source, lambda n: cell_of_json(n, cell)["metadata"]["nbgrader"].update(points=points)
    )  # fmt: skip
    violation = only(notebooks.points(question, grader.tests(question)), 6)
    worth = {"check": 5, "check_extra": 4}[cell]
    assert says(
        violation, f"double_it: cell '{cell}'", f"is worth {points}, its hidden tests {worth}", "the sum"
    )


def test_law_6_part_without_a_cell(root: Path, grader: Grader) -> None:
    """Tests of a part that no cell stands for are named."""
    question = planted(
        root, "test_double_it.py",
        '\n\n@pytest.mark.points(1)\n@pytest.mark.part("cuda")\ndef test_gpu(student):\n    """on a GPU"""\n',
    )  # fmt: skip
    violation = only(notebooks.points(question, grader.tests(question)), 6)
    assert says(violation, "double_it: cell 'check_cuda'", "is worth 0, its hidden tests 1", "`part`")


# --- law 7: what learners read ---


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("[next](../warmup/triple_it.ipynb)", "links to '../warmup/triple_it.ipynb'"),
        ("[next](triple_it.ipynb)", "links to 'triple_it.ipynb'"),
        ("<a href='nowhere.html'>x</a>", "links to 'nowhere.html'"),
        ("![picture](https://example.org/a.png)", "shows something from the network"),
        ('<img src="http://example.org/a.png">', "shows something from the network"),
        ("```python\nx = 1", "leaves a code fence open"),
        ("costs $5", "leaves a formula open ($)"),
        ("$$x = 1", "leaves a formula open ($$)"),
        ("<details>more", "leaves <details> open"),
        ("<b>bold", "leaves <b> open"),
    ],
)
def test_law_7_text_that_does_not_render(question: Question, text: str, what: str) -> None:
    """A dead link, open markup or a picture from the network is named with its cell."""
    write_source(question.source, "title", text)
    violation = only(notebooks.rendering(question), 7)
    assert says(violation, "source/warmup/double_it.ipynb, cell 'title'", what, "")
    assert violation.do


@pytest.mark.parametrize(
    "text",
    [
        "[next](add_up.ipynb), [again](../warmup/add_up.ipynb), [paper](https://arxiv.org/abs/1)",
        "It costs \\$5, and `$HOME` is a variable.\n\n```sh\necho $HOME\n```",
        "$$x = 1$$ and $y$ <details><summary>more</summary>\n\n<b>x</b></details>",
    ],
)
def test_law_7_text_that_renders(question: Question, text: str) -> None:
    """Links to questions, papers, code with dollars and closed markup are fine."""
    write_source(question.source, "title", text)
    assert list(notebooks.rendering(question)) == []


@pytest.mark.parametrize(
    "code", ["import urllib.request", "!pip install einops", "!wget x", "data = 'https://example.org/data'"]
)
def test_law_7_code_that_needs_the_network(question: Question, code: str) -> None:
    """A code cell that fetches something is named."""
    write_source(question.source, "try_double_it", code)
    assert says(only(notebooks.rendering(question), 7), "cell 'try'", "needs the network", "make the data")


def test_release_made_again_is_fresh(root: Path) -> None:
    """Following the advice of law 5 cures it."""
    write_source(root / "source" / TOPIC / "add_up.ipynb", "title", "# Other words")
    make_release(root)
    shutil.rmtree(root / "solutions")
    classroom.Course(root).solve(TOPIC, execute=False)
    assert list(files.freshness(root, questions(root))) == []
