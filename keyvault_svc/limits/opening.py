"""From settings to the store of limits."""

from __future__ import annotations

from keyvault_svc.limit_settings import LimitsSettings, RedisSettings
from keyvault_svc.limits.file_store import FileLimitStore
from keyvault_svc.limits.limit_file import LimitFileError
from keyvault_svc.limits.redis_connection import RedisAddress, RedisConnection, RedisKind
from keyvault_svc.limits.redis_store import RedisLimitStore
from svc_runtime.settings_models import SettingsError


def open_store(settings: LimitsSettings) -> FileLimitStore | RedisLimitStore:
    """Return the store that *settings* name.

    Raises:
        SettingsError: The file cannot be used, or the settings of Redis do not fit together.
    """
    try:
        if settings.redis is not None:
            return RedisLimitStore(_connection(settings.redis))
        return FileLimitStore(settings.file)
    except (LimitFileError, ValueError) as error:
        problem = f"limits: {error}"
    raise SettingsError(problem)


def _connection(redis: RedisSettings) -> RedisConnection:
    addresses = (address.rpartition(":") for address in redis.addresses)
    return RedisConnection(
        tuple(RedisAddress(host.strip("[]"), int(port)) for host, _, port in addresses),
        RedisKind(redis.kind),
        redis.primary_name,
        redis.username,
        redis.password_file,
        redis.tls,
        redis.ca_file,
        redis.certificate_file,
        redis.key_file,
        redis.timeout_seconds,
        redis.max_connections,
    )
