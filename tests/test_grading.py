"""What a submission earns: tricks earn nothing, accidents cost what they must, mistakes are named."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable

import classroom
import pytest
from checkout import CHECKOUT, SEED

from autograde import mistakes
from autograde.grading import Grader
from autograde.mistakes import Change
from autograde.question import Question, find
from autograde.refusal import Refused
from autograde.room import Broken
from autograde.verdict import Outcome, Result

WithCell = Callable[[str, str], bytes]
Grade = Callable[[str], Result]

RIGHT = """
def softmax(x, axis=-1, temperature=1.0):
    if temperature <= 0:
        raise ValueError("temperature must be positive")
    z = x / temperature
    z = z - z.max(axis=axis, keepdims=True)
    e = np.exp(z)
    return e / e.sum(axis=axis, keepdims=True)
"""
WRONG = """
def softmax(x, axis=-1, temperature=1.0):
    return np.zeros_like(x)
"""
CLOSED = "tried what is closed while grading (files, network, processes, shared memory)"
STUB = "def softmax(x, axis=-1, temperature=1.0):\n    # YOUR CODE HERE\n    raise NotImplementedError()\n"


@pytest.fixture
def grade(grader: Grader, question: Question, with_cell: WithCell) -> Grade:
    """Grades the reference solution with this in place of the cell `softmax`."""
    return lambda source: grader.grade(question, with_cell("softmax", source), SEED)


def outcomes(result: Result) -> dict[str, Outcome]:
    """What each test said."""
    return {verdict.test: verdict.outcome for verdict in result.verdicts}


def of_task(result: Result, task: str) -> float:
    """The points of one task."""
    return sum(verdict.earned for verdict in result.verdicts if verdict.task == task)


def starting(prefix: str, source: str = RIGHT) -> str:
    """A softmax that runs this first in every call."""
    return source.replace("temperature=1.0):\n", f"temperature=1.0):\n    {prefix}\n", 1)


def extended(data: bytes, *sources: str) -> bytes:
    """The notebook with code cells of the learner's own put in front."""
    notebook = json.loads(data)
    notebook["cells"][:0] = [
        {
            "cell_type": "code",
            "id": f"own{n}",
            "metadata": {},
            "outputs": [],
            "execution_count": None,
            "source": source,
        }
        for n, source in enumerate(sources)
    ]
    return json.dumps(notebook).encode()


# --- honest work -------------------------------------------------------------------------------------------


def test_reference(grader, question):
    """The reference solution earns every point, and nothing is said against it."""
    result = grader.grade(question, mistakes.solved_bytes(question), SEED)
    assert (result.score, result.max_score, result.passed) == (10, 10, True)
    assert (result.recognised, result.stops, result.notes, result.signature) == ((), (), (), "")


def test_release(grader, question):
    """The notebook as released earns nothing, and says that nothing is written yet."""
    result = grader.grade(question, question.release.read_bytes(), SEED)
    assert result.score == 0
    assert {verdict.message for verdict in result.verdicts if verdict.task == "softmax"} >= {
        "softmax is not written yet"
    }


@pytest.mark.parametrize(
    "cell",
    [
        "%%time\nx = 1",
        "%matplotlib inline\n!ls",
        "import asyncio\nawait asyncio.sleep(0)",
        "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.show()",
        "import warnings, sys\nwarnings.warn('careful')\nprint('noise', file=sys.stderr)\nnp.log(np.zeros(1))",
        "this is not Python",
        "1 / 0",
        "x = softmax",
        "input('your name? ')",
        "from IPython.display import HTML, display\ndisplay(HTML('<b>bold</b>'))",
        "import os\nos.chdir('/')",
    ],
)
def test_cells_of_their_own(grader, question, cell):
    """Magics, top-level await, figures, warnings, and cells that raise cost no point."""
    result = grader.grade(question, extended(mistakes.solved_bytes(question), cell), SEED)
    assert (result.score, result.passed) == (10, True)


def test_noise_in_a_function(grade):
    """What a function prints and warns of while it is tested costs nothing."""
    noisy = "import sys, warnings; print('x'); warnings.warn('y'); print('z', file=sys.stderr)"
    assert grade(starting(noisy)).score == 10


def test_outputs(grader, question):
    """Printed text, errors, results and figures of the learner's cells arrive as outputs of those cells."""
    cells = ["print('hello')\n1 / 0", "6 * 7", "import matplotlib.pyplot as plt\nplt.plot([1, 2]);"]
    result = grader.grade(question, extended(mistakes.solved_bytes(question), *cells), SEED)
    shown = {output.index: output.outputs for output in result.outputs}
    assert shown[0][0] == {"output_type": "stream", "name": "stdout", "text": "hello\n"}
    assert (shown[0][1]["output_type"], shown[0][1]["ename"]) == ("error", "ZeroDivisionError")
    assert [output["data"]["text/plain"] for output in shown[1]] == ["42"]
    assert "image/png" in shown[2][0]["data"]


