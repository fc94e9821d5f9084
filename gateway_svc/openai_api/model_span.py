"""The span of one request to OpenAI, by OpenTelemetry's conventions for models.

It tells which model took how many tokens, and how the answer ended. Of prompts and answers it
holds nothing.
"""

from __future__ import annotations

import re
from typing import Final

from yarl import URL

from gateway_svc.domain.model_operation import OTHER_OPERATION, operation_of
from gateway_svc.domain.upstream_ports import UpstreamRequest
from gateway_svc.domain.usage import Usage, UsageSource
from gateway_svc.metrics import MODEL
from svc_runtime.telemetry.metrics import NO_VALUE, OTHER
from svc_runtime.telemetry.spans import CallSpan, client_span

_API_TYPES: Final = {"chat/completions": "chat_completions", "responses": "responses"}
_FIRST_ERROR: Final = 400
# Inside of a string each quotation mark has a backslash before it, so that this matches no text.
_FINISH: Final = re.compile(
    rb'"finish_reason"\s*:\s*"(stop|length|tool_calls|content_filter|function_call)"'
)
_LONGEST_MATCH: Final = 64  # bytes, with a little space in it


class ModelSpan:
    """A span, and what has been seen of the answer so far."""

    def __init__(self, request: UpstreamRequest, method: str) -> None:
        """Begin the span of *request*.

        Args:
            request: What is sent.
            method: Its HTTP method, or `WEBSOCKET`.
        """
        operation = operation_of(method, request.endpoint.name)
        is_of_model = operation != OTHER_OPERATION
        # An app may make up names of models, and backends group spans by theirs.
        model = MODEL.value_of(request.model)
        is_known = model not in (OTHER, NO_VALUE)
        name = f"{operation} {model}" if is_known else operation
        self.span: CallSpan = client_span(name if is_of_model else request.method)
        self._reasons: dict[str, None] = {}
        self._tail = b""
        if not self.span.is_recorded:
            return
        self.span.set("gen_ai.provider.name", "openai")
        self.span.set("http.request.method", request.method)
        if request.lease_id:
            self.span.set("keyturn.lease_id", request.lease_id)
        if is_of_model:
            self.span.set("gen_ai.operation.name", operation)
        if request.model:
            self.span.set("gen_ai.request.model", request.model)
        if api_type := _API_TYPES.get(request.endpoint.name):
            self.span.set("openai.api.type", api_type)

    def goes_to(self, url: URL) -> None:
        """Note which host is asked; of *url* nothing else."""
        self.span.set("server.address", url.host or "")
        self.span.set("server.port", url.port or 0)

    def answered(self, status: int, openai_request_id: str) -> None:
        """Note the head of the answer."""
        self.span.set("http.response.status_code", status)
        if openai_request_id:
            self.span.set("keyturn.openai_request_id", openai_request_id)
        if status >= _FIRST_ERROR:
            self.span.fail(str(status))

    def streams(self, seconds: float) -> None:
        """Note that the answer comes in events, the first of them after *seconds*."""
        self.span.set("gen_ai.response.time_to_first_chunk", seconds)
        self.span.event("gen_ai.first_chunk")

    def passes(self, plain: bytes) -> None:
        """Look for why the model stopped in the next part of the answer."""
        text = self._tail + plain
        for found in _FINISH.findall(text):
            self._reasons[found.decode()] = None
        self._tail = text[-_LONGEST_MATCH:]

    def took(self, usage: Usage) -> None:
        """Note what the request has taken."""
        if usage.model:
            self.span.set("gen_ai.response.model", usage.model)
        if usage.subject:
            self.span.set("gen_ai.response.id", usage.subject)
        if self._reasons:
            self.span.set("gen_ai.response.finish_reasons", tuple(self._reasons))
        if usage.source is UsageSource.NONE:
            return
        self.span.set("gen_ai.usage.input_tokens", usage.input_tokens)
        self.span.set("gen_ai.usage.output_tokens", usage.output_tokens)
        if usage.cached_input_tokens:
            self.span.set("gen_ai.usage.cache_read.input_tokens", usage.cached_input_tokens)
        if usage.reasoning_tokens:
            self.span.set("gen_ai.usage.reasoning.output_tokens", usage.reasoning_tokens)
