from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network

import pytest

from keyvault_svc.domain.grant import MAX_ENTRIES, GrantTerms
from svc_runtime.service_error import InvalidFieldError
from tests.fakes.fake_clock import START
from tests.unit.keyvault_svc.samples import BILLING, make_grant, make_terms

SECOND = timedelta(seconds=1)


def _parse(
    app: str = str(BILLING),
    models: Sequence[str] = ("*",),
    endpoints: Sequence[str] = ("*",),
    source_cidrs: Sequence[str] = (),
    expire_time: datetime | None = None,
) -> GrantTerms:
    return GrantTerms.parse(
        app=app,
        models=models,
        endpoints=endpoints,
        source_cidrs=source_cidrs,
        expire_time=expire_time,
    )


def test_terms_are_parsed_as_they_were_given() -> None:
    terms = _parse(
        models=["gpt-4o", "o*"],
        endpoints=["chat/completions", "embeddings"],
        source_cidrs=["10.1.0.0/16", "2001:db8::/32"],
        expire_time=START,
    )

    assert terms == GrantTerms(
        BILLING,
        ("gpt-4o", "o*"),
        ("chat/completions", "embeddings"),
        (ip_network("10.1.0.0/16"), ip_network("2001:db8::/32")),
        START,
    )


def test_entries_that_occur_twice_are_kept_once_and_in_order() -> None:
    assert _parse(models=["b", "a", "b"]).models == ("b", "a")


@pytest.mark.parametrize(
    "model",
    ["*", "gpt-4o", "gpt-4*", "o1", "gpt-4.1-mini", "ft:gpt-4o:org::id", "org/model", "a" * 128],
)
def test_a_model_entry_is_accepted(model: str) -> None:
    assert _parse(models=[model]).models == (model,)


@pytest.mark.parametrize(
    "model",
    ["", " ", "gpt 4", "**", "*gpt", "g*t", "-gpt", "gpt-4o\n", "gpt\0", "é", "a" * 129, "gpt?"],
    ids=ascii,
)
def test_a_malformed_model_entry_is_refused(model: str) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        _parse(models=["gpt-4o", model])

    assert caught.value.field == "grant.models"


@pytest.mark.parametrize(
    "endpoint", ["*", "chat/completions", "chat", "responses", "files/file-Abc_1", "fine_tuning"]
)
def test_an_endpoint_entry_is_accepted(endpoint: str) -> None:
    assert _parse(endpoints=[endpoint]).endpoints == (endpoint,)


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "/",
        "/chat",
        "chat/",
        "chat//completions",
        "chat/*",
        "chat*",
        "..",
        "chat/..",
        "chat/%2e%2e",
        "chat?x=1",
        "Chat",
        "chat\n",
        "é",
        "a" * 257,
    ],
    ids=ascii,
)
def test_a_malformed_endpoint_entry_is_refused(endpoint: str) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        _parse(endpoints=["chat", endpoint])

    assert caught.value.field == "grant.endpoints"


@pytest.mark.parametrize(
    "cidr", ["", "10.1.2.3/16", "10.0.0.0/33", "*", "example.org", "10.0.0.0/8\n", "::1/64"]
)
def test_a_malformed_network_is_refused(cidr: str) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        _parse(source_cidrs=[cidr])

    assert caught.value.field == "grant.source_cidrs"


@pytest.mark.parametrize("app", ["", "billing", "spiffe://", "spiffe://example.org", "https://a/b"])
def test_an_app_that_is_no_spiffe_id_is_refused(app: str) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        _parse(app=app)

    assert caught.value.field == "grant.app"
    assert caught.value.__context__ is None


def test_everything_must_be_said_aloud() -> None:
    with pytest.raises(InvalidFieldError, match="INVALID_ARGUMENT") as caught:
        _parse(models=[])

    assert caught.value.rule == "must have at least one entry; '*' stands for every one"


@pytest.mark.parametrize("field", ["models", "endpoints", "source_cidrs"])
def test_a_list_has_at_most_100_entries(field: str) -> None:
    entries = {
        "models": [f"m{i}" for i in range(MAX_ENTRIES + 1)],
        "endpoints": [f"e{i}" for i in range(MAX_ENTRIES + 1)],
        "source_cidrs": [f"10.0.{i}.0/24" for i in range(MAX_ENTRIES + 1)],
    }[field]

    _parse(**{field: entries[:-1]})  # type: ignore[arg-type]  # a field's name chosen at run time
    with pytest.raises(InvalidFieldError) as caught:
        _parse(**{field: entries})  # type: ignore[arg-type]  # as above

    assert caught.value.field == f"grant.{field}"


@pytest.mark.parametrize(
    ("cidrs", "source", "is_allowed"),
    [
        ((), "203.0.113.9", True),
        ((), "::1", True),
        (("10.1.0.0/16",), "10.1.255.255", True),
        (("10.1.0.0/16",), "10.2.0.0", False),
        (("10.1.0.0/16", "192.0.2.7/32"), "192.0.2.7", True),
        (("10.1.0.0/16",), "::1", False),
        (("::/0",), "10.1.0.1", False),
        (("2001:db8::/32",), "2001:db8::1", True),
    ],
)
def test_a_source_is_allowed_by_its_network(
    cidrs: tuple[str, ...], source: str, *, is_allowed: bool
) -> None:
    terms = make_terms(source_cidrs=cidrs)

    assert terms.allow_source(ip_address(source)) is is_allowed


