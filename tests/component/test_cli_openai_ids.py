from __future__ import annotations

from collections.abc import Callable

import pytest
from click.testing import Result

from keyturn.keyvault.v1 import key_service_pb2 as keys_pb
from tests.component.cli_stage import FakeServices

Run = Callable[..., Result]


def _sent(services: FakeServices, kind: type) -> list[object]:
    return [call.request for call in services.calls if isinstance(call.request, kind)]


def test_the_id_at_openai_goes_in_with_a_new_key(run: Run, services: FakeServices) -> None:
    run("keys", "add", "openai", "--openai-key-id", "key_alice0123", stdin=b"sk-one")

    [request] = _sent(services, keys_pb.CreateKeyRequest)
    assert isinstance(request, keys_pb.CreateKeyRequest)
    assert request.openai_key_id == "key_alice0123"


def test_each_rotation_brings_the_id_of_its_key(run: Run, services: FakeServices) -> None:
    run("keys", "add", "openai", stdin=b"sk-one")
    run("keys", "rotate", "openai", "--openai-key-id", "key_other0123", stdin=b"sk-two")

    [request] = _sent(services, keys_pb.RotateKeyRequest)
    assert isinstance(request, keys_pb.RotateKeyRequest)
    assert request.openai_key_id == "key_other0123"


@pytest.mark.parametrize(("told", "sent"), [("key_alice0123", "key_alice0123"), ("none", "")])
def test_the_id_alone_can_be_told_later_and_taken_away(
    run: Run, services: FakeServices, told: str, sent: str
) -> None:
    run("keys", "add", "openai", stdin=b"sk-one")
    run("keys", "set", "openai", "--openai-key-id", told)

    [request] = _sent(services, keys_pb.UpdateKeyRequest)
    assert isinstance(request, keys_pb.UpdateKeyRequest)
    assert list(request.update_mask.paths) == ["openai_key_id"]
    assert request.key.openai_key_id == sent
