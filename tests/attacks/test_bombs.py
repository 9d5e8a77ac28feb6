"""Attacks that use up what there is: processes, threads, memory, files, output, time. Each is bounded by itself."""

from __future__ import annotations

from attempts import KERNEL, TRIED, inside, late, refused
from siege import Attack, Fallout, Siege

# No more than fifty, which sleep: where nothing stopped them, that is what a machine can bear.
FORKS = """
import multiprocessing, subprocess, threading, time
def child():
    if not os.fork():
        time.sleep(300)
        os._exit(0)
def by_call():
    if not kernel("clone", 17, 0, 0, 0, 0):
        time.sleep(300)
        os._exit(0)
def in_thread():
    failed = []
    def work():
        try:
            child()
        except OSError as error:
            failed.append(error)
    one = threading.Thread(target=work)
    one.start()
    one.join()
    if failed:
        raise failed[0]
ways = [child] * 20 + [by_call] * 20 + [in_thread] * 5
ways += [lambda: subprocess.Popen(["/bin/sleep", "300"])] * 3
ways += [lambda: multiprocessing.get_context("fork").Process(target=time.sleep, args=(300,)).start()]
ways += [lambda: os.forkpty()]
"""

THREADS = """
import threading, time
threading.stack_size(65536)
started = 0
for _ in range(3000):
    threading.Thread(target=time.sleep, args=(300,), daemon=True).start()
    started += 1
print("started", started)
time.sleep(300)
"""

BIG_THREADS = """
import threading, time
try:
    for _ in range(1000):
        threading.Thread(target=time.sleep, args=(300,), daemon=True).start()
except RuntimeError as error:
    print("no more than", threading.active_count() < 1000, error)
"""

SPIN = """
import threading
def spin():
    while True:
        pass
threading.Thread(target=spin, daemon=True).start()
def print(*given):
    import builtins
    builtins.print(*given, "still spinning:", threading.active_count() - 1)
"""

# What is asked for is more than there may be; nothing of it is written to, so that a hole would cost little.
MEMORY = """
import mmap
libc.mmap.restype = ctypes.c_void_p

def mapped(size, protection, flags):
    got = libc.mmap(None, ctypes.c_size_t(size), protection, flags, -1, ctypes.c_long(0))
    if ctypes.c_long(got).value == -1:
        raise OSError(ctypes.get_errno(), "refused")
    return got

def growing():
    held = []
    while len(held) < 200:
        held.append(np.zeros(2**22))
    return len(held)

def by_torch():
    try:
        return torch.ones(2**30).shape
    except RuntimeError as error:
        raise MemoryError if "can't allocate memory" in str(error) else error

PRIVATE, SHARED, ANONYMOUS, GROWS_DOWN, UNRESERVED = 2, 1, 0x20, 0x100, 0x4000
ways = [
    growing, by_torch, lambda: np.ones(2**29).shape, lambda: np.zeros((2**20, 2**11)).shape,
    lambda: len(bytearray(2**32)), lambda: len([0] * 2**29), lambda: len("x" * 2**32),
    lambda: mapped(2**32, 3, PRIVATE | ANONYMOUS), lambda: mapped(2**32, 3, PRIVATE | ANONYMOUS | UNRESERVED),
    # Of the kind that stacks are, which no limit counts as data.
    lambda: mapped(2**20, 3, PRIVATE | ANONYMOUS | GROWS_DOWN),
    # Only to be read: it takes no memory, but the kernel keeps tables of it, a 512th of its size.
    lambda: mapped(2**40, 1, PRIVATE | ANONYMOUS | UNRESERVED),
    lambda: mapped(2**40, 0, PRIVATE | ANONYMOUS | UNRESERVED),
    lambda: mapped(2**20, 3, SHARED | ANONYMOUS),
]
print("not refused:", len(ways) - tried(*ways, also=(errno.ENOMEM,)))
"""

