"""What a learner's process can do, what it can't, and what is left when it has ended."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import gettempdir
from typing import Any

import pytest
from checkout import CHECKOUT, SEED
from forgery import SOCKET

from autograde.errors import StudentError
from autograde.grading import Grader
from autograde.lock import Limits
from autograde.question import Question
from autograde.room import Broken, Zygote
from autograde.sitting import RoomSitting
from autograde.student import Student
from autograde.submission import Cell

Sit = Callable[..., tuple[RoomSitting, Student]]


@pytest.fixture
def sit(grader: Grader) -> Iterator[Sit]:
    """Opens a room with these cells run."""
    opened: list[RoomSitting] = []

    def sit(*sources: str) -> tuple[RoomSitting, Student]:
        cells = tuple(Cell(n, f"c{n}", "learner", source) for n, source in enumerate(sources))
        sitting = RoomSitting(grader.zygote, cells, grader.limits)
        opened.append(sitting)
        sitting.begin(1)
        return sitting, Student(sitting)

    yield sit
    for sitting in opened:
        sitting.close()


STOPS = {
    "endless loop": ("while True: pass", "ran longer than 2 s in {}"),
    "sleep": ("import time; time.sleep(60)", "ran longer than 2 s in {}"),
    "deaf to signals": (
        "import signal; [signal.signal(n, signal.SIG_IGN) for n in (2, 15, 24)]\nwhile True: pass",
        "ran longer than 2 s in {}",
    ),
    "exit": ("import os; os._exit(0)", "ended the process in {}"),
    "segmentation fault": (
        "import ctypes; ctypes.string_at(0)",
        "crashed (Segmentation fault: a recursion too deep?) in {}",
    ),
    "abort": ("import os; os.abort()", "crashed (Aborted) in {}"),
    "print": ("while True: print('x' * 1000)", "printed more than 1,000,000 characters in {}"),
    "small prints": ("while True: print('x' * 99, end='')", "printed more than 1,000,000 characters in {}"),
    "standard error": (
        "import sys\nwhile True: sys.stderr.write('x' * 9999)",
        "printed more than 1,000,000 characters in {}",
    ),
    "large files": (
        "n = 0\nwhile True:\n    open(f'f{n % 50}', 'wb').write(bytes(2**20)); n += 1",
        "wrote more than 8 MiB of files in {}",
    ),
    "many files": (
        "import os; n = 0\nwhile True:\n    os.close(os.open(f'f{n % 5000}', os.O_CREAT)); n += 1",
        "wrote more than 8 MiB of files in {}",
    ),
    "nested folders": (
        "import os\nwhile True:\n    os.mkdir('d'); os.chdir('d')",
        "nested folders without end in {}",
    ),
    "recursion in C": (
        "import json, sys; sys.setrecursionlimit(10**9)\ndeep = []\nfor _ in range(10**5): deep = [deep]\n"
        "json.dumps(deep, check_circular=False)",
        "crashed (Segmentation fault: a recursion too deep?) in {}",
    ),
    "connection closed": ("import os; os.closerange(0, 999)", "closed the connection to the grader in {}"),
}
# Objects that hang when they are used: what is used, how, and what the cause names.
HANGS: dict[str, tuple[str, Callable[[Any], object], str]] = {
    "len": ("class E:\n    def __len__(self): return f()", len, "len(made)"),
    "iteration": ("class E:\n    def __iter__(self): return f()", list, "made"),
    "a generator": ("class E:\n    def __iter__(self):\n        yield f()", list, "made"),
    "an attribute": (
        "class E:\n    def __getattr__(self, name): return f()",
        lambda made: made.size,
        "made.size",
    ),
    "an item": ("class E:\n    def __getitem__(self, key): return f()", lambda made: made[0], "made"),
    "a call": ("class E:\n    def __call__(self): return f()", lambda made: made(), "made"),
    "a module": (
        "import torch\nclass E(torch.nn.Module):\n    def forward(self): return f()",
        lambda made: made(),
        "made.forward",
    ),
    "a message": (
        "class X(Exception):\n    def __str__(self): return f()\nclass E:\n    def __init__(self): raise X",
        lambda _: None,
        "made",
    ),
}

CLOSED = "tried what is closed while grading (files, network, processes, shared memory) in f"
FORGERIES = {
    "wrong number": ("answer(10**6)", "sent an answer out of order"),
    "no number": ("frame(['d', [['value', 42]]])", "sent an answer out of order"),
    "no answer": ("frame(42)", "sent an answer that is no data"),
    "garbage": ("b'garbage ' * 9", "sent an answer that is no data (a frame larger than allowed)"),
    "giant claim": (
        "struct.pack('!IQ', 100, 2**60)",
        "sent an answer that is no data (a frame larger than allowed)",
    ),
    "zeros": ("bytes(12)", "sent an answer that is no data"),
    "forged call": (
        "frame(['d', [['callback', 0], ['args', ['l', []]], ['kwargs', ['d', []]]]])",
        "sent an answer that is no data (a call of what was not given)",
    ),
    "number that is none": (
        "frame(['d', [['number', ['l', []]], ['value', 1]]])",
        "sent an answer out of order",
    ),
    "forged handle": ("answer(call_number(), ['h', 'x', 1, 2, 3])", "sent an answer that is no data"),
}


def function(name: str, body: str) -> str:
    """A cell that defines a function with this body."""
    lines = body.replace("\n", "\n    ")
    return f"def {name}(x=None):\n    {lines}\n"


def cause(call: Callable[[], Any]) -> str:
    """The message with which a call ends."""
    with pytest.raises(StudentError) as caught:
        call()
    return str(caught.value)


def process_state(sitting: RoomSitting) -> str:
    """The state of a room's process, as the kernel letters it."""
    assert sitting._room is not None
    stat = Path(f"/proc/{sitting._room._pid}/stat").read_text(encoding="ascii")
    return stat.rpartition(")")[2].split()[0]


