"""All lines of the logs of an intake, in the order of time, each once, for what only reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from keyturn_cli.audit.copies import CopyFilter
from keyturn_cli.audit.entries import ServiceRecord, VaultEntry
from keyturn_cli.audit.log_files import LogKind
from keyturn_cli.audit.log_intake import LogIntake
from keyturn_cli.audit.log_source import BadLine, Item


class LogWalk:
    """Reads the logs of an intake that has started, from their beginning to their end.

    Attributes:
        bad_vault_line_count: Lines of Vault's logs that are no entries: evidence may be missing.
        bad_service_line_count: The same of services' logs.
    """

    def __init__(self, intake: LogIntake) -> None:
        self._intake = intake
        self._copies = CopyFilter()
        self.bad_vault_line_count = 0
        self.bad_service_line_count = 0

    def feed(
        self,
        see_vault: Callable[[VaultEntry], None],
        see_service: Callable[[ServiceRecord], None],
        on_lines: Callable[[], None] = lambda: None,
    ) -> None:
        """Hand each line to the one or the other, in the order of time.

        *on_lines* is called often, to show how far it is.
        """
        for line in self._lines(on_lines):
            if isinstance(line, VaultEntry):
                see_vault(line)
            else:
                see_service(line)

    def _lines(self, on_lines: Callable[[], None]) -> Iterator[VaultEntry | ServiceRecord]:
        while (items := self._intake.read()) is not None:
            yield from self._readable(items)
            on_lines()
        yield from self._readable(self._intake.settle())
        yield from self._readable(self._intake.flush(with_unended=True))

    def _readable(self, items: Iterable[Item]) -> Iterator[VaultEntry | ServiceRecord]:
        for item in items:
            content = item.content
            if isinstance(content, BadLine):
                self._count(content)
                if content.ahead is None:
                    continue
                content = content.ahead
            if not self._is_copy(content, item.source):
                yield content

    def _is_copy(self, line: VaultEntry | ServiceRecord, source: int) -> bool:
        return isinstance(line, VaultEntry) and self._copies.is_copy(line, source)

    def _count(self, line: BadLine) -> None:
        if line.kind is LogKind.VAULT:
            self.bad_vault_line_count += 1
        else:
            self.bad_service_line_count += 1
