"""The fields that a log line may hold. A name that stands not here never reaches a log."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, TypeAlias

LogValue: TypeAlias = str | int | float | bool | None


class LogField(StrEnum):
    """Every name that a log line or an audit record may hold."""

    EVENT = "event"
    LEVEL = "level"
    TIME = "time"
    SERVICE = "service"
    LOGGER = "logger"
    REQUEST_ID = "request_id"
    TRACE_ID = "trace_id"
    METHOD = "method"
    CALLER = "caller"
    CODE = "code"
    REASON = "reason"
    DURATION_MS = "duration_ms"
    SOURCE_IP = "source_ip"
    KEY = "key"
    KEY_VERSION = "key_version"
    OTHER_KEY = "other_key"
    GRANT = "grant"
    LEASE = "lease"
    APP = "app"
    ENDPOINT = "endpoint"
    MODEL = "model"
    OWNER = "owner"
    OUTCOME = "outcome"
    USAGE_SOURCE = "usage_source"
    USAGE_SUBJECT = "usage_subject"
    INPUT_TOKENS = "input_tokens"
    CACHED_INPUT_TOKENS = "cached_input_tokens"
    OUTPUT_TOKENS = "output_tokens"
    REASONING_TOKENS = "reasoning_tokens"
    AUDIO_SECONDS = "audio_seconds"
    IMAGES = "images"
    COST_USD = "cost_usd"
    BODY_SHA256 = "body_sha256"
    HTTP_STATUS = "http_status"
    CLOSE_CODE = "close_code"
    OPENAI_REQUEST_ID = "openai_request_id"
    STATE = "state"
    PATH = "path"
    PORT = "port"
    ISSUER = "issuer"
    DETAIL = "detail"
    CAUSE = "cause"
    TTL_SECONDS = "ttl_seconds"
    EXCEPTION = "exception"
    WHERE = "where"
    WHAT = "what"
    GENERATION = "generation"
    COUNT = "count"
    NOTIFICATION = "notification"
    NOTIFICATION_TYPE = "notification_type"
    CHANNEL = "channel"
    ATTEMPT = "attempt"
    RECEIVER_STATUS = "receiver_status"
    PERCENT = "percent"
    CHAIN = "chain"
    SEQ = "seq"
    PREV = "prev"
    SIGNED_SEQ = "signed_seq"
    SIGNED_HEAD = "signed_head"
    SIGNATURE = "signature"


FIELD_MEANINGS: Final[Mapping[LogField, str]] = MappingProxyType(
    {
        LogField.EVENT: "What happened: a name of this page. In every line.",
        LogField.LEVEL: "How bad it is. In every line.",
        LogField.TIME: "When, UTC, RFC 3339 with microseconds. In every line.",
        LogField.SERVICE: "Which service says so. In every line.",
        LogField.REQUEST_ID: "The request, in every line that belongs to one; it is the same at "
        "the gateway, the key service and Vault. A run of background work has one of its own.",
        LogField.TRACE_ID: "The trace that the call belongs to, if it is sampled.",
        LogField.LOGGER: "Name of the library's logger.",
        LogField.METHOD: "gRPC method in full, or `HTTP` and the request's method.",
        LogField.CALLER: "Who called, as proven: a SPIFFE ID or a person.",
        LogField.CODE: "Status: of gRPC by name, of HTTP by number. `CLIENT_GONE` and "
        "`ANSWER_NOT_TAKEN` when nobody took the answer.",
        LogField.REASON: "Why it was refused or failed, one of a closed set.",
        LogField.DURATION_MS: "How long it took, milliseconds.",
        LogField.SOURCE_IP: "Address that the call came from.",
        LogField.KEY: "Name of the key.",
        LogField.KEY_VERSION: "Version of the key.",
        LogField.OTHER_KEY: "Name of the other key with the same plaintext.",
        LogField.GRANT: "Name of the grant.",
        LogField.LEASE: "Id of the lease.",
        LogField.APP: "SPIFFE ID of the app.",
        LogField.ENDPOINT: "OpenAI's endpoint.",
        LogField.MODEL: "Model.",
        LogField.OWNER: "Name of the owner.",
        LogField.OUTCOME: "What became of it.",
        LogField.USAGE_SOURCE: "Who says what was used: `reported` by OpenAI, `seen` in a stream "
        "that broke off, `reserved` for want of better, `none`.",
        LogField.USAGE_SUBJECT: "Which of OpenAI's objects the usage is of; each counts once.",
        LogField.INPUT_TOKENS: "Input tokens.",
        LogField.CACHED_INPUT_TOKENS: "Those of the input tokens that were cached.",
        LogField.OUTPUT_TOKENS: "Output tokens.",
        LogField.REASONING_TOKENS: "Those of the output tokens that were reasoning.",
        LogField.AUDIO_SECONDS: "Seconds of audio.",
        LogField.IMAGES: "Images made.",
        LogField.COST_USD: "What it cost by `prices_file`, USD; absent for a model not in it.",
        LogField.BODY_SHA256: "SHA-256 of the request's body as it was sent, hex; empty for one "
        "without.",
        LogField.HTTP_STATUS: "OpenAI's HTTP status.",
        LogField.CLOSE_CODE: "Close code of the WebSocket.",
        LogField.OPENAI_REQUEST_ID: "OpenAI's own id of the request.",
        LogField.STATE: "State of the key after the call.",
        LogField.PATH: "File.",
        LogField.PORT: "Port.",
        LogField.ISSUER: "Issuer of the token, or where its keys are.",
        LogField.DETAIL: "One word more: the field that is malformed, the rule that a token broke.",
        LogField.CAUSE: "Why, in fixed words.",
        LogField.TTL_SECONDS: "How long Vault's token is valid, seconds.",
        LogField.EXCEPTION: "Type of the fault.",
        LogField.WHERE: "Place of the fault: file and line.",
        LogField.WHAT: "A finding in words and figures: what was seen, what is normal.",
        LogField.GENERATION: "How often the certificate was read.",
        LogField.COUNT: "How many.",
        LogField.NOTIFICATION: "Id of the event that owners are told.",
        LogField.NOTIFICATION_TYPE: "Its type.",
        LogField.CHANNEL: "Receiver, by its place in the settings: `webhooks[0]`, `mail`.",
        LogField.ATTEMPT: "How often the event was tried at that receiver.",
        LogField.RECEIVER_STATUS: "What the receiver answered, by HTTP or SMTP; 0 if it did not.",
        LogField.PERCENT: "How much of a budget is used.",
        LogField.CHAIN: "The chain that the line belongs to. In every audited line.",
        LogField.SEQ: "Its number in the chain, from 1. In every audited line.",
        LogField.PREV: "SHA-256 of the line before it, hex; zeros in the first. In every audited "
        "line.",
        LogField.SIGNED_SEQ: "Number of the line whose hash is signed.",
        LogField.SIGNED_HEAD: "SHA-256 of that line, hex.",
        LogField.SIGNATURE: "Vault's signature of chain, number and hash.",
    }
)
"""What each field holds."""
