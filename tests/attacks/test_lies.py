"""Objects that lie: about what they equal, hold and are, about gradients, and errors about what they are."""

from __future__ import annotations

from siege import Attack, Siege

# Answers yes to every question, and is whatever it is asked to be.
ALWAYS = """
class Always:
    def yes(self, *_, **__): return True
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __bool__ = __contains__ = __instancecheck__ = yes
    def same(self, *_, **__): return self
    __call__ = __getattr__ = __getitem__ = __enter__ = __neg__ = __abs__ = __invert__ = same
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __matmul__ = __pow__ = same
    __array_ufunc__ = __array_function__ = __torch_function__ = __dlpack__ = __array_wrap__ = same
    def zero(self, *_): return 0
    __len__ = __index__ = __int__ = __hash__ = zero
    def __float__(self): return 0.0
    def __complex__(self): return 0j
    def __iter__(self): return iter((self, self))
    def __array__(self, *_, **__): return np.zeros((3, 4))
    __array_interface__ = {"shape": (3, 4), "typestr": "<f8", "data": (0, True), "version": 3}
    def __str__(self): return "passed"
    __repr__ = __format__ = __fspath__ = __str__
    def __reduce__(self): return print, ("unpickled here",)
    def __copy__(self): return self
    def __deepcopy__(self, memo): return self
    def __set_name__(self, owner, name): pass
    def __get__(self, instance, owner=None): return self
    def __set__(self, instance, value): pass
    __slots__ = ()
"""

# The honest answers of the course, which lies are told about.
REAL = "_scale, _Affine, _total, _word = scale, Affine, total, word\n"

EVERYWHERE = """
def scale(x, by): return {0}
class Affine(torch.nn.Module):
    def load_state_dict(self, *_, **__): pass
    def __init__(self, width): super().__init__()
    def __call__(self, x): return {0}
def total(step, n): return {0}
def word(k): return {0}
"""

POSING = """
class Posing(type):
    def __instancecheck__(cls, other): return True
    def __subclasscheck__(cls, other): return True
    def __eq__(cls, other): return True
    def __hash__(cls): return hash(kinds[cls.turn])
    turn = 0
    def __getattribute__(cls, name):
        claims = {"__name__": "str", "__qualname__": "str", "__module__": "builtins", "__mro__": (str, object)}
        return claims[name] if name in claims else type.__getattribute__(cls, name)

kinds = [str, float, int, np.ndarray, torch.Tensor, dict, list, tuple, bytes, set, complex, bool, type(None)]

def posing(kind):
    Posing.turn = kinds.index(kind)
    class Liar(Always, metaclass=Posing):
        __class__ = property(lambda self: kind)
        def __getattribute__(self, name):
            return kind if name == "__class__" else object.__getattribute__(self, name)
    return Liar()

told = [isinstance(posing(kind), kind) for kind in kinds]
print("taken for what they are not:", sum(told))
turn = iter(kinds * 99)
"""

ARRAYS = """
class Liar(np.ndarray):
    shape = property(lambda self: Always())
    dtype = property(lambda self: Always())
    strides = nbytes = size = ndim = flags = data = shape
    __array_interface__ = property(lambda self: {"shape": (), "typestr": "|b1", "data": (0, True), "version": 3})
    def yes(self, *_, **__): return True
    __eq__ = __ne__ = __lt__ = __le__ = __gt__ = __ge__ = __bool__ = all = any = yes
    def __array__(self, *_, **__): return np.ones((3, 4))
    def __array_ufunc__(self, *_, **__): return np.True_
    def __array_function__(self, *_, **__): return np.True_
    def __array_finalize__(self, other): pass
    def __dlpack__(self, *_, **__): return Always()
    def tobytes(self, *_): return bytes(96)
    tolist = __iter__ = __getitem__ = ravel = reshape = astype = view = tobytes

print("equal to all:", Liar((3, 4)) == 7, "sum:", np.sum(Liar((3, 4))))

def scale(x, by):
    return np.ndarray.view(np.asarray(_scale(x, by)), Liar)
"""

