from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svc_runtime.spiffe_id import SpiffeId


@pytest.mark.parametrize(
    ("raw", "trust_domain", "path"),
    [
        ("spiffe://example.org/app/billing", "example.org", "/app/billing"),
        ("spiffe://example.org/a", "example.org", "/a"),
        ("spiffe://ex-ample_1.org/App/Bill.ing-2_", "ex-ample_1.org", "/App/Bill.ing-2_"),
        ("spiffe://example.org/...", "example.org", "/..."),
        (f"spiffe://{'d' * 255}/a", "d" * 255, "/a"),
    ],
)
def test_a_well_formed_id_is_accepted(raw: str, trust_domain: str, path: str) -> None:
    spiffe_id = SpiffeId.parse(raw)

    assert spiffe_id == SpiffeId(trust_domain, path)
    assert str(spiffe_id) == raw


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "example.org/app",
        "https://example.org/app",
        "SPIFFE://example.org/app",
        "spiffe:/example.org/app",
        "spiffe://",
        "spiffe:///app",
        "spiffe://example.org",
        "spiffe://example.org/",
        "spiffe://example.org/app/",
        "spiffe://example.org//app",
        "spiffe://example.org/./app",
        "spiffe://example.org/app/..",
        "spiffe://Example.org/app",
        "spiffe://example.org:8443/app",
        "spiffe://user@example.org/app",
        "spiffe://example.org/app?x=1",
        "spiffe://example.org/app#x",
        "spiffe://example.org/%61pp",
        "spiffe://example.org/app ",
        "spiffe://example.org/app\n",
        "spiffe://example.org/\u00e4pp",
        "spiffe://\u0435xample.org/app",
        f"spiffe://{'d' * 256}/a",
        f"spiffe://example.org/{'a' * 2048}",
    ],
)
def test_a_malformed_id_is_refused_without_being_repeated(raw: str) -> None:
    with pytest.raises(ValueError, match="SPIFFE") as caught:
        SpiffeId.parse(raw)

    assert len(raw) <= len("spiffe://") or raw not in str(caught.value)


@given(st.text())
def test_whatever_is_accepted_prints_as_it_came(tail: str) -> None:
    raw = f"spiffe://example.org/{tail}"

    try:
        parsed = SpiffeId.parse(raw)
    except ValueError:
        return
    assert str(parsed) == raw
