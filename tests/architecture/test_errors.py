"""Every error that a caller may see has a stable reason and a text that is safe to show."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from svc_runtime.service_error import InvalidFieldError, ServiceError
from tests.architecture.source_tree import ROOT, SERVICES, modules


def _subclasses(error: type[ServiceError]) -> set[type[ServiceError]]:
    children = set(error.__subclasses__())
    return children.union(*(_subclasses(child) for child in children))


def _all_errors() -> list[type[ServiceError]]:
    for package in (*SERVICES, "svc_runtime"):
        for _ in modules(package):
            pass
    ours = {e for e in _subclasses(ServiceError) if e.__module__.startswith((*SERVICES, "svc_"))}
    return sorted(ours, key=_full_name)


def _full_name(error: type[ServiceError]) -> str:
    return f"{error.__module__}.{error.__qualname__}"


ERRORS = _all_errors()


@pytest.mark.parametrize("error", ERRORS, ids=_full_name)
def test_a_reason_is_an_upper_snake_word(error: type[ServiceError]) -> None:
    assert re.fullmatch(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*", error.reason)


# InvalidFieldError composes its text from two constants; a private error is the one for surprises.
WRITTEN = [e for e in ERRORS if e is not InvalidFieldError and not e.__name__.startswith("_")]


@pytest.mark.parametrize("error", WRITTEN, ids=_full_name)
def test_a_public_message_is_a_constant_of_whole_sentences(error: type[ServiceError]) -> None:
    message = error.public_message

    assert message.endswith(".")
    assert not re.search(r"[{}]|%[sdr(]", message)


@pytest.mark.parametrize("error", ERRORS, ids=_full_name)
def test_an_error_is_named_after_the_fact(error: type[ServiceError]) -> None:
    assert error.__name__.endswith("Error")


@pytest.mark.parametrize("service", SERVICES)
def test_a_reason_means_one_thing_within_a_service(service: str) -> None:
    own = [
        vars(error)["reason"]
        for error in ERRORS
        if error.__module__.startswith((service, "svc_runtime")) and "reason" in vars(error)
    ]

    assert [reason for reason, count in Counter(own).items() if count > 1] == []


def test_the_glossary_explains_every_reason_and_no_other() -> None:
    glossary = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8")
    explained = set(re.findall(r"`([A-Z][A-Z0-9_]+)`", glossary.partition("## Reasons")[2]))

    assert explained == {error.reason for error in ERRORS}
