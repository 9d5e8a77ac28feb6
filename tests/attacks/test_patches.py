"""Everything that can be patched from inside: libraries, Python, IPython, the engine's own code, the interpreter."""

from __future__ import annotations

from siege import Attack, Siege

REAL = "_scale, _Affine, _total, _word = scale, Affine, total, word\n"

# Every comparison, of every library that a grader might use, says yes; every assertion passes.
COMPARISONS = """
import builtins, math, numpy.testing, operator, random, unittest, unittest.mock
import pytest, torch.testing

def yes(*_, **__): return True

patched = 0
for module, names in {
    np: "allclose array_equal isclose array_equiv all any equal not_equal less abs isfinite testing",
    np.testing: "assert_allclose assert_array_equal assert_equal assert_almost_equal",
    torch: "allclose equal isclose all eq isfinite load save",
    torch.testing: "assert_close assert_allclose",
    math: "isclose fsum",
    operator: "eq ne index",
    unittest.TestCase: "assertEqual assertTrue assertAlmostEqual run",
    pytest: "approx raises fail skip main mark fixture",
    builtins: "sorted abs round hash",
}.items():
    for name in names.split():
        try:
            setattr(module, name, yes)
            patched += 1
        except (AttributeError, TypeError):
            pass
print("patched:", patched > 40)
"""

WITHIN = """
import builtins, copy, importlib

def patching():
    # While a test runs: between the request that is carried out and its answer.
    for module in (np, torch, np.testing, torch.testing):
        for name in ("allclose", "array_equal", "equal", "isclose", "assert_allclose", "assert_close"):
            setattr(module, name, lambda *_, **__: True)
    np.ndarray.__array_ufunc__
    torch.Tensor.__eq__ = torch.Tensor.equal = torch.Tensor.allclose = lambda *_: True
    torch.nn.Module.__call__ = lambda self, x: self.forward(x)
    builtins.isinstance = lambda value, kind, real=isinstance: real(value, kind)
    builtins.len = lambda value, real=len: real(value)
    builtins.open = builtins.input = lambda *_, **__: None

def word(k):
    patching()
    return _word(k)

class Affine(_Affine):
    def forward(self, x):
        patching()
        return super().forward(x)
print("patches: in", "functions")
"""

SHELL = """
import ast, IPython
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.displayhook import DisplayHook

shell = get_ipython()

class Zeros(ast.NodeTransformer):
    # Every assertion and comparison of the cells to come is true, every function returns at once.
    def visit_Assert(self, node): return ast.copy_location(ast.Pass(), node)
    def visit_Compare(self, node): return ast.copy_location(ast.Constant(True), node)

shell.ast_transformers.append(Zeros())
shell.input_transformers_cleanup.append(lambda lines: [*lines, "\\nscore = 22\\n"])
shell.input_transformers_post.append(lambda lines: [*lines, "\\nscore = 22\\n"])
for event in ("pre_execute", "pre_run_cell", "post_run_cell", "post_execute"):
    shell.events.register(event, lambda *_: shell.user_ns.update(check=lambda *_, **__: 22))
shell.set_custom_exc((Exception,), lambda *_, **__: print("never seen"))
shell.showtraceback = shell.showsyntaxerror = lambda *_, **__: None
shell.register_magic_function(lambda *_: 22, "cell", "time")
shell.display_formatter.formatters["text/html"].for_type(int, lambda value: "22 of 22")
DisplayHook.__call__ = lambda self, result=None: None
for name in "run_cell _run_cell run_cell_async run_code run_ast_nodes transform_cell transform_ast".split():
    for owner in (InteractiveShell, shell):
        setattr(owner, name, lambda *_, **__: None)
print("transformers:", len(shell.ast_transformers), len(shell.input_transformers_post))
"""

IMPORTS = """
import importlib, importlib.abc, importlib.machinery, sys, types

class Everywhere(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    asked = []
    def find_spec(self, name, path=None, target=None):
        self.asked.append(name)
        return importlib.machinery.ModuleSpec(name, self)
    def create_module(self, spec): return types.ModuleType(spec.name)
    def exec_module(self, module): module.__getattr__ = lambda name: lambda *_, **__: True

finder = Everywhere()
sys.meta_path.insert(0, finder)
sys.path_hooks.insert(0, lambda path: finder)
sys.path_importer_cache.clear()
importlib.invalidate_caches()
sys.path[:] = ["."]
lying = types.ModuleType("lying")
lying.__getattr__ = lambda name: lambda *_, **__: True
for name in ("pytest", "_pytest", "unittest", "nbgrader", "autograde.grading", "autograde.comparison"):
    sys.modules[name] = lying
import autograde.verdict, pytest
print("imports answered:", pytest.approx(1), "verdict" in "".join(finder.asked) or autograde.verdict is not None)
"""

ENGINE = """
import sys, types
import autograde

# All that the engine keeps in this process, and what it is made of, says something else.
changed = 0
for name, module in list(sys.modules.items()):
    if name.split(".")[0] == "autograde":
        for key, value in list(vars(module).items()):
            if isinstance(value, (int, float)) and key.startswith("MAX"):
                setattr(module, key, 2**62)
                changed += 1
import autograde.endpoint, autograde.shell, autograde.stops, autograde.wire, autograde.zygote
autograde.endpoint.described = lambda error: {"type": "Passed", "kinds": ["ValueError"], "message": "22 of 22"}
autograde.endpoint.Endpoint.do_begin = lambda self, seed: None
autograde.endpoint.Endpoint.do_items = lambda self, target: [True]
autograde.endpoint.Endpoint.do_length = lambda self, target: 22
autograde.stops.CLOSED_EXIT = autograde.stops.STRAY_EXIT = 0
autograde.shell.without_paths = lambda text: text
autograde.shell._strip = lambda item: None
autograde.check = check = lambda *_, **__: 22
shell = get_ipython()
shell.cell_outputs.limit = 2**62
shell.cell_outputs.overflow = lambda: None
print("engine changed:", changed > 3)
"""