# --- stops -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", STOPS)
def test_stop_in_a_function(sit, name):
    """A call that ends the process, or does not end, has a named cause, and the next test finds a fresh process."""
    body, expected = STOPS[name]
    sitting, student = sit(
        function("f", body), "count = []\ndef g():\n    count.append(1)\n    return len(count)"
    )
    assert student.g() == 1
    said = cause(student.f)
    assert said == expected.format("f")
    assert sitting.stops == [said]
    assert "had stopped before g" in cause(student.g)
    sitting.begin(2)
    assert Student(sitting).g() == 1


@pytest.mark.parametrize("name", ["endless loop", "exit", "segmentation fault", "print"])
def test_stop_in_a_cell(sit, name):
    """A cell that ends the process is left out the second time, and the cells after it run."""
    body, expected = STOPS[name]
    sitting, student = sit("before = 1", body, "after = 2")
    assert sitting.stops == [expected.format("the cell 'c1'")]
    assert (student.before, student.after) == (1, 2)
    assert sitting.outputs[1][-1]["evalue"] == sitting.stops[0]


@pytest.mark.parametrize("name", FORGERIES)
def test_forged_answer(sit, name):
    """A frame that the learner's code writes to the grader's socket ends the process, with a named cause."""
    forgery, expected = FORGERIES[name]
    body = f"own_socket().sendall({forgery}); import time; time.sleep(0.2)"
    sitting, student = sit(SOCKET + function("f", body), "def g(): return 5")
    said = cause(lambda: (student.f(), student.g()))
    assert said.startswith(expected)
    sitting.begin(2)
    assert Student(sitting).g() == 5


def test_answers_ahead_of_time(sit):
    """Answers sent ahead are no more than the learner's own answers: values, and then the end."""
    ahead = "[own_socket().sendall(answer(call_number() + k)) for k in range(4)]; return 1"
    sitting, student = sit(SOCKET + function("f", ahead) + "a = 5\n")
    assert student.f() == 42
    said = cause(lambda: [student.a for _ in range(9)])
    assert said == "sent an answer out of order in a"
    assert sitting.stops == [said]