SHARED = """
import mmap, multiprocessing, multiprocessing.shared_memory
def by_torch():
    try:
        return torch.ones(2**20).share_memory_().shape
    except RuntimeError as error:
        raise PermissionError(errno.EPERM, "refused") if "ermi" in str(error) else error
ways = [
    by_torch, lambda: mmap.mmap(-1, 2**20), lambda: os.memfd_create("m"), lambda: kernel("memfd_secret", 0),
    lambda: kernel("shmget", 0, 2**30, 0o1600), lambda: kernel("mq_open", b"{clue}", 0o102, 0o600, None),
    lambda: __import__("_posixshmem").shm_open("/{clue}", os.O_CREAT | os.O_RDWR, 0o600),
    lambda: multiprocessing.shared_memory.SharedMemory("{clue}", create=True, size=2**20),
    lambda: multiprocessing.RawArray("b", 2**20), lambda: multiprocessing.Queue(), lambda: multiprocessing.Pool(2),
    lambda: open("/dev/shm/{clue}", "w"), lambda: open("/run/{clue}", "w"), lambda: open("/var/tmp/{clue}", "w"),
    lambda: mmap.mmap(os.open("/dev/zero", os.O_RDWR), 2**20),
]
print("not refused:", len(ways) - tried(*ways))
"""

GROWN = """
held = []
while len(held) < 200:
    held.append(np.zeros(2**22))
"""

# Pipes and pairs of sockets, as full as they get.
PIPES = """
import fcntl, os, socket
full, ends = 0, []
try:
    while len(ends) < 400:
        ends.append(os.pipe())
        os.set_blocking(ends[-1][1], False)
        try:
            fcntl.fcntl(ends[-1][1], 1031, 2**20)
            full += os.write(ends[-1][1], bytes(2**20))
        except OSError:
            pass
        if len(ends) % 2:
            ends.append(socket.socketpair())
            ends[-1][0].setblocking(False)
            full += ends[-1][0].send(bytes(2**20))
except OSError as error:
    print(error)
print("ends:", 50 < len(ends) < 130, "more than 400 MiB in them:", full > 400 * 2**20)
"""

FILES = """
import time
{code}
time.sleep(60)
"""
LARGE_FILE = """
def by_seeking():
    with open("far", "wb") as file:
        file.seek(300 * 2**20)
        file.write(b"x")
ways = [lambda: open("large", "wb").write(bytes(2**28)), lambda: open("sparse", "wb").truncate(2**40), by_seeking]
ways += [lambda: os.posix_fallocate(os.open("kept", os.O_CREAT | os.O_RDWR), 0, 300 * 2**20)]
ways += [lambda: np.memmap("mapped", mode="w+", shape=2**28)[0], lambda: os.truncate("large", 2**30)]
ways += [lambda: np.save("saved", np.zeros(2**25)), lambda: np.zeros(2**25).tofile("raw")]
ways += [lambda: open(f"{top}/{clue}", "w") for top in ("/tmp", "/var/tmp", "/dev/shm", "{root}", "{home}", "/")]
"""
MANY_FILES = "for n in range(18):\n    open(f'f{n}', 'wb').write(bytes(2**24))"
SPARSE_FILES = "for n in range(18):\n    open(f'f{n}', 'wb').truncate(2**24)"
INODES = "import os\nfor n in range(17_000):\n    os.symlink('x', f'{n}')"
FOLDERS = "import os\nfor n in range(700):\n    os.mkdir('d')\n    os.chdir('d')"

PRINTED = "import sys\nwhile True:\n    print('x' * 9999)\n    sys.stderr.write('y' * 9999)"
# The limit on what is printed is inside the process, where it can be lifted; what is sent has one of its own.
LIFTED = """
import sys
shell = get_ipython()
shell.cell_outputs.limit = 10**12
for n in range(3000):
    print("x" * 9999, file=(sys.stdout, sys.stderr)[n % 2])
"""
STREAMS = """
import os
written = 0
for _ in range(300):
    for number in (1, 2):
        written += os.write(number, b"x" * 2**20)
print("written:", written)
"""
RICH = """
from IPython.display import HTML, display
for n in range(60):
    display(HTML("x" * 10**5), metadata={"n": "y" * 10**5})
    display({"application/json": "z" * 10**5, "image/png": "z" * 10**5}, raw=True)
"""

DEAF = """
import signal, time
signal.pthread_sigmask(signal.SIG_BLOCK, range(1, signal.NSIG))
for number in set(range(1, signal.NSIG)) - {9, 19, 32, 33}:
    signal.signal(number, signal.SIG_IGN)
while True:
    time.sleep(600)
"""
REGEX = "import re\nreturn re.match(r'(a|a)*$', 'a' * 60 + 'b')"

# In the second test of each task: something without end, or much too large.
ANSWERS = """
import itertools
class Endless:
    def __len__(self):
        return 2**62
    def __iter__(self):
        return itertools.repeat(1)
    def __getitem__(self, key):
        return self
    def __getattr__(self, name):
        return self
    def __call__(self, *given, **named):
        return self

_real = scale, Affine, word
def scale(x, by):
    return itertools.count() if x.min() < 0 else _real[0](x, by)

class Affine(Affine):
    def forward(self, x):
        return torch.ones(1).expand(2**40) if x.requires_grad else super().forward(x)

def word(k):
    return Endless() if k == 0 else _real[2](k)
"""

