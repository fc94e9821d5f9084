from __future__ import annotations

import asyncio
import gc
import io
import json
import logging
import sys
import threading
import warnings
from collections.abc import Iterator
from typing import Any, NoReturn

import pytest
import structlog

from svc_runtime.log_event import LogEvent, LogLevel
from svc_runtime.log_fields import LogField
from svc_runtime.logging_setup import (
    LIBRARY_LOGGERS,
    configure_logging,
    exception_name,
    exception_place,
)
from svc_runtime.secret_bytes import SecretBytes

CANARY = "canary-51ab"


class _Log:
    """What was written, raw and line by line."""

    def __init__(self) -> None:
        self.stream = io.StringIO()

    @property
    def text(self) -> str:
        return self.stream.getvalue()

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]

    @property
    def only_line(self) -> dict[str, Any]:
        [line] = self.lines
        return line


def _fail() -> NoReturn:
    raise ValueError(CANARY)


@pytest.fixture(name="log")
def _log() -> Iterator[_Log]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers = []  # out of reach of configure_logging, which closes what it replaces
    levels = {name: logging.getLogger(name).level for name in LIBRARY_LOGGERS}
    log = _Log()
    configure_logging("test-svc", log.stream)
    yield log
    structlog.reset_defaults()
    root.handlers = handlers
    root.setLevel(level)
    for name, old in levels.items():
        logging.getLogger(name).setLevel(old)


def test_a_line_says_what_when_how_bad_and_who(log: _Log) -> None:
    structlog.get_logger().info("started", port=8443)

    line = log.only_line
    assert line.pop("time").endswith("Z")
    assert line == {"event": "started", "level": "info", "service": "test-svc", "port": 8443}


def test_a_field_outside_the_allow_list_is_dropped(log: _Log) -> None:
    structlog.get_logger().info("started", api_key=CANARY, body=CANARY, key="users/alice/keys/a")

    assert log.only_line["key"] == "users/alice/keys/a"
    assert CANARY not in log.text


@pytest.mark.parametrize("name", [field for field in LogField if field not in {"event", "detail"}])
def test_every_field_of_the_allow_list_passes(name: str, log: _Log) -> None:
    structlog.get_logger().info("x", **{name: "value"})

    own = {"level": "info", "service": "test-svc", "time": log.only_line["time"]}
    assert log.only_line[name] == own.get(name, "value")


@pytest.mark.parametrize(
    ("value", "written"),
    [
        pytest.param("text", "text", id="text"),
        pytest.param(7, 7, id="int"),
        pytest.param(1.5, 1.5, id="float"),
        pytest.param(True, True, id="bool"),
        pytest.param(None, None, id="none"),
        pytest.param(float("nan"), "nan", id="nan"),
        pytest.param(b"canary", "bytes", id="bytes"),
        pytest.param(["canary"], "list", id="list"),
        pytest.param({"a": "canary"}, "dict", id="dict"),
        pytest.param(SecretBytes(b"canary"), "SecretBytes", id="secret"),
        pytest.param(ValueError("canary"), "ValueError", id="error"),
        pytest.param("x" * 600, "x" * 512, id="long"),
    ],
)
def test_a_value_is_plain_or_its_types_name(value: object, written: object, log: _Log) -> None:
    structlog.get_logger().info("x", state=value)

    assert log.only_line["state"] == written


def test_a_line_break_in_a_value_starts_no_new_line(log: _Log) -> None:
    structlog.get_logger().info("x", method='/a\n{"event":"forged"}\x1b[2J\u2028\u202e')

    assert len(log.lines) == 1
    assert log.text.rstrip("\n").isprintable()


