"""Whatever nodes do: an operation is sent no more once a node may have acted on it."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from svc_runtime.vault.errors import VaultUnavailableError
from tests.integration.svc_runtime.vault_nodes import Behaviour, Node, Site, post

_HAS_NOT_ACTED = [b for b in Behaviour if b.has_not_acted]
_ENDS = [b for b in Behaviour if not b.has_not_acted and b is not Behaviour.SILENT]


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.builds(
            lambda before, end: [*before, end],
            st.lists(st.sampled_from(_HAS_NOT_ACTED), max_size=1),
            st.sampled_from(_ENDS),
        ),
        min_size=1,
        max_size=3,
    )
)
def test_nothing_arrives_after_a_node_that_may_have_acted(scripts: list[list[Behaviour]]) -> None:
    arrivals = asyncio.run(_arrivals_of_one_call(scripts))

    assert arrivals
    assert all(behaviour.has_not_acted for behaviour in arrivals[:-1])


async def _arrivals_of_one_call(scripts: list[list[Behaviour]]) -> list[Behaviour]:
    arrivals: list[Behaviour] = []
    with tempfile.TemporaryDirectory() as folder:
        site = Site(Path(folder))
        async with AsyncExitStack() as stack:
            nodes = [
                await stack.enter_async_context(Node(site.context, script, arrivals))
                for script in scripts
            ]
            session = await stack.enter_async_context(
                site.session(*(node.address for node in nodes))
            )
            outcome = (await asyncio.gather(session.call(post, {}), return_exceptions=True))[0]
    is_served = arrivals[-1:] == [Behaviour.SERVES]
    assert isinstance(outcome, dict if is_served else VaultUnavailableError)
    return arrivals
