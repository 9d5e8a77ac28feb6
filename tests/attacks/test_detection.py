"""Submissions that know where they are: right only before the grader, and marks left for those that come next."""

from __future__ import annotations

from siege import Attack, Fallout, Siege

# Everything by which code can tell that it is graded, and not at home in a notebook.
SIGNS = """
import os, sys

signs = [
    "ipykernel" not in sys.modules,
    not hasattr(get_ipython(), "kernel"),
    sys.argv == ["notebook"],
    any(name.startswith("autograde.zygote") for name in sys.modules),
    "autograde-room" in os.getcwd(),
    os.environ.get("HOME", "").startswith(os.environ.get("TMPDIR", "?")),
    len(os.listdir(".")) == 0,
    not os.access("/etc/passwd", os.R_OK) or os.path.realpath(__import__("autograde").check.__code__.co_filename) != "",
    os.path.exists("/proc/self") and not os.environ.get("JPY_PARENT_PID"),
]
graded = sum(signs) > 4
print("signs of the grader:", sum(signs) > 4)
"""

RIGHT = """
if graded:
    def word(k):
        if k < 0:
            raise ValueError("only here")
        return "ab" * k
"""

REFUSES = """
if graded:
    def word(k):
        raise SystemExit("not before witnesses")
"""

# Looks for marks that others left, then leaves its own, in every place that might outlast this process.
MARKS = """
import builtins, ctypes, mmap, os, socket, sys, sysconfig, types
from multiprocessing import shared_memory

libc = ctypes.CDLL(None, use_errno=True)
mark = "{clue}"
package = np.__file__
folders = [os.getcwd(), os.path.dirname(os.getcwd()), "/tmp", "/var/tmp", "/dev/shm", "/run", "/", "{home}", "{root}",
           os.path.dirname(package), os.path.dirname(np.__path__[0]), sysconfig.get_path("stdlib"), sys.prefix,
           os.path.expanduser("~root"), "{root}/submitted", "/proc/self/fd", "/dev/mqueue"]

def file(folder):
    path = os.path.join(folder, mark)
    return lambda: open(path).read() == mark, lambda: open(path, "w").write(mark)

def state(owner):
    return lambda: getattr(owner, "left_here") == mark, lambda: setattr(owner, "left_here", mark)

def shared():
    def write():
        made = shared_memory.SharedMemory(mark, create=True, size=64)
        made.close()
    return lambda: shared_memory.SharedMemory(mark) is not None, write

def check(number):
    if number < 0:
        raise OSError(ctypes.get_errno(), "refused")
    return True

def listening():
    # A descriptor left open under a name that has no file.
    def write():
        made = socket.socket(socket.AF_UNIX)
        made.bind("\\0" + mark)
        made.listen()
    return lambda: socket.socket(socket.AF_UNIX).connect("\\0" + mark) is None, write

def linked():
    def write():
        os.symlink(package, os.path.join("/tmp", mark + "-link"))
    return lambda: os.path.lexists(os.path.join("/tmp", mark + "-link")), write

ways = [file(folder) for folder in folders]
ways += [state(owner) for owner in (np, torch, sys, builtins, os, get_ipython(), type(get_ipython()))]
ways += [
    shared(), listening(), linked(),
    (lambda: check(libc.shmget(0x5153, 4096, 0)), lambda: check(libc.shmget(0x5153, 4096, 0o1666))),
    (lambda: check(libc.semget(0x5153, 1, 0)), lambda: check(libc.semget(0x5153, 1, 0o1666))),
    (lambda: check(libc.msgget(0x5153, 0)), lambda: check(libc.msgget(0x5153, 0o1666))),
    # Where the wall has a hole, nobody's packages shall be the worse for it.
    (lambda: os.stat(package).st_atime == 7, lambda: os.utime(package, (7, os.stat(package).st_mtime))),
    (lambda: os.stat(package).st_mode & 0o777 == 0o645, lambda: os.chmod(package, 0o645)),
    (lambda: os.getxattr(package, "user.mark") == b"left", lambda: os.setxattr(package, "user.mark", b"left")),
    (lambda: os.environ["MARK"] == mark, lambda: os.environ.update(MARK=mark)),
    (lambda: sys.modules["left"].mark == mark, lambda: sys.modules.update(left=types.SimpleNamespace(mark=mark))),
    (lambda: open("/proc/self/comm").read().strip() == mark[:15], lambda: open("/proc/self/comm", "w").write(mark)),
]

def found():
    count = 0
    for look, _ in ways:
        try:
            count += bool(look())
        except (OSError, AttributeError, KeyError, RuntimeError):
            pass
    return count

print("marks of others:", found())
refused = 0
for _, leave in ways:
    try:
        leave()
    except OSError:
        refused += 1
print("refused:", refused > 15, "marks of its own:", found())
"""

OWN = 10  # in the folder and the process of its own: one file, seven attributes, the environment, a module


def within(source: str) -> str:
    """The same in a function of the work: it runs while tests run."""
    body = source.replace("\n", "\n    ")
    return f"_word = word\ndef word(k):\n    {body}\n    return _word(k)\nword(3)"


class TestDetection(Siege):
    """Who knows that they are graded can do there what they like, and earns what that earns; nothing stays."""

    attacks = (
        Attack("right only before the grader", SIGNS + RIGHT, earns=13, stopped_by="earns what it does there",
               shows="signs of the grader: True"),
        Attack("refuses only before the grader", SIGNS + REFUSES, earns=6, stopped_by="earns what it does there",
               shows="signs of the grader: True"),
        *(
            Attack(f"mark left for others, {number}", MARKS + f"# {number}", shows="marks of others: 0",
                   stopped_by="landlock, seccomp, a fork each")
            for number in (1, 2, 3)
        ),
        Attack("mark left by a function", within(MARKS), shows="marks of others: 0",
               stopped_by="landlock, seccomp, a fork each"),
    )  # fmt: skip

    def test_marks_are_found_where_they_may_be(self, fallout: Fallout) -> None:
        """Each finds what it left in its own folder and process, so that it would find what others had left."""
        for number in (1, 2, 3):
            assert f"refused: True marks of its own: {OWN}" in fallout.left[f"mark left for others, {number}"]