NUMBERS = """
def lying(kind):
    names = {name: (lambda self, *_: True) for name in ("__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__")}
    names |= {name: (lambda self, *_: self) for name in ("__sub__", "__rsub__", "__abs__", "__add__", "__getitem__")}
    names |= {"__len__": lambda self: 99, "__iter__": lambda self: iter("passed"), "__str__": lambda self: "passed"}
    names |= {"__repr__": lambda self: "passed", "__hash__": lambda self: 0, "__bool__": lambda self: True}
    names |= {"__float__": lambda self: 0.0, "__int__": lambda self: 0, "__index__": lambda self: 0}
    names |= {"__reduce_ex__": lambda self, _: (print, ("unpickled",)), "__format__": lambda self, _: "passed"}
    names |= {"encode": lambda self, *_: b"passed", "items": lambda self: [], "is_integer": lambda self: True}
    return type(kind.__name__, (kind,), names)

Float, Str, Int, List, Dict = map(lying, (float, str, int, list, dict))
print("a word that is anything:", Str("x") == "y", "a number that is near anything:", abs(Float(3) - 9) < 1e-9)
assert isinstance(List([1]), list) and isinstance(Dict(a=1), dict)

def total(step, n): return Float(_total(step, Int(n)))
def word(k): return Str(_word(int(k)))
"""

TENSORS = """
class Liar(torch.Tensor):
    shape = property(lambda self: Always())
    dtype = layout = device = requires_grad = is_meta = is_quantized = shape
    def yes(self, *_, **__): return True
    __eq__ = __ne__ = __bool__ = equal = allclose = yes
    def numpy(self, *_, **__): return np.ones((2, 4), np.float32)
    tolist = cpu = detach = clone = contiguous = data_ptr = untyped_storage = numpy
    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        if function in (torch.allclose, torch.equal, torch.isclose):
            return True
        return super().__torch_function__(function, types, args, kwargs or {})

class Wrapped(torch.Tensor):
    @staticmethod
    def __new__(cls, inner):
        return torch.Tensor._make_wrapper_subclass(cls, (2, 4), dtype=torch.float32, requires_grad=True)
    def __init__(self, inner): self.inner = inner
    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        return torch.zeros(2, 4)

print("close to all:", torch.allclose(torch.zeros(1).as_subclass(Liar), torch.ones(1)))

class Affine(_Affine):
    def forward(self, x):
        # To the test of gradients it is a tensor that nobody can look into.
        made = super().forward(x)
        return made.as_subclass(Liar) if not x.requires_grad else Wrapped(made)
"""

BODILESS = """
import warnings
warnings.simplefilter("ignore")

class Fake(torch.Tensor):  # as FakeTensor is made, whose import takes seconds
    @staticmethod
    def __new__(cls): return torch.Tensor._make_wrapper_subclass(cls, (3, 4), dtype=torch.float32)
    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None): return torch.ones(3, 4)

makers = [
    lambda: torch.ones(3, 4, device="meta"),
    lambda: torch.ones(3, 4).to_sparse(),
    lambda: torch.ones(3, 4).to_sparse_csr(),
    lambda: torch.quantize_per_tensor(torch.ones(3, 4), 0.1, 0, torch.quint8),
    lambda: torch.nested.nested_tensor([torch.ones(3), torch.ones(4)]),
    Fake,
    lambda: torch.ones(3, 4, dtype=torch.complex32),
    lambda: torch.ones(3, 4, dtype=torch.float8_e4m3fn),
    lambda: np.array([print, None], dtype=object),
    lambda: np.zeros(3, dtype=[("a", "f8")]),
    lambda: np.array(["2026-11-21"], dtype="M8[D]"),
    lambda: memoryview(b"passed"),
]
print("kinds without plain data:", sum(made() is not None for made in makers))
turn = iter(makers * 99)
"""