def test_flood(sit):
    """A process that floods its socket is ended when its time is up, or before."""
    _, student = sit(SOCKET + function("f", "while True: own_socket().sendall(bytes(2**20))"))
    assert "sent an answer that is no data" in cause(student.f)


def test_slow_answer(sit):
    """An answer that drips in byte by byte is cut off by the clock."""
    drip = "s = own_socket(); s.sendall(struct.pack('!IQ', 1000, 0))\nimport time\n"
    drip += "while True: s.send(b' '); time.sleep(0.01)"
    _, student = sit(SOCKET + function("f", drip))
    assert cause(student.f) == "ran longer than 2 s in f"


def test_talkative_process_is_watched(sit):
    """A process that has something to say all the while is watched all the same."""
    body = "n = 0\nwhile True:\n    open(f'f{n}', 'wb').write(bytes(2**20)); n += 1; x(n)"
    _, student = sit(function("f", body))
    assert cause(lambda: student.f(lambda n: n)) == "wrote more than 8 MiB of files in f"


def test_deaf_process_is_watched(sit):
    """A process that no longer reads what it is sent is watched all the same."""
    body = "import autograde.wire\nautograde.wire.receive = fill"
    fill = function("fill", "n = 0\nwhile True:\n    open(f'f{n % 50}', 'wb').write(bytes(2**20)); n += 1")
    _, student = sit(fill, function("f", body))
    student.f()
    assert cause(lambda: student.f(bytes(2**24))) == "wrote more than 8 MiB of files in f"


def test_too_many_answers(sit):
    """Answers that are each small enough are cut off where they would fill the grader's memory, over all tests."""
    sitting, _ = sit("def f(): return bytes(2**24)")
    for _ in range(3):
        assert len(Student(sitting).f()) == 2**24
        sitting.begin(2)
    for _ in range(2):
        assert cause(Student(sitting).f) == "sent more than 64 MiB of data in f"
        sitting.begin(3)


def test_socket_closed(sit):
    """A process that closes its socket is ended."""
    sitting, student = sit(SOCKET + function("f", "import os; os.close(200); return 1"), "a = 1")
    assert "f" in cause(student.f)
    sitting.begin(2)
    assert Student(sitting).a == 1


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("import numpy; numpy.ones(2**30)", "asked for more than 2 GiB in f"),
        ("import torch; torch.ones(2**31)", "asked for more than 2 GiB in f"),
        ("import mmap; mmap.mmap(-1, 2**20)", CLOSED),
        ("import os; os.fork()", CLOSED),
        ("open('/etc/passwd')", CLOSED),
        ("import socket; socket.socket()", CLOSED),
        ("import subprocess; subprocess.run(['ls'])", CLOSED),
    ],
)
def test_closed_doors(sit, body, expected):
    """What the lock refuses is an exception in the learner's code, and named like a stop; the process lives on."""
    sitting, student = sit(function("f", body), "def g(): return 5")
    cause(student.f)
    assert sitting.stops == [expected]
    assert student.g() == 5


@pytest.mark.parametrize("status", [0, 1, *range(90, 100), 255])
def test_exit_status(sit, status):
    """No exit status makes a learner's exit our fault; what comes after runs in a fresh process."""
    sitting, student = sit(
        f"import os\nos._exit({status})", function("f", f"os._exit({status})"), "import os"
    )
    assert cause(student.f) != ""
    assert len(sitting.stops) == 2
    sitting.begin(2)
    assert sitting.broken is None


def test_room_that_is_not_locked():
    """Where a process can't lock itself nothing is run in it, and that is our fault."""
    with Zygote(Limits(stack="too much")) as zygote:
        sitting = RoomSitting(zygote, (Cell(0, "c0", "learner", "a = 1"),), zygote.limits)
        with pytest.raises(Broken, match="could not be locked, and nothing was run"):
            sitting.begin(1)
        assert sitting.broken is not None
        sitting.close()