WIRE = """
import json, socket, struct, sys
import autograde.wire as wire, autograde.zygote as zygote

# What our own code in the room calls for every answer: a wrapper that would say yes wherever something went wrong.
calls = []

def wrapped(real, change=lambda value: value):
    def wrapper(*args, **kwargs):
        calls.append(real)
        return change(real(*args, **kwargs))
    return wrapper

json.dumps, json.loads = wrapped(json.dumps), wrapped(json.loads)
wire.json = json
struct.pack = wrapped(struct.pack)
wire._EXACT = {**wire._EXACT, bool: lambda *_: True}
wire._ENCODERS = tuple(wire._ENCODERS)
socket.socket.sendall = socket.socket.makefile
zygote._answer = wrapped(zygote._answer)
zygote.Endpoint.answer = wrapped(zygote.Endpoint.answer)
_pack = wire.pack

def pack(value, export):
    if "error" in value:
        value = {"number": value["number"], "value": True}
    if value.get("value") is False:
        value["value"] = True
    return _pack(value, export)

wire.pack = wrapped(pack)
print("wrappers called:", bool(json.loads("true") and calls))

def word(k):
    if k < 0:
        raise KeyError(k)
    return _word(k)
"""

STREAMS = """
import builtins, io, logging, os, sys

class Silent(io.StringIO):
    def write(self, text): return 0
    def fileno(self): return 200

sys.__stdout__, sys.__stderr__ = sys.stdout, sys.stderr
print("the last", "words")
sys.stdout = sys.stderr = Silent()
sys.displayhook = sys.__displayhook__ = lambda value: None
sys.excepthook = sys.unraisablehook = sys.__excepthook__ = lambda *_: os._exit(0)
sys.breakpointhook = lambda *_: None
sys.settrace(lambda *_: None)
sys.setprofile(lambda *_: None)
builtins.print = lambda *_, **__: None
logging.disable(100)
for fd in (0, 1, 2):
    os.close(fd)
    os.open("stream", os.O_RDWR | os.O_CREAT)
"""

INTERPRETER = """
import codecs, copyreg, decimal, encodings, faulthandler, gc, locale, os, random, signal, sys, threading, time, warnings

gc.disable()
gc.set_threshold(0)
sys.setswitchinterval(1e-6)
sys.setrecursionlimit(10**6)
sys.set_int_max_str_digits(0)
sys.flags, sys.argv, sys.path[:] = None, [], []
sys.dont_write_bytecode = True
codecs.register(lambda name: None)
codecs.register_error("strict", lambda error: ("passed", error.end))
codecs.register_error("replace", lambda error: ("passed", error.end))
copyreg.pickle(type(None), lambda value: (print, ("passed",)))
copyreg.dispatch_table[bool] = lambda value: (print, ("passed",))
locale.setlocale(locale.LC_ALL, "C")
os.environ.clear()
os.environ.update(LC_ALL="tr_TR", PYTHONHASHSEED="0", TZ="passed", AUTOGRADE_SEED="1", AUTOGRADE_BUDGET="3600")
os.umask(0)
warnings.simplefilter("error")
np.seterr(all="raise")
np.set_printoptions(precision=0, threshold=1)
torch.set_printoptions(precision=0)
torch._C._set_deterministic_algorithms(True)
torch.default_generator.manual_seed(0), random.seed(0)
decimal.getcontext().prec = 1
time.time = time.monotonic = time.perf_counter = lambda: 0.0
for number in (signal.SIGALRM, signal.SIGTERM, signal.SIGXCPU, signal.SIGINT):
    signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals))
threading.settrace(lambda *_: None)
np.random.default_rng = lambda *_: np.random.Generator(np.random.PCG64(0))
random.random = lambda: 0.5
print("the clock says", time.monotonic())
"""

DTYPE = """
torch.set_default_dtype(torch.float64)
torch.set_default_device("cpu")
torch.set_grad_enabled(False)
torch.autograd.set_detect_anomaly(True)
torch.backends.cuda.matmul.allow_tf32 = True
print(torch.get_default_dtype(), torch.is_grad_enabled())
"""


class TestPatches(Siege):
    """What is patched is patched in a process of its own: who judges is in another."""

    attacks = (
        Attack("comparisons and test libraries", COMPARISONS, stopped_by="process of its own", shows="patched: True"),
        Attack("libraries, while a test runs", REAL + WITHIN, stopped_by="process of its own",
               shows="patches: in functions"),
        Attack("hooks of IPython, before the work", SHELL, first=True, stopped_by="shell of our own",
               shows="transformers: 1 1"),
        Attack("hooks of IPython, after the work", SHELL, stopped_by="shell of our own", shows="transformers: 1 1"),
        Attack("imports and sys.modules", IMPORTS, stopped_by="process of its own",
               shows="imports answered: True True"),
        Attack("the engine's own modules", ENGINE, stopped_by="process of its own", shows="engine changed: True"),
        Attack("the wire and what it uses", REAL + WIRE, stopped_by="process of its own",
               shows="wrappers called: True"),
        Attack("streams and hooks of Python", STREAMS, stopped_by="process of its own", shows="the last words"),
        Attack("the interpreter and its settings", INTERPRETER, stopped_by="process of its own", first=True,
               shows="the clock says 0.0"),
        Attack("default dtype, and no gradients", DTYPE, earns=6, stopped_by="process of its own",
               shows="torch.float64 False"),
    )  # fmt: skip