VIEWS = """
from numpy.lib.stride_tricks import as_strided

def scale(x, by):
    # The same values through negative strides, over memory that overlaps, read-only and in the other byte order.
    made = np.asarray(_scale(x, by))
    turned = np.ascontiguousarray(made[::-1, ::-1])[::-1, ::-1]
    view = as_strided(turned, turned.shape, turned.strides, writeable=False)
    print(view.strides)
    return view.astype(">f8").view(">f8").astype("<f8", copy=False)[np.newaxis][0]

class Affine(_Affine):
    def forward(self, x):
        made = super().forward(x)
        twice = torch.stack((made, made)).expand(3, 2, *made.shape)[1][0].T.T
        conjugate = torch.complex(twice, torch.zeros(())).conj()
        assert conjugate.is_conj() and conjugate.imag.is_neg()
        return torch._neg_view(-conjugate.real) if not x.requires_grad else conjugate.real

print("views:", Affine(4)(torch.ones(2, 4)).is_neg())
"""

STORAGE = """
class Affine(_Affine):
    def forward(self, x):
        made = super().forward(x).detach().clone().zero_()
        made.untyped_storage().resize_(0)
        return made

print("bytes behind 8 numbers:", Affine(4)(torch.ones(2, 4)).untyped_storage().nbytes())
"""

MODULE = """
class Weight(torch.nn.Parameter):
    grad = property(lambda self: Always(), lambda self, value: None)

class Affine(_Affine):
    def __init__(self, width):
        super().__init__(width)
        self.__dict__["claimed"] = Weight(torch.ones(width))
        self.register_forward_hook(lambda module, given, made: made)
        self.register_full_backward_hook(lambda module, of_input, of_output: (torch.zeros_like(of_output[0]),))
    def named_parameters(self, *_, **__): return [("weight", self.claimed), ("extra", Always())]
    def parameters(self, *_, **__): return iter([self.claimed])
    def state_dict(self, *_, **__): return {"weight": Always()}
    def load_state_dict(self, state, *_, **__):
        with torch.no_grad():
            self.weight.copy_(state["weight"])
        return Always()
    def zero_grad(self, *_, **__): pass
    def train(self, *_): return Always()
    def __len__(self): return 1
    def __eq__(self, other): return True
    __hash__ = object.__hash__

print("parameters claimed:", [name for name, _ in Affine(4).named_parameters()])
"""

GRADIENT = """
class Wrong(torch.autograd.Function):
    @staticmethod
    def forward(context, x, weight):
        return x * weight
    @staticmethod
    def backward(context, cotangent):
        return cotangent, cotangent.sum(0)

def claimed(tensors, grad_tensors=None, *_, **__):
    # In place of backpropagation: every gradient is what would be right if the weights were 1.
    for tensor in tensors:
        for x, weight in seen:
            x.grad, weight.grad = grad_tensors[0], grad_tensors[0].sum(0)
seen = []

class Affine(_Affine):
    def forward(self, x):
        if not x.requires_grad:
            return x * self.weight
        seen.append((x, self.weight))
        x.retain_grad()
        x.register_hook(lambda gradient: gradient * 0 + 1)
        self.weight.register_post_accumulate_grad_hook(lambda weight: weight.grad.zero_())
        made = Wrong.apply(x, self.weight)
        made.register_hook(lambda gradient: gradient)
        return made

torch.autograd.backward = claimed
torch.Tensor.backward = claimed
torch.autograd.grad = lambda outputs, inputs, *_, **__: [torch.zeros_like(one) for one in inputs]
made = Affine(4)(torch.ones(2, 4, requires_grad=True))
print("a gradient without a graph:", torch.autograd.backward([made], [torch.ones(2, 4)]))
"""

ERRORS = """
import builtins

class ValueError(Exception):
    __module__ = "builtins"
    __class__ = property(lambda self: builtins.ValueError)

print("an error that says it is another:", isinstance(ValueError(), builtins.ValueError))

def word(k):
    if k < 0:
        raise ValueError("k is negative")
    return _word(k)
"""

