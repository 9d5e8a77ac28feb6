"""Attacks that call out: to the network, to listeners on this machine, to whoever has an ear."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from attempts import KERNEL, TRIED, inside
from siege import CLUE, Attack, Fallout, Siege, besieged

CALL = b"anybody there"


class Ears:
    """Listeners of the instructor's own, of every kind that this machine has. Use it as a context manager.

    Args:
        folder: where those with a path lie; a short one.

    Attributes:
        facts: where each listens, by what attacks call it.
    """

    def __init__(self, folder: Path) -> None:
        abstract = f"\0{CLUE}-{uuid4().hex}"
        places: dict[str, tuple[int, int, object]] = {
            "tcp": (socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0)),
            "udp": (socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0)),
            "path": (socket.AF_UNIX, socket.SOCK_STREAM, str(folder / "stream")),
            "letters": (socket.AF_UNIX, socket.SOCK_DGRAM, str(folder / "letters")),
            "abstract": (socket.AF_UNIX, socket.SOCK_STREAM, abstract),
            "abstract_letters": (socket.AF_UNIX, socket.SOCK_DGRAM, f"{abstract}-letters"),
        }
        self.sockets: dict[str, socket.socket] = {}
        self.facts: dict[str, str] = {}
        for name, (family, kind, place) in places.items():
            one = self.sockets[name] = socket.socket(family, kind)
            one.setblocking(False)
            one.bind(place)
            if kind == socket.SOCK_STREAM:
                one.listen()
            self.facts[name] = repr(one.getsockname())

    def __enter__(self) -> Ears:
        return self

    def __exit__(self, *_: object) -> None:
        for one in self.sockets.values():
            one.close()

    def heard(self) -> set[str]:
        """Which of them were called since they were last asked."""
        found = set()
        for name, one in self.sockets.items():
            try:
                if one.type == socket.SOCK_STREAM:
                    one.accept()[0].close()
                else:
                    one.recv(1000)
            except BlockingIOError:
                continue
            found.add(name)
        return found


ADDRESSES = """
import ctypes, os, socket, struct
places = {"tcp": {tcp}, "udp": {udp}, "path": {path}, "letters": {letters}, "abstract": {abstract}}
places["abstract_letters"] = {abstract_letters}
kinds = {"udp": socket.SOCK_DGRAM, "letters": socket.SOCK_DGRAM, "abstract_letters": socket.SOCK_DGRAM}

def socket_for(name):
    family = socket.AF_INET if name in ("tcp", "udp") else socket.AF_UNIX
    return socket.socket(family, kinds.get(name, socket.SOCK_STREAM))
"""

LISTENERS = """
def connect(name):
    with socket_for(name) as one:
        one.connect(places[name])
        return one.send(b"anybody there")

def address(name):
    place = places[name]
    if isinstance(place, tuple):
        return struct.pack("!H", socket.AF_INET)[::-1] + struct.pack("!H4s8x", place[1], socket.inet_aton(place[0]))
    return struct.pack("H", socket.AF_UNIX) + (place if isinstance(place, bytes) else place.encode() + b"\\0")

def by_own_socket(name):
    # The one socket that there is, turned to somebody else.
    return kernel("connect", 200, address(name), len(address(name)))

def by_letter(name, kind):
    ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
    try:
        return ours.sendto(b"anybody there", places[name])
    finally:
        ours.close()
        theirs.close()

ways = [lambda name=name: connect(name) for name in places]
ways += [lambda name=name: by_own_socket(name) for name in places]
ways += [lambda name=name: socket_for(name).sendto(b"anybody there", places[name]) for name in places]
ways += [lambda name=name: open(places[name], "r+b", buffering=0).write(b"x") for name in ("path", "letters")]
ways += [lambda name=name: os.stat(places[name]) and os.unlink(places[name]) for name in ("path", "letters")]
for name in ("path", "letters", "abstract", "abstract_letters"):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_SEQPACKET):
        ways.append(lambda name=name, kind=kind: by_letter(name, kind))
        ways.append(lambda name=name, kind=kind | socket.SOCK_NONBLOCK: by_letter(name, kind))
print("not refused:", len(ways) - tried(*ways, also=(errno.EISCONN, errno.EOPNOTSUPP)))
"""

FAMILIES = """
kinds = (1, 2, 3, 4, 5, 10, 1 | 0o4000, 2 | 0o2000000)
ways = [lambda family=family, kind=kind: socket.socket(family, kind) for family in range(1, 47) for kind in kinds]
ways += [lambda family=family, kind=kind: socket.socketpair(family, kind) for family in (2, 16, 40) for kind in kinds]
ways += [lambda kind=kind: socket.socketpair(socket.AF_UNIX, kind) for kind in (2, 3, 5)]
ways += [lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0), lambda: socket.socket(17, 3, 0x300)]
ways += [lambda: kernel("socket", 2, 1, 0), lambda: kernel("socket", 40, 1, 0), lambda: kernel("socket", 38, 5, 0)]
for name in ("bind", "listen", "accept", "accept4", "connect"):
    ways.append(lambda name=name: kernel(name, 200, bytes(110), 110))
print("families:", len(ways) > 300, "not refused:", len(ways) - tried(*ways))
"""

NAMES = """
import asyncio, http.client, smtplib, ssl, urllib.request
def resolved(name):
    return socket.getaddrinfo(name, 80)
