from __future__ import annotations

from keyturn_cli.local.stack_ports import port_names, ports_of, replica_suffixes


def test_the_first_replica_has_no_number() -> None:
    assert replica_suffixes(3) == ["", "-2", "-3"]


def test_each_replica_has_ports_of_its_own() -> None:
    names = port_names(2, has_standin=False)

    assert len(set(names)) == len(names) == 2 + 2 * 8
    assert {"vault", "keyvault-owner", "keyvault-2-owner", "gateway-2-metrics"} <= set(names)


def test_the_stand_in_has_a_port_where_it_runs() -> None:
    alone = set(port_names(1, has_standin=False))

    assert set(port_names(1, has_standin=True)) - alone == {"openai-standin"}


def test_a_process_has_its_own_ports_only() -> None:
    ports = {name: number for number, name in enumerate(port_names(2, has_standin=True))}

    assert ports_of(ports, "gateway-2") == {
        name: ports[f"gateway-2-{name}"] for name in ("grpc", "http", "health", "metrics")
    }
    assert ports_of(ports, "keyvault") == {
        name: ports[f"keyvault-{name}"] for name in ("owner", "gateway", "health", "metrics")
    }
