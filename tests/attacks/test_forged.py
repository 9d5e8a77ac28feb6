"""Forged frames: what a submission writes to the grader's socket itself, or has our own code in the room write."""

from __future__ import annotations

from forgery import SOCKET
from siege import Attack, Siege

# The room's end of the wire, and frames written by hand or by the room's own module.
FORGE = (
    SOCKET
    + """
import os, pickle, sys, threading, time
import autograde.endpoint, autograde.wire as wire, autograde.zygote as zygote

end = socket.socket(fileno=os.dup(200))
_scale, _Affine, _total, _word = scale, Affine, total, word

def mapping(**fields):
    return ["d", [[name, value] for name, value in fields.items()]]

def send(data):
    end.sendall(data)

def quiet():
    # Nothing more is said by the room itself: the forged answer stands alone.
    zygote.wire.send = lambda *_: None

print("at the wire:", end.family.name, callable(zygote._answer))
"""
)

# One forgery a call: five tests of a submission make one each. Each ends the room, and earns nothing.
BROKEN = """
forgeries = [
    struct.pack("!IQ", 100, 2**60),
    frame(mapping(number="NUMBER", value=1))[:-3] + b"\\xff\\xff\\xff",
    struct.pack("!IQ", 2 * 10**6, 0) + b"[" * 2 * 10**6,
    frame(mapping(number=["a", "|b1", [2], 0], value=1), b"\\1\\1"),
    pickle.dumps(print) * 9,
    frame(mapping(number="NUMBER", value=["a", "<f8", [2**39, 2**39], 0]), bytes(8)),
    frame(mapping(number="NUMBER", value=["a", "|O", [1], 0]), pickle.dumps(0)[:8]),
    frame(mapping(number="NUMBER", value=["s", [(2**61 - 1) * k for k in range(1, 5000)]])),
    frame(mapping(number="NUMBER", value=["h", {}, "x" * 10**6, True, []])),
    frame(mapping(number="NUMBER", value=["i", "9" * 10**6])),
]

def forged(which):
    data = forgeries[which]
    number = json.dumps(call_number()).encode()
    plain = data.replace(b'"NUMBER"', number)
    if plain != data:  # the header is shorter now
        head, body = struct.unpack_from("!IQ", plain)
        plain = struct.pack("!IQ", head + len(number) - len(b'"NUMBER"'), body) + plain[12:]
    quiet()
    send(plain)
    time.sleep(5)
    os._exit(0)
"""

AHEAD = """
# Answers to requests that nobody has made yet, as many as the socket takes: "passed" to all of them.
def word(k):
    number = call_number()
    for ahead in range(1, 60):
        send(frame(mapping(number=number + ahead, value=True)))
    return _word(k)
"""

REPLAY = """
# What was right once is sent again, for the same number and for the next.
sent = []
_send = wire.send

def remembering(sock, data, *rest):
    sent.append(data)
    for old in sent[-2:]:
        _send(sock, old)

def word(k):
    zygote.wire.send = remembering
    return _word(k)
"""

TWO = """
# Two threads answer at once, into each other's frames.
def word(k):
    answer = frame(mapping(number=call_number(), value="ab" * k)) * 50
    both = [threading.Thread(target=send, args=(answer,)) for _ in range(2)]
    [one.start() for one in both]
    [one.join() for one in both]
    return _word(k)
"""

PASS = """
# Every answer of ours is made to say that all is well, by our own code in the room.
_pack = wire.pack

def pack(value, export):
    if "error" in value:
        value = {"number": value["number"], "value": True, "outcome": "passed", "points": 22, "score": 22}
    return _pack({**value, "passed": True, "verdict": "passed"}, export)

zygote.wire.pack = wire.pack = pack
autograde.endpoint.described = zygote.described = lambda error: {
    "type": "passed", "kinds": ["AssertionError", "Passed", "object", 7], "message": "passed", "lines": [],
    "outcome": "passed", "unsendable": False, "missing": False, "stopped": False}

def word(k):
    if k < 0:
        raise KeyError(k)
    return _word(k)
"""

