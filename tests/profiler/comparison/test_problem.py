"""Values of a case: the same for the same seed, from the very first call."""

import torch

from goodput.comparison.declared import Case
from goodput.comparison.problem import Frameworks, Problem
from goodput.recording.frameworks import framework_of


def test_the_first_values_are_seeded_though_their_framework_was_not_up_before():
    case = Case({"size": (8,)}, torch.randn)  # a builtin that does not say what it takes
    [[first], [again], [other]] = (
        Problem(case, {}, Frameworks(framework_of)).values(seed) for seed in (3, 3, 4)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
