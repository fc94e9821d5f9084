"""Print an answer while the model makes it, over gRPC: `python chat_stream.py "Say hello"`.

Reads KEYTURN_GRPC (the gateway's host and port), KEYTURN_KEY (the name of the key to use) and three
PEM files: KEYTURN_CA, and the app's KEYTURN_CERT and KEYTURN_CERT_KEY.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import grpc
from google.rpc.error_details_pb2 import ErrorInfo  # type: ignore[import-untyped] # has no stubs
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped] # has no stubs

from keyturn.gateway.v1.chat_completion_pb2 import ChatMessage
from keyturn.gateway.v1.chat_completion_service_pb2 import (
    ChatCompletionParameters,
    StreamChatCompletionRequest,
)
from keyturn.gateway.v1.chat_completion_service_pb2_grpc import ChatCompletionServiceStub

# Repeats calls that an outage stopped before OpenAI was asked. Once the receipt is here, gRPC
# repeats nothing by itself: the model may have done the work.
RETRIES = {
    "methodConfig": [
        {
            "name": [{"service": "keyturn.gateway.v1.ChatCompletionService"}],
            "retryPolicy": {
                "maxAttempts": 3,
                "initialBackoff": "0.2s",
                "maxBackoff": "2s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ]
}


def pem(variable: str) -> bytes:
    """Return the file that *variable* names."""
    return Path(os.environ[variable]).read_bytes()


def reason_of(error: grpc.Call) -> str:
    """Return the reason of a refusal; docs/app-developers.md lists them and what to do."""
    for name, value in error.trailing_metadata():
        if name == "grpc-status-details-bin":
            for detail in Status.FromString(value).details:
                info = ErrorInfo()
                if detail.Unpack(info):
                    return str(info.reason)
    return error.code().name  # no refusal: a deadline, or nobody there


def main() -> int:
    """Ask the question of the command line; return 0, or 1 with the reason on standard error."""
    credentials = grpc.ssl_channel_credentials(
        pem("KEYTURN_CA"), pem("KEYTURN_CERT_KEY"), pem("KEYTURN_CERT")
    )
    options = [("grpc.service_config", json.dumps(RETRIES))]
    request = StreamChatCompletionRequest(
        parameters=ChatCompletionParameters(
            model=os.environ.get("KEYTURN_MODEL", "gpt-4o-mini"),
            messages=[ChatMessage(role="user", content=" ".join(sys.argv[1:]) or "Say hello")],
        )
    )
    with grpc.secure_channel(os.environ["KEYTURN_GRPC"], credentials, options) as channel:
        call = ChatCompletionServiceStub(channel).StreamChatCompletion(
            request,
            timeout=float(os.environ.get("TIMEOUT_SECONDS", "60")),  # bounds OpenAI's part, too
            metadata=(("x-keyturn-key", os.environ["KEYTURN_KEY"]),),
        )
        try:
            for response in call:  # call.cancel() would end the request to OpenAI
                for choice in response.chunk.choices:
                    print(choice.delta.content, end="", flush=True)
        except grpc.RpcError:
            print(reason_of(call), file=sys.stderr)
            return 1
        print()
        for name, value in call.trailing_metadata():
            if name.startswith("x-keyturn-"):  # which key, grant and lease served it
                print(f"{name}: {value!s}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
