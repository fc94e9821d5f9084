from __future__ import annotations

from pathlib import Path

import pytest

from gateway_svc.domain.key_name import KeyName
from gateway_svc.settings import Settings, VerificationSettings
from svc_runtime.settings_models import SettingsError
from svc_runtime.spiffe_id import SpiffeId

REQUIRED = """
grpc_address = "127.0.0.1:8443"
http_address = "[::1]:0"
health_address = ":8080"
app_id_prefix = "spiffe://example.org/app/"
{top}
[tls]
certificate = "tls.crt"
key = "tls.key"
ca = "ca.crt"
[vault]
address = "https://vault.example:8200"
[vault.approle]
role_id_file = "role-id"
secret_id_file = "secret-id"
[key_service]
target = "dns:///keyvault-svc:8443"
{sections}
"""


def _load(folder: Path, *, top: str = "", sections: str = "") -> Settings:
    path = folder / "gateway.toml"
    path.write_text(REQUIRED.format(top=top, sections=sections), encoding="utf-8")
    return Settings.load(path)


def _refusal(folder: Path, *, top: str = "", sections: str = "") -> str:
    with pytest.raises(SettingsError) as caught:
        _load(folder, top=top, sections=sections)
    return str(caught.value)


def test_what_is_not_set_has_a_safe_default(tmp_path: Path) -> None:
    settings = _load(tmp_path)

    assert settings.openai.base_url == "https://api.openai.com/v1"
    assert not settings.openai.allow_http_on_loopback
    assert settings.app_issuers == ()
    assert settings.keys_by_app() == {}


@pytest.mark.parametrize("unknown", ["upstream", "tls_insecure", "openai_api_key"])
def test_an_unknown_setting_is_refused_by_its_name(tmp_path: Path, unknown: str) -> None:
    text = _refusal(tmp_path, top=f'{unknown} = "canary"')

    assert unknown in text
    assert "canary" not in text


ENVOYS = """
[ext_authz]
address = "127.0.0.1:9443"
envoys = ["spiffe://example.org/envoy/front"]
upstream_base_url = "https://api.openai.com/v1"
"""


def test_envoys_may_ask_only_where_it_is_set(tmp_path: Path) -> None:
    assert _load(tmp_path).ext_authz is None
    given = _load(tmp_path, sections=ENVOYS).ext_authz

    assert given is not None
    assert given.envoy_ids() == {SpiffeId.parse("spiffe://example.org/envoy/front")}
    assert (given.key_header, given.takes_text_bodies) == ("authorization", False)


@pytest.mark.parametrize(
    ("good", "bad", "named"),
    [
        ('"spiffe://example.org/envoy/front"', "", "envoys"),
        ('"spiffe://example.org/envoy/front"', '"canary"', "envoys"),
        ("spiffe://example.org/envoy/front", "spiffe://example.org/app/canary", "envoys"),
        ("https://api.openai.com/v1", "https://canary.example/v1", "upstream_base_url"),
        ("https://api.openai.com/v1", "http://api.openai.com/v1", "upstream_base_url"),
        ('upstream_base_url = "https://api.openai.com/v1"', "", "upstream_base_url"),
        ("[ext_authz]", '[ext_authz]\nkey_header = "x-canary"', "key_header"),
        ("[ext_authz]", '[ext_authz]\ntls = "canary"', "tls"),
    ],
)
def test_a_front_for_envoys_that_is_not_safe_is_refused(
    tmp_path: Path, good: str, bad: str, named: str
) -> None:
    text = _refusal(tmp_path, sections=ENVOYS.replace(good, bad))

    assert named in text
    assert "canary" not in text


def test_an_unknown_setting_of_a_section_is_refused(tmp_path: Path) -> None:
    text = _refusal(tmp_path, sections='[openai]\napi_key = "canary"')

    assert "openai.api_key" in text
    assert "canary" not in text


@pytest.mark.parametrize(
    "base_url",
    ["https://api.openai.com/v1", "https://eu.api.openai.com/v1", "https://[2606:4700::1]:8443"],
)
def test_an_upstream_over_https_is_accepted(tmp_path: Path, base_url: str) -> None:
    assert _load(tmp_path, sections=_openai(base_url)).openai.base_url == base_url


