"""ONNX, the exchange format of networks: ``export`` writes it, ``load`` reads it.

Both need the library of that name (``pip install 'tinyconv[onnx]'``), from 1.16 on.
"""

from tinyconv.onnx.library import MissingOnnx
from tinyconv.onnx.network import GraphModule
from tinyconv.onnx.reader import load
from tinyconv.onnx.writer import export

__all__ = ["GraphModule", "MissingOnnx", "export", "load"]