def test_outputs_name_no_folder(grader, question):
    """Outputs and messages name no folder of this machine."""
    cells = [
        "import torch, sys, os\nprint(torch.__file__, os.getcwd(), sys.executable, sys.path, os.environ['HOME'])",
        "torch.nn.Linear(2, 3)(torch.ones(5))",
        "import warnings\nwarnings.warn('careful')\nnp.array([1]).reshape(7)",
        "os.chdir('/')\nopen('/etc/shadow')",
        "os.getcwd() + '/x', torch.__file__",
        "raise ValueError(torch.__file__)",
    ]
    result = grader.grade(question, extended(mistakes.solved_bytes(question), *cells), SEED)
    text = json.dumps(result.to_json())
    assert [folder for folder in (str(CHECKOUT), sys.prefix, "autograde-room") if folder in text] == []
    assert "reshape" in text
    assert "/etc/shadow" in text, "what is no folder of ours stays readable"


def test_same_seed(grader, question):
    """The same seed gives an equal result, whatever is wrong; it survives being written as JSON."""
    noisy = starting("import numpy; x = x + numpy.random.rand(); print(numpy.random.rand())", WRONG)
    data = mistakes.solved_bytes(question, Change("noisy", "softmax", (), noisy, ""))
    first = grader.grade(question, data, SEED)
    assert grader.grade(question, data, SEED) == first
    assert Result.from_json(json.loads(json.dumps(first.to_json()))) == first
    assert first.signature


def test_other_seed(grader, question):
    """Another seed gives the same points to right work."""
    assert grader.grade(question, mistakes.solved_bytes(question), SEED + 1).score == 10


# --- accidents ---------------------------------------------------------------------------------------------


def test_points_before_and_after_a_stop(grade):
    """What was earned before a stop is kept, and the tests after it run in a fresh process."""
    result = grade(starting("import os; temperature == 1.0 or os._exit(0)"))
    lost = {test for test, outcome in outcomes(result).items() if outcome is not Outcome.PASSED}
    assert lost == {"test_large_logits_temperature", "test_temperature", "test_input_unchanged"}
    assert result.score == 7
    assert result.stops == ("ended the process in softmax",)


def test_budget(grade):
    """When the time for the notebook is used up, the rest is not reached, and says so."""
    result = grade(starting("while True: pass"))
    messages = [verdict.message for verdict in result.verdicts if verdict.task == "softmax"]
    assert messages[0] == "ran longer than 2 s in softmax"
    assert messages[-1] == "not reached: the 8 s for the whole notebook were used up"
    assert result.stops[-1].startswith(("ran longer than 2 s", "used up the 8 s"))


@pytest.mark.parametrize("prefix", ["while True: pass", "import time; time.sleep(1.5)"])
def test_time_is_shared_between_tasks(grader, question, grade, prefix):
    """A task that hangs, or is slow in every call, leaves time for the others; verdicts keep their order."""
    result = grade(starting(prefix))
    assert "not reached: the 8 s for the whole notebook were used up" in [v.message for v in result.verdicts]
    assert of_task(result, "bad_normalizers") == 3
    assert list(outcomes(result)) == [test.name for test in grader.tests(question)]


@pytest.mark.parametrize(
    ("cells", "stops"),
    [
        (["while True: pass"], ("ran longer than 2 s in the cell 'cell 1'",)),
        (
            ["%%writefile slow.py\nwhile True: pass", "import slow"],
            ("ran longer than 2 s in the cell 'cell 2'",),
        ),
        (["import os\nos._exit(0)"], ("ended the process in the cell 'cell 1'",)),
        (["!sleep 99"], (f"{CLOSED} in the cell 'cell 1'",)),
        (
            ["while True: pass"] * 4,
            (
                "ran longer than 2 s in the cell 'cell 1'",
                "ran longer than 2 s in the cell 'cell 2'",
                "ran longer than 0.2 s in the cell 'cell 3'",
                "ran longer than 0.2 s in the cell 'cell 4'",
            ),
        ),
        (["exit()"], ()),
        (["raise KeyboardInterrupt"], ()),
        (["import atexit, time\natexit.register(time.sleep, 99);"], ()),
        (
            [
                "import threading\nthreading.Thread(target=lambda: [0 for _ in iter(int, 1)], daemon=True).start()"
            ],
            (),
        ),
    ],
)
def test_stop_beside_the_tasks(grader, question, cells, stops):
    """A stop in a cell of the learner's own, in a module it imports or behind its back costs no point."""
    result = grader.grade(question, extended(mistakes.solved_bytes(question), *cells), SEED)
    assert (result.score, result.stops) == (10, stops)