PICKLED = """
import io, os, pickle
class Bomb:
    def __reduce__(self):
        return io.open, ("/tmp/{clue}", "w")
    def __reduce_ex__(self, protocol):
        return self.__reduce__()
    def __getstate__(self):
        raise SystemExit(0)
    def __setstate__(self, state):
        open("/tmp/{clue}", "w")
payload = pickle.dumps(Bomb())
_real_word, _real_scale = word, scale
def scale(x, by):
    return np.array([Bomb()], dtype=object) if x.min() < 0 else _real_scale(x, by)
def word(k):
    return [Bomb(), payload, {"state": Bomb()}] if k == 0 else _real_word(k)
"""
DEEP = "deep = []\nfor _ in range(10**5):\n    deep = [deep]\nreturn deep"
WIDE = "return np.zeros(2**26)"
LONG = "return [0] * 3_000_000"

TOO_MUCH = "wrote more than 64 MiB of files"


class TestBombs(Siege):
    """What a submission must not use up for others."""

    budget = 18  # beside other tests a bomb of memory takes a second to go off; few of these hang

    attacks = (
        Attack("fork bomb", TRIED + KERNEL + FORKS + "_ = tried(*ways)", "seccomp", shows=refused(50)),
        Attack(
            "fork bomb while tests run",
            inside(TRIED + KERNEL + FORKS + "_ = tried(*ways)"),
            "seccomp",
            shows=refused(50),
        ),
        Attack("thread bomb with small stacks", THREADS, "watchdog", told="started more than 300 threads"),
        Attack("thread bomb", BIG_THREADS, "rlimit", shows="no more than True"),
        Attack("a thread that spins", SPIN, "process of its own", shows="still spinning: 1"),
        Attack(
            "memory by numpy, torch, mmap", TRIED + KERNEL + MEMORY, "rlimit, seccomp", shows="not refused: 0"
        ),
        Attack("memory in a function", late(GROWN), "rlimit", told="asked for more than 2 GiB"),
        Attack("shared memory", TRIED + KERNEL + SHARED, "seccomp, landlock", shows="not refused: 0"),
        Attack(
            "pipes and sockets filled", PIPES, "rlimit", shows="ends: True more than 400 MiB in them: False"
        ),
        Attack(
            "files too large",
            TRIED + LARGE_FILE + "_ = tried(*ways, also=(errno.EFBIG, None))",
            "rlimit, landlock",
            shows=refused(14),
        ),
        Attack("disk fill by large files", FILES.replace("{code}", MANY_FILES), "watchdog", told=TOO_MUCH),
        Attack("sparse files", FILES.replace("{code}", SPARSE_FILES), "watchdog", told=TOO_MUCH),
        Attack("inode fill by small files", FILES.replace("{code}", INODES), "watchdog", told="in the cell"),
        Attack(
            "folders in folders",
            FILES.replace("{code}", FOLDERS),
            "watchdog",
            told="nested folders without end",
        ),
        Attack("endless output", PRINTED, "process of its own", told="printed more than"),
        Attack("endless output, limit lifted", LIFTED, "wire: sizes"),
        Attack("output to the descriptors", STREAMS, "/dev/null", shows="written: 629145600"),
        Attack("rich output", RICH, "a limit on figures", shows="left out"),
        Attack("sleep with all signals blocked", late(DEAF), "watchdog", told="ran longer"),
        Attack("regular expression without end", late(REGEX), "watchdog", told="ran longer"),
        Attack("huge integer", late("return 10**10**8"), "watchdog", told="ran longer"),
        Attack("answers without end", ANSWERS, "wire: data only"),
        Attack("pickled answers", PICKLED, "wire: data only"),
        Attack("deep answer", late(DEEP), "wire: sizes", shows="nested more than 64 deep"),
        Attack("wide answer", late(WIDE), "wire: sizes", shows="more than 256 MiB of data"),
        Attack("long answer", late(LONG), "wire: sizes", shows="more than 4 MiB of Python objects"),
    )

    def test_what_is_kept_is_small(self, attack: Attack, fallout: Fallout) -> None:
        """Whatever a submission prints and shows, all that is kept of it has a bound."""
        assert len(fallout.left[attack.name]) < 12 * 2**20
