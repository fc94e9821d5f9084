"""Codes about the use of keys: leases, hand-offs, records, sealing and opening."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from keyturn_cli.audit.finding_kind import FindingKind, finding, notice

_STOLEN: Final = (
    "Take it that the gateway's login is in other hands: take its secret id back, revoke its "
    "tokens, and have the key rotated at OpenAI."
)
_ASK_WHO: Final = "Find out who holds that token, revoke it, and see how it came to its policies."
_TAMPERED: Final = (
    "One of the two services says what is not so. Compare both services' logs under the request id."
)

KINDS_OF_USE: Final[Mapping[str, FindingKind]] = {
    "DECRYPT_BY_OTHER": finding(
        "A key was opened by {who}, who is not the gateway ({path}).",
        "Somebody besides the gateway can open keys. " + _ASK_WHO,
    ),
    "DECRYPT_WITHOUT_LEASE": finding("The gateway opened a key without naming a lease.", _STOLEN),
    "DECRYPT_NOT_READ": finding(
        "A key was opened under lease {lease}, for which the key service had read no record.",
        "The sealed key did not come from the key service now. " + _STOLEN,
    ),
    "DECRYPT_BEFORE_READ": finding(
        "A key was opened under lease {lease} before the key service had read the record.",
        "The sealed key was there already: somebody kept it. " + _STOLEN,
    ),
    "DECRYPT_LATE": finding(
        "A key was opened under lease {lease} {late} after its record was read.",
        "A lease had ended, and its sealed key was kept. " + _STOLEN,
    ),
    "DECRYPT_BATCHED": finding(
        "The gateway opened several keys by one request ({path}).",
        "Its policy forbids that: see what became of the policy (`keyturn doctor`). " + _STOLEN,
    ),
    "DECRYPT_FAILED": notice(
        "Vault could not open what the gateway brought under lease {lease}.",
        "A sealed key of another name or of a retired version does not open. When it repeats for a "
        "key, look at that key's record.",
    ),
    "LEASE_OPENED_TWICE": finding("A key was opened twice under lease {lease}.", _STOLEN),
    "LEASE_READ_TWICE": finding(
        "The key service read two records, or one twice, under lease {lease}.",
        "A lease is for one use of one key: see what the key service that did it is running.",
    ),
    "LEASE_MALFORMED": finding(
        "{lease} is no id of a lease, yet {who} used it as one ({path}).",
        "Whoever did that is not the service that we make. " + _STOLEN,
    ),
    "LEASE_TIME_WRONG": finding(
        "Lease {lease} says that it was made {apart} apart from the time at which it was used.",
        "An old id was used again, or the key service's clock is wrong. Compare the clocks; when "
        "they agree, see what that key service is running.",
    ),
    "LEASE_APP_DIFFERS": finding(
        "Lease {lease} was given for {read}, and used for {opened}.", _TAMPERED
    ),
    "LEASE_KEY_DIFFERS": finding(
        "Lease {lease} was given for key {read}, and used for {opened}.", _TAMPERED
    ),
    "LEASE_REQUEST_DIFFERS": finding(
        "Lease {lease} was given under request id {read}, and used under {opened}.", _TAMPERED
    ),
    "RECORD_KEY_DIFFERS": finding(
        "The key service named {key}, and touched another record ({operation} {path}).",
        "See what that key service is running: it hides whose record it touches.",
    ),
    "CONTROLS_NOT_READ": finding(
        "A key was opened under lease {lease} without a look at what operators had stopped.",
        "A stop would not have held. See what the key service that gave the lease is running.",
    ),
    "HANDOFF_TOUCHED_BY_OTHER": finding(
        "A wrapped key of lease {lease} was touched by {who} ({path}).",
        "Somebody came by the wrapping token, on its way or in a service. " + _STOLEN,
    ),
    "HANDOFF_TAKEN_TWICE": finding("A wrapped key was taken twice under lease {lease}.", _STOLEN),
    "HANDOFF_NOT_WRAPPED": finding(
        "The gateway took something under lease {lease} that the key service had not wrapped.",
        "A lease held a forged token. See what the key service that gave it is running.",
    ),
    "HANDOFF_LEASE_DIFFERS": finding(
        "What was wrapped for lease {read} was taken under lease {opened}.", _TAMPERED
    ),
    "HANDOFF_LATE": finding(
        "A wrapped key was taken under lease {lease} {late} after it was wrapped.",
        "Vault should have refused: see what became of the key service's policy.",
    ),
    "ANSWER_WRAPPED": finding(
        "{who} had Vault wrap an answer, whose content no log shows then ({operation} {path}).",
        "No service does that. Whoever has the wrapping token has what is in it. Take it that the "
        "service's login is in other hands: take its secret id back, and revoke its tokens.",
    ),
    "HANDOFF_REFUSED": notice(
        "Vault refused a wrapped key of lease {lease}.",
        "Its time was up, or it was taken before. In numbers, look for `handoff_spent` in the "
        "gateway's log.",
    ),
    "RECORD_READ_BY_OTHER": finding(
        "{who} read a record of a key ({path}).",
        "A sealed key was copied. " + _ASK_WHO,
    ),
    "RECORD_WRITTEN_BY_OTHER": finding(
        "{who} wrote a record of a key ({path}).",
        "What is in it, grants included, is not what its owner wanted: have the owner look. "
        + _ASK_WHO,
    ),
    "RECORD_DESTROYED_BY_OTHER": finding(
        "{who} destroyed or removed a record of a key ({path}).",
        "Restore it from a snapshot if its owner misses it. " + _ASK_WHO,
    ),
    "RECORDS_LISTED_BY_OTHER": finding(
        "{who} looked at which keys there are ({path}).",
        "No sealed key was read, but names were. " + _ASK_WHO,
    ),
    "CONTROLS_CHANGED_BY_OTHER": finding(
        "{who} changed what operators have stopped and limited ({path}).",
        "Look at what holds (`keyturn operator controls`), and put it right. " + _ASK_WHO,
    ),
    "NOTES_TOUCHED_BY_OTHER": finding(
        "{who} touched notes of the key service ({operation} {path}).", _ASK_WHO
    ),
    "ENCRYPT_BY_OTHER": finding(
        "{who}, who is not the key service, sealed something ({path}).",
        "A key could be put in another's place. " + _ASK_WHO,
    ),
    "HMAC_BY_OTHER": finding(
        "{who}, who is not the key service, asked for or checked a fingerprint ({path}).",
        "Somebody could test whether a key that they hold is in custody. " + _ASK_WHO,
    ),
    "REWRAP_BY_OTHER": finding(
        "{who}, who is not the maintenance job, sealed something anew ({path}).", _ASK_WHO
    ),
    "SIGN_BY_OTHER": finding(
        "{who} signed or checked by a key that is not its own ({path}).",
        "Signed streams of the service whose key that is prove nothing from then on. " + _ASK_WHO,
    ),
    "SERVICE_BEYOND_RIGHTS": finding(
        "{who} did what its policy does not allow ({operation} {path}).",
        "Its policy was changed: compare it (`keyturn doctor`), and see what was done by it.",
    ),
    "SERVICE_DENIED": finding(
        "Vault denied {who} an operation ({operation} {path}).",
        "The services ask for nothing that their policies lack. Somebody tries what a stolen token "
        "can do, or a policy is not as bootstrap left it (`keyturn doctor`).",
    ),
    "OTHER_DENIED": notice(
        "Vault denied {who} an operation where keys lie ({operation} {path}).",
        "Nothing was given out. Find out who it was when it repeats.",
    ),
}
