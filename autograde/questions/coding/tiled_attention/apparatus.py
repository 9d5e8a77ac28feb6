"""Runs the learner's functions where they can be watched: in PyTorch by operation, in a kernel by load and store.

Everything here runs on the CPU and under Triton's interpreter, also where there is a GPU, so that the answers are
the same everywhere; what follows `# On a GPU` is for the tests of the part "cuda".
"""

from __future__ import annotations

import builtins
import importlib
import importlib.util
import inspect
import math
import os
import sys
from contextlib import contextmanager

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode

EXPONENTIALS = ("exp", "exp2", "softmax", "log_softmax", "logsumexp", "expm1", "sigmoid", "pow")
PRODUCTS = ("mm", "bmm", "addmm", "baddbmm", "addbmm", "mv", "addmv", "dot", "vdot", "convolution")
# With fewer than four dimensions the ready-made attention shows as its softmax alone.
READY_MADE = (
    "scaled_dot_product",
    "flash_attention",
    "efficient_attention",
    "flex_attention",
    "safe_softmax",
)


class Operations(TorchDispatchMode):
    """What PyTorch computes: its operations by name, the largest result, the most exponentials taken at once."""

    @classmethod
    def _should_skip_dynamo(cls):
        """Nothing is compiled here; saying so spares each room the import of the compiler, 0.8 s."""
        return False

    def __init__(self):
        super().__init__()
        self.names, self.largest, self.exponentials, self.paused = set(), 0, 0, False

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        result = operation(*args, **(kwargs or {}))
        if not self.paused:
            name = operation.overloadpacket.__name__.strip("_")
            self.names.add(name)
            made = [x for x in (result if isinstance(result, (tuple, list)) else [result]) if is_tensor(x)]
            # A view takes no memory, however large it looks.
            sizes = [min(x.numel(), x.untyped_storage().nbytes() // x.element_size()) for x in made]
            self.largest = max([self.largest, *sizes])
            if name in EXPONENTIALS:
                self.exponentials = max([self.exponentials, *sizes])
        return result

    def ready_made(self):
        """The ready-made attention that ran."""
        return sorted(name for name in self.names if any(word in name for word in READY_MADE))


def is_tensor(value):
    """Whether it is a tensor."""
    return isinstance(value, torch.Tensor)


def operations(function, *args, **kwargs):
    """Call a function of PyTorch tensors.

    Returns:
        What it returned, the numbers in the largest tensor that was made, the most exponentials taken in one
        operation, and the ready-made attention that ran.
    """
    seen = Operations()
    with seen:
        result = function(*args, **kwargs)
    return result, seen.largest, seen.exponentials, seen.ready_made()


# --- kernels ---


class Kernels:
    """What interpreted kernels did.

    Attributes:
        launches: the function, the arguments and the keyword arguments of each.
        dots: multiplications in `tl.dot`.
        tile: the longest side of what a program took exponentials of at once.
    """

    def __init__(self):
        self.launches, self.dots, self.tile = [], 0, 0
        self._spans = self._stored = None

    def launched(self, function, args, kwargs):
        """Begin a launch: only its own tensors may be read and written."""
        self.launches.append((function, args, kwargs))
        storages = [x.untyped_storage() for x in tensors_in((*args, *kwargs.values()))]
        self._spans = {(x.data_ptr(), x.data_ptr() + x.nbytes()) for x in storages}
        self._stored = []

    def touched(self, pointers, mask, width, program=None):
        """A load, or by a program a store, of so many bytes at each pointer."""
        if self._spans is None:
            return
        addresses = np.broadcast_to(pointers, mask.shape)[mask]
        if not addresses.size:
            return
        low, high = int(addresses.min()), int(addresses.max()) + width
        if not any(begin <= low and high <= end for begin, end in self._spans) and not self._inside(
            addresses, width
        ):
            raise IndexError(f"a program {'reads' if program is None else 'writes'} outside its tensors")
        if program is not None:
            self._stored.append((program, addresses))

    def _inside(self, addresses, width):
        inside = np.zeros(addresses.shape, dtype=bool)
        for begin, end in self._spans:
            inside |= (addresses >= np.uint64(begin)) & (addresses + np.uint64(width) <= np.uint64(end))
        return inside.all()

    def ended(self):
        """End a launch: two programs that stored to one place would race."""
        self._spans = None
        if not self._stored:
            return
        programs = np.concatenate([np.full(some.shape, program) for program, some in self._stored])
        addresses = np.concatenate([some for _, some in self._stored])
        order = np.argsort(addresses, kind="stable")
        programs, addresses = programs[order], addresses[order]
        if ((addresses[1:] == addresses[:-1]) & (programs[1:] != programs[:-1])).any():
            raise RuntimeError("two programs of a kernel store to the same place")


def tensors_in(values):
    """The tensors among arguments, in tuples of them, and behind descriptors."""
    for value in values:
        if is_tensor(value):
            yield value
        elif isinstance(value, tuple):
            yield from tensors_in(value)
        elif is_tensor(getattr(value, "base", None)):
            yield value.base


@contextmanager
def watched(kernels, operations):
    """Watch Triton's interpreter."""
    interpreter = sys.modules["triton.runtime.interpreter"]
    builder, kernel = interpreter.InterpreterBuilder, interpreter.InterpretedFunction
    kept = {
        name: getattr(builder, name) for name in ("create_masked_load", "create_masked_store", "create_dot")
    }
    kept |= {name: getattr(builder, name) for name in ("create_exp", "create_exp2", "create_atomic_rmw")}
    run, patch = kernel.run, interpreter._patch_lang
    patched = set()

    def load(self, pointers, mask, *rest):
        kernels.touched(pointers.data, mask_of(mask), pointers.get_element_ty().primitive_bitwidth // 8)
        return kept["create_masked_load"](self, pointers, mask, *rest)

    def store(self, pointers, value, mask, *rest):
        width = pointers.get_element_ty().primitive_bitwidth // 8
        x, y, z = self.grid_idx
        kernels.touched(pointers.data, mask_of(mask), width, (x * 4096 + y) * 4096 + z)
        return kept["create_masked_store"](self, pointers, value, mask, *rest)

    def atomic(self, operation, pointers, value, mask, *rest):
        kernels.touched(pointers.data, mask_of(mask), pointers.get_element_ty().primitive_bitwidth // 8)
        return kept["create_atomic_rmw"](self, operation, pointers, value, mask, *rest)

    def patch_once(function):
        """Every call of a function such as tl.max patches Triton again, 2 ms: once in a launch is enough."""
        space = id(function.__globals__)
        if space in patched:
            return None
        patched.add(space)
        scope = patch(function)
        # Triton 3.6 takes int() of an array here, which numpy 2.4 refuses.
        interpreter.tl.tensor.__index__ = lambda scalar: scalar.handle.data.item()
        return scope

    def dot(self, a, b, d, *rest):
        kernels.dots += a.data.size * b.data.shape[-1]
        return kept["create_dot"](self, a, b, d, *rest)

    def exponential(name):
        def counted(self, x):
            kernels.tile = max(kernels.tile, *x.data.shape, 0)
            return kept[name](self, x)

        return counted

    def launch(self, *args, grid, warmup, **kwargs):
        kernels.launched(self.fn, args, kwargs)
        operations.paused = True
        patched.clear()
        try:
            run(self, *args, grid=grid, warmup=warmup, **kwargs)
            kernels.ended()
        finally:
            operations.paused = False

    builder.create_masked_load, builder.create_masked_store, builder.create_dot = load, store, dot
    builder.create_exp, builder.create_exp2 = exponential("create_exp"), exponential("create_exp2")
    builder.create_atomic_rmw = atomic
    kernel.run, interpreter._patch_lang = launch, patch_once
    try:
        with np.errstate(all="ignore"):
            yield
    finally:
        kernel.run, interpreter._patch_lang = run, patch
        for name, value in kept.items():
            setattr(builder, name, value)


def mask_of(mask):
    """A mask as an array: block pointers give one, everything else a handle."""
    return mask if isinstance(mask, np.ndarray) else mask.data


def laid_out(tensor, layout):
    """The same numbers in other memory.

    Args:
        tensor: (B, H, T, d).
        layout: "plain"; "heads last" for (B, T, H, d) transposed; "padded" for a view into a longer tensor, with
            NaN behind each head; "shared" for the first head, shown as all of them.
    """
    B, H, T, d = tensor.shape
    if layout == "heads last":
        return tensor.transpose(1, 2).contiguous().transpose(1, 2)
    if layout == "shared":
        return tensor[:, :1].clone().expand(B, H, T, d)
    if layout == "padded":
        longer = torch.full((B, H, T + 3, d), math.nan, dtype=tensor.dtype, device=tensor.device)
        longer[:, :, :T] = tensor
        return longer[:, :, :T]
    return tensor.clone()


def run(function, *tensors, layouts=(), **options):
    """Call a function that launches kernels, under watch.

    Args:
        function: the learner's.
        tensors: its arguments.
        layouts: those of the first tensors, see `laid_out`; "padded" where there is none for a (B, H, T, d).
        options: its keyword arguments.

    Returns:
        What it returned, and whether it left its arguments as they were. What was counted: see `counts`.
    """
    given = [
        laid_out(x, layouts[i] if i < len(layouts) else "padded") if x.ndim == 4 else x
        for i, x in enumerate(tensors)
    ]
    given_too = [x for x in options.values() if is_tensor(x)]
    before = [x.clone() for x in (*given, *given_too)]
    result, kernels, seen = traced(function, given, options)
    COUNTED.update(
        launches=len(kernels.launches),
        dots=kernels.dots,
        tile=kernels.tile,
        largest=seen.largest,
        computed=sorted(name for name in seen.names if name in (*EXPONENTIALS, *PRODUCTS)),
        ready_made=seen.ready_made(),
    )
    pairs = zip(before, (*given, *given_too), strict=True)
    return result, all(torch.equal(a.nan_to_num(), b.nan_to_num()) for a, b in pairs)


COUNTED = {}


def counts():
    """What was counted in the last call of `run`. Apart from its answer, which does not hang on the size of tiles.

    Returns:
        `launches`; `dots` (multiplications); `tile` (the longest side of what a program took exponentials of);
        `largest` (numbers in the largest tensor that PyTorch made); `computed` (operations of PyTorch's that belong
        into a kernel); `ready_made` (attention of PyTorch's).
    """
    return COUNTED


def traced(function, given, options):
    """Call it; what it returned, what its kernels and what PyTorch did."""
    kernels, seen = Kernels(), Operations()
    with interpreted(function) as function, watched(kernels, seen), seen:
        result = function(*given, **options)
    return result, kernels, seen


@contextmanager
def interpreted(function):
    """The function with its kernels interpreted: itself, or made once more from its file where there is a GPU."""
    import triton.knobs

    if triton.knobs.runtime.interpret:
        import triton.runtime.interpreter

        yield function
        return
    with triton_anew(interpret=True):
        import triton.runtime.interpreter

        yield getattr(imported(function), function.__name__)


@contextmanager
def triton_anew(*, interpret):
    """Triton imported once more, with its interpreter or without: which one is decided when it is imported."""
    ours = {name: module for name, module in sys.modules.items() if is_triton(name)}
    before = os.environ.pop("TRITON_INTERPRET", None)
    if interpret:
        os.environ["TRITON_INTERPRET"] = "1"
    for name in ours:
        del sys.modules[name]
    try:
        knobs = importlib.import_module("triton").knobs
        knobs.compilation.disable_line_info = True  # the name of a folder, another one in every run
        knobs.runtime.interpret = interpret  # comes before the environment, which the learner's file may set
        yield
    finally:
        for name in [name for name in sys.modules if is_triton(name)]:
            del sys.modules[name]
        sys.modules.update(ours)
        os.environ.pop("TRITON_INTERPRET", None)
        if before is not None:
            os.environ["TRITON_INTERPRET"] = before


def is_triton(name):
    """Whether it is one of Triton's modules that are written in Python; the compiled one is loaded once."""
    return name.partition(".")[0] == "triton" and not name.startswith("triton._C")


def imported(function):
    """The module that a function is from, imported once more."""
    spec = importlib.util.spec_from_file_location("imported_again", inspect.getfile(inspect.unwrap(function)))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# --- a compiler without a GPU ---


def compiled(function, *tensors, **options):
    """What the kernels of one call become for an H100.

    Returns:
        The function's result, and for each launch its name, its PTX, and its bytes of shared memory.
    """
    result, kernels, _ = traced(function, tensors, options)
    with triton_anew(interpret=False):
        try:
            made = {launch[0]: assembly(*launch) for launch in kernels.launches}
        except Exception as error:  # noqa: BLE001  of the compiler, or of the learner's file
            raise reason(error) from None
    return result, list(made.values())


def reason(error):
    """What a compiler's error comes from, in one line and with its own type; around it stands the kernel."""
    while error.__cause__ is not None:
        error = error.__cause__
    said = str(getattr(error, "error_message", None) or error).strip()
    kind = getattr(builtins, said.partition("(")[0], type(error))  # it may be the text of another error
    known = isinstance(kind, type) and issubclass(kind, Exception) and kind.__module__ == "builtins"
    return (kind if known else RuntimeError)(f"when it is compiled for an H100: {said}")


def assembly(function, args, kwargs):
    """The PTX of one launch: as JITFunction.run makes it, which would ask for a GPU."""
    from triton._C.libtriton import ir
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource, make_backend
    from triton.runtime.jit import create_function_from_signature

    kernel = getattr(imported(function), function.__name__, None)
    if kernel is None:
        raise NameError(f"{function.__name__} is not at the top level of its file, where a kernel belongs")
    while not hasattr(kernel, "params"):  # decorators such as heuristics
        kernel = kernel.fn
    target = GPUTarget("cuda", 90, 32)
    backend = make_backend(target)
    bound, special, more = create_function_from_signature(kernel.signature, kernel.params, backend)(
        *args, **kwargs
    )
    # The version of PTX is given, because asking ptxas for it takes a process, which a room may not start.
    kwargs = {**kwargs, "ptx_version": 87}
    settings, signature, constants, attributes = kernel._pack_args(backend, kwargs, bound, special, more)
    source = ASTSource(kernel, signature, constants, attributes)
    context = ir.context()
    ir.load_dialects(context)
    backend.load_dialects(context)
    stages = {}
    backend.add_stages(stages, settings, source.language)
    codegen, modules = backend.get_codegen_implementation(settings), backend.get_module_map()
    made, metadata = (
        source.make_ir(target, settings, codegen, modules, context),
        {"target": target, **vars(settings)},
    )
    for name, stage in stages.items():
        if name == "cubin":
            break
        made = stage(made, metadata)
    return function.__name__, made, metadata["shared"]


# --- On a GPU ---


def on_gpu(function, *tensors, layouts=(), **options):
    """Call a function with its tensors on the GPU; its results come back to the CPU."""
    given = [
        laid_out(x.cuda(), layouts[i] if i < len(layouts) else "padded") if x.ndim == 4 else x.cuda()
        for i, x in enumerate(tensors)
    ]
    options = {name: x.cuda() if is_tensor(x) else x for name, x in options.items()}
    results = function(*given, **options)
    return [x.cpu() for x in results]


def drawn(shape, dtype):
    """A query, a key and a value of standard normal numbers on the GPU, as no call has seen them."""
    return [torch.randn(shape, dtype=dtype, device="cuda") for _ in range(3)]


def footprint(function, shape, dtype):
    """One call on the GPU, after one that compiled the kernel.

    Args:
        function: the learner's.
        shape: (B, H, T, d) of q, k and v.
        dtype: theirs.

    Returns:
        The inputs and the output of the first head's first 64 queries (q, k, v, o, lse); the bytes that the call
        took beyond its inputs, at its peak; the bytes of its results; the seconds of the GPU in kernels of the
        learner's file; and in all kernels.
    """
    function(*drawn(shape, dtype))
    q, k, v = drawn(shape, dtype)
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    o, lse = function(q, k, v)
    torch.cuda.synchronize()
    peak = torch.cuda.max_memory_allocated() - before
    results = sum(x.numel() * x.element_size() for x in (o, lse))
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        function(q, k, v)
        torch.cuda.synchronize()
    own, everything = 0.0, 0.0
    for event in profile.key_averages():
        everything += event.self_device_time_total / 1e6
        if event.key in kernels_of(function):
            own += event.self_device_time_total / 1e6
    part = (q[0, 0, :64], k[0, 0], v[0, 0], o[0, 0, :64], lse[0, 0, :64])
    return [x.cpu() for x in part], peak, results, own, everything


def kernels_of(function):
    """The names of the kernels in the file that a function is from: a compiled one has the name of its function."""
    import triton

    names = vars(sys.modules[function.__module__]).items()
    return {name for name, value in names if isinstance(value, triton.runtime.KernelInterface)}


def race(function, shape, dtype, rounds=10):
    """Time the learner's function beside PyTorch's flash attention, in turns, each time with inputs never seen.

    Args:
        function: the learner's.
        shape: (B, H, T, d) of q, k and v.
        dtype: theirs.
        rounds: how often each is timed, with and without `causal`.

    Returns:
        The inputs and the outputs of the first head's last 64 queries of one round (q, k, v, o); the largest
        difference from flash attention over all rounds; and by how much the learner's is faster: the median time
        of flash attention over its own, both with and without `causal` together. None where PyTorch has no flash
        attention for this GPU.
    """
    from torch.nn.attention import SDPBackend, sdpa_kernel

    def flash(q, k, v, causal):
        with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
            return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal)

    def own(q, k, v, causal):
        return function(q, k, v, causal=causal)[0]

    try:
        flash(*drawn((1, 1, 128, shape[-1]), dtype), False)
    except RuntimeError:
        return None
    worst, kept, total = 0.0, [], {"own": 0.0, "flash": 0.0}
    for causal in (False, True):
        times = {"own": [], "flash": []}
        for turn in range(rounds + 3):  # the first three warm up: they compile, and tune
            q, k, v = drawn(shape, dtype)
            if turn % 2:  # whoever comes second finds some of the inputs in the cache
                first, second = timed(own, q, k, v, causal), timed(flash, q, k, v, causal)
            else:
                second, first = timed(flash, q, k, v, causal), timed(own, q, k, v, causal)
            worst = max(worst, (first[0] - second[0]).abs().max().item())
            if turn >= 3:
                times["own"].append(first[1])
                times["flash"].append(second[1])
            if not causal:
                kept = [q[0, 0, -64:], k[0, 0], v[0, 0], first[0][0, 0, -64:]]
        total = {name: total[name] + float(np.median(some)) for name, some in times.items()}
    return [x.cpu() for x in kept], worst, total["flash"] / total["own"]


def timed(function, *args):
    """What a call on the GPU returns, and the milliseconds that it took there."""
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    result = function(*args)
    end.record()
    end.synchronize()
    return result, begin.elapsed_time(end)