@pytest.mark.parametrize(
    "base_url", ["http://127.0.0.1:8081/v1", "http://localhost:8081/v1", "http://[::1]:8081/v1"]
)
def test_an_upstream_over_http_is_accepted_on_loopback_when_asked_for(
    tmp_path: Path, base_url: str
) -> None:
    allowed = _load(tmp_path, sections=_openai(base_url, allows_http=True))
    refusal = _refusal(tmp_path, sections=_openai(base_url))

    assert allowed.openai.base_url == base_url
    assert "base_url must be https" in refusal


@pytest.mark.parametrize(
    "base_url",
    [
        "http://api.openai.com/v1",
        "http://10.0.0.1/v1",
        "http://0.0.0.0/v1",
        "http://localhost.example/v1",
        "http://127.0.0.1.example/v1",
        "http://[::ffff:10.0.0.1]/v1",
        "http://user@127.0.0.1/v1",
        "http://[canary/v1",
        "ftp://127.0.0.1/v1",
        "https://user:canary@api.openai.com/v1",  # pragma: allowlist secret
        "https://api.openai.com/v1?key=canary",
        "https://api.openai.com/v1#x",
        "https:///v1",
        "https://api.openai.com/v1 ",
        "//127.0.0.1/v1",
        "",
    ],
)
def test_no_other_upstream_is_accepted(tmp_path: Path, base_url: str) -> None:
    text = _refusal(tmp_path, sections=_openai(base_url, allows_http=True))

    assert text.startswith("openai")
    assert "canary" not in text


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1", "10.1.2.3", "169.254.169.254", "[::1]", "[fd00::1]"]
)
def test_an_upstream_inside_is_accepted_only_when_asked_for(tmp_path: Path, host: str) -> None:
    sections = f'[openai]\nbase_url = "https://{host}/v1"'

    assert "allow_private_addresses" in _refusal(tmp_path, sections=sections)
    allowed = _load(tmp_path, sections=f"{sections}\nallow_private_addresses = true")
    assert allowed.openai.base_url == f"https://{host}/v1"


def test_other_upstreams_obey_the_same_rules(tmp_path: Path) -> None:
    settings = _load(tmp_path, sections='[openai]\nother_base_urls = ["https://eu.example/v1"]')
    refusal = _refusal(tmp_path, sections='[openai]\nother_base_urls = ["http://eu.example/v1"]')

    assert settings.openai.base_urls == ("https://api.openai.com/v1", "https://eu.example/v1")
    assert "base_url must be https" in refusal


def _openai(base_url: str, *, allows_http: bool = False) -> str:
    flag = "\nallow_http_on_loopback = true" if allows_http else ""
    return f'[openai]\nbase_url = "{base_url}"{flag}'


def test_default_keys_are_parsed(tmp_path: Path) -> None:
    app, key = "spiffe://example.org/app/billing", "teams/payments/keys/openai"

    settings = _load(tmp_path, sections=f'[default_keys]\n"{app}" = "{key}"')

    assert settings.keys_by_app() == {SpiffeId.parse(app): KeyName.parse(key)}


@pytest.mark.parametrize(
    ("app", "key"),
    [("canary", "teams/a/keys/b"), ("spiffe://example.org/app/billing", "canary")],
)
def test_a_malformed_default_key_is_refused(tmp_path: Path, app: str, key: str) -> None:
    text = _refusal(tmp_path, sections=f'[default_keys]\n"{app}" = "{key}"')

    assert "default_keys" in text
    assert "canary" not in text


def test_the_environment_wins_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY_SVC_APP_ID_PREFIX", "spiffe://other.example/app/")
    monkeypatch.setenv("GATEWAY_SVC_VAULT__ADDRESS", "https://other.example:8200")

    settings = _load(tmp_path)

    assert settings.app_id_prefix == "spiffe://other.example/app/"
    assert settings.vault.address == "https://other.example:8200"
    assert settings.vault.approle is not None
    assert settings.vault.approle.role_id_file == Path("role-id")