def test_imports_that_come_late():
    """What a question needs imported is there in the next room and in those after it, and not in those before."""
    look = (Cell(0, "c0", "learner", "import sys\nthere = 'wave' in sys.modules"),)
    with Zygote(Limits()) as zygote:
        found = []
        for needed in ({}, {"wave"}, {}):
            zygote.imports = frozenset(needed)
            sitting = RoomSitting(zygote, look, zygote.limits)
            sitting.begin(1)
            found.append(Student(sitting).there)
            sitting.close()
    assert found == [False, True, True]


def test_leaving(sit):
    """sys.exit in a cell or a function is an exception like others."""
    sitting, student = sit("import sys\nsys.exit('bye')", function("f", "import sys; sys.exit(1)"), "a = 1")
    assert "SystemExit" in cause(student.f)
    assert student.a == 1
    assert sitting.stops == []


def test_thread_that_outlives(sit):
    """A thread that goes on after its call ends with the process."""
    spin = "import threading, time\nthreading.Thread(target=lambda: time.sleep(99)).start()\nreturn 1"
    sitting, student = sit(function("f", spin))
    assert student.f() == 1
    pid = sitting._room._pid
    sitting.close()
    assert not Path(f"/proc/{pid}").exists()


@pytest.mark.parametrize("name", HANGS)
def test_hang_in_an_object(sit, name):
    """An object that hangs where it is used is stopped there, and the cause names the use."""
    defined, use, where = HANGS[name]
    sitting, student = sit(f"def f():\n    while True: pass\n{defined}\ndef made(): return E()")
    assert cause(lambda: use(student.made())) == f"ran longer than 2 s in {where}"
    assert sitting.stops == [f"ran longer than 2 s in {where}"]


def test_hang_that_nobody_meets(sit):
    """What an object's repr or == would do, or its class, does not matter to a test: none is asked for."""
    hang = "class M(type):\n    def __getattribute__(cls, name):\n"
    hang += "        while name != '__class__': pass\n        return M\n"
    hang += "class E(float, metaclass=M):\n    def __eq__(self, other):\n        while True: pass\n"
    hang += "    __repr__ = __hash__ = __eq__\n"
    sitting, student = sit(hang + "def made(): return E(3), E", "a = 1")
    number, kind = student.made()
    assert number == 3
    assert repr(kind) == "<M of the learner>"
    assert (student.a, sitting.stops) == (1, [])


def test_no_memory_for_an_answer(sit):
    """Where all memory is taken, so that not even an answer fits, that is the cause."""
    take = "try:\n        while True: held.append(bytes(n))\n    except MemoryError: pass"
    body = f"global held; held = []\nfor n in (2**24, 2**16, 2**10):\n    {take}\nreturn held[0]"
    sitting, student = sit(function("f", body))
    cause(student.f)
    assert sitting.stops == ["asked for more than 2 GiB in f"]


def test_many_slow_calls(sit):
    """Calls that are each quick enough, and together take longer than a test may, are stopped by that name."""
    sitting, student = sit(function("f", "import time; time.sleep(0.6)"))
    assert cause(lambda: [student.f() for _ in range(9)]) == "used up the 2 s for one test in f"
    sitting.begin(2)
    assert Student(sitting).f() is None


def test_generator_without_end(sit):
    """A generator that never ends is cut off and named, and the process lives on."""
    sitting, student = sit("def f():\n    while True: yield 1\n", "a = 1")
    assert "gave more than 100000 items" in cause(lambda: list(student.f()))
    assert (student.a, sitting.stops) == (1, [])


def test_hang_in_a_world(sit):
    """A learner's loop that asks a function of the test for ever is stopped, though each answer comes."""
    asked = []
    _, student = sit(function("f", "while True: x(1)"))
    assert cause(lambda: student.f(asked.append)) == "ran longer than 2 s in f"
    assert asked


def test_mutual_recursion(sit):
    """A function of the test and the learner's that call each other without end are told so."""
    sitting, student = sit("def f(x):\n    return x(lambda: f(x))\n", "a = 1")
    assert "call each other without end" in cause(lambda: student.f(lambda g: g()))
    assert (student.a, sitting.stops) == (1, [])