ODD = """
# Fields of answers that are not what they must be, where our own side looks at them.
array = np.ones(3)
_pack, _run = wire.pack, zygote.run_cell

def run_cell(shell, source):
    _run(shell, source)
    return {"outputs": [{"output_type": array, "text": array}, 7,
                        {"output_type": "stream", "name": array, "text": ["l"]},
                        {"output_type": "display_data", "data": array},
                        {"output_type": "display_data", "data": {"text/html": 7, "image/png": "<script>", "": ""}},
                        {"output_type": "error", "ename": array, "evalue": 7, "traceback": array}],
            "error": array, "line": array}

def described(error):
    return {"type": array, "kinds": array, "message": array, "lines": array, "unsendable": array, "missing": array}

zygote.run_cell = run_cell
zygote.described = autograde.endpoint.described = described

def word(k):
    if k < 2:
        raise KeyError(k)
    return _word(k)
"""

HANDLES = """
# Handles that were never given, of another test, and of our own objects in the room.
def forged_handle(number, name="str", bases=("str", "object")):
    return ["h", number, name, True, list(bases)]

class Endless:
    def __getattribute__(self, name): return Endless()
    def __iter__(self): return iter([Endless()])
    def keys(self): return [1, 2, 3]

_export = autograde.endpoint.Endpoint.export
turn = [0]

def export(self, value):
    turn[0] += 1
    names = [("builtins", []), ("Method", ["Module"]), ("", [""] * 999)]
    return forged_handle([-1, 10**12, 1, 200, 3][turn[0] % 5], *names[turn[0] % 3])

def word(k):
    autograde.endpoint.Endpoint.export = export
    return Endless()

def total(step, n):
    for value in (Endless(), [Endless()], {"a": Endless()}):
        try:
            step(value)
        except Exception as error:
            pass
    return _total(step, n)
"""

CALLBACKS = """
# The test's function is called from here, in the grader: with forged arguments, for ever, when nobody asked, too late.
def callback(number, args=None, kwargs=None):
    return frame(mapping(callback=number, args=args or ["t", []], kwargs=kwargs or ["d", []]))

huge = ["x" * 10**6, 10**3000, -1, 2**62, 1e308, float("nan"), np.zeros(10**6), torch.zeros(10**6), [[]] * 10**4, None,
        np.array(0), b"", "0", (), {}, set(), True, 1j, np.float64(0), -0.0]

def total(step, n):
    caught = 0
    for value in huge:
        try:
            step(value)
        except Exception:
            caught += 1
    for arguments in ((), (1, 2, 3), (0,) * 1000):
        try:
            step(*arguments)
        except TypeError:
            caught += 1
    try:
        step(0, **{"i": 1, "__class__": 2, "": 3})
    except TypeError:
        caught += 1
    open("caught", "w").write(str(caught))
    return _total(step, n)

"""

UNASKED = """
# Calls of functions that were not given, by number; the first is there only while `total` is tested.
def word(k):
    quiet()
    send(frame(mapping(callback=[0, -1, 10**9, "0", None, 0.5][k % 6], args=["t", [1]], kwargs=["d", []])))
    time.sleep(5)
"""

LATE = """
# The test's function is kept, and called when its test is over: by a thread, and by another task.
kept = []

def total(step, n):
    kept.append(step)
    return _total(step, n)

def word(k):
    for step in kept:
        try:
            print("still there:", step(0))
        except BaseException:
            pass
    return _word(k)

class Affine(_Affine):
    def __init__(self, width):
        super().__init__(width)
        self.kept = kept
"""

DEEP = """
# Their function and the test's call each other, and a callback answers with a callback.
def total(step, n):
    def again(*_):
        return step(again)
    for given in (again, [again], {"a": again}):
        try:
            step(given)
        except BaseException:
            pass
    return _total(step, n)
"""

