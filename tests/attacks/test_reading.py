"""Attacks that read: the graders, the solutions, the gradebook, the work of others, this machine."""

from __future__ import annotations

from attempts import TRIED, inside, refused
from siege import Attack, Fallout, Siege

from autograde.grants import PACKAGE

# Every way to read a path.
READ = (
    TRIED
    + """
import io, linecache, mmap, pathlib, shutil, tokenize

def ways(path):
    def by_descriptor():
        return os.read(os.open(path, os.O_RDONLY), 1 << 20)
    def by_memory():
        with open(path) as file:
            return mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)[:]
    def by_copy():
        shutil.copyfile(path, "copy")
        return open("copy").read()
    def by_symbolic_link():
        pathlib.Path("link").unlink(missing_ok=True)
        os.symlink(path, "link")
        return open("link").read()
    def by_hard_link():
        os.link(path, "hard")
        return open("hard").read()
    def by_taking():
        os.rename(path, "taken")
        return open("taken").read()
    def by_reopening():
        return open(f"/proc/self/fd/{os.open(path, os.O_PATH)}").read()
    def by_folder():
        folder = os.open(os.path.dirname(path), os.O_PATH)
        return os.read(os.open(os.path.basename(path), os.O_RDONLY, dir_fd=folder), 1 << 20)
    def by_lines():
        return linecache.getlines(path) or os.read(os.open(path, os.O_RDONLY), 1)
    def by_torch():
        try:
            return bytes(torch.from_file(path, dtype=torch.uint8, size=100).tolist())
        except RuntimeError as error:
            raise PermissionError(errno.EACCES, "refused") if "Permission denied" in str(error) else error
    def by_magic():
        return get_ipython().getoutput("cat " + path)
    return (lambda: open(path).read(), pathlib.Path(path).read_bytes, by_descriptor, by_memory, by_copy,
            by_symbolic_link, by_hard_link, by_taking, by_reopening, by_folder, by_lines, by_torch, by_magic,
            lambda: tokenize.open(path).read(), lambda: np.fromfile(path, np.uint8).tobytes(),
            lambda: io.FileIO(path).readall())
"""
)
WAYS = 16

WALK = """
found = 0
for top in ("{root}", "{home}", "/home", "/root", "/tmp", "/proc", "/"):
    for folder, folders, names in os.walk(top):
        found += len(folders) + len(names)
print("found by walking:", found)
"""

# The engine's own code lies where its modules say. What comes of each way is text, or an error.
ENGINE = (
    TRIED
    + """
import autograde, importlib, inspect, linecache, pkgutil, runpy, sys
import autograde.endpoint, autograde.shell, autograde.wire, autograde.zygote
from importlib import metadata, resources

def lines(path):
    linecache.checkcache(path)
    return linecache.getlines(path) or os.read(os.open(path, os.O_RDONLY), 1)

def frames():
    at = sys._getframe()
    while at:
        if "/autograde/" in at.f_code.co_filename:
            yield at
        at = at.f_back

modules = [one for name, one in sorted(sys.modules.items()) if name.split(".")[0] == "autograde"]
paths = [one.__file__ for one in modules] + [one.f_code.co_filename for one in frames()]
ways = []
for one in [*modules, *frames(), autograde.wire.pack, autograde.endpoint.Endpoint]:
    ways += [lambda one=one: inspect.getsource(one), lambda one=one: inspect.findsource(one)]
for one in modules:
    load = one.__loader__
    ways += [lambda load=load, one=one: load.get_source(one.__name__)]
    ways += [lambda load=load, one=one: load.get_data(one.__file__)]
    ways += [lambda load=load, one=one: load.get_data(one.__spec__.cached)]
for path in paths:
    ways += [lambda path=path: lines(path), lambda path=path: runpy.run_path(path), lambda path=path: open(path).read()]
ways += [
    lambda: (resources.files("autograde") / "grading.py").read_text(),
    lambda: [one.name for one in resources.files("autograde").iterdir()],
    lambda: pkgutil.get_data("autograde", "questions/syllabus.toml"),
    lambda: os.listdir(os.path.dirname(autograde.__file__)),
    lambda: os.listdir(os.path.dirname(os.path.dirname(autograde.__file__))),
]
print("fifty ways:", len(ways) > 50, "not refused:", len(ways) - tried(*ways, also=(None,)))
"""
)