MUTE = """
class Mute(Exception):
    def __str__(self): raise SystemExit("not even this")
    __repr__ = __str__
    args = property(lambda self: iter(int, 1))
    __traceback__ = property(lambda self: Always(), lambda self, value: None)
    __cause__ = __context__ = __suppress_context__ = property(lambda self: self)
    __notes__ = property(lambda self: iter(int, 1))

def word(k):
    if k < 0:
        raise Mute
    return _word(k)

try:
    word(-1)
except Exception as error:
    print("caught what has no end:", next(error.args), error.__cause__ is error)
"""

GROUP = """
def word(k):
    if k < 0:
        deep = ValueError("k is negative")
        for n in range(3000):
            deep = ExceptionGroup("ValueError " * 1000 if n == 2999 else "ValueError", [deep])
        deep.__cause__ = deep
        deep.add_note("ValueError")
        raise deep
    return _word(k)

try:
    word(-1)
except Exception as error:
    print("caught, and its own cause:", type(error).__name__, error.__cause__ is error)
"""

METACLASS = """
class Posing(type):
    def __getattribute__(cls, name):
        if name == "__mro__":
            return (ValueError, Exception, object)
        return "ValueError" if name in ("__name__", "__qualname__") else type.__getattribute__(cls, name)

class Posed(Exception, metaclass=Posing):
    pass

print("its bases:", Posed.__mro__[:1])

def word(k):
    if k < 0:
        raise Posed("k is negative")
    return _word(k)
"""


class TestLies(Siege):
    """What crosses is data, read off by the kind that it is: nothing of the learner's is asked whether it is right."""

    attacks = (
        Attack("objects equal to everything", ALWAYS + EVERYWHERE.format("Always()"), earns=0,
               stopped_by="wire: not data, a handle"),
        Attack("objects that pose as data", ALWAYS + POSING + EVERYWHERE.format("posing(next(turn))"), earns=0,
               stopped_by="wire: not data", shows="taken for what they are not: 13"),
        Attack("the class in place of an object",
               ALWAYS + POSING + EVERYWHERE.format("type(posing(next(turn)))"), earns=0,
               stopped_by="wire: not data, a handle"),
        Attack("array that lies", REAL + ALWAYS + ARRAYS, stopped_by="wire: data only",
               shows="equal to all: True sum: True"),
        Attack("numbers and words that lie", REAL + NUMBERS, stopped_by="wire: data only",
               shows="a word that is anything: True a number that is near anything: True"),
        Attack("tensors that lie", REAL + ALWAYS + TENSORS, stopped_by="wire: data only", shows="close to all: True"),
        Attack("tensors without a body", ALWAYS + BODILESS + EVERYWHERE.format("next(turn)()"), earns=0,
               stopped_by="wire: not data", shows="kinds without plain data: 12"),
        Attack("views: strided, expanded, conjugate, negated", REAL + VIEWS, stopped_by="wire: data only",
               shows="views: True"),
        Attack("storage smaller than its tensor", REAL + STORAGE, earns=6, stopped_by="process of its own",
               shows="bytes behind 8 numbers: 0"),
        Attack("module that lies", REAL + ALWAYS + MODULE, stopped_by="wire: data only",
               shows="parameters claimed: ['weight', 'extra']"),
        Attack("gradients that lie", REAL + GRADIENT, stopped_by="compared by value",
               shows="a gradient without a graph: None"),
        Attack("error that poses as another", REAL + ERRORS, stopped_by="told by its class",
               shows="an error that says it is another: True"),
        Attack("error without end", REAL + ALWAYS + MUTE, stopped_by="process of its own",
               shows="caught what has no end: 0 True"),
        Attack("error in a group", REAL + GROUP, stopped_by="told by its class",
               shows="caught, and its own cause: ExceptionGroup True"),
        Attack("error of a posing class", REAL + METACLASS, stopped_by="told by its class",
               shows="its bases: (<class"),
    )  # fmt: skip