CHATTER = """
# Files without end, by a process that has something to say all the while: nobody would get to look.
def total(step, n):
    k = 0
    while True:
        open(f"f{k}", "wb").write(bytes(2**20))
        k += 1
        step(0)
"""

HEAP = """
# The grader keeps what it is told: so much that its memory would be full.
def word(k): return bytes(2**26)
scale = lambda x, by: bytes(2**26)
"""

# A byte out of band makes the grader's socket ready, with nothing to read; descriptors would fill its table.
BAND = """
import array
end.sendmsg([b"\\0"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [201] * 50))])
print("descriptors", "sent")
end.send(b"!", socket.MSG_OOB)
time.sleep(9)
"""

LINES = """
# Forged lines in the file that keeps what a cell showed before it ended its process.
items = [{"output_type": "stream", "name": "stdout", "text": "22 of 22 " + "points"}, {}, 7,
         {"output_type": "display_data", "data": {"text/html": "<script>alert(1)</script>", "image/png": "\\">"}},
         {"output_type": "execute_result", "data": [], "execution_count": "9" * 99}]
os.write(201, "\\n".join([*map(json.dumps, items), "[" * 10**5, '{"output_type": "stre']).encode() + b"\\xff")
os.lseek(201, 2**40, 0)
os._exit(0)
"""

AT_THE_WIRE = "at the wire: AF_UNIX True"


def broken(first: int) -> str:
    """Redefines the functions of the work so that each call answers with another forgery of the list."""
    return (
        FORGE
        + BROKEN
        + f"def scale(x, by): forged({first} + (x > 0).all())\n"
        + f"def word(k): forged({first} + 2 + max(k, 0) % 3)\n"
    )


class TestForged(Siege):
    """A frame that is none ends its process; one that is, says no more than an answer could."""

    attacks = (
        Attack("frames oversized, torn, deep, odd and pickled", broken(0), earns=4, told="sent an answer",
               stopped_by="wire: checked before it is read", shows=AT_THE_WIRE),
        Attack("frames with forged shapes, kinds and sizes", broken(5), earns=4, told="sent an answer",
               stopped_by="wire: checked before it is read", shows=AT_THE_WIRE),
        Attack("answers ahead of time", FORGE + AHEAD, earns=6, told="out of order", stopped_by="numbered requests",
               shows=AT_THE_WIRE),
        Attack("answers replayed", FORGE + REPLAY, told="out of order", stopped_by="numbered requests"),
        Attack("two answers at once", FORGE + TWO, told="out of order", stopped_by="numbered requests"),
        Attack("errors told as passes", FORGE + PASS, stopped_by="verdicts are the grader's"),
        Attack("fields that are not what they must be", FORGE + ODD, stopped_by="every field is checked"),
        Attack("handles that nobody gave", FORGE + HANDLES, earns=6, stopped_by="references are checked"),
        Attack("forged arguments to the test's function", FORGE + CALLBACKS,
               stopped_by="its errors are the caller's"),
        Attack("calls of functions that were not given", FORGE + UNASKED, earns=6, told="a call of what was not given",
               stopped_by="calls are checked"),
        Attack("test's function kept and called late", FORGE + LATE, earns=6,
               told="a call of what was not given", stopped_by="each test has its own"),
        Attack("callbacks within callbacks", FORGE + DEEP, stopped_by="bounded depth"),
        Attack("files written between callbacks", FORGE + CHATTER, earns=6, told="wrote more than 64 MiB of files",
               stopped_by="watchdog"),
        Attack("the grader's memory filled", FORGE + HEAP, earns=4, told="sent more than 256 MiB of data",
               stopped_by="limit of answers"),
        Attack("bytes out of band, and descriptors", FORGE + BAND, stopped_by="watchdog", shows="descriptors sent"),
        Attack("lines forged in the file of what was shown", FORGE + LINES, told="ended the process",
               shows="22 of 22 points",
               stopped_by="outputs are cleaned"),
    )  # fmt: skip