@pytest.mark.parametrize(
    ("entries", "endpoint", "is_allowed"),
    [
        (("*",), "anything/at/all", True),
        (("chat/completions",), "chat/completions", True),
        (("chat",), "chat/completions", True),
        (("chat",), "chatty", False),
        (("chat/completions",), "chat", False),
        (("chat/completions",), "chat/completions/abc/messages", True),
        (("embeddings", "files"), "files/file-1/content", True),
        (("embeddings",), "", False),
        (("chat/completions",), "Chat/Completions", False),
    ],
)
def test_an_endpoint_is_allowed_by_itself_or_by_what_it_lies_below(
    entries: tuple[str, ...], endpoint: str, *, is_allowed: bool
) -> None:
    assert make_terms(endpoints=entries).allow_endpoint(endpoint) is is_allowed


@pytest.mark.parametrize(
    ("entries", "model", "endpoint", "is_allowed"),
    [
        (("*",), "gpt-4o", "chat/completions", True),
        (("*",), "", "chat/completions", True),
        (("gpt-4o",), "gpt-4o", "chat/completions", True),
        (("gpt-4o",), "gpt-4o-mini", "chat/completions", False),
        (("gpt-4o*",), "gpt-4o-mini", "chat/completions", True),
        (("gpt-4o*",), "gpt-4o", "chat/completions", True),
        (("gpt-4o*",), "gpt-4", "chat/completions", False),
        (("gpt-4o", "o1"), "o1", "responses", True),
        (("gpt-4o",), "GPT-4O", "chat/completions", False),
        (("gpt-4o",), "", "chat/completions", False),
        (("gpt-4o",), "", "responses", False),
        (("gpt-4o",), "", "responses/resp_1/cancel", False),
        (("gpt-4o",), "", "audio/speech", False),
        (("gpt-4o",), "", "batches", False),
        (("gpt-4o",), "", "threads/thread_1/runs", False),
        (("*",), "", "threads/thread_1/runs", True),
        (("gpt-4o",), "", "endpoints-of-tomorrow", False),
        (("gpt-4o",), "", "filesystem", False),
        (("gpt-4o",), "", "files/file-1", True),
        (("gpt-4o",), "", "vector_stores", True),
        (("gpt-4o",), "o1", "models", False),
    ],
)
def test_a_model_is_allowed_by_name_or_prefix_and_must_be_named_where_models_work(
    entries: tuple[str, ...], model: str, endpoint: str, *, is_allowed: bool
) -> None:
    assert make_terms(models=entries).allow_model(model, endpoint) is is_allowed


@pytest.mark.parametrize("endpoint", ["assistants", "batches", "evals", "fine_tuning", "threads"])
def test_models_that_nobody_sees_run_only_at_endpoints_that_a_grant_names(endpoint: str) -> None:
    below = f"{endpoint}/object_1/runs"

    named = make_terms(models=("gpt-4o",), endpoints=("files", endpoint))
    everything = make_terms(models=("gpt-4o",), endpoints=("*",))

    assert named.allow_model("", endpoint)
    assert named.allow_model("", below)
    assert not named.allow_model("", f"{endpoint}s")
    assert not named.allow_model("o1", endpoint)
    assert not everything.allow_model("", endpoint)
    assert not everything.allow_model("", below)


@pytest.mark.parametrize(
    ("expire_time", "revoke_time", "is_active"),
    [
        (None, None, True),
        (START + SECOND, None, True),
        (START, None, False),
        (START - SECOND, None, False),
        (None, START - SECOND, False),
        (START + SECOND, START - SECOND, False),
    ],
)
def test_a_grant_is_active_until_it_is_revoked_or_expires(
    expire_time: datetime | None, revoke_time: datetime | None, *, is_active: bool
) -> None:
    grant = make_grant(terms=make_terms(expire_time=expire_time), revoke_time=revoke_time)

    assert grant.is_active(START) is is_active


def test_a_revoked_grant_says_when_and_by_whom() -> None:
    revoked = make_grant().revoked(START, "bob")

    assert (revoked.revoke_time, revoked.revoker) == (START, "bob")


def test_a_grant_keeps_its_first_revoke_time() -> None:
    once = make_grant().revoked(START, "bob")

    assert once.revoked(START + SECOND, "carol") == once


@pytest.mark.parametrize("endpoints", [("*",), ("realtime",)], ids=str)
def test_an_endpoint_that_hands_out_a_credential_must_be_named(endpoints: tuple[str, ...]) -> None:
    named = _parse(endpoints=["realtime/client_secrets"])

    assert not _parse(endpoints=endpoints).allow_endpoint("realtime/client_secrets")
    assert named.allow_endpoint("realtime/client_secrets")
