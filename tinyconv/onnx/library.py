"""The door to the onnx library: nothing else imports it."""

#: the operator sets of the default domain: read from the first on, written from the second on
OLDEST_READ, OLDEST_WRITTEN = 7, 13


class MissingOnnx(ImportError):
    """The onnx library is not installed; the message says how to get it."""


def library():
    """The module ``onnx``, with all parts that are used here.

    Raises:
        MissingOnnx: with what to install.
    """
    try:
        import onnx
        import onnx.checker
        import onnx.helper
        import onnx.numpy_helper
    except ImportError as error:
        raise MissingOnnx(
            f"ONNX files need the onnx library ({error}); pip install 'tinyconv[onnx]'"
        ) from None
    return onnx