@pytest.mark.parametrize(
    ("then", "cause"),
    [
        ("while True: pass", "ran longer than 2 s"),
        ("import os; os._exit(0)", "ended the process"),
        ("import os; os.abort()", "crashed (Aborted)"),
        ("while True: print('again' * 99)", "printed more than 1,000,000 characters"),
        ("print('again' * 10**6)", "printed more than 1,000,000 characters"),
    ],
)
def test_output_before_a_stop(grader, question, then, cause):
    """What a cell showed before it was stopped is kept, no more than a notebook can show, and the cause follows."""
    cell = f"print('first words', np.__file__)\nplt.plot([1, 2])\nplt.show()\nprint('last words')\n{then}"
    cells = ("import numpy as np, matplotlib.pyplot as plt", cell)
    result = grader.grade(question, extended(mistakes.solved_bytes(question), *cells), SEED)
    [shown] = [output.outputs for output in result.outputs if output.index == 1]
    assert shown[0]["text"] == "first words site-packages/numpy/__init__.py\n"
    assert "image/png" in shown[1]["data"]
    assert shown[2]["text"].startswith("last words\n" + "again" * then.count("again"))
    assert sum(len(output.get("text", "")) for output in shown) < 101_000
    assert (shown[3]["output_type"], shown[3]["evalue"]) == ("error", f"{cause} in the cell 'cell 2'")
    assert len(shown) == 4


def test_endless_cell(grade):
    """A cell that never ends costs its own task alone, and the message says why the name is missing."""
    result = grade("while True: pass")
    assert of_task(result, "softmax") == 0
    assert of_task(result, "bad_normalizers") == 3
    assert result.stops == ("ran longer than 2 s in the cell 'softmax'",)
    assert "ran longer than 2 s in the cell 'softmax'" in result.verdicts[0].message


@pytest.mark.parametrize(
    ("prefix", "cause"),
    [
        ("import os; os.abort()", "crashed (Aborted) in softmax"),
        ("import sys; sys.exit(0)", None),
        ("raise KeyboardInterrupt", None),
        ("softmax(x, axis, temperature)", None),
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGTERM)",
            "was ended by a signal (Terminated) in softmax",
        ),
        ("import torch; torch.ones(3).share_memory_()", f"{CLOSED} in softmax"),
        (
            "import threading, time\n    while True: threading.Thread(target=time.sleep, args=(99,)).start()",
            "started more threads than 2 GiB hold in softmax",
        ),
        ("many = [open('/dev/null') for _ in range(999)]", "opened more than 256 files in softmax"),
        ("open('large', 'wb').write(bytes(2**25))", "wrote a file of more than 4 MiB in softmax"),
        ("bytearray(8 * 2**30)", "asked for more than 2 GiB in softmax"),
        ("open('/etc/passwd')", f"{CLOSED} in softmax"),
        ("[print('x' * 10**5) for _ in range(99)]", "printed more than 1,000,000 characters in softmax"),
    ],
)
def test_stops(grade, prefix, cause):
    """Each way to end a process costs the tests that meet it, and has a name."""
    result = grade(starting(prefix))
    assert of_task(result, "softmax") == 0
    assert of_task(result, "bad_normalizers") == 3
    assert result.stops == ((cause,) if cause else ())


def test_many_threads(grade):
    """More threads for torch than the process may have are not started, and cost nothing."""
    assert (
        grade(
            starting("import torch; torch.set_num_threads(5000); torch.ones(400, 400) @ torch.ones(400, 400)")
        ).score
        == 10
    )


def test_refusals_are_the_same_each_time(grade):
    """What a library draws at random for what it shares is in no message: the same work has the same result."""
    source = starting(
        "from multiprocessing import shared_memory; shared_memory.SharedMemory(create=True, size=9)"
    )
    assert grade(source).verdicts == grade(source).verdicts


def once_killed(grader, question, kill):
    """The reference, graded by a grader whose rooms are killed, each when it has run its first cell."""

    class Killing(type(grader.zygote)):
        def open(self):
            room = super().open()
            request = room.request

            def killing(*args, **options):
                if room._locked:
                    kill(self, room)
                return request(*args, **options)

            room.request = killing
            return room

    before = grader.zygote
    try:
        with Killing(grader.limits) as grader.zygote:
            return grader.grade(question, mistakes.solved_bytes(question), SEED)
    finally:
        grader.zygote = before


