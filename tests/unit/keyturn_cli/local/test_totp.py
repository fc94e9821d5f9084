from __future__ import annotations

import base64
from datetime import UTC, datetime

import pytest

from keyturn_cli.local.totp import labelled, totp_code

# RFC 6238, appendix B; of its eight digits an authenticator app shows the last six.
SECRET = base64.b32encode(b"12345678901234567890").decode()
VECTORS = {
    59: "94287082",
    1111111109: "07081804",
    1111111111: "14050471",
    1234567890: "89005924",
    2000000000: "69279037",
    20000000000: "65353130",
}


@pytest.mark.parametrize("seconds", VECTORS)
def test_a_code_is_that_of_the_standard(seconds: int) -> None:
    uri = f"otpauth://totp/Keyturn:x?algorithm=SHA1&digits=6&period=30&secret={SECRET}"

    code = totp_code(uri, datetime.fromtimestamp(seconds, UTC))

    assert code == VECTORS[seconds][-6:]


def test_a_uri_without_a_secret_has_no_code() -> None:
    with pytest.raises(ValueError, match="no secret"):
        totp_code("otpauth://totp/Keyturn:x", datetime.now(UTC))


def test_an_authenticator_app_shows_the_person_s_name() -> None:
    uri = "otpauth://totp/Keyturn:a217ca63-65a6?digits=6&secret=ABC"

    assert labelled(uri, "alice") == "otpauth://totp/Keyturn:alice?digits=6&secret=ABC"