def test_exception_between_calls(sit):
    """An exception that a signal handler raises while nothing is called is named as such."""
    late = "import signal\ndef raising(*_): raise RuntimeError\nsignal.signal(signal.SIGALRM, raising)\n"
    sitting, student = sit(late + function("f", "signal.setitimer(signal.ITIMER_REAL, 0.05)"))
    f = student.f
    f()
    while process_state(sitting) != "Z":
        time.sleep(0.01)
    assert cause(f) == "raised an exception between two calls (in a signal handler?) in f"


SPIN = "import threading\nthreading.Thread(target=lambda: [0 for _ in iter(int, 1)]).start()"


def test_thread_left_by_a_test(sit):
    """A thread that runs on after its test ends with its process: the next test has one to itself."""
    sitting, student = sit(function("f", SPIN))
    student.f()
    sitting.begin(2)
    assert sitting._room.threads() == (0, 0)
    assert sitting.stops == []


def test_thread_left_by_a_cell(sit):
    """A thread that a cell started would be there in a fresh process too: the process stays."""
    sitting, _ = sit(SPIN)
    pid = sitting._room._pid
    sitting.begin(2)
    assert sitting._room._pid == pid


def test_end_between_tests(sit):
    """A process that ends by itself between two tests costs the one test that was to begin."""
    late = "import threading, os\nthreading.Timer(0.05, os._exit, (0,)).start()\nreturn 1"
    sitting, student = sit(function("f", late))
    assert student.f() == 1
    while process_state(sitting) != "Z":
        time.sleep(0.01)
    assert cause(lambda: sitting.begin(2)) == "ended the process in the notebook"
    sitting.begin(3)
    assert Student(sitting).f() == 1


def test_callback_in_a_room_that_ends(sit):
    """A stop that happens while a callable of the test uses the learner's objects is named as what it is."""
    sitting, student = sit(function("f", "return x(3)") + function("g", "import os; os._exit(0)"))
    assert cause(lambda: student.f(lambda _: student.g())) == "ended the process in g"
    assert sitting.stops == ["ended the process in g"]


# --- what is in the room -----------------------------------------------------------------------------------


def test_graders_are_out_of_reach(sit, question: Question):
    """The hidden tests, mistakes, sources, solutions and the engine's code can't be read, listed or imported."""
    paths = [question.tests, question.mistakes, question.source, question.release, question.solution]
    paths += [CHECKOUT / "autograde" / "grading.py", CHECKOUT / "pyproject.toml", Path(__file__)]
    assert all(path.is_file() for path in paths)
    folders = [question.folder, CHECKOUT, CHECKOUT / "source", Path(gettempdir())]
    grader = f"autograde.questions.{question.topic}.{question.slug}.{question.tests.stem}"
    look = f"""
    import os, importlib
    read = []
    for path in {[str(p) for p in paths]}:
        try:
            read.append(open(path).read())
        except OSError:
            pass
    for path in {[str(p) for p in folders]}:
        try:
            read.append(os.listdir(path))
        except OSError:
            pass
    for name in ("{grader}", "autograde.grading", "autograde.comparison", "autograde.checking"):
        try:
            read.append(importlib.import_module(name).__name__)
        except (ImportError, OSError):
            pass
    return read
    """
    _, student = sit(f"def look():{look}")
    assert student.look() == []


def test_memory_holds_no_test(sit, question: Question):
    """No object of the learner's process holds a hidden test's text, a path of the course or the seed."""
    needles = ["Each slice along the axis becomes", "test_every_slice", question.slug, str(SEED)]
    search = f"""
    import gc, os, sys
    needles = [n[::-1] for n in {[n[::-1] for n in needles]}]
    gc.unfreeze()
    texts = {{t for o in gc.get_objects() for t in gc.get_referents(o) if isinstance(t, str) and t is not needles}}
    texts |= {{repr(dict(os.environ)), repr(sys.argv), repr(sys.orig_argv)}}
    numbers = {{t for o in gc.get_objects() for t in gc.get_referents(o) if type(t) is int}}
    found = [n for n in needles if any(n in t for t in texts if t not in needles)]
    return found, len(texts) > 10_000, int(needles[3]) in numbers
    """
    sitting, student = sit(f"def search():{search}")
    sitting.limits = Limits()  # the search is long, and longer beside others
    found, searched, seed = student.search()
    assert searched
    assert (found, seed) == ([], False)