@pytest.mark.parametrize(
    "variable", ["GATEWAY_SVC_TLS", "GATEWAY_SVC_DEFAULT_KEYS", "GATEWAY_SVC_APP_ISSUERS"]
)
def test_a_variable_that_is_no_json_is_refused_without_being_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "canary")

    text = _refusal(tmp_path)

    assert variable.removeprefix("GATEWAY_SVC_").lower() in text
    assert "canary" not in text


def test_another_programs_variables_do_not_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY", "BASE_URL", "TLS", "GRPC_ADDRESS"):
        monkeypatch.setenv(name, "canary")

    assert "canary" not in repr(_load(tmp_path))


@pytest.mark.parametrize(
    "top",
    ["request_timeout_seconds = 0", "request_timeout_seconds = 3601", "drain_seconds = -1"],
)
def test_a_time_outside_its_range_is_refused(tmp_path: Path, top: str) -> None:
    assert top.split(" ", maxsplit=1)[0] in _refusal(tmp_path, top=top)


@pytest.mark.parametrize("prefix", ["spiffe://", "spiffe://example.org/app", "canary"])
def test_a_prefix_that_would_take_strangers_for_apps_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    monkeypatch.setenv("GATEWAY_SVC_APP_ID_PREFIX", prefix)

    text = _refusal(tmp_path)

    assert "app_id_prefix" in text
    assert "canary" not in text


_ISSUER = """
[[app_issuers]]
issuer = "https://issuer.example"
audience = "keyturn-apps"
jwks_url = "https://issuer.example/keys"
kind = "kubernetes"
"""


def test_an_issuer_may_name_apps_of_ours(tmp_path: Path) -> None:
    template = 'app_id_template = "spiffe://example.org/app/{namespace}/{name}"'
    settings = _load(tmp_path, sections=_ISSUER + template)

    assert [issuer.kind for issuer in settings.app_issuers] == ["kubernetes"]


def test_an_issuer_that_can_name_no_app_of_ours_is_refused(tmp_path: Path) -> None:
    text = _refusal(tmp_path, sections=_ISSUER + 'trust_domain = "example.org"')

    assert "app_id_prefix" in text


@pytest.mark.parametrize("address", ["127.0.0.1:8447", "[::]:0"])
def test_grpc_by_token_is_served_only_where_it_is_set(tmp_path: Path, address: str) -> None:
    template = 'app_id_template = "spiffe://example.org/app/{namespace}/{name}"'
    given = _load(tmp_path, top=f'grpc_token_address = "{address}"', sections=_ISSUER + template)

    assert given.grpc_token_address == address
    assert _load(tmp_path).grpc_token_address is None


def test_grpc_by_token_without_an_issuer_is_refused(tmp_path: Path) -> None:
    text = _refusal(tmp_path, top='grpc_token_address = "127.0.0.1:8447"')

    assert "grpc_token_address needs at least one of app_issuers" in text


@pytest.mark.parametrize("address", ["", "canary", "127.0.0.1", "https://canary:8447"])
def test_grpc_by_token_needs_an_address_to_listen_on(tmp_path: Path, address: str) -> None:
    text = _refusal(tmp_path, top=f'grpc_token_address = "{address}"')

    assert "grpc_token_address" in text
    assert "canary" not in text


def test_verifications_need_no_settings(tmp_path: Path) -> None:
    settings = _load(tmp_path)

    assert settings.verification == VerificationSettings(
        model="gpt-4o-mini", poll_seconds=1.0, concurrency=4
    )


def test_a_verification_may_leave_the_model_out(tmp_path: Path) -> None:
    settings = _load(tmp_path, sections='[verification]\nmodel = ""')

    assert settings.verification.model == ""


@pytest.mark.parametrize(
    "line",
    [
        'model = "canary\\n"',
        f'model = "{"m" * 129}"',
        "poll_seconds = 0",
        "poll_seconds = 61",
        "concurrency = 0",
        "concurrency = 101",
    ],
)
def test_a_setting_of_verifications_outside_its_range_is_refused(tmp_path: Path, line: str) -> None:
    text = _refusal(tmp_path, sections=f"[verification]\n{line}")

    assert f"verification.{line.split(' ', maxsplit=1)[0]}" in text
    assert "canary" not in text
