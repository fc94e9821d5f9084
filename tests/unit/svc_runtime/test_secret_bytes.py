from __future__ import annotations

import copy
import io
import json
import logging
import pickle
from collections.abc import Callable
from dataclasses import asdict, dataclass

import pytest

from svc_runtime.secret_bytes import SecretBytes

RAW = b"canary-4c0ffee"
SECRET = SecretBytes(RAW)


@dataclass
class _Holder:
    secret: SecretBytes


def _logged() -> str:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.handle(logging.LogRecord("t", logging.ERROR, "", 0, "%s %r", (SECRET, SECRET), None))
    return stream.getvalue()


def test_a_secret_leaves_through_expose_unchanged() -> None:
    assert SECRET.expose() == RAW


def test_an_empty_secret_is_refused() -> None:
    with pytest.raises(ValueError, match="must not be empty"):
        SecretBytes(b"")


@pytest.mark.parametrize(
    "shown",
    [
        repr(SECRET),
        str(SECRET),
        f"Bearer {SECRET}",
        f"{SECRET!r:>40}",
        "%s" % SECRET,  # noqa: UP031  # the old form is one of the ways out
        repr(_Holder(SECRET)),
        json.dumps({"key": SECRET}, default=str),
        str(ValueError(SECRET)),
        _logged(),
    ],
    ids=["repr", "str", "f-string", "padded", "percent", "dataclass", "json", "error", "log"],
)
def test_a_secret_prints_redacted(shown: str) -> None:
    assert "canary" not in shown
    assert "<redacted>" in shown


@pytest.mark.parametrize(
    "leak",
    [
        bytes,
        json.dumps,
        pickle.dumps,
        copy.copy,
        copy.deepcopy,
        lambda secret: asdict(_Holder(secret)),
        hash,
        len,
        vars,
        iter,
    ],
    ids=["bytes", "json", "pickle", "copy", "deepcopy", "asdict", "hash", "len", "vars", "iter"],
)
def test_a_secret_cannot_be_copied_out(leak: Callable[[object], object]) -> None:
    with pytest.raises(TypeError):
        leak(SECRET)


def test_secrets_compare_by_value_and_only_with_secrets() -> None:
    assert SecretBytes(b"one") == SecretBytes(b"one")
    assert SecretBytes(b"one") != SecretBytes(b"two")
    assert SecretBytes(b"one") != b"one"


def test_its_lines_are_secrets_each() -> None:
    lines = SecretBytes(b"first \r\n\n  second").lines()

    assert lines == [SecretBytes(b"first"), SecretBytes(b"second")]