names = ("localhost", "example.org", "siege-was-here.example.org", "ip6-localhost", socket.gethostname())
ways = [lambda name=name: resolved(name) for name in names]
ways += [lambda name=name: socket.gethostbyname(name) for name in names]
ways += [lambda: socket.gethostbyaddr("127.0.0.1"), lambda: socket.getnameinfo(("127.0.0.1", 80), socket.NI_NAMEREQD)]
port = places["tcp"][1]
urls = (f"http://127.0.0.1:{port}/", "http://example.org/", "file:///etc/passwd", "ftp://127.0.0.1/x")
ways += [lambda url=url: urllib.request.urlopen(url, timeout=2).read() for url in urls]
ways += [lambda: http.client.HTTPConnection("127.0.0.1", port).request("GET", "/")]
ways += [lambda: smtplib.SMTP("127.0.0.1", port)]
ways += [lambda: ssl.get_server_certificate(("127.0.0.1", port)), lambda: socket.create_connection(("127.0.0.1", port))]
ways += [lambda: socket.create_server(("127.0.0.1", 0)), lambda: torch.hub.load_state_dict_from_url(urls[0] + "x")]

def by_torch():
    try:
        return torch.distributed.TCPStore("127.0.0.1", 0, 1, True)
    except RuntimeError as error:
        raise PermissionError(errno.EPERM, "refused") if "EPERM" in str(error) else error

def by_asyncio():
    async def call():
        return await asyncio.open_connection("127.0.0.1", port)
    return asyncio.run(call())
ways += [by_torch, by_asyncio]

# A name that can't be resolved has a number of its own; some libraries wrap the refusal in an error of theirs.
unresolved = (None, 1, 2, 3, socket.EAI_AGAIN, socket.EAI_NONAME, socket.EAI_FAIL, socket.EAI_SYSTEM)
print("not refused:", len(ways) - tried(*ways, also=unresolved))
"""

BUSES = """
def call(path):
    with socket.socket(socket.AF_UNIX) as one:
        one.connect(path)
        return path
paths = ["/run/dbus/system_bus_socket", "/var/run/docker.sock", "/run/systemd/notify", "/dev/log"]
paths += [f"/run/user/{os.getuid()}/bus", "/tmp/.X11-unix/X0", "\\0/tmp/dbus-x", "\\0/tmp/.X11-unix/X0"]
ways = [lambda path=path: call(path) for path in paths]
def log():
    libc.openlog(b"siege", 1, 0)
    libc.syslog(3, b"siege")
    return os.open("/dev/log", os.O_WRONLY)
ways += [log, lambda: __import__("multiprocessing.connection").connection.Client("\\0{clue}")]
ways += [lambda: __import__("multiprocessing.connection").connection.Listener(family="AF_UNIX")]
ways += [lambda path=path: os.open(path, os.O_WRONLY) for path in ("/dev/vsock", "/dev/net/tun", "/dev/kmsg")]
print("not refused:", len(ways) - tried(*ways, also=(errno.ENOENT,)))
"""

# Descriptors sent from thread to thread: allowed, and no way out.
SENT = """
import array, os, socket, threading
ours, theirs = socket.socketpair()
got = []
def receive():
    data, fds, *_ = socket.recv_fds(theirs, 100, 10)
    for fd in fds:
        for path in ("etc/passwd", "../../etc/passwd", "{root}/gradebook.db"):
            try:
                got.append(os.read(os.open(path, os.O_RDONLY, dir_fd=fd), 10))
            except OSError as error:
                print(type(error).__name__)
one = threading.Thread(target=receive)
one.start()
tops = [os.open(path, os.O_PATH) for path in ("/", "{root}", "{home}", "/proc")]
socket.send_fds(ours, [b"x"], tops)
one.join()
print("sent:", len(tops), "read:", len(got))
"""


class TestNetwork(Siege):
    """What a submission must not be heard by."""

    attacks = (
        Attack(
            "listeners: TCP, UDP, unix, abstract",
            TRIED + KERNEL + ADDRESSES + LISTENERS,
            "seccomp",
            shows="not refused: 0",
        ),
        Attack(
            "listeners while tests run",
            inside(TRIED + KERNEL + ADDRESSES + LISTENERS),
            "seccomp",
            shows="not refused: 0",
        ),
        Attack(
            "sockets of every family",
            TRIED + KERNEL + ADDRESSES + FAMILIES,
            "seccomp",
            shows="families: True not refused: 0",
        ),
        Attack(
            "DNS, urllib, http, mail, torch.hub",
            TRIED + KERNEL + ADDRESSES + NAMES,
            "seccomp",
            shows="not refused: 0",
        ),
        Attack(
            "dbus, syslog, X11, docker", TRIED + KERNEL + ADDRESSES + BUSES, "seccomp", shows="not refused: 0"
        ),
        Attack("descriptors sent within", SENT, "landlock", shows="sent: 4 read: 0"),
    )

    @pytest.fixture(scope="class")
    @classmethod
    def ears(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ears]:
        """Listeners that nobody is to call."""
        with Ears(tmp_path_factory.mktemp("ears")) as ears:
            yield ears

    @pytest.fixture(scope="class")
    @classmethod
    def fallout(cls, ears: Ears, tmp_path_factory: pytest.TempPathFactory) -> Fallout:
        """What both commands made of this family, while somebody listened."""
        course = replace(cls.course(tmp_path_factory.mktemp("siege")), facts=ears.facts)
        return besieged(course, cls.attacks, cls.budget)

    @pytest.mark.usefixtures("fallout")
    def test_nobody_was_called(self, ears: Ears) -> None:
        """No listener on this machine got a connection or a datagram, and each would have heard one."""
        assert ears.heard() == set()
        for one in ears.sockets.values():
            with socket.socket(one.family, one.type) as caller:
                caller.connect(one.getsockname())
                caller.send(CALL)
        assert ears.heard() == set(ears.sockets)