IMPORTS = """
import importlib, pkgutil, sys
import autograde
importlib.invalidate_caches()
found = 0
names = ["grading", "grader", "hidden", "inner", "seed", "comparison", "mistakes", "gradebook", "questions", "worker"]
names += [one.name for one in pkgutil.iter_modules(autograde.__path__)]
for name in [f"autograde.{one}" for one in names] + ["autograde.questions.warmup.target.test_target", "test_target"]:
    try:
        found += bool(importlib.import_module(name))
    except (ImportError, OSError) as error:
        print(type(error).__name__)
found += sum(1 for name in sys.modules if "test_target" in name or "grading" in name)
print("modules of graders:", found)
"""

# All that the collector knows of, and all that this refers to. A secret of the course is known by its form; this
# code does not hold one.
FIND = """
import gc, re, sys
SECRET = re.compile(r"kept-[a-z]+-[0-9a-f]{16}")
planted = ["-".join(("kept", "mine", "0123456789abcdef")) for _ in range(50)]
MINE = planted[0]
gc.unfreeze()
every = planted + gc.get_objects() + [sys._getframe(), sys.modules, *sys._current_frames().values()]
every += gc.get_referents(*every)
"""

OBJECTS = (
    FIND
    + """
texts = {one for one in every if type(one) is str}
texts |= {one.decode("latin-1") for one in every if type(one) in (bytes, bytearray)}
found = SECRET.findall("\\n".join(texts))
print(found)
print("a hundred thousand texts:", len(texts) > 100_000, "its own:", MINE in found, "others:", len({*found} - {MINE}))
"""
)

# Python's arenas, the heap and the stack of this thread, as raw bytes.
MEMORY = (
    FIND
    + """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
libc.sbrk.restype = ctypes.c_void_p
STEP = 2**16
file = open("probe", "w+b")

def readable(at):
    # The kernel says how far it could copy, where reading in vain would end the process.
    return max(0, libc.pwrite(file.fileno(), ctypes.c_void_p(at), ctypes.c_size_t(STEP), ctypes.c_long(0)))

def down(at):
    at = at // STEP * STEP
    while readable(at):
        yield at
        at -= STEP

stack = ctypes.cast(ctypes.POINTER(ctypes.c_void_p).in_dll(libc, "environ"), ctypes.c_void_p).value
places = {id(one) // STEP * STEP for one in every}
places |= {*down(libc.sbrk(0) - STEP), *down(stack)}
looked, found = 0, []
for at in sorted(places):
    size = readable(at)
    looked += size
    found += SECRET.findall(ctypes.string_at(at, size).decode("latin-1"))
print(found)
print("32 MiB of memory:", looked > 2**25, "its own:", MINE in found, "others:", len({*found} - {MINE}))
"""
)

ENVIRONMENT = """
import ctypes, os, sys
libc = ctypes.CDLL(None)
environ, raw = ctypes.POINTER(ctypes.c_char_p).in_dll(libc, "environ"), []
while environ[len(raw)]:
    raw.append(environ[len(raw)])
libc.getauxval.restype = ctypes.c_char_p
print(dict(os.environ), raw, sys.argv, sys.orig_argv, libc.getauxval(31))
named = [one for one in [*os.environ, *map(bytes.decode, raw)] if "SIEGE" in one or "GRADE" in one]
print("variables seen:", len(raw) > 5, "of the grader's:", len(named))
"""

MESSAGES = """
import importlib, inspect, io, pathlib, traceback, warnings
import autograde

def broken():
    raise ValueError(str(traceback.extract_stack()))

for way in (broken, lambda: importlib.import_module("autograde.grading"), lambda: inspect.getsource(autograde),
            lambda: open(autograde.__file__), lambda: np.load(autograde.__file__),
            lambda: torch.load(autograde.__file__),
            lambda: np.ones(3) @ np.ones(4), lambda: pathlib.Path(autograde.__file__).read_text(),
            lambda: autograde.check(), lambda: get_ipython().run_line_magic("run", autograde.__file__)):
    try:
        way()
    except BaseException as error:
        print(error)
        print(traceback.format_exc())
        traceback.print_stack()
warnings.warn("from here")
print(autograde, autograde.__file__, autograde.__path__, get_ipython)
"""
RAISE = """
_real_word = word
def word(k):
    if k != 0:
        return _real_word(k)
    import traceback
    raise ValueError("".join(traceback.format_stack()) + str(__import__("autograde").__file__))
raise RuntimeError("".join(__import__("traceback").format_stack()))
"""