@pytest.mark.parametrize("who", ["room", "zygote"])
def test_killed_while_grading(grader, question, who):
    """A room or a warm process that is killed in the middle costs the learner nothing: all of it is run once more."""
    killed = []

    def kill(zygote, room):
        if not killed:
            killed.append(room._pid if who == "room" else zygote._process.pid)
            os.kill(killed[0], signal.SIGKILL)

    result = once_killed(grader, question, kill)
    assert killed
    assert (result.score, result.stops, result.notes) == (10, (), ())


def test_killed_each_time(grader, question):
    """Rooms that are killed whenever it is run are the learner's own doing, for all that we can tell."""
    result = once_killed(grader, question, lambda _, room: room.cause or os.kill(room._pid, signal.SIGKILL))
    assert result.score == 0
    assert any("was killed (out of memory?)" in stop for stop in result.stops)


def test_no_place_for_temporary_files(question, limits, tmp_path, monkeypatch):
    """Where the folder for temporary files is gone the run ends, and no work is taken for wrong."""
    with Grader(limits) as grader:
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
        with pytest.raises(Refused, match="gone: No such file or directory: see to it"):
            grader.grade(question, mistakes.solved_bytes(question), SEED)
        with pytest.raises(Broken, match="no room could be opened: No such file or directory"):
            grader.zygote.open()


# --- tricks ------------------------------------------------------------------------------------------------

TRICKS = {
    "frames": """
import sys, gc
def look():
    at = sys._getframe()
    while at:
        for value in at.f_locals.values():
            if hasattr(value, "expected"):
                return value.expected
        at = at.f_back
""",
    "files": f"""
import glob
for path in ["{CHECKOUT}/source", "{CHECKOUT}/solutions", "{CHECKOUT}/autograde/questions"]:
    for found in glob.glob(path + "/**", recursive=True):
        try:
            exec(open(found).read())
        except Exception:
            pass
""",
    "exit handlers": """
import atexit, threading, sys
atexit.register(print, "10/10")
sys.excepthook = lambda *a: None
threading.excepthook = lambda *a: None
""",
}


@pytest.mark.parametrize("name", TRICKS)
def test_tricks(grader, question, name):
    """A trick earns exactly what the same work earns without it."""

    def graded(*cells: str) -> Result:
        return grader.grade(question, extended(mistakes.solved_bytes(question, wrong), *cells), SEED)

    wrong = Change("wrong", "softmax", (), WRONG, "")
    honest, tricked = graded("pass"), graded("import numpy as np\n" + TRICKS[name])
    assert honest.score == 3
    assert outcomes(tricked) == outcomes(honest)


@pytest.mark.parametrize(
    "returned",
    [
        "'right'",
        "None",
        "True",
        "Always()",
        "[Always()]",
        "np.array([Always()])",
        "np.full_like(x, np.nan, dtype=float)",
        "np.zeros(x.shape).view(Liar)",
        "{'score': 10}",
        "x",
        "(softmax,)",
        "10 ** 9000",
        "np.broadcast_to(1.0, (1 << 20, 1 << 20))",
        "[[1.0] * 10] * 10000",
        "'\\ud800'",
    ],
)
def test_returns_that_earn_nothing(grade, returned):
    """Objects that are equal to everything, and answers of another kind, earn nothing and break nothing."""
    result = grade(f"""
class Always:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __array__(self, *a, **k): return np.ones(3)
    def __getattr__(self, name): return self
    def __call__(self, *a, **k): return self
    def __iter__(self): return iter([self])
    def __len__(self): return 1
    def __getitem__(self, key): return self
    def __lt__(self, other): return True
    __gt__ = __le__ = __ge__ = __bool__ = __lt__
    __hash__ = object.__hash__

class Liar(np.ndarray):
    shape = property(lambda self: Always())
    dtype = property(lambda self: Always())
    def __eq__(self, other): return Always()
    def __array__(self, *a, **k): return Always()

def softmax(x, axis=-1, temperature=1.0):
    return {returned}
""")
    assert of_task(result, "softmax") == 0
    assert Outcome.BROKEN not in outcomes(result).values()
    assert of_task(result, "bad_normalizers") == 3
    json.dumps(result.to_json(), ensure_ascii=False).encode("utf-8")


