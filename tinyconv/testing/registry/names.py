"""Which public names there are, which of them have no derivative and why, and which a case uses."""

import ast
from types import FunctionType

import tinyconv.nn.functional as F
from tinyconv.autograd import Tensor
from tinyconv.ops import inplace

#: public names that nothing has to be checked of, by reason
NOT_DIFFERENTIABLE = {
    "compares, and gives bools": """
        tc.allclose tc.eq tc.equal tc.ge tc.gt tc.isfinite tc.isnan tc.le tc.logical_and
        tc.logical_not tc.logical_or tc.logical_xor tc.lt tc.ne tc.all tc.any Tensor.__eq__
        Tensor.__ge__ Tensor.__gt__ Tensor.__le__ Tensor.__lt__ Tensor.__ne__ Tensor.__contains__
        Tensor.all Tensor.allclose Tensor.any Tensor.eq Tensor.equal Tensor.ge Tensor.gt
        Tensor.isfinite Tensor.isnan Tensor.le Tensor.logical_and Tensor.logical_not
        Tensor.logical_or Tensor.logical_xor Tensor.lt Tensor.ne tc.greater tc.greater_equal
        tc.less tc.less_equal tc.not_equal tc.isclose tc.isin tc.isinf tc.isneginf tc.isposinf
        tc.isreal tc.signbit Tensor.greater Tensor.greater_equal Tensor.less Tensor.less_equal
        Tensor.not_equal Tensor.isclose Tensor.isinf Tensor.isneginf Tensor.isposinf Tensor.isreal
        Tensor.signbit""",
    "works on bools and integers": """
        Tensor.__and__ Tensor.__iand__ Tensor.__invert__ Tensor.__ior__ Tensor.__ixor__
        Tensor.__or__ Tensor.__xor__ Tensor.bitwise_and Tensor.bitwise_not Tensor.bitwise_or
        Tensor.bitwise_xor F.one_hot tc.bitwise_and tc.bitwise_not tc.bitwise_or tc.bitwise_xor
        tc.bitwise_left_shift tc.bitwise_right_shift Tensor.bitwise_left_shift
        Tensor.bitwise_right_shift Tensor.__rand__ Tensor.__ror__ Tensor.__rxor__
        Tensor.__lshift__ Tensor.__rshift__ Tensor.__rlshift__ Tensor.__rrshift__
        Tensor.__ilshift__ Tensor.__irshift__""",
    "gives places, counts or other integers": """
        tc.argwhere tc.nonzero Tensor.argwhere Tensor.nonzero tc.bincount Tensor.bincount
        tc.tril_indices tc.triu_indices tc.broadcast_shapes tc.numel tc.is_tensor Tensor.byte
        Tensor.char Tensor.short""",
    "draws numbers, whose gradients would be zeros": """
        tc.bernoulli tc.multinomial tc.normal tc.poisson Tensor.bernoulli Tensor.multinomial""",
    "is out of scope, and says so": """
        Tensor.half Tensor.bfloat16 Tensor.cfloat Tensor.cdouble Tensor.chalf Tensor.to_sparse
        Tensor.to_dense Tensor.coalesce Tensor.to_mkldnn Tensor.xpu""",
    "gives integers or bools": """
        tc.argmax tc.argmin Tensor.argmax Tensor.argmin Tensor.bool Tensor.int Tensor.long
        tc.argsort Tensor.argsort tc.bucketize tc.searchsorted tc.count_nonzero
        Tensor.count_nonzero""",
    "tells which values there are": """
        tc.unique tc.unique_consecutive Tensor.unique Tensor.unique_consecutive""",
    "makes a tensor from nothing or from numbers": """
        tc.arange tc.as_tensor tc.asarray tc.empty tc.empty_like tc.eye tc.from_numpy tc.full
        tc.full_like
        tc.linspace tc.ones tc.ones_like tc.tensor tc.zeros tc.zeros_like tc.rand tc.rand_like
        tc.randint tc.randn tc.randn_like tc.randperm tc.logspace tc.randint_like tc.scalar_tensor
        Tensor.new_empty Tensor.new_full Tensor.new_ones Tensor.new_tensor Tensor.new_zeros""",
    "puts in values that depend on nothing": """
        Tensor.zero_ Tensor.uniform_ Tensor.normal_ Tensor.log_normal_ Tensor.bernoulli_
        Tensor.exponential_ Tensor.cauchy_ Tensor.geometric_ Tensor.random_""",
    "leaves the graph: a Python value, an array or a leaf": """
        Tensor.__array__ Tensor.__bool__ Tensor.__float__ Tensor.__format__ Tensor.__index__
        Tensor.__int__ Tensor.__len__ Tensor.__repr__ Tensor.__copy__ Tensor.__deepcopy__
        Tensor.__reduce__ Tensor.detach Tensor.detach_ tc.detach Tensor.item Tensor.numpy
        Tensor.tolist""",
    "tells or sets what a tensor is, not what it holds": """
        Tensor.data_ptr Tensor.get_device Tensor.is_complex Tensor.is_nonzero Tensor.is_pinned
        Tensor.is_same_size Tensor.is_signed Tensor.ndimension Tensor.nelement Tensor.pin_memory
        Tensor.register_post_accumulate_grad_hook Tensor.stride
        Tensor.backward Tensor.cuda Tensor.dim Tensor.element_size Tensor.is_contiguous
        Tensor.is_floating_point Tensor.numel Tensor.register_hook Tensor.requires_grad_
        Tensor.retain_grad Tensor.size Tensor.__init__ tc.can_cast tc.get_device tc.is_complex
        tc.is_floating_point tc.is_nonzero tc.is_same_size tc.is_signed tc.promote_types
        tc.result_type tc.typename""",
    "tells or sets a state of the library": """
        tc.is_anomaly_enabled tc.set_printoptions tc.get_default_dtype tc.set_default_dtype
        tc.is_grad_enabled tc.get_num_threads
        tc.set_num_threads tc.get_rng_state tc.set_rng_state tc.initial_seed tc.manual_seed tc.seed
        tc.set_default_tensor_type""",
}
#: properties that compute
_PROPERTIES = ("H", "T", "mH", "mT")
_OPERATORS = {
    ast.Add: "add", ast.Sub: "sub", ast.Mult: "mul", ast.Div: "truediv", ast.Mod: "mod",
    ast.FloorDiv: "floordiv", ast.Pow: "pow", ast.MatMult: "matmul", ast.BitAnd: "and",
    ast.BitOr: "or", ast.BitXor: "xor", ast.LShift: "lshift", ast.RShift: "rshift",
}  # fmt: skip


