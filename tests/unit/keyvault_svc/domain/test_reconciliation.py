from __future__ import annotations

import pytest

from keyvault_svc.domain.reconciliation import Counted, Tolerance, Verdict

STRICT = Tolerance(requests=0, tokens=0, percent=0.0)
LOOSE = Tolerance(requests=10, tokens=100, percent=10.0)


@pytest.mark.parametrize(
    ("openai", "keyturn", "verdict"),
    [
        pytest.param(Counted(), Counted(), Verdict.MATCHES, id="nothing on both sides"),
        pytest.param(Counted(5, 50, 50), Counted(5, 50, 50), Verdict.MATCHES, id="the same"),
        pytest.param(Counted(5, 51, 50), Counted(5, 50, 50), Verdict.USED_ELSEWHERE, id="a token"),
        pytest.param(
            Counted(6, 50, 50), Counted(5, 50, 50), Verdict.USED_ELSEWHERE, id="a request"
        ),
        pytest.param(Counted(1, 0, 0), Counted(), Verdict.USED_ELSEWHERE, id="an image"),
        pytest.param(
            Counted(5, 49, 50), Counted(5, 50, 50), Verdict.COUNTED_LESS, id="less tokens"
        ),
        pytest.param(Counted(4, 50, 50), Counted(5, 50, 50), Verdict.MATCHES, id="less requests"),
        pytest.param(Counted(5, 60, 40), Counted(5, 40, 60), Verdict.MATCHES, id="other halves"),
    ],
)
def test_without_tolerance_any_more_at_openai_is_use_elsewhere(
    openai: Counted, keyturn: Counted, verdict: Verdict
) -> None:
    assert STRICT.verdict(openai, keyturn) is verdict


@pytest.mark.parametrize(
    ("openai", "keyturn", "verdict"),
    [
        pytest.param(Counted(10, 100, 0), Counted(), Verdict.MATCHES, id="fixed room"),
        pytest.param(Counted(10, 101, 0), Counted(), Verdict.USED_ELSEWHERE, id="beyond it"),
        pytest.param(Counted(11, 0, 0), Counted(), Verdict.USED_ELSEWHERE, id="too many requests"),
        pytest.param(
            Counted(120, 1_200, 0), Counted(100, 1_000, 0), Verdict.MATCHES, id="with the share"
        ),
        pytest.param(
            Counted(120, 1_201, 0), Counted(100, 1_000, 0), Verdict.USED_ELSEWHERE, id="beyond both"
        ),
        pytest.param(
            Counted(100, 800, 0), Counted(100, 1_000, 0), Verdict.MATCHES, id="less within"
        ),
        pytest.param(
            Counted(100, 799, 0), Counted(100, 1_000, 0), Verdict.COUNTED_LESS, id="less beyond"
        ),
    ],
)
def test_the_tolerance_has_a_fixed_part_and_a_share(
    openai: Counted, keyturn: Counted, verdict: Verdict
) -> None:
    assert LOOSE.verdict(openai, keyturn) is verdict


def test_what_is_beyond_is_told_by_figure_and_never_negative() -> None:
    assert Counted(2, 10, 0) == Counted(5, 30, 7).beyond(Counted(3, 20, 9))


def test_a_count_reads_as_words() -> None:
    assert str(Counted(1_234, 50_000, 6_789)) == "1,234 requests with 56,789 tokens"
