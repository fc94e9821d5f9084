from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import hvac
import pytest
from cryptography import x509

from keyturn_cli.local.errors import LocalStackError
from keyturn_cli.local.free_ports import free_ports
from keyturn_cli.local.layout import Layout
from keyturn_cli.local.local_vault import LocalVault, _is_fresh
from keyturn_cli.local.openbao_server import OpenBaoServer
from svc_runtime.clock import SystemClock
from tests.component.cli_stage import CertificateMaker

NOW = datetime.now(UTC)
SAN: list[x509.GeneralName] = [x509.UniformResourceIdentifier("spiffe://keyturn.local/app/demo")]


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path)


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate, from three days ago to a day from now, and its key."""
    return CertificateMaker(tmp_path, NOW).issue("app", SAN)


@pytest.mark.parametrize(
    ("age", "is_fresh"),
    [(timedelta(hours=-25), True), (timedelta(hours=-23), False)],
    ids=["before half of its life", "after"],
)
def test_a_certificate_is_fresh_for_half_of_its_life(
    pair: tuple[Path, Path], age: timedelta, *, is_fresh: bool
) -> None:
    # Its life is four days, and their middle is a day ago.
    assert _is_fresh(*pair, NOW + age) is is_fresh


@pytest.mark.parametrize("index", [0, 1], ids=["certificate", "key"])
@pytest.mark.parametrize("content", [None, b"", b"-----BEGIN nothing"])
def test_a_missing_or_damaged_file_is_not_fresh(
    pair: tuple[Path, Path], index: int, content: bytes | None
) -> None:
    pair[index].unlink()
    if content is not None:
        pair[index].write_bytes(content)

    assert not _is_fresh(*pair, NOW - timedelta(hours=25))


def test_a_key_of_another_certificate_is_not_fresh(tmp_path: Path, pair: tuple[Path, Path]) -> None:
    (tmp_path / "other").mkdir()
    _, other_key = CertificateMaker(tmp_path / "other", NOW).issue("app", SAN)

    assert not _is_fresh(pair[0], other_key, NOW - timedelta(hours=25))


def test_a_vault_that_does_not_answer_is_told_without_its_address(layout: Layout) -> None:
    [port] = free_ports(1)
    vault = LocalVault(hvac.Client(url=f"http://127.0.0.1:{port}"), layout, SystemClock())

    with pytest.raises(LocalStackError, match=r"^OpenBao did not do its part: ConnectionError\.$"):
        vault.renew_certificates()


def test_a_vault_that_was_not_set_up_is_told(openbao: OpenBaoServer, layout: Layout) -> None:
    vault = LocalVault(_not_set_up(openbao), layout, SystemClock())

    with pytest.raises(LocalStackError, match=r"OpenBao does not know auth/keyturn-approle/role"):
        vault.write_service_logins()
    with pytest.raises(LocalStackError, match=r"^OpenBao did not do its part: InvalidPath\.$"):
        vault.renew_certificates()


def test_a_password_is_not_in_the_error_of_a_login(openbao: OpenBaoServer, layout: Layout) -> None:
    layout.password_file.write_text("hunter2")
    vault = LocalVault(_not_set_up(openbao), layout, SystemClock())

    with pytest.raises(LocalStackError) as caught:
        vault.owner_token()

    assert "hunter2" not in str(caught.value)


def _not_set_up(openbao: OpenBaoServer) -> hvac.Client:
    """Return an administrator of an empty namespace; other tests may have set up the root."""
    openbao.client().write_data("sys/namespaces/not-set-up", data={})
    client = openbao.client()
    client.session.headers["X-Vault-Namespace"] = "not-set-up"
    return client
