"""Record PyTorch's public names and their arguments in pytorch_names.json; needs torch.

python docs/pytorch_names.py
"""

import ast
import fnmatch
import importlib.metadata
import inspect
import json
from pathlib import Path

FILE = Path(__file__).with_suffix(".json")

#: no public part of PyTorch on a CPU, or another world: sparse, quantised, complex, compiled
ELSEWHERE = """
    *_copy *sparse* *autocast* *quantize* quantized_* q_* int_repr fbgemm_* cudnn_* miopen_*
    mkldnn_* native_* sym_* is_mkldnn* is_vulkan* is_xla* is_ipu* is_hpu* is_xpu* is_maia is_mtia
    *crow_indices* *col_indices* *row_indices* *_inverse_copy is_distributed *storage* dsmm hsmm
    smm spmm saddmm sspaddmm hspmm *_names *names align_* refine_* rename* map_ map2_ apply_ name
    reinforce volatile new has_* *_deterministic_* *deterministic_algorithms* parse_* import_ir*
    merge_type* unify_type* is_anomaly* set_anomaly* *interop* init_num_threads *_parsed
    thread_safe* *warn_always* *default_device *device_module get_device wait fork cpp export
    rnn_* lstm* gru* norm_except* from_file frombuffer module_load eig lstsq solve symeig
    as_subclass is_inference is_same_size is_shared share_memory_ to_mkldnn to_padded* nested*
    values indices coalesce is_coalesced dense_dim to_dense geqrf ormqr orgqr lobpcg hash_tensor
    view_as_real view_as_complex resolve_* imag real conj conj_physical* is_conj is_neg is_complex
    chalf cfloat cdouble complex polar angle stft istft ipu xpu hpu mtia cuda is_cuda is_meta
    is_quantized dlpack* untyped* is_nested get_float32* set_float32* batch_norm_* lu_*
    choose_qparams* dequantize sparse_* vulkan* slice_inverse resize resize_as set_ record_stream
    cond_* fused_moving* tag typename range conv_tbc convolution set_flush* is_signed
    constant_pad_nd grid_sampler* affine_grid_generator feature_dropout* unsafe_* _*
    split_with_sizes_* prims special fft *_with_indices boolean_dispatch handle_torch_function
    has_torch_function* assert_int_or_pair importlib scaled_mm grouped_mm scaled_grouped_mm
    LinearCrossEntropyOptions Container NLLLoss2d
    NestedIOFunction grad_mode variable enforce_* set_multithreading* argument_validation
    functional_datapipe guaranteed_datapipes* non_deterministic runtime_validation* DataChunk
    index cond qscheme layout memory_format const_data_ptr is_mps dim_order is_set_to data_ptr
    grad_dtype __div__ __idiv__ __init__ __new__ __long__ __nonzero__ __complex__ __index__
""".split()
#: names that a pattern above takes by mistake
HERE = "index_copy index_copy_ scatter_reduce unsafe_chunk".split()

#: what the code does not say: functions that take anything and find out inside, imprecise stubs
BY_HAND = {
    "einsum": ["equation, *operands"],
    "unique": ["input, sorted=True, return_inverse=False, return_counts=False, dim=None"],
    "unique_consecutive": ["input, return_inverse=False, return_counts=False, dim=None"],
    "requires_grad_": ["self, requires_grad=True"],
    "subtract_": ["self, other, *, alpha=1"],
    "to": ["self, device=None, dtype=None, non_blocking=False, copy=False, *, memory_format=None"],
    "set_num_threads": [],  # no names
    "from_numpy": [],
    "uniform_": ["self, *, generator=None"],  # `from` can not be a name in Python
    "tensor": ["data, *, dtype=None, device=None, requires_grad=False"],
    "linspace": ["start, end, steps, *, dtype=None, device=None, requires_grad=False"],
    "logspace": ["start, end, steps, base=10.0, *, dtype=None, device=None, requires_grad=False"],
}


def is_elsewhere(name):
    if name in HERE or name.startswith("__"):
        return name in ELSEWHERE
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in ELSEWHERE)


def is_given_up(text, method):
    """Forms of old with a factor between the tensors: ``add(input, alpha, other)``."""
    words = [word.strip() for word in text.split("*")[0].split(",") if word.strip()]
    factor = any(word in words[:-1] for word in ("alpha", "beta", "value"))
    return factor or "alpha=1" in words or ("self" in words and not method)


def arguments(node):
    """``input, dim=None, *, dtype=None`` of a stub's arguments."""
    plain = [*node.posonlyargs, *node.args]
    defaults = [None] * (len(plain) - len(node.defaults)) + list(node.defaults)
    words = [_word(a.arg, d) for a, d in zip(plain, defaults)]
    if node.vararg:
        words.append(f"*{node.vararg.arg}")
    elif node.kwonlyargs:
        words.append("*")
    words += [_word(a.arg, d) for a, d in zip(node.kwonlyargs, node.kw_defaults)]
    return ", ".join(words)


def _word(name, default):
    return name if default is None else f"{name}={ast.unparse(default)}"


