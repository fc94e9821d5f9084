from __future__ import annotations

from urllib.parse import unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway_svc.domain.endpoint import RULE, Endpoint
from svc_runtime.service_error import InvalidFieldError


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("models", "models"),
        ("chat/completions", "chat/completions"),
        ("files/file-Abc_1.jsonl", "files/file-Abc_1.jsonl"),
        ("models/ft:gpt-4o:org::id", "models/ft:gpt-4o:org::id"),
        ("models/ft%3Agpt-4o%3Aorg%3A%3Aid", "models/ft:gpt-4o:org::id"),
        ("%63hat/completions", "chat/completions"),
        ("files/a..b", "files/a..b"),
        ("files/...", "files/..."),
        ("files/.hidden", "files/.hidden"),
        ("a" * 256, "a" * 256),
    ],
)
def test_a_path_is_kept_as_sent_and_named_decoded(raw: str, name: str) -> None:
    assert Endpoint.parse(raw) == Endpoint(raw, name)


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/models",
        "models/",
        "chat//completions",
        ".",
        "..",
        "chat/..",
        "chat/../files",
        "chat/./completions",
        "%2e",
        "%2e%2e",
        "%2E%2e/files",
        ".%2e/files",
        "chat/%2e./files",
        "chat%2fcompletions",
        "chat%2Fcompletions",
        "chat%5ccompletions",
        "chat\\completions",
        "%252e%252e",
        "chat%25",
        "chat%",
        "chat%2",
        "chat%zz",
        "chat%00",
        "chat\0",
        "chat%0a",
        "chat\n",
        "chat%0d%0ahost:x",
        "chat%20completions",
        "chat completions",
        "chat\t",
        "chat%7f",
        "chat?x=1",
        "chat%3fx=1",
        "chat#x",
        "chat%23x",
        "chät",
        "ch%c3%a4t",
        "ch%e4t",
        "%c0%ae%c0%ae",
        "%ef%bc%8e%ef%bc%8e",
        "chat\u2025",
        "chat/\uff0e\uff0e",
        "<script>",
        "a" * 257,
    ],
    ids=ascii,
)
def test_a_path_that_could_lead_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(InvalidFieldError) as caught:
        Endpoint.parse(path, "request.path")

    assert (caught.value.field, caught.value.rule) == ("request.path", RULE)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.sampled_from("ab./%2eEfF5cC0\\?#; é~"), max_size=16))
def test_an_accepted_path_reads_the_same_to_every_decoder(path: str) -> None:
    try:
        endpoint = Endpoint.parse(path)
    except InvalidFieldError:
        return

    assert endpoint.name == unquote(endpoint.raw) == unquote(unquote(endpoint.raw))
    assert endpoint.raw.count("/") == endpoint.name.count("/")
    assert not {"", ".", ".."} & set(endpoint.name.split("/"))
