"""One node of a file, as the readers of operators see it."""

from dataclasses import dataclass

import numpy as np


class Unsupported(ValueError):
    """The operator, or what its node asks for, is not there; the message goes on after its
    name."""


@dataclass
class Node:
    """An operator with its attributes, as Python numbers, strings, lists and arrays."""

    op: str
    name: str
    inputs: list
    outputs: list
    attributes: dict
    opset: int

    def get(self, name, default=None):
        """An attribute, or what stands for it."""
        return self.attributes.get(name, default)

    @staticmethod
    def dtype(number):
        """The NumPy dtype of ONNX's number for it."""
        found = _DTYPES.get(number)
        if found is None:
            raise Unsupported("of a dtype that tinyconv has not: it computes in float32, float64")
        return np.dtype(found)


#: TensorProto.DataType; half precision is not among them
_DTYPES = {
    1: "float32", 11: "float64", 9: "bool", 2: "uint8", 3: "int8", 5: "int16", 6: "int32",
    7: "int64",
}  # fmt: skip


def ints(tensor):
    """The numbers of an integer tensor, as a list."""
    return tensor.array.reshape(-1).tolist()
