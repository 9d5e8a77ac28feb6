"""Attacks on other processes: the grader, the process that rooms are made from, the rooms of others, the kernel."""

from __future__ import annotations

from attempts import KERNEL, TRIED, inside, refused
from siege import Attack, Siege

# The grader, who made this process, and whatever lies around them.
OTHERS = (
    TRIED
    + KERNEL
    + """
import ctypes, signal, socket, struct
own, maker = os.getpid(), os.getppid()
control = socket.socket(fileno=os.dup(200))
grader = struct.unpack("3i", control.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
others = sorted({grader, maker, 1, *range(own - 4, own), *range(own + 1, own + 5)} - {own, 0})
"""
)

PROC = """
names = ("mem", "maps", "environ", "cmdline", "status", "cwd/x", "root/etc/passwd", "fd/0", "task", "stat", "exe")
ways = {pid: [lambda path=f"/proc/{pid}/{name}": open(path, "rb").read(100) for name in names] for pid in others}
for pid, some in ways.items():
    some += [lambda pid=pid: os.listdir(f"/proc/{pid}/fd"), lambda pid=pid: open(f"/proc/{pid}/mem", "r+b").write(b"x")]
    some += [lambda path=f"/proc/{pid}/{name}": os.readlink(path) for name in ("exe", "cwd", "root", "fd/0", "fd/4")]
known = ways.pop(grader) + ways.pop(maker) + [lambda: os.listdir("/proc")]
near = [one for some in ways.values() for one in some]
left = len(known) - tried(*known, also=(errno.ENOTDIR,)) + len(near) - tried(*near, also=(errno.ENOENT, errno.ENOTDIR))
print("not refused:", left)
"""

TRACE = """
buffer = ctypes.create_string_buffer(8)
local = struct.pack("@PN", ctypes.addressof(buffer), 8)
remote = struct.pack("@PN", id(None), 8)
ways = []
for pid in (grader, maker):
    for request in (16, 0x4206, 0x4207, 0, 2, 3, 12):  # attach, seize, interrupt, traceme, peek, registers
        ways.append(lambda pid=pid, request=request: kernel("ptrace", request, pid, 0, 0))
    for name in ("process_vm_readv", "process_vm_writev"):
        ways.append(lambda pid=pid, name=name: kernel(name, pid, local, 1, remote, 1, 0))
    ways += [
        lambda pid=pid: kernel("kcmp", own, pid, 0, 0, 0),
        lambda pid=pid: kernel("pidfd_open", pid, 0),
        lambda pid=pid: kernel("process_madvise", pid, local, 1, 4, 0),
        lambda pid=pid: kernel("move_pages", pid, 0, None, None, None, 0),
        lambda pid=pid: kernel("migrate_pages", pid, 0, None, None),
        lambda pid=pid: kernel("perf_event_open", bytes(128), pid, -1, -1, 0),
    ]
ways.append(lambda: kernel("pidfd_getfd", 3, 0, 0))
ways.append(lambda: kernel("process_mrelease", 3, 0))
print("not refused:", len(ways) - tried(*ways))
"""

# A descriptor of the grader's process, which the kernel hands out for the socket between them.
HANDLE = """
def by_handle():
    handle = struct.unpack("i", control.getsockopt(socket.SOL_SOCKET, 77, 4))[0]
    return handle
try:
    handle = by_handle()
except OSError:
    handle = 3  # an older kernel hands out none
ways = [
    lambda: kernel("pidfd_send_signal", handle, signal.SIGKILL, None, 0),
    lambda: kernel("pidfd_getfd", handle, 0, 0),
    lambda: kernel("pidfd_getfd", handle, 4, 0),
    lambda: kernel("setns", handle, 0x20000000),
    lambda: kernel("process_madvise", handle, bytes(16), 1, 4, 0),
    lambda: kernel("process_mrelease", handle, 0),
    lambda: signal.pidfd_send_signal(handle, signal.SIGKILL),
    lambda: os.waitid(os.P_PIDFD, handle, os.WEXITED | os.WNOHANG),
]
_ = tried(*ways, also=(errno.ECHILD, errno.EBADF))
"""

SIGNALS = """
import fcntl
# To everybody only what does no harm.
kinds = {pid: (0, signal.SIGWINCH) for pid in (*others, -1, 0)}
kinds |= {pid: (9, 19, 2, 15, 0) for pid in (grader, maker, -maker)}
ways = [lambda pid=pid, number=number: os.kill(pid, number) for pid, some in kinds.items() for number in some]
ways += [lambda pid=pid: os.killpg(pid, 0) for pid in (grader, maker, 0)]
for pid in (grader, maker):
    ways += [
        lambda pid=pid: kernel("tgkill", pid, pid, 9),
        lambda pid=pid: kernel("tkill", pid, 9),
        lambda pid=pid: kernel("rt_sigqueueinfo", pid, 9, bytes(128)),
        lambda pid=pid: kernel("rt_tgsigqueueinfo", pid, pid, 9, bytes(128)),
        lambda pid=pid: fcntl.fcntl(200, fcntl.F_SETOWN, pid),
        lambda pid=pid: fcntl.fcntl(200, 15, struct.pack("ii", 1, pid)),
        lambda pid=pid: fcntl.fcntl(200, 10, 9),
        lambda pid=pid: fcntl.ioctl(200, 0x8901, struct.pack("i", pid)),
        lambda pid=pid: fcntl.ioctl(200, 0x8902, struct.pack("i", pid)),
    ]
ways += [lambda: os.setsid(), lambda: os.setpgid(0, maker), lambda: kernel("setpgid", own, grader)]
print("not refused:", len(ways) - tried(*ways))
"""

