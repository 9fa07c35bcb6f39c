"""Where tinyconv is not PyTorch, by intent: read by the peer tests and by docs/pytorch_table.py."""

import dataclasses
import fnmatch
import re


@dataclasses.dataclass(frozen=True)
class Known:
    """Samples that may differ, and the sentence that says why."""

    ops: str  # names in the database, separated by spaces; * stands for any text
    reason: str
    stages: str = ""  # empty: all
    dtypes: str = ""  # empty: all
    sample: str = ""  # a pattern found in the text of the sample; empty: all
    failure: str = ""  # a pattern found in the text of the difference; empty: all

    def covers(self, outcome):
        return (
            any(fnmatch.fnmatchcase(outcome.op, pattern) for pattern in self.ops.split())
            and (not self.stages or outcome.stage in self.stages.split())
            and (not self.dtypes or outcome.dtype in self.dtypes.split())
            and re.search(self.sample, outcome.sample) is not None
            and re.search(self.failure, outcome.failure) is not None
        )


KNOWN = [
    Known(
        "nn.functional.conv* nn.functional.avg_pool* nn.functional.max_pool* nn.functional.linear "
        "nn.functional.local_response_norm nn.functional.bilinear",
        "Floating point tensors only: integers raise a TypeError that says so.",
        dtypes="int64",
        failure="wants a float32 or float64 tensor",
    ),
    Known(
        "nn.functional.hardsigmoid",
        "PyTorch's vectorised float64 slope is 1/6 rounded to float32; here it is 1/6 in float64.",
        stages="grad gradgrad",
        dtypes="float64",
    ),
    Known(
        "nn.functional.max_unpool1d nn.functional.max_unpool2d",
        "Where a place occurs twice, the gradient goes to the one whose value stands; PyTorch "
        "gives it to both.",
        stages="grad gradgrad",
    ),
    Known(
        "normal normal.number_mean bernoulli",
        "Draws do not require grad; in PyTorch they do, and their gradient is 0.",
        stages="grad gradgrad",
        failure="no output requires grad|before failed",
    ),
    Known(
        "norm.nuc linalg.norm* linalg.matrix_norm",
        "No norms of singular values (`'nuc'`, 2 and -2 of matrices).",
        failure="not available|before failed",
    ),
    Known(
        "linalg.norm*",
        "At x = 0 the second derivative is 0; PyTorch's is NaN.",
        stages="gradgrad",
        failure="torch nan",
    ),
    Known(
        "nn.functional.batch_norm",
        "Two dimensions (N, C) at least; PyTorch takes a single empty one too.",
        sample=r"^float\d\d\[0\],",
    ),
]


def reason(outcome):
    """Why the outcome may differ; None if it may not."""
    return next((known.reason for known in KNOWN if known.covers(outcome)), None)