def test_metadata_decides_nothing(grader, question):
    """Points, tags and ids of a submission change nothing: neither what is run nor what it is worth."""
    notebook = json.loads(mistakes.solved_bytes(question, Change("wrong", "softmax", (), WRONG, "")))
    for cell in notebook["cells"]:
        fields = cell["metadata"].setdefault("nbgrader", {})
        if fields.get("grade_id") == "check":
            cell["metadata"]["tags"] = ["skip-execution"]
            cell["source"] = "10"
            fields["points"] = 1000
        cell["metadata"].setdefault("tags", []).append("answer")
        if "points" in fields:
            cell["outputs"] = [
                {"output_type": "execute_result", "data": {"text/plain": "10"}, "metadata": {}}
            ]
    result = grader.grade(question, json.dumps(notebook).encode(), SEED)
    assert (result.score, result.max_score) == (3, 10)


def test_answer_from_memory(grade):
    """A function that remembers what it was asked gets inputs it has not seen."""
    result = grade(
        "import numpy as np\nseen = {}\n"
        "def softmax(x, axis=-1, temperature=1.0):\n"
        "    return seen.setdefault(x.shape, np.full(x.shape, 1 / x.shape[axis]))\n"
    )
    assert of_task(result, "softmax") == 0


def test_no_notebook(grader, question):
    """A file that is no notebook earns nothing and says why."""
    for data in (
        b"",
        b"\x00\xff",
        b"[]",
        b'{"nbformat": 4}',
        json.dumps({"nbformat": 4, "cells": 5}).encode(),
    ):
        result = grader.grade(question, data, SEED)
        assert result.score == 0
        assert result.max_score == 10
    assert grader.grade(question, b"", SEED).problem.startswith("the file is empty")


# --- mistakes ----------------------------------------------------------------------------------------------


def test_every_mistake_is_named(grader, question):
    """Each mistake of the question is recognised by its name, in its own task, and loses a point."""
    for change in mistakes.mistakes(question):
        result = grader.grade(question, mistakes.solved_bytes(question, change), SEED)
        assert [(r.mistake, r.task) for r in result.recognised] == [(change.name, change.cell)]
        assert result.score < 10, change.name


def test_mistake_beside_a_stub(grader, question):
    """In a half-done notebook the mistake of the task that was done is recognised, and nothing of the other."""
    [chosen] = [m for m in mistakes.mistakes(question) if m.name == "scale_flat"]
    stub = Change("stub", "softmax", (), STUB, "")
    result = grader.grade(question, mistakes.solved_bytes(question, stub, chosen), SEED)
    assert [(r.mistake, r.task) for r in result.recognised] == [("scale_flat", "bad_normalizers")]
    assert result.score == 2


def test_mistake_in_other_words(grade):
    """A mistake is recognised by what it does: in other words it has the same name."""
    result = grade("""
import math

def softmax(x, axis=-1, temperature=1.0):
    if not temperature > 0:
        raise ValueError
    weights = math.e ** (x / temperature)
    return weights / np.sum(weights, axis, keepdims=True)
""")
    assert [r.mistake for r in result.recognised] == ["no_max"]


def test_unknown_mistake(grade):
    """What fails like no known mistake is not named, and two that fail alike share a signature."""
    one, two, other = (
        grade(WRONG.replace("np.zeros_like(x)", text)) for text in ("x * 0 + 5", "0 * x + 5", "x + 7")
    )
    assert one.recognised == ()
    assert one.signature == two.signature != other.signature


def test_seed_is_not_in_the_result(grader, question):
    """Nothing that a learner gets to see holds the seed or an expected value's text."""
    result = grader.grade(
        question, mistakes.solved_bytes(question, Change("wrong", "softmax", (), WRONG, "")), SEED
    )
    assert str(SEED) not in json.dumps(result.to_json())


def test_limits_of_the_course(monkeypatch):
    """A grader that is given no limits has those that AUTOGRADE_BUDGET names, whoever started it."""
    monkeypatch.setenv("AUTOGRADE_BUDGET", "12")
    with Grader() as grader:
        assert (grader.limits.call_s, grader.limits.budget_s) == (4, 12)


def test_what_an_optimizer_imports(tmp_path, limits):
    """What the first optimizer of a process imports is in the rooms of questions that use one, and of no others."""
    root = classroom.course(tmp_path / "course")
    slow = find("double_it", root)
    classroom.write_source(slow.source, "setup", "from autograde import check\nimport torch.optim")
    with Grader(limits) as grader:
        needed = []
        for question in (find("add_up", root), slow):
            grader.tests(question)
            needed.append(grader.zygote.imports)
    assert needed == [set(), {"torch._dynamo"}]