@pytest.mark.parametrize(
    "value",
    [
        "sk-proj-abcDEF123_-",
        "before sk-12345678 after",
        "a" * 505 + "sk-12345678",
        "sk-12345678,sk-87654321",
    ],
    ids=["alone", "inside", "at the cut", "two"],
)
@pytest.mark.parametrize("name", ["state", "event"])
def test_what_looks_like_an_api_key_is_redacted(name: str, value: str, log: _Log) -> None:
    fields: dict[str, Any] = {"event": "x", name: value}
    structlog.get_logger().info(**fields)

    assert "sk-" not in log.text
    assert "[reda" in log.text


@pytest.mark.parametrize(
    ("detail", "written"),
    [
        ("grpc-timeout", "grpc-timeout"),
        ("grants[0].app", "grants[0].app"),
        ("a sentence with canary", "[not a word]"),
        ("x" * 65, "[not a word]"),
    ],
)
def test_a_detail_is_a_word_or_nothing(detail: str, written: str, log: _Log) -> None:
    structlog.get_logger().info("x", detail=detail)

    assert log.only_line["detail"] == written


def test_an_exception_shows_by_type_and_place_only(log: _Log) -> None:
    try:
        _fail()
    except ValueError:
        structlog.get_logger().exception("failed")

    assert log.only_line["exception"] == "ValueError"
    assert log.only_line["where"].startswith("unit/svc_runtime/test_logging_setup.py:")
    assert CANARY not in log.text


@pytest.mark.parametrize("form", ["exception", "tuple"])
def test_an_exception_may_be_passed_in_any_form(form: str, log: _Log) -> None:
    error = ValueError(CANARY)
    exc_info = error if form == "exception" else (ValueError, error, None)
    structlog.get_logger().error("failed", exc_info=exc_info)

    assert (log.only_line["exception"], log.only_line["where"]) == ("ValueError", "")


def test_a_library_is_heard_but_not_quoted(log: _Log) -> None:
    logging.getLogger("hvac.adapters").warning("token %s %s", CANARY, SecretBytes(b"canary"))

    line = log.only_line
    assert (line["event"], line["level"]) == ("library_log", "warning")
    assert line["logger"] == "hvac.adapters"
    assert line["where"].startswith("unit/svc_runtime/test_logging_setup.py:")
    assert "canary" not in log.text


def test_a_librarys_exception_is_not_quoted(log: _Log) -> None:
    try:
        _fail()
    except ValueError:
        logging.getLogger("asyncio").exception(CANARY)

    assert (log.only_line["level"], log.only_line["exception"]) == ("error", "ValueError")
    assert CANARY not in log.text


@pytest.mark.parametrize("name", [*LIBRARY_LOGGERS, "any.other"])
def test_a_library_below_warning_is_not_heard(name: str, log: _Log) -> None:
    logging.getLogger(name).info(CANARY)

    assert log.lines == []


@pytest.mark.parametrize(
    ("level", "written"), [(35, "warning"), (45, "error"), (50, "critical"), (99, "critical")]
)
def test_a_level_of_a_librarys_own_is_rounded_down(level: int, written: str, log: _Log) -> None:
    logging.getLogger("aiohttp").log(level, "x")

    assert log.only_line["level"] == written


def test_a_warning_is_a_log_line(log: _Log) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        configure_logging("test-svc", log.stream)
        warnings.warn(CANARY, ResourceWarning, stacklevel=1)

    line = log.only_line
    assert (line["event"], line["level"]) == ("library_log", "warning")
    assert (line["logger"], line["exception"]) == ("py.warnings", "ResourceWarning")
    assert line["where"].startswith("unit/svc_runtime/test_logging_setup.py:")
    assert CANARY not in log.text


def test_an_uncaught_exception_is_a_log_line(log: _Log, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match=CANARY) as caught:
        _fail()
    sys.excepthook(caught.type, caught.value, caught.tb)

    assert (log.only_line["event"], log.only_line["level"]) == ("uncaught_exception", "critical")
    assert CANARY not in log.text + "".join(capsys.readouterr())


