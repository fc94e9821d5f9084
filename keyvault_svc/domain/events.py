"""Events: what an owner is told without having asked, and in which words."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Protocol

from keyvault_svc.domain.names import OwnerName

MAX_FACT_CHARS: Final = 200  # of a fact as it is told; the longest are SPIFFE ids of apps
_UNKNOWN: Final = "unknown"
_ID_CHARS: Final = 32


class EventType(StrEnum):
    """What an owner is told about."""

    GRANT_REQUESTED = "grant_requested"
    GRANT_FIRST_USED = "grant_first_used"
    GRANT_NEW_NETWORK = "grant_new_network"
    BUDGET_REACHED = "budget_reached"
    KEY_REJECTED = "key_rejected"
    KEY_DUE = "key_due"
    ANOMALY = "anomaly"
    GRANT_CHANGED = "grant_changed"
    SUSPENDED = "suspended"
    USED_ELSEWHERE = "used_elsewhere"


@dataclass(frozen=True, slots=True)
class Wording:
    """How one type of event is told.

    Attributes:
        title: What happened, in a few words.
        sentence: What happened and what to do. It may name `{owner}`, `{key}`, `{grant}`, `{app}`
            and the facts.
        facts: The facts that are told. No other fact leaves the key service.
        occasion: Those of them by which two events of one type, key and grant differ. Events that
            do not differ repeat each other.
        is_urgent: Whether others are dropped before it when too many wait.
        variants: What takes the place of title and sentence, by the value of the first fact.
    """

    title: str
    sentence: str
    facts: tuple[str, ...] = ()
    occasion: tuple[str, ...] = ()
    is_urgent: bool = False
    variants: Mapping[str, Wording] = field(default_factory=dict)


WORDING: Final[Mapping[EventType, Wording]] = MappingProxyType(
    {
        EventType.GRANT_REQUESTED: Wording(
            "An app asks for a grant",
            "The app {app} asks to use a key of {owner}, in request {request}. Read its reason, "
            "then approve, narrow or decline it.",
            facts=("request",),
            occasion=("request",),
        ),
        EventType.GRANT_FIRST_USED: Wording(
            "A grant was used for the first time",
            "The app {app} used {key} for the first time, from {network}. If you do not expect "
            "this, revoke the grant {grant}.",
            facts=("network",),
            is_urgent=True,
        ),
        EventType.GRANT_NEW_NETWORK: Wording(
            "A grant was used from a new network",
            "The app {app} used {key} from {network}, where it did not call from before. If you "
            "do not expect this, revoke the grant {grant}, or narrow it to the networks you know.",
            facts=("network",),
            is_urgent=True,
        ),
        EventType.BUDGET_REACHED: Wording(
            "A budget is used to {percent} percent",
            "Of the limit {limit} of this {scope}, {percent} percent are used until {until}. At "
            "100 percent requests are refused until then: find out what uses {key}, and raise the "
            "limit or let it hold.",
            facts=("scope", "limit", "percent", "until"),
            occasion=("scope", "limit", "percent", "until"),
        ),
        EventType.KEY_REJECTED: Wording(
            "OpenAI rejected a key",
            "OpenAI rejected version {version} of {key}, and apps cannot use it any more. Look at "
            "OpenAI whether it was deleted or restricted, make a new one there, and rotate {key} "
            "to it.",
            facts=("place", "version"),
            occasion=("version",),
            is_urgent=True,
            variants={
                "incoming": Wording(
                    "OpenAI rejected the new key of a rotation",
                    "OpenAI rejected version {version} of {key}, to which it was to be rotated; "
                    "the version before stays. Look at OpenAI whether the new one was deleted or "
                    "restricted, and rotate {key} to one that works.",
                )
            },
        ),
        EventType.KEY_DUE: Wording(
            "A key is due",
            "{key} is to be rotated by {date}. Make a new key at OpenAI, rotate {key} to it, and "
            "delete the old one at OpenAI.",
            facts=("due", "date"),
            occasion=("due", "date"),
            variants={
                "expiry": Wording(
                    "A key expires",
                    "{key} expires on {date}, and apps cannot use it from then on. Let it expire "
                    "later, or rotate it to a new key where the deployment limits its age.",
                ),
                "grant_end": Wording(
                    "A grant ends",
                    "The grant {grant} of the app {app} ends on {date}. If the app shall use {key} "
                    "for longer, let the grant end later; otherwise there is nothing to do.",
                ),
            },
        ),
        EventType.ANOMALY: Wording(
            "Unusual use of a key",
            "The app {app} uses {key} in an unusual way: {what}. If you cannot explain it, disable "
            "the key and ask who runs the app.",
            facts=("what",),
            occasion=("what",),
            is_urgent=True,
        ),
        EventType.GRANT_CHANGED: Wording(
            "A grant was changed",
            "The grant {grant} of the app {app} was {change} by {by}. If nobody who may act for "
            "{owner} did that, revoke the grant and tell the operators.",
            facts=("change", "by"),
            occasion=("change",),
            is_urgent=True,
        ),
        EventType.SUSPENDED: Wording(
            "Operators suspended the use of a key",
            "The operators suspended {what}, and requests that need it are refused until they "
            "resume it. Ask them for the reason; the key itself is kept.",
            facts=("what",),
            occasion=("what",),
            is_urgent=True,
        ),
        EventType.USED_ELSEWHERE: Wording(
            "A key is used beside Keyturn",
            "On {date} OpenAI counted {openai} for {key}, of which {keyturn} went through Keyturn: "
            "somebody has a copy of the key and uses it elsewhere. If that is not you, rotate "
            "{key}, and delete the old key at OpenAI.",
            facts=("date", "openai", "keyturn"),
            occasion=("date",),
            is_urgent=True,
        ),
    }
)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that an owner is told.

    Attributes:
        type: What it is.
        owner: Who is told.
        key: The key's name; empty where it is about none.
        grant: The grant's name; empty where it is about none.
        app: The app's SPIFFE id; empty where it is about none.
        time: When it happened.
        facts: What else there is to tell; `WORDING` names what is used. Never a secret.
    """

    type: EventType
    owner: OwnerName
    key: str
    grant: str
    app: str
    time: datetime
    facts: Mapping[str, str] = field(default_factory=dict)

    @property
    def occasion(self) -> tuple[str, ...]:
        """What repeats of the same news have in common."""
        told = self.told_facts()
        distinct = (told[name] for name in WORDING[self.type].occasion)
        return (self.type, str(self.owner), self.key, self.grant, self.app, *distinct)

    @property
    def event_id(self) -> str:
        """The event's id, 32 hexadecimal digits: the same for the same event."""
        content = json.dumps([*self.occasion, self.time.astimezone(UTC).isoformat()])
        return hashlib.sha256(content.encode()).hexdigest()[:_ID_CHARS]

    @property
    def title(self) -> str:
        """What happened, in a few words, on one line."""
        return self._wording().title.format_map(self._words())

    @property
    def sentence(self) -> str:
        """What happened and what to do, on one line."""
        return self._wording().sentence.format_map(self._words())

    @property
    def is_urgent(self) -> bool:
        """Whether others are dropped before it."""
        return WORDING[self.type].is_urgent

    def told_facts(self) -> dict[str, str]:
        """Return the facts that are told, each short and on one line; `unknown` if missing."""
        return {name: _plain(self.facts.get(name, "")) for name in WORDING[self.type].facts}

    def _wording(self) -> Wording:
        wording = WORDING[self.type]
        value = self.facts.get(wording.facts[0], "") if wording.facts else ""
        return wording.variants.get(value, wording)

    def _words(self) -> dict[str, str]:
        subjects = {"owner": str(self.owner), "key": self.key, "grant": self.grant, "app": self.app}
        return {name: _plain(text) for name, text in subjects.items()} | self.told_facts()


class Notifier(Protocol):
    """Tells owners."""

    def notify(self, event: Event) -> None:
        """Take *event* to be told later. Never raises, and never keeps the caller waiting."""


def _plain(text: str) -> str:
    """Return *text* without what could break a line or turn its direction."""
    printable = "".join(letter for letter in text if letter.isprintable())
    return printable[:MAX_FACT_CHARS] or _UNKNOWN