def signature(function):
    """The same of a function of Python's; None where it has none."""
    try:
        given = inspect.signature(function)
    except (TypeError, ValueError):
        return None
    words, star = [], False
    for p in given.parameters.values():
        if p.kind is p.VAR_KEYWORD:
            continue
        star |= p.kind is p.VAR_POSITIONAL
        if p.kind is p.KEYWORD_ONLY and not star:
            words, star = [*words, "*"], True
        default = "" if p.default is p.empty else f"={_literal(p.default)}"
        words.append(("*" if p.kind is p.VAR_POSITIONAL else "") + p.name + default)
    return ", ".join(words)


def _literal(value):
    return repr(value) if isinstance(value, (bool, int, float, str, tuple, type(None))) else "..."


def stubs(path, kind=None):
    """Name -> overloads of a stub file, or of one class in it."""
    body = ast.parse(path.read_text()).body
    if kind:
        (body,) = [c.body for c in body if isinstance(c, ast.ClassDef) and c.name == kind]
    found = {}
    for node in body:
        if isinstance(node, ast.FunctionDef):
            text = arguments(node.args)
            if "Dimname" not in ast.unparse(node.args) and text not in found.get(node.name, []):
                found.setdefault(node.name, []).append(text)
    return found


def overloads(owner, names, stub):
    """Each name with its overloads; Python's own signature first, then the stub's."""
    table = {}
    for name in sorted(names):
        thing = getattr(owner, name, None)
        if thing is None or is_elsewhere(name):
            continue
        own = signature(thing) if callable(thing) else None
        vague = own is None or own.startswith("*args") or own.startswith("input, *args")
        found = BY_HAND.get(name, stub.get(name, [])) if vague else [own]
        method = any(text.startswith("self") for text in found)
        table[name] = [text for text in found if not is_given_up(text, method)]
    return table


def record():
    """Section -> name -> overloads, as PyTorch has them."""
    import torch
    import torch.nn.functional as F
    from torch import nn, optim

    home = Path(torch.__file__).parent
    functions = stubs(home / "_C/_VariableFunctions.pyi")
    methods = stubs(home / "_C/__init__.pyi", "TensorBase")
    documented = {n for n in functions if getattr(getattr(torch, n, None), "__doc__", None)}
    small = {n for n in torch.__all__ if n.islower() and not n.endswith("_")}
    more = "Size Generator Tensor FloatTensor LongTensor".split()
    top = {n for n in documented | small | set(torch.functional.__all__) if not n.endswith("_")}
    top = {n for n in top if not isinstance(getattr(torch, n, None), (type(ast), torch.dtype))}
    own = {n for n in dir(F) if not isinstance(getattr(F, n), type) and n.islower()}
    own = {n for n in own if callable(getattr(F, n)) and n[0] != "_"}
    algebra = [
        n
        for n in dir(torch.linalg)
        if n.islower() and type(getattr(torch.linalg, n)).__name__ == "builtin_function_or_method"
    ]
    classes = [n for n in nn.modules.__all__] + ["Parameter", "Buffer"]
    tensor = {n for n in dir(torch.Tensor) if not n.startswith("_")}
    operators = [n for n in dir(torch.Tensor) if n.startswith("__") and n in methods]

    def public(module):
        return [n for n in module.__all__ if n[0] != "_" and not n.endswith("module")]

    return {
        "torch": overloads(torch, top | set(more), functions),
        "torch.Tensor": overloads(torch.Tensor, tensor, methods)
        | {n: [] for n in sorted(operators) if n not in ELSEWHERE},
        "torch.nn.functional": overloads(F, own, functions | stubs(home / "nn/functional.pyi")),
        "torch.nn": overloads(nn, classes, {}),
        "torch.nn.init": overloads(
            nn.init, [n for n in dir(nn.init) if n.endswith("_") and n[0] != "_"]
            + ["calculate_gain"], {},
        ),
        "torch.nn.utils": overloads(nn.utils, public(nn.utils), {}),
        "torch.optim": overloads(optim, [n for n in dir(optim) if n[0].isupper()], {}),
        "torch.optim.lr_scheduler": overloads(
            optim.lr_scheduler, optim.lr_scheduler.__all__, {}
        ),
        "torch.optim.swa_utils": overloads(
            optim.swa_utils, optim.swa_utils.__all__, {}
        ),
        "torch.autograd": overloads(torch.autograd, public(torch.autograd), {}),
        "torch.autograd.functional": overloads(
            torch.autograd.functional, "vjp jvp jacobian hessian hvp vhp".split(), {}
        ),
        "torch.linalg": overloads(torch.linalg, algebra, {}),
        "torch.utils.data": overloads(
            torch.utils.data, [n for n in torch.utils.data.__all__ if "Pipe" not in n], {}
        ),
    }  # fmt: skip


if __name__ == "__main__":
    lines = [
        f' "{section}": {{\n'
        + ",\n".join(f"  {json.dumps(name)}: {json.dumps(found)}" for name, found in names.items())
        + "\n }"
        for section, names in record().items()
    ]
    lines.insert(0, f' "version": "{importlib.metadata.version("torch").split("+")[0]}"')
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n")
