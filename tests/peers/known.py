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
        "nn.functional.hardsigmoid",
        "PyTorch's vectorised float64 slope is 1/6 rounded to float32; here it is 1/6 in float64.",
        stages="grad gradgrad",
        dtypes="float64",
    ),
]


def reason(outcome):
    """Why the outcome may differ; None if it may not."""
    return next((known.reason for known in KNOWN if known.covers(outcome)), None)
