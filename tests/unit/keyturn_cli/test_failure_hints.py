from __future__ import annotations

import re

import grpc

from keyturn_cli.exit_codes import MEANINGS, ExitCode, epilog
from keyturn_cli.failure_hints import BY_REASON, BY_STATUS
from tests.architecture.source_tree import files

REASON = re.compile(r'^    reason(?:: ClassVar\[str\])? = "([A-Z_]+)"$', re.MULTILINE)


def test_every_reason_of_the_services_has_its_advice_and_no_other() -> None:
    sources = files("svc_runtime/*.py", "keyvault_svc/*.py", "gateway_svc/*.py")
    reasons = {reason for path in sources for reason in REASON.findall(path.read_text())}

    assert set(BY_REASON) == reasons


def test_every_status_but_ok_has_its_advice() -> None:
    assert set(BY_STATUS) == set(grpc.StatusCode) - {grpc.StatusCode.OK}


def test_an_outage_never_ends_like_a_refusal() -> None:
    outages = {code for reason, (code, _) in _advice() if reason.endswith("UNAVAILABLE")}
    refusals = {code for reason, (code, _) in _advice() if "GRANT" in reason}

    assert outages == {ExitCode.UNAVAILABLE}
    assert ExitCode.UNAVAILABLE not in refusals


def test_every_exit_code_is_documented() -> None:
    assert set(MEANINGS) == set(ExitCode)
    assert all(f"{code:>5}  " in epilog() for code in ExitCode)


def _advice() -> list[tuple[str, tuple[ExitCode, str]]]:
    return [(reason, (advice.exit_code, advice.hint)) for reason, advice in BY_REASON.items()]
