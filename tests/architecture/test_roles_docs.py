"""People read in docs/roles.md what the key service's tables allow them."""

from __future__ import annotations

from keyvault_svc.domain.roles import MAY, Action, Role
from keyvault_svc.rpc.access_policy import ACTIONS
from tests.architecture.documented_tables import code_words, table_rows

ROLES = "docs/roles.md"
_YES = "yes"


def test_every_action_is_documented_with_the_roles_that_may_do_it() -> None:
    documented = {
        code_words(action)[0]: dict(zip(Role, cells, strict=True))
        for action, _, *cells in table_rows(ROLES, "Who may do what", "action")
    }

    assert documented == {
        action.value: {role: _YES if role in MAY[action] else "" for role in Role}
        for action in Action
    }


def test_every_call_of_people_is_documented_with_its_action() -> None:
    documented = {
        code_words(action)[0]: sorted(code_words(calls))
        for action, calls, *_ in table_rows(ROLES, "Who may do what", "action")
    }
    called = {
        action.value: sorted(
            method.rpartition("/")[2] for method, does in ACTIONS.items() if does is action
        )
        for action in Action
    }

    assert documented == called


def test_every_role_is_explained() -> None:
    rows = table_rows(ROLES, "Roles", "role")

    assert [name for name, _ in rows] == [role.value.replace("_", " ") for role in Role]
