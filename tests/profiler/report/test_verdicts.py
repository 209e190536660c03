"""Exit statuses as a matrix: every set of them that a check may deserve, and which one counts."""

from itertools import combinations

import pytest

from goodput.report.verdicts import CaseResult, CheckReport, Finding, Tier, Verdict

RESULTS = {
    1: CaseResult("a", Tier.EXACT, Verdict.REGRESSED, evaluated=1),
    2: CaseResult("b", Tier.EXACT, Verdict.ERROR, status=2),
    3: CaseResult("c", Tier.EXACT, Verdict.ERROR, status=3),
    4: CaseResult("d", Tier.EXACT, Verdict.INCOMPARABLE),
    5: CaseResult("e", Tier.MEASURED, Verdict.ERROR, status=5),
    6: CaseResult("f", Tier.MEASURED, Verdict.INCONCLUSIVE, evaluated=1),
}
PRECEDENCE = (2, 3, 5, 1, 4, 6)
PASSED = CaseResult("g", Tier.EXACT, Verdict.PASS, evaluated=1)
SETS = [chosen for size in range(7) for chosen in combinations(RESULTS, size)]


@pytest.mark.parametrize("chosen", SETS, ids=str)
def test_the_status_of_every_set_of_results(chosen):
    results = (PASSED, *(RESULTS[status] for status in chosen))
    strict = CheckReport(results, fail_on_inconclusive=True)
    assert strict.statuses == tuple(one for one in PRECEDENCE if one in chosen)
    assert strict.status == next(iter(strict.statuses), 0)
    lenient = CheckReport(results)
    assert lenient.statuses == tuple(one for one in strict.statuses if one != 6)


@pytest.mark.parametrize("verdict", [Verdict.PASS, Verdict.IMPROVED])
def test_a_check_that_evaluated_nothing_is_4(verdict):
    assert CheckReport(()).status == 4
    assert CheckReport((CaseResult("a", Tier.EXACT, verdict),)).status == 4
    assert CheckReport((CaseResult("a", Tier.EXACT, verdict, evaluated=1),)).status == 0


def test_a_variant_that_cannot_be_trusted_hides_no_slower_one():
    slower = (Finding("ratio.a", Verdict.REGRESSED),)
    result = CaseResult("a", Tier.MEASURED, Verdict.ERROR, findings=slower, status=5, evaluated=1)
    assert CheckReport((result,)).statuses == (5, 1)
