"""Credentials of gRPC listeners that follow certificate changes, handshake by handshake.

gRPC in Python cannot be told a lowest TLS version. Both ends are ours or current, so TLS 1.3 is
what they agree on; `svc_runtime.authentication` refuses a connection on which they did not.

Credentials are for one server: gRPC asks the same ones for their first certificate once, and a
second server would have none.
"""

from __future__ import annotations

import grpc

from svc_runtime.tls_files import TLSFilesWatcher, TLSMaterial


def mtls_server_credentials(watcher: TLSFilesWatcher) -> grpc.ServerCredentials:
    """Return credentials that demand a client certificate of the watched CA."""
    return _credentials(watcher, is_client_certificate_required=True)


def tls_server_credentials(watcher: TLSFilesWatcher) -> grpc.ServerCredentials:
    """Return credentials that ask for no client certificate."""
    return _credentials(watcher, is_client_certificate_required=False)


def _credentials(
    watcher: TLSFilesWatcher, *, is_client_certificate_required: bool
) -> grpc.ServerCredentials:
    served = watcher.current()

    def configuration(material: TLSMaterial) -> grpc.ServerCertificateConfiguration:
        ca = material.ca if is_client_certificate_required else None
        return grpc.ssl_server_certificate_configuration(
            [(material.key, material.certificate_chain)], ca
        )

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        """Return the configuration for the next handshake, None when it is the one before."""
        nonlocal served
        current = watcher.current()
        if current.generation == served.generation:
            return None
        served = current
        return configuration(current)

    return grpc.dynamic_ssl_server_credentials(
        configuration(served),
        fetch,  # type: ignore[arg-type]  # None is allowed by gRPC's docs, and not by the stubs
        require_client_authentication=is_client_certificate_required,
    )