def test_an_exception_that_ends_a_thread_is_a_log_line(
    log: _Log, capsys: pytest.CaptureFixture[str]
) -> None:
    thread = threading.Thread(target=_fail)
    thread.start()
    thread.join()

    assert (log.only_line["event"], log.only_line["exception"]) == (
        "uncaught_exception",
        "ValueError",
    )
    assert CANARY not in log.text + "".join(capsys.readouterr())


def test_the_end_of_a_thread_by_its_own_will_is_none(log: _Log) -> None:
    thread = threading.Thread(target=sys.exit)
    thread.start()
    thread.join()

    assert log.lines == []


def test_an_exception_that_nobody_can_catch_is_a_log_line(
    log: _Log, capsys: pytest.CaptureFixture[str]
) -> None:
    class _Broken:
        def __del__(self) -> None:
            _fail()

    broken = _Broken()
    del broken

    assert (log.only_line["event"], log.only_line["exception"]) == (
        "uncaught_exception",
        "ValueError",
    )
    assert CANARY not in log.text + "".join(capsys.readouterr())


async def test_the_fault_of_a_task_that_nobody_asked_is_a_log_line(
    log: _Log, capsys: pytest.CaptureFixture[str]
) -> None:
    async def fail() -> None:
        _fail()

    task = asyncio.create_task(fail())
    await asyncio.wait({task})
    del task
    gc.collect()

    line = log.only_line
    assert (line["logger"], line["level"]) == ("asyncio", "error")
    assert line["exception"] == "ValueError"
    assert line["where"].startswith("unit/svc_runtime/test_logging_setup.py:")
    assert CANARY not in log.text + "".join(capsys.readouterr())


@pytest.mark.parametrize(
    ("level", "heard"),
    [
        (LogLevel.DEBUG, ["debug", "info", "warning", "error"]),
        (LogLevel.INFO, ["info", "warning", "error"]),
        (LogLevel.WARNING, ["warning", "error"]),
    ],
)
def test_what_is_less_than_the_level_is_left_out(
    level: LogLevel, heard: list[str], log: _Log
) -> None:
    configure_logging("test-svc", log.stream, level=level)

    for name in ("debug", "info", "warning"):
        getattr(structlog.get_logger(), name)("x")
    structlog.get_logger().exception("x")

    assert [line["level"] for line in log.lines] == heard


def test_what_is_evidence_is_written_at_any_level(log: _Log) -> None:
    events = [
        LogEvent(name="kept", level=LogLevel.INFO, meaning="It is.", is_audited=True),
        LogEvent(name="left_out", level=LogLevel.INFO, meaning="It is not."),
    ]
    configure_logging("test-svc", log.stream, level=LogLevel.WARNING, events=events)

    structlog.get_logger().info("left_out")
    structlog.get_logger().info("kept")

    assert [line["event"] for line in log.lines] == ["kept"]


def test_a_library_that_turns_itself_up_is_not_heard_below_warning(log: _Log) -> None:
    configure_logging("test-svc", log.stream, level=LogLevel.DEBUG)
    logging.getLogger("openai").setLevel(logging.DEBUG)

    logging.getLogger("openai").debug(CANARY)

    assert log.lines == []


def test_lines_go_to_standard_output_by_default(
    log: _Log, capsys: pytest.CaptureFixture[str]
) -> None:
    configure_logging("test-svc")

    structlog.get_logger().info("started")

    assert json.loads(capsys.readouterr().out)["event"] == "started"
    assert log.text == ""


def test_an_exceptions_name_tells_its_module() -> None:
    assert exception_name(json.JSONDecodeError("m", "d", 0)) == "json.decoder.JSONDecodeError"
    assert exception_name(KeyError()) == "KeyError"


def test_the_place_is_where_it_was_raised_not_where_it_was_caught() -> None:
    with pytest.raises(ValueError, match="Expecting") as caught:
        json.loads("{")

    assert exception_place(caught.value).startswith("python3.11/json/decoder.py:")
