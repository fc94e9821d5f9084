from __future__ import annotations

import base64
import json
from datetime import UTC, datetime

from standardwebhooks.webhooks import Webhook

from keyvault_svc.notifications.webhook_signature import signature_headers
from svc_runtime.secret_bytes import SecretBytes

SECRET = bytes(range(32))
BODY = b'{"type":"key_due"}'


def test_the_signature_is_that_of_the_published_vector() -> None:
    secret = SecretBytes(base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))

    headers = signature_headers(
        [secret], "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    )

    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_a_receiver_that_knows_either_secret_verifies_the_signatures() -> None:
    old, new = SECRET, SECRET[::-1]
    now = int(datetime.now(UTC).timestamp())

    headers = signature_headers([SecretBytes(new), SecretBytes(old)], "id", now, BODY)

    for secret in (old, new):
        receiver = Webhook("whsec_" + base64.b64encode(secret).decode())
        assert receiver.verify(BODY, headers) == json.loads(BODY)
