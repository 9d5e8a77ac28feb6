"""Attacks that end their process, or leave something behind in it that acts later."""

from __future__ import annotations

from attempts import late
from siege import Attack, Siege

ENDED = "ended the process in"
CRASHED = "crashed (Segmentation fault"

# Endings of several kinds, inside functions, a method and the cell: the tests see exceptions.
RAISED = """
import sys
class Odd(BaseException):
    pass

endings = [SystemExit(0), SystemExit("passed"), KeyboardInterrupt(), GeneratorExit(), StopIteration(), Odd()]
endings.append(BaseExceptionGroup("g", [SystemExit(0)]))
_real_scale, _real_word = scale, word
def scale(x, by):
    if x.min() < 0:
        raise KeyboardInterrupt("by whoever grades")
    return _real_scale(x, by)

class Affine(Affine):
    def forward(self, x):
        if x.requires_grad:
            raise SystemExit(0)
        return super().forward(x)

def word(k):
    if k == 0:
        raise endings[-1]
    return _real_word(k)

for one in endings:
    try:
        raise one
    except BaseException as error:
        print("raised", type(error).__name__)
sys.exit(0)
"""

IN_INIT = """
_real_affine, _made = Affine, []
class Affine(_real_affine):
    def __init__(self, width):
        super().__init__(width)
        _made.append(width)
        if len(_made) > 1:
            raise KeyboardInterrupt("interrupted by whoever grades")
        self.__class__ = _real_affine
"""

# Left behind by a cell: all of it acts while tests run, or when the process ends.
LEFT = """
import atexit, gc, os, sys, threading, weakref, faulthandler

acted = []
def act(*_):
    acted.append(1)
    ways = [lambda top=top: open(f"{top}/{clue}", "w") for top in ("/tmp", "{home}", "{root}")]
    for way in (*ways, os.fork, lambda: os.kill(os.getppid(), 9)):
        try:
            way()
        except OSError:
            pass

class Dying:
    def __del__(self):
        act()

atexit.register(act)
threading._register_atexit(act) if hasattr(threading, "_register_atexit") else None
kept = Dying()
cycle = [Dying()]
cycle.append(cycle)
del cycle
weakref.finalize(kept, act)
gc.callbacks.append(lambda phase, info: act() if len(acted) < 50 else None)
gc.collect()
sys.addaudithook(lambda event, given: acted.append(event) if event == "open" and len(acted) < 50 else None)
os.register_at_fork(before=lambda: acted.append("fork"))
sys.excepthook = sys.unraisablehook = threading.excepthook = act
gc.collect()

def print(*given):
    import builtins
    builtins.print(*given, "acted:", len(acted) > 3)
"""

# Threads that wake up during later requests: they look for points and for ways out, and die with their process.
THREADS = """
import os, threading, time
seen = []
def work():
    for _ in range(2000):
        time.sleep(0.002)
        seen.append(len(threading.enumerate()))
        for way in (lambda: os.fork(), lambda: open("/tmp/{clue}", "w"), lambda: open("{root}/{clue}", "w")):
            try:
                way()
            except OSError:
                pass
for daemon in (True, False, True):
    threading.Thread(target=work, daemon=daemon).start()
def print(*given):
    import builtins
    builtins.print(*given, "threads at work:", len(seen) > 0)
"""

TRACED = """
import sys, threading
counted = []
def look(frame, event, argument):
    if len(counted) < 100_000:
        counted.append(event)
    for name, value in list(frame.f_locals.items()):
        if name in ("expected", "test", "verdict", "rng", "close"):
            argument = 10**6
    return look
def profile(frame, event, argument):
    counted.append(event)
threading.settrace(look)
threading.setprofile(profile)
_real_word = word
def word(k):
    sys.settrace(look)
    sys.setprofile(profile)
    at = sys._getframe()
    while at:
        at.f_trace = look
        at = at.f_back
    return _real_word(k)
def print(*given):
    import builtins
    sys.settrace(None)
    sys.setprofile(None)
    builtins.print(*given, "events:", len(counted) > 10)
"""