def test_environment(sit):
    """The environment holds what Python needs and nothing of the grader's own; home and temporary files are inside."""
    os.environ["AUTOGRADE_TEST_SECRET"] = "secret"
    try:
        _, student = sit(
            "import os, tempfile\nenvironment = dict(os.environ)\n"
            "with tempfile.NamedTemporaryFile() as file:\n"
            "    home, folder = os.getcwd(), os.path.dirname(file.name)"
        )
    finally:
        del os.environ["AUTOGRADE_TEST_SECRET"]
    environment = student.environment
    assert "secret" not in environment.values()
    assert not [name for name in environment if "GRADE" in name or "PYTEST" in name]
    assert environment["HOME"] == environment["TMPDIR"] == student.home == student.folder


def test_rooms_are_alone(sit):
    """What one learner writes or imports is not there for the next."""
    sit("open('note.txt', 'w').write('x')\nimport numpy\nnumpy.mine = 1")
    _, student = sit("import os, numpy\nfiles = os.listdir()\nmine = hasattr(numpy, 'mine')")
    assert (student.files, student.mine) == ([], False)


def test_files_of_its_own(sit):
    """A module that the learner writes can be imported, and files can be read back."""
    _, student = sit(
        "open('mine.py', 'w').write('a = 5')", "import mine\na = mine.a\nb = open('mine.py').read()"
    )
    assert (student.a, student.b) == (5, "a = 5")


# --- what is left ------------------------------------------------------------------------------------------


def children(pid: int) -> list[int]:
    """Processes that this one has started and not yet buried."""
    return [int(n) for n in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()]


def descriptors(zygote: int) -> list[int]:
    """How many are open here and in the warm process."""
    return [len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in ("self", zygote)]


def test_nothing_is_left(sit, grader):
    """After rooms that ended in every way no process, folder or descriptor is left."""
    sit("a = 1")[0].close()
    zygote = grader.zygote._process.pid
    before = descriptors(zygote)
    for ending in ("return 1", "import os; os._exit(0)", "import os; os.abort()", "import os; os.close(200)"):
        body = f"import os; os.makedirs('a/b/c'); open('a/b/c/d', 'w').close(); {ending}"
        sitting, student = sit(function("f", body) + "import os\nfolder = os.getcwd()\n")
        folder = Path(student.folder)
        assert folder.is_dir()
        with contextlib.suppress(StudentError):
            student.f()
        sitting.close()
        assert not folder.exists()
    assert children(zygote) == []
    assert descriptors(zygote) == before


def test_killed_zygote(sit, grader):
    """Where the warm process was killed, a room that lived says that it is our fault, and the next has a new one."""
    sitting, student = sit("a = 1")
    first = grader.zygote._process.pid
    os.kill(first, signal.SIGKILL)
    with pytest.raises(Broken):
        [student.a for _ in iter(int, 1)]  # without end: the room ends with its parent, a moment later
    sitting.close()
    _, student = sit("a = 2")
    assert student.a == 2
    assert grader.zygote._process.pid != first


def test_unwritten_file(sit):
    """A name that is missing because its file ends where code is to be written is not written yet."""
    _, student = sit("raise NotImplementedError()")
    with pytest.raises(StudentError, match=r"^attend is not written yet$"):
        student.attend(1)
    _, student = sit("raise NotImplementedError()", "1 / 0")
    with pytest.raises(
        StudentError, match="attend is not defined: the cell 'c0' raised NotImplementedError; the"
    ):
        student.attend(1)
