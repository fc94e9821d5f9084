"""Waits until a gateway has tried a key at OpenAI."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final, Protocol, Self

from google.protobuf.timestamp_pb2 import Timestamp

from keyturn.keyvault.v1 import key_pb2 as key_pb
from keyturn_cli.command_error import CommandError
from keyturn_cli.exit_codes import ExitCode

POLL_SECONDS: Final = 0.3

# States whose version may be tried at OpenAI, as the key service has it.
_VERIFIABLE: Final = frozenset(
    {key_pb.KEY_STATE_PENDING, key_pb.KEY_STATE_ACTIVE, key_pb.KEY_STATE_REJECTED}
)

Version = key_pb.Key | key_pb.KeyVersion  # both tell number, state and verification


class KeyReader(Protocol):
    """Reads records of keys."""

    async def get_key(self, name: str) -> key_pb.Key:
        """Return the record of *name*.

        Raises:
            CommandError: It cannot be had.
        """


@dataclass(frozen=True, slots=True)
class AwaitedVerification:
    """A verification that has yet to come.

    Attributes:
        key_version: The version that is tried.
        verify_time: Of the verification before, which is not the one; None if there was none.
    """

    key_version: int
    verify_time: Timestamp | None

    @classmethod
    def of(cls, key: key_pb.Key) -> Self:
        """Return what the key service verifies next of *key*, for which it has been asked."""
        return cls._of_version(_to_verify(key))

    @classmethod
    def of_current(cls, key: key_pb.Key) -> Self | None:
        """Return the verification that the current version waits for; None if it does not."""
        return cls._of_version(key) if awaits_verification(key) else None

    @classmethod
    def _of_version(cls, version: Version) -> Self:
        is_first = not version.HasField("verification")
        return cls(version.key_version, None if is_first else version.verification.verify_time)

    def is_over(self, key: key_pb.Key) -> bool:
        """Return whether *key* tells the outcome, or that there will be none."""
        version = version_of(key, self.key_version)
        if version is None or version.state not in _VERIFIABLE:
            return True  # replaced, deleted or switched off meanwhile
        return self.is_told_by(version)

    def is_told_by(self, version: Version) -> bool:
        """Return whether the verification that *version* tells of is this one."""
        return (
            version.HasField("verification")
            and version.verification.verify_time != self.verify_time
        )


@dataclass(frozen=True, slots=True)
class WaitResult:
    """How a wait ended.

    Attributes:
        key: The record as last seen.
        is_over: Whether the verification has ended; False when time was up before.
    """

    key: key_pb.Key
    is_over: bool


def version_of(key: key_pb.Key, number: int) -> Version | None:
    """Return version *number* of *key*, unless it has gone or does not serve any more."""
    if key.key_version == number:
        return key
    if key.HasField("incoming") and key.incoming.key_version == number:
        return key.incoming
    return None


async def wait_for_verification(
    reader: KeyReader,
    key: key_pb.Key,
    awaited: AwaitedVerification,
    wait_seconds: float,
    poll_seconds: float = POLL_SECONDS,
) -> WaitResult:
    """Wait until *awaited* has ended, or *wait_seconds* are over.

    An outage on the way does not end the wait: the verification goes on without us.

    Args:
        reader: Where records come from.
        key: The record as it is known now.
        awaited: What to wait for.
        wait_seconds: How long at most.
        poll_seconds: Pause between two looks.

    Raises:
        CommandError: The key service refused; or it was away when time was up.
    """
    outage: CommandError | None = None
    try:
        async with asyncio.timeout(wait_seconds):
            while not awaited.is_over(key):
                await asyncio.sleep(poll_seconds)
                try:
                    key = await reader.get_key(key.name)
                    outage = None
                except CommandError as error:
                    if error.exit_code is not ExitCode.UNAVAILABLE:
                        raise
                    outage = error
    except TimeoutError:
        if outage is not None:
            raise outage from None
        return WaitResult(key, is_over=False)
    return WaitResult(key, is_over=True)


def awaits_verification(version: Version) -> bool:
    """Return whether *version* is in the queue without anybody's asking."""
    return version.state == key_pb.KEY_STATE_PENDING and (
        not version.HasField("verification")
        or version.verification.outcome == key_pb.VERIFICATION_OUTCOME_OPENAI_UNREACHABLE
    )


def _to_verify(key: key_pb.Key) -> Version:
    """Return the version that is tried next: one that waits goes first, then the incoming one."""
    there: list[Version] = [key]
    # A rejected incoming version is destroyed; what is left of it tells only why.
    if key.HasField("incoming") and key.incoming.state == key_pb.KEY_STATE_PENDING:
        there.insert(0, key.incoming)
    return next((version for version in there if awaits_verification(version)), there[0])
