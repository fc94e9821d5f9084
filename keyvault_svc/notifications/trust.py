"""Which servers a channel believes to be who they say."""

from __future__ import annotations

import ssl
from pathlib import Path

from svc_runtime.settings_models import SettingsError


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """Return a context of clients that trusts *ca_file*, or the system's CAs; TLS 1.2 or newer.

    Raises:
        SettingsError: The file cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # ssl.SSLError, too
        raise SettingsError(f"{ca_file}: is no readable file of certificates") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
