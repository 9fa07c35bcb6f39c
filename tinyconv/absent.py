"""What tinyconv leaves out on purpose, and the one sentence that says so.

A name of PyTorch's that stands here raises an AttributeError with that sentence, so that
``hasattr`` answers as it should.
"""

_FLOATS = "tinyconv computes in float32 and float64, there is no {name}"
_CPU = "tinyconv computes on the CPU, there is no {name}"
_EAGER = "tinyconv runs Python as it stands and compiles its own kernels, there is no {name}"

#: {reason: names}
_REASONS = {
    _FLOATS: """half float16 bfloat16 HalfTensor BFloat16Tensor float8_e4m3fn float8_e5m2 complex
        complex32 complex64 complex128 chalf cfloat cdouble view_as_real view_as_complex real imag
        polar""",
    "tinyconv does no mixed precision, for CPUs gain nothing by it: leave {name} out":
        "set_autocast_enabled set_autocast_dtype",
    "tinyconv's integers are signed, or uint8: there is no {name}": "uint16 uint32 uint64",
    "tinyconv's tensors are dense, there is no {name}":
        "sparse sparse_coo_tensor sparse_coo sparse_csr sparse_csr_tensor strided nested",
    "tinyconv's numbers are not quantized, there is no {name}":
        "quantize_per_tensor quantize_per_channel quantization ao qint8 quint8 qint32",
    _EAGER: """fx export compiler _dynamo dynamo inductor cuda_graphs vmap func script trace
        script_method ScriptModule freeze""",
    _CPU: "mps xpu hpu xla mtia",
    "tinyconv distributes no training by itself, there is no {name}":
        "distributed DistributedDataParallel SyncBatchNorm DistributedSampler",
    "tinyconv writes no logs for TensorBoard: tinyconv.viz draws curves": "tensorboard",
    "tinyconv has no Fourier transforms: use numpy.fft on x.numpy()": "fft stft istft",
    "tinyconv has no {name}; numpy.random and scipy.stats draw from distributions": "distributions",
    "tinyconv loads no models over the network, there is no {name}; see tinyconv.weights": "hub",
}  # fmt: skip
_WHY = {name: reason for reason, names in _REASONS.items() for name in names.split()}


def why(name, module="tinyconv"):
    """The sentence for ``name``, or the usual one for a name that nobody knows.

    >>> why("float16")
    'tinyconv.float16: tinyconv computes in float32 and float64, there is no float16'
    """
    if name in _WHY:
        return f"{module}.{name}: {_WHY[name].format(name=name)}"
    return f"module {module!r} has no attribute {name!r}"
