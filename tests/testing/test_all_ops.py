"""Every registered op through the checker: first and second derivatives, wherever the strategy
leads, ties, kinks and exact zeros too.

HYPOTHESIS_PROFILE=nightly draws a hundred times as many cases as ci.
"""

from functools import reduce

import pytest
from hypothesis import example, given, settings, target
from hypothesis import strategies as st

import tinyconv as tc
from tinyconv.testing import check
from tinyconv.testing.registry import OPS

#: ops of many options, all behind one spelling
RICH = ("conv2d", "max_pool2d", "avg_pool2d", "batch_norm", "networks", "cross_entropy")
#: constant almost everywhere, so that there may be no slope to see in any case
CONSTANT = ("x ** 0", "norm 0", "sign", "div rounded", "rounded quotients", "ifloordiv", "steps")
each = pytest.mark.parametrize("name", OPS)


def verdict(case, inputs):
    report = check(case.func, inputs, order=case.order, oracle=case.oracle, seed=0)
    if report.verdict not in case.expect:
        pytest.fail(f"{case}\n{report}", pytrace=False)
    if report.passed and case.order == 2:
        assert any(pair.order == 2 for pair in report.pairs), f"no second derivative: {case}"
    target(min(report.error, 1e9), label="error over what is allowed")
    return report.verdict


def examples(op, share):
    """``settings`` of so many examples that all variants together get their share."""
    budget = settings().max_examples * (2 if op.name in RICH else 1)
    return settings(max_examples=max(2, round(share * budget / len(op.variants))))


@each
def test_first_and_second_derivatives(name):
    op, verdicts = OPS[name], set()

    def run(case):
        verdicts.add(verdict(case, case.inputs))

    for i, variant in enumerate(op.variants):
        test = examples(op, 1.0)(given(case=variant)(run))
        if i == 0:
            test = reduce(lambda test, case: example(case=case)(test), op.examples, test)
        test()
    assert "passed" in verdicts or name in CONSTANT, "no case was more than vacuous"


@each
def test_derivatives_in_one_input_with_the_others_constant(name):
    def run(case, which):
        floats = [i for i, x in enumerate(case.inputs) if x.dtype.kind == "f"]
        if len(floats) > 1:
            inputs = [tc.from_numpy(x) for x in case.inputs]
            inputs[floats[which % len(floats)]].requires_grad_()
            verdict(case, inputs)

    for variant in OPS[name].variants:
        examples(OPS[name], 0.3)(given(case=variant, which=st.integers(0, 3))(run))()
