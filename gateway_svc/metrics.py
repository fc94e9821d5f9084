"""The metrics that only the gateway has, and the values of their labels."""

from __future__ import annotations

import re
from typing import Final

from gateway_svc.domain.http_request import METHODS
from gateway_svc.known_models import KNOWN_MODELS
from svc_runtime.telemetry.metrics import CALL_SECONDS, Gauge, Histogram, Label, UpDown

# What OpenAI appends to a model's name for one state of it, or for one customer's own.
_SNAPSHOT: Final = re.compile(r"-(?:\d{4}-\d{2}-\d{2}|\d{4})\Z")
_FINE_TUNED: Final = re.compile(r"(ft:[^:]+):.*", re.DOTALL)
_TOKEN_BUCKETS: Final = tuple(float(4**power) for power in range(13))


class ModelLabel(Label):
    """A label for models: without what tells one state of a model from another."""

    def value_of(self, word: str) -> str:
        """Return the allowed model that *word* is a state of; `other` if there is none."""
        if fine_tuned := _FINE_TUNED.fullmatch(word):
            word = fine_tuned[1]
        return super().value_of(word if word in self.values else _SNAPSHOT.sub("", word))


HTTP_METHOD: Final = Label("http.request.method", METHODS)
ROUTE: Final = Label("http.route")
HTTP_STATUS: Final = Label("http.response.status_code", map(str, range(100, 600)))
OPERATION: Final = Label("gen_ai.operation.name")
PROVIDER: Final = Label("gen_ai.provider.name", ("openai",))
MODEL: Final = ModelLabel("gen_ai.request.model", KNOWN_MODELS)
TOKEN_TYPE: Final = Label("gen_ai.token.type", ("input", "output"))
ERROR_TYPE: Final = Label(
    "error.type", ("cancelled", "upstream_failed", *map(str, range(400, 600)))
)
STREAM_KIND: Final = Label("kind", ("sse", "websocket"))

HTTP_DURATION: Final = Histogram(
    "http.server.request.duration",
    "How long HTTP requests of apps took, until the answer was written.",
    HTTP_METHOD,
    ROUTE,
    HTTP_STATUS,
    buckets=CALL_SECONDS,
)
GEN_AI_DURATION: Final = Histogram(
    "gen_ai.client.operation.duration",
    "How long calls of OpenAI took, from the lease of the key to the end of the answer.",
    OPERATION,
    PROVIDER,
    MODEL,
    ERROR_TYPE,
    buckets=CALL_SECONDS,
)
GEN_AI_TOKENS: Final = Histogram(
    "gen_ai.client.token.usage",
    "How many tokens calls of OpenAI took.",
    OPERATION,
    PROVIDER,
    MODEL,
    TOKEN_TYPE,
    unit="{token}",
    buckets=_TOKEN_BUCKETS,
)
STREAMS_OPEN: Final = UpDown(
    "keyturn.streams.open", "Streamed answers and WebSockets under way.", STREAM_KIND
)
SETTLEMENTS_WAITING: Final = Gauge(
    "keyturn.settlements.waiting", "Settlements of leases that the key service has not taken yet."
)