PRIORITY = """
import resource
ways = []
for pid in (grader, maker):
    ways += [
        lambda pid=pid: os.setpriority(os.PRIO_PROCESS, pid, 19),
        lambda pid=pid: os.setpriority(os.PRIO_PGRP, pid, 19),
        lambda pid=pid: os.setpriority(os.PRIO_USER, os.getuid(), os.getpriority(os.PRIO_PROCESS, 0)),
        lambda pid=pid: os.sched_setaffinity(pid, {0}),
        lambda pid=pid: os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0)),
        lambda pid=pid: os.sched_setparam(pid, os.sched_param(0)),
        lambda pid=pid: kernel("sched_setattr", pid, bytes(48), 0),
        lambda pid=pid: kernel("ioprio_set", 1, pid, 0x6000),
        lambda pid=pid: kernel("ioprio_set", 3, os.getuid(), 0x4004),
        lambda pid=pid: resource.prlimit(pid, resource.RLIMIT_CPU, (1, 1)),
    ]
more = struct.pack("QQ", 2**40, 2**40)
ways += [lambda: kernel("setrlimit", 7, more), lambda: kernel("prlimit64", 0, 7, more, None)]
print("not refused:", len(ways) - tried(*ways))
"""

# What a process is born with: nothing but its own socket, its own file and /dev/null.
DESCRIPTORS = """
import os, socket, stat
null, kinds = os.stat(os.devnull).st_rdev, {}

def copy(number):
    other = os.dup(number)
    os.close(other)
    return "copied"

for number in range(1024):
    try:
        about = os.fstat(number)
    except OSError:
        continue
    ways = [lambda: os.pread(number, 10**6, 0), lambda: os.listdir(number), lambda: os.fchdir(number)]
    ways += [lambda: copy(number)]
    ways += [lambda path=path: os.open(path, os.O_RDONLY, dir_fd=number) for path in ("..", ".", "etc/passwd")]
    ways += [lambda path=path: open(f"{path}/{number}", "rb").read() for path in ("/proc/self/fd", "/dev/fd")]
    ways += [lambda: os.sendfile(1, number, 0, 100), lambda: os.read(number, 100) if number != 200 else b""]
    got = []
    for way in ways:
        try:
            got.append(way())
        except OSError as error:
            got.append(type(error).__name__)
    if stat.S_ISSOCK(about.st_mode):
        kind = "socket"
    else:
        kind = "null" if about.st_rdev == null else f"{about.st_nlink} names"
    kinds.setdefault(kind, []).append(number)
    if kind != "null":
        print(number, got)
print("inherited:", kinds)
"""

# Every answer hands descriptors to the grader, to fill its table.
PASSED = """
import array, os, socket
handed = []

def send(self, data, *flags):
    many = [os.open(os.devnull, os.O_RDONLY) for _ in range(50)]
    try:
        sent = self.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", many))])
        handed.extend(many)
    finally:
        for one in many:
            os.close(one)
    return sent

socket.socket.send = send

def print(*given):
    import builtins
    builtins.print(*given, "descriptors handed over:", len(handed) > 400)
"""

GARBAGE = """
import os, time
for number in range(3, 1024):
    try:
        os.write(number, b"garbage " * 9)
    except OSError:
        pass
time.sleep(60)
"""

