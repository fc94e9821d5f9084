"""Checks of the services' ports: trusted certificates, and answers that are Keyturn's."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from datetime import UTC, datetime

import aiohttp

from keyturn_cli.chat_api import chat_api
from keyturn_cli.check_result import CheckResult, CheckState, ok, problem
from keyturn_cli.client_settings import ClientSettings
from keyturn_cli.command_error import CommandError
from keyturn_cli.exit_codes import ExitCode
from keyturn_cli.file_checks import validity
from keyturn_cli.owner_api import owner_api
from keyturn_cli.owner_token import LOGIN_HINT, find_owner_token
from keyturn_cli.service_channels import CallOptions, new_request_id
from keyturn_cli.settings_check import not_configured

_START = "Start it (`keyturn local up`), or check the address with your operator."
_TRUST = "Check KEYTURN_CA, and that nobody else answers at this address."
_NOT_SERVING = frozenset({ExitCode.UNAVAILABLE, ExitCode.FAULT, ExitCode.REFUSED})


async def check_gateway_grpc(
    settings: ClientSettings, now: datetime, timeout_seconds: float
) -> CheckResult:
    """Check the gateway's gRPC port with the app's certificate.

    It is sent an empty request, which it must find invalid before it does anything.
    """
    check = "gateway gRPC"
    found = await _check_tls(settings, check, "KEYTURN_GRPC", now, timeout_seconds)
    if found.state is not CheckState.OK:
        return found
    options = CallOptions(timeout_seconds, new_request_id())
    try:
        async with chat_api(settings, options, key=None) as api:
            await api.send_nothing()
    except CommandError as error:
        # INVALID_ARGUMENT is the answer of a gateway that knows us.
        if error.exit_code in _NOT_SERVING:
            return problem(check, error.format_message(), error.hint)
    return ok(check, f"answers this certificate; its own is {found.detail}")


async def check_owner_port(
    settings: ClientSettings, now: datetime, timeout_seconds: float
) -> CheckResult:
    """Check the key service's owner port, with the owner's token if there is a fresh one."""
    check = "owner port"
    found = await _check_tls(settings, check, "KEYTURN_KEYS_GRPC", now, timeout_seconds)
    if found.state is not CheckState.OK:
        return found
    options = CallOptions(timeout_seconds, new_request_id())
    try:
        token = find_owner_token(settings)
        if token is None or token.is_expired(now) or token.unverified_name is None:
            return ok(check, f"answers, but was not asked, for want of a login; {found.detail}")
        async with owner_api(settings, token, options) as api:
            await api.list_keys(f"users/{token.unverified_name}")
    except CommandError as error:
        return problem(check, error.format_message(), error.hint or LOGIN_HINT)
    return ok(check, f"accepts {token.unverified_name}; its certificate is {found.detail}")


async def check_gateway_http(settings: ClientSettings, timeout_seconds: float) -> CheckResult:
    """Check the gateway's HTTPS port; any answer will do, as nobody is named in the request."""
    check = "gateway HTTPS"
    url = settings.get("KEYTURN_HTTP")
    if url is None:
        return not_configured(check, "KEYTURN_HTTP")
    timeout = aiohttp.ClientTimeout(total=timeout_seconds)
    try:
        context = _trusting_keyturn(settings)
    except CommandError as error:
        return problem(check, error.text, error.hint)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(url, ssl=context, allow_redirects=False) as response,
        ):
            return ok(check, f"answers with a trusted certificate (HTTP {response.status})")
    except aiohttp.ClientConnectorCertificateError:
        return problem(check, "its certificate is not trusted by KEYTURN_CA", _TRUST)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
        return problem(check, f"{url} does not answer", _START)


async def _check_tls(
    settings: ClientSettings, check: str, variable: str, now: datetime, timeout_seconds: float
) -> CheckResult:
    """Check that the port of *variable* shows a certificate that KEYTURN_CA trusts."""
    address = settings.get(variable)
    if address is None:
        return not_configured(check, variable)
    try:
        context = _trusting_keyturn(settings)
    except CommandError as error:
        return problem(check, error.text, error.hint)
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        return problem(check, f"{variable} is not host:port", f"Correct {variable}.")
    context.set_alpn_protocols(["h2"])
    try:
        async with asyncio.timeout(timeout_seconds):
            _, writer = await asyncio.open_connection(host.strip("[]"), int(port), ssl=context)
    except ssl.SSLCertVerificationError as error:
        return problem(check, f"{address}: {error.verify_message}", _TRUST)
    except (OSError, TimeoutError):
        return problem(check, f"{address} does not answer", _START)
    certificate = writer.get_extra_info("ssl_object").getpeercert()
    writer.transport.abort()  # nothing was sent, so nothing needs an orderly end
    end = datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), UTC)
    return validity(check, end, now)


def _trusting_keyturn(settings: ClientSettings) -> ssl.SSLContext:
    """Return a context that trusts KEYTURN_CA only, and shows the app's certificate if asked.

    The owner port asks for none.
    """
    try:
        context = ssl.create_default_context(cadata=settings.read_file("KEYTURN_CA").decode())
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        certificate = settings.get("KEYTURN_CERT")
        if certificate:
            # What is wrong with these files, the checks of files tell.
            with suppress(OSError):
                key = settings.get("KEYTURN_CERT_KEY")
                context.load_cert_chain(certificate, key, password="")  # never asks for one
    except (ssl.SSLError, ValueError) as error:
        raise CommandError(
            "KEYTURN_CA names a file that holds no PEM certificate.", ExitCode.USAGE, hint=_START
        ) from error
    return context