OWN_PROC = (
    TRIED
    + """
names = ("mem", "maps", "smaps", "pagemap", "environ", "fd", "fd/200", "fdinfo/200", "cmdline", "root", "exe", "mounts")
names += ("mountinfo", "status", "stat", "statm", "auxv", "limits", "task", "ns", "net/unix", "io", "sched", "cgroup")
names += ("oom_score_adj", "clear_refs", "coredump_filter", "syscall", "stack", "wchan", "map_files", "loginuid")
tops = ("/proc/self/", "/proc/thread-self/", f"/proc/{os.getpid()}/task/{os.getpid()}/")
ways = [lambda path=top + name: open(path, "rb").read(1000) for top in tops for name in names]
ways += [lambda path=tops[0] + name: open(path, "r+b").write(b"1") for name in ("mem", "oom_score_adj", "clear_refs")]
ways += [lambda: os.listdir("/proc/self"), lambda: os.listdir("/proc/self/fd"), lambda: open("/proc/1/cmdline").read()]
print("not refused:", len(ways) - tried(*ways, also=(errno.ENOENT, errno.ENXIO)))  # no such file; a socket
"""
)


def by_path(*paths: str) -> str:
    """A cell that reads these paths in every way."""
    every = f"\ntried(*(way for path in {paths!r} for way in ways(path)), also=(errno.EXDEV,))"
    return READ + every


class TestReading(Siege):
    """What a submission must not see."""

    budget = 30  # looking through a process's memory takes a while, and nothing here hangs

    attacks = (
        Attack(
            "hidden tests by path",
            by_path("{root}/autograde/questions/warmup/target/test_target.py"),
            "landlock",
            shows=refused(WAYS),
        ),
        Attack(
            "hidden tests by path while they run",
            inside(by_path("{root}/autograde/questions/warmup/target/test_target.py")),
            "landlock",
            shows=refused(WAYS),
        ),
        Attack(
            "mistakes by path",
            by_path("{root}/autograde/questions/warmup/target/mistakes.toml"),
            "landlock",
            shows=refused(WAYS),
        ),
        Attack(
            "source notebook by path",
            by_path("{root}/source/warmup/target.ipynb"),
            "landlock",
            shows=refused(WAYS),
        ),
        Attack("gradebook by path", by_path("{root}/gradebook.db"), "landlock", shows=refused(WAYS)),
        Attack(
            "seed and journal by path",
            by_path("{root}/.autograde/seed", "{root}/.autograde/journal.jsonl"),
            "landlock",
            shows=refused(2 * WAYS),
        ),
        Attack(
            "another submission by path",
            by_path("{root}/submitted/fellow/warmup/target.ipynb"),
            "landlock",
            shows=refused(WAYS),
        ),
        Attack(
            "home and system by path",
            by_path("{home}/diary.txt", "/etc/passwd", "/etc/hosts"),
            "landlock",
            shows=refused(3 * WAYS),
        ),
        Attack("walk of the machine", "import os\n" + WALK, "landlock", shows="found by walking: 0"),
        Attack(
            "engine by __file__, inspect, linecache, loaders",
            ENGINE,
            "landlock",
            shows="ways: True not refused: 0",
        ),
        Attack("graders by import", IMPORTS, "landlock", shows="modules of graders: 0"),
        Attack(
            "stack, gc and sys.modules",
            OBJECTS,
            "process of its own",
            shows="texts: True its own: True others: 0",
        ),
        Attack(
            "stack and gc while tests run",
            inside(OBJECTS),
            "process of its own",
            shows="texts: True its own: True others: 0",
        ),
        Attack(
            "memory of its own process",
            MEMORY,
            "process of its own",
            shows="memory: True its own: True others: 0",
        ),
        Attack(
            "environment and arguments",
            ENVIRONMENT,
            "environment from a list",
            shows="variables seen: True of the grader's: 0",
        ),
        Attack("error messages", MESSAGES + RAISE, "paths taken out", shows="from here"),
        Attack("/proc/self", OWN_PROC, "landlock", shows="not refused: 0"),
    )

    def test_seed_is_not_shown(self, attack: Attack, fallout: Fallout) -> None:
        """The course's secret seed is nowhere in what is given back."""
        seed = (fallout.target.root / ".autograde" / "seed").read_text(encoding="ascii").strip()
        assert len(seed) > 5
        assert seed not in fallout.left[attack.name]

    def test_course_is_not_named(self, fallout: Fallout) -> None:
        """No error, traceback or warning names the course's folder or the engine's."""
        for attack in self.attacks:
            if "{root}" not in attack.code:  # these name it themselves
                assert str(fallout.target.root) not in fallout.left[attack.name]
                assert str(PACKAGE.parent) not in fallout.left[attack.name]
