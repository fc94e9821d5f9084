"""deploy/checks/reachability.md: who reaches whom, as the rendered NetworkPolicies have it.

Write it anew with `python -m tests.chart.reachability_table > deploy/checks/reachability.md`.
"""

from __future__ import annotations

import sys

from tests.chart.chart_engines import ROOT, combination_values, render_with_helm4
from tests.chart.reachability import Place
from tests.chart.releases import Release
from tests.chart.world import World, world_around

TABLE_FILE = ROOT / "deploy/checks/reachability.md"

_HEAD = """\
# Who reaches whom

Computed from the NetworkPolicies that the chart renders; tests/chart/test_reachability.py holds
this page equal to them. A connection that is not here is refused. `yes`: it passes. `maybe`: it
passes where the network plugin compares pods' addresses with an `ipBlock`, too, which Kubernetes
leaves open.

Not shown, since no policy can refuse it: a pod reaches itself, and the node that it runs on reaches
it, on the health port as on any other.
"""
_TITLES = {
    "minimal": "With the defaults (ci/minimal.yaml)",
    "full": "With everything on (ci/full.yaml, without Cilium's policies)",
}


def release_of(combination: str) -> Release:
    """Return *combination* as it is simulated: OpenAI by addresses, for names need Cilium."""
    values = combination_values(combination)
    values.setdefault("networkPolicy", {})["cilium"] = {"enabled": False}
    return Release(combination, values, render_with_helm4(values))


def page() -> str:
    """Return the whole page."""
    parts = [_HEAD]
    for combination, title in _TITLES.items():
        world = world_around(release_of(combination))
        parts += [
            f"## {title}\n",
            "What Keyturn's pods reach:\n",
            _table(world, world.pods, world.others + world.pods),
            "Who reaches Keyturn's pods, of those around them:\n",
            _table(world, world.others, world.pods),
        ]
    return "\n".join(parts)


def _table(world: World, senders: tuple[Place, ...], receivers: tuple[Place, ...]) -> str:
    cells: dict[tuple[str, str], dict[str, str]] = {}
    for sender, receiver, port in world.connections(senders, receivers):
        verdicts = world.allows(sender, receiver, port)
        word = {frozenset({True}): "yes", frozenset({False}): ""}.get(frozenset(verdicts), "maybe")
        row = cells.setdefault((receiver.name, f"{port.protocol} {port.number}"), {})
        row[sender.name] = word
    shown = [s.name for s in senders if any(row.get(s.name) for row in cells.values())]
    lines = [
        f"| to | port | {' | '.join(shown)} |",
        f"|---|---|{'---|' * len(shown)}",
        *(
            f"| {name} | {port} | {' | '.join(row.get(sender, '') for sender in shown)} |"
            for (name, port), row in cells.items()
            if any(row.values())
        ),
    ]
    silent = [sender.name for sender in senders if sender.name not in shown]
    refused = f"\nNothing at all: {', '.join(silent)}.\n" if silent else ""
    return "\n".join(lines) + "\n" + refused


if __name__ == "__main__":
    sys.stdout.write(page())