def public_names(namespace):
    """All public functions of ``tc`` (given as its namespace), of ``F`` and of Tensor.

    >>> import tinyconv
    >>> {"tc.exp", "F.relu", "Tensor.exp", "Tensor.__add__"} <= public_names(vars(tinyconv))
    True
    """
    names = {f"F.{name}" for name in F.__all__}
    names |= {f"linalg.{name}" for name in namespace["linalg"].__all__}
    top = namespace["__all__"]
    top = [name for name in top if not (name in F.__all__ and namespace[name] is getattr(F, name))]
    names |= {f"tc.{name}" for name in top if isinstance(namespace.get(name), FunctionType)}
    methods = {
        name
        for name, value in vars(Tensor).items()
        if isinstance(value, FunctionType) and (name.startswith("__") or name[0] != "_")
    }
    return names | {f"Tensor.{name}" for name in methods | set(_PROPERTIES)}


def not_differentiable():
    """{name: why nothing is checked of it}"""
    reasons = {
        name: reason for reason, names in NOT_DIFFERENTIABLE.items() for name in names.split()
    }
    for name in (inplace.NAMES + inplace.VIEWS).split():
        if hasattr(Tensor, name):
            reasons[f"Tensor.{name}"] = "the op without the underscore, in place"
    for name in inplace.FUNCTIONS.split():
        reasons[f"tc.{name}"] = "a method of Tensor, as a function"
    return reasons


def names_in(source):
    """The public names that a piece of code calls, as far as its text tells.

    >>> sorted(names_in("F.relu(2 - x).sum()"))
    ['F.relu', 'Tensor.__rsub__', 'Tensor.sum']
    """
    return set().union(*(_named(node) for node in ast.walk(ast.parse(source))))


def _named(node):
    match node:
        case ast.Attribute(ast.Name("tc"), "linalg"):
            return set()
        case ast.Attribute(ast.Attribute(ast.Name("tc"), "linalg"), name):
            return {f"linalg.{name}"}
        case ast.Attribute(ast.Name("tc" | "F" as module), name):
            return {f"{module}.{name}"}
        case ast.Attribute(_, name):
            return {f"Tensor.{name}"}
        case ast.BinOp(left, op, _):
            return {f"Tensor.__{'r' if _is_number(left) else ''}{_OPERATORS[type(op)]}__"}
        case ast.AugAssign(_, op, _):
            return {f"Tensor.__i{_OPERATORS[type(op)]}__"}
        case ast.UnaryOp(ast.USub(), operand) if not _is_number(operand):
            return {"Tensor.__neg__"}
        case ast.Call(ast.Name("abs")):
            return {"Tensor.__abs__"}
        case ast.Subscript(ctx=ast.Store()):
            return {"Tensor.__setitem__"}
        case ast.Subscript():
            return {"Tensor.__getitem__"}
        case ast.Assign([ast.Tuple()], ast.Name()):
            return {"Tensor.__iter__"}
    return set()


def _is_number(node):
    """A literal, or something that NumPy made: the Tensor stands on the other side."""
    if isinstance(node, ast.UnaryOp):
        node = node.operand
    return isinstance(node, ast.Constant) or ast.unparse(node).startswith("np.")