SIGNALLED = """
import signal
rung = []
def ring(number, frame):
    rung.append(number)
for name in ("ALRM", "VTALRM", "PROF", "USR1", "TERM", "INT", "CHLD", "PIPE", "XCPU"):
    signal.signal(getattr(signal, "SIG" + name), ring)
signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
signal.setitimer(signal.ITIMER_VIRTUAL, 0.002, 0.002)
signal.setitimer(signal.ITIMER_PROF, 0.002, 0.002)
def print(*given):
    import builtins
    builtins.print(*given, "rung:", len(rung) > 3)
"""

HANDLED = """
import ctypes, faulthandler, os, signal
faulthandler.enable(file=open("fault", "w"))
faulthandler.dump_traceback_later(0.01, repeat=True, file=open("later", "w"), exit=False)
signal.signal(signal.SIGABRT, lambda *_: None)
"""

CLOSED = """import os
for number in range(3, 1024):
    try:
        os.close(number)
    except OSError:
        pass
return "ab" * k"""

CUT = """import json, os, struct
header = json.dumps([["d", [["number", 1], ["value", "ab"]]], []]).encode()
os.write(200, struct.pack("!IQ", len(header), 0) + header[:9])
os._exit(0)"""

SHUT = """import os, socket
control = socket.socket(fileno=os.dup(200))
control.shutdown(socket.SHUT_RDWR)
return "" """

# Its first thread goes, and another stays: to those who look, the process seems to have ended.
HEADLESS = """import ctypes, platform, threading, time
threading.Thread(target=time.sleep, args=(600,)).start()
ctypes.CDLL(None).syscall({"x86_64": 60, "aarch64": 93}[platform.machine()], 0)"""

RECURSION = """import json, sys, threading
sys.setrecursionlimit(10**9)
deep = []
for _ in range(10**5):
    deep = [deep]
json.dumps(deep, check_circular=False)"""

SEGFAULT = "import ctypes\nctypes.string_at(0)"


class TestExits(Siege):
    """What a submission can do to its own process, and to nobody else's points."""

    attacks = (
        Attack(
            "sys.exit and other endings raised",
            RAISED,
            "exceptions are data",
            shows="raised BaseExceptionGroup",
        ),
        Attack("KeyboardInterrupt in __init__", IN_INIT, "exceptions are data"),
        Attack("os._exit in a function", late("import os\nos._exit(0)"), "process of its own", told=ENDED),
        *(
            Attack(
                f"os._exit({status}) in a cell",
                f"import os\nos._exit({status})",
                "process of its own",
                told=told,
            )
            for status, told in (
                (0, ENDED),
                (96, "asked for more"),
            )
        ),
        Attack("abort", late("import os\nos.abort()"), "process of its own", told="crashed (Aborted)"),
        Attack("segmentation fault by ctypes", late(SEGFAULT), "process of its own", told=CRASHED),
        Attack(
            "handlers for crashes",
            HANDLED + late("os.abort()"),
            "process of its own",
            told="crashed (Aborted)",
        ),
        Attack("recursion in C", late(RECURSION), "process of its own", told=CRASHED),
        Attack(
            "SIGKILL to itself",
            late("import os\nos.kill(os.getpid(), 9)"),
            "process of its own",
            told="was killed",
        ),
        Attack(
            "SIGSTOP to itself", late("import os\nos.kill(os.getpid(), 19)"), "watchdog", told="ran longer"
        ),
        Attack("first thread gone, another stays", late(HEADLESS), "watchdog", told="ran longer"),
        Attack("socket closed", late(CLOSED), "process of its own", told="closed the connection"),
        Attack("socket shut down", late(SHUT), "process of its own", told="closed the connection"),
        Attack("end in the middle of an answer", late(CUT), "process of its own", told=ENDED),
        Attack(
            "atexit, __del__, finalize, gc and audit hooks", LEFT, "process of its own", shows="acted: True"
        ),
        Attack(
            "threads and daemons that act later", THREADS, "process of its own", shows="threads at work: True"
        ),
        Attack("settrace and setprofile", TRACED, "process of its own", shows="events: True"),
        Attack("signal handlers and timers", SIGNALLED, "process of its own", shows="rung: True"),
    )