# Every door of the kernel's, with arguments that do little where it is open.
DOORS = """
import multiprocessing, subprocess
os.mkdir("scratch")
path, spaces, zeros = b"scratch", 0x10000000 | 0x00020000 | 0x40000000, bytes(128)
calls = {
    "personality": (0x0040000,), "unshare": (spaces,), "setns": (3, 0), "clone3": (zeros, 88), "chroot": (path,),
    "pivot_root": (path, path), "mount": (b"none", path, b"tmpfs", 0, None), "umount2": (path, 2),
    "open_tree": (-100, path, 1), "move_mount": (3, path, 4, path, 0), "fsopen": (b"tmpfs", 0),
    "fspick": (-100, path, 0), "mount_setattr": (-100, path, 0, zeros, 32), "io_uring_setup": (8, zeros),
    "io_uring_enter": (3, 1, 0, 0, None, 0), "io_uring_register": (3, 0, None, 0), "io_setup": (1, zeros),
    "bpf": (0, zeros, 64), "seccomp": (1, 0, zeros), "perf_event_open": (zeros, 0, -1, -1, 0), "userfaultfd": (0,),
    "keyctl": (0, -3, 1), "add_key": (b"user", b"k", b"v", 1, -3), "request_key": (b"user", b"k", None, -3),
    "memfd_create": (b"m", 0), "memfd_secret": (0,), "execveat": (3, b"", None, None, 0x1000),
    "execve": (b"/bin/true", None, None), "fork": (), "vfork": (), "fanotify_init": (0, 0), "inotify_init1": (0,),
    "name_to_handle_at": (-100, path, zeros, zeros, 0), "open_by_handle_at": (3, zeros, 0), "iopl": (3,),
    "modify_ldt": (0, None, 0), "ioperm": (0, 1, 1), "kexec_load": (0, 0, None, 0), "init_module": (None, 0, b""),
    "finit_module": (3, b"", 0), "reboot": (0, 0, 0, None), "swapon": (b"nothing", 0), "syslog": (3, None, 0),
    "acct": (b"nothing",), "quotactl": (0, path, 0, None), "settimeofday": (None, None), "sethostname": (None, 1),
    "setdomainname": (None, 1), "setuid": (1,), "setgid": (1,), "setgroups": (0, None), "capset": (zeros, zeros),
    "setsid": (), "shmget": (0, 4096, 0o1600), "msgget": (0, 0o1600), "semget": (0, 1, 0o1600),
    "mq_open": (b"q", 0o102, 0o600, None), "mknodat": (-100, b"pipe", 0o010600, 0), "set_mempolicy": (0, None, 0),
    "lsm_set_self_attr": (100, zeros, 32, 0), "vhangup": (), "listmount": (zeros, None, 0, 0),
}
options = (4, 1, 8, 22, 23, 24, 28, 35, 36, 38, 43, 47, 59, 62, 66, 0x59616D61)
ways = [lambda name=name, given=given: kernel(name, *given) for name, given in calls.items()]
ways += [lambda bits=bits: kernel("clone", bits | 17, 0, 0, 0, 0) for bits in (0, spaces, 0x4000 | 0x100)]
ways += [lambda option=option: kernel("prctl", option, 1, 0, 0, 0) for option in options]
ways += [os.fork, lambda: os.execv("/bin/true", ["true"]), lambda: os.posix_spawn("/bin/true", ["true"], {})]
ways += [lambda: subprocess.run(["/bin/true"]), lambda: multiprocessing.get_context("fork").Process().start()]

# Numbers that no kernel has yet.
NUMBERS |= {number: number for number in (471, 500, 1000)}
ways += [lambda number=number: kernel(number) for number in (471, 500, 1000)]
print("doors:", len(ways) > 80, "not refused:", len(ways) - tried(*ways))
"""

PROGRAMS = """
ways = [
    lambda: os.fexecve(3, ["x"], {}) if hasattr(os, "fexecve") else os.execve(0, ["x"], {}),
    lambda: os.execv(os.path.abspath("program"), ["program"]),
    lambda: kernel("execveat", os.open("program", os.O_RDONLY), b"", None, None, 0x1000),
    lambda: os.memfd_create("program"),
    lambda: __import__("_posixshmem").shm_open("/{clue}", os.O_CREAT | os.O_RDWR, 0o600),
    lambda: os.mkfifo("pipe"),
    lambda: os.mknod("device", 0o020666, os.makedev(1, 3)),
]
open("program", "wb").write(b"#!/bin/sh\\ntouch /tmp/{clue}\\n")
os.chmod("program", 0o755)
print("not refused:", len(ways) - tried(*ways))
"""


BORN_WITH = "inherited: {'null': [0, 1, 2], 'socket': [200], '0 names': [201]}"


class TestProcesses(Siege):
    """What a submission must not reach."""

    attacks = (
        Attack(
            "/proc of the parent, the zygote, siblings", OTHERS + PROC, "landlock", shows="not refused: 0"
        ),
        Attack("ptrace, process_vm_readv, kcmp, pidfds", OTHERS + TRACE, "seccomp", shows="not refused: 0"),
        Attack("the grader by a handle of its process", OTHERS + HANDLE, "seccomp", shows=refused(8)),
        Attack(
            "signals to the parent, groups, everybody", OTHERS + SIGNALS, "seccomp", shows="not refused: 0"
        ),
        Attack("signals while tests run", inside(OTHERS + SIGNALS), "seccomp", shows="not refused: 0"),
        Attack(
            "priority, scheduling, limits of others", OTHERS + PRIORITY, "seccomp", shows="not refused: 0"
        ),
        Attack("inherited descriptors", DESCRIPTORS, "process of its own", shows=BORN_WITH),
        Attack(
            "inherited descriptors while tests run",
            inside(DESCRIPTORS),
            "process of its own",
            shows=BORN_WITH,
        ),
        Attack("descriptors handed to the grader", PASSED, "wire: data only", shows="handed over: True"),
        Attack(
            "garbage to every descriptor", GARBAGE, "wire: data only", told="sent an answer that is no data"
        ),
        Attack(
            "namespaces, io_uring, bpf, keys, exec",
            OTHERS + DOORS,
            "seccomp",
            shows="doors: True not refused: 0",
        ),
        Attack("programs, memory files, devices", OTHERS + PROGRAMS, "seccomp", shows="not refused: 0"),
    )
