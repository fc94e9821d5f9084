from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from keyturn_cli.command_error import CommandError
from keyturn_cli.exit_codes import ExitCode
from keyturn_cli.local.errors import PortTakenError
from keyturn_cli.local.free_ports import free_ports, is_port_free
from keyturn_cli.local.layout import Layout, choose_ports, read_ports

NAMES = ["vault", "gateway-grpc", "gateway-http"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return Layout(tmp_path).ports_file


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_every_name_gets_a_free_port_of_its_own(file: Path) -> None:
    ports = choose_ports(file, NAMES, {})

    assert list(ports) == NAMES
    assert len(set(ports.values())) == len(NAMES)
    assert all(map(is_port_free, ports.values()))


def test_the_next_run_gets_the_ports_of_the_one_before(file: Path) -> None:
    assert choose_ports(file, NAMES, {}) == choose_ports(file, NAMES, {})


def test_a_port_that_somebody_took_meanwhile_is_replaced_and_the_others_stay(
    file: Path, taken_port: int
) -> None:
    before = choose_ports(file, NAMES, {}) | {"vault": taken_port}
    file.write_text(json.dumps(before))

    after = choose_ports(file, NAMES, {})

    assert after["vault"] != taken_port
    assert after | {"vault": taken_port} == before


def test_a_wanted_port_is_taken_and_remembered(file: Path) -> None:
    choose_ports(file, NAMES, {})
    [wanted] = free_ports(1)

    ports = choose_ports(file, NAMES, {"gateway-http": wanted})

    assert ports["gateway-http"] == wanted
    assert choose_ports(file, NAMES, {}) == ports


def test_a_wanted_port_that_another_name_had_leaves_that_name(file: Path) -> None:
    before = choose_ports(file, NAMES, {})

    after = choose_ports(file, NAMES, {"vault": before["gateway-http"]})

    assert after["vault"] == before["gateway-http"]
    assert len(set(after.values())) == len(NAMES)


def test_the_port_of_a_name_that_is_not_used_now_is_kept_for_later(file: Path) -> None:
    before = choose_ports(file, NAMES, {})

    without = choose_ports(file, NAMES[:2], {})

    assert set(without) == set(NAMES[:2])
    assert choose_ports(file, NAMES, {}) == before


def test_a_wanted_port_that_is_taken_is_refused(file: Path, taken_port: int) -> None:
    with pytest.raises(PortTakenError, match=f"vault: port {taken_port} of 127.0.0.1 is taken"):
        choose_ports(file, NAMES, {"vault": taken_port})

    assert not file.exists()


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ({"gateway-https": 8443}, "there is no port gateway-https"),
        ({"vault": 8200, "gateway-http": 8200}, "two names ask for the same port"),
    ],
    ids=["unknown name", "one port twice"],
)
def test_wanted_ports_that_cannot_be_are_wrong_usage(
    file: Path, wanted: dict[str, int], told: str
) -> None:
    with pytest.raises(CommandError, match=told) as caught:
        choose_ports(file, NAMES, wanted)

    assert caught.value.exit_code is ExitCode.USAGE


@pytest.mark.parametrize("content", [None, "", "[1]", '{"vault": "x"}', "{"])
def test_a_damaged_file_of_ports_is_as_none(file: Path, content: str | None) -> None:
    if content is not None:
        file.write_text(content)

    assert read_ports(file) == {}
    assert set(choose_ports(file, NAMES, {})) == set(NAMES)


def test_everything_lies_below_the_stack_s_folder(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    paths = [
        getattr(layout, name) for name, kind in vars(Layout).items() if isinstance(kind, property)
    ]

    assert len(paths) >= 9
    for path in (*paths, layout.service_settings("a-b"), *layout.certificate("app-demo")):
        assert path.is_relative_to(tmp_path)
        assert path != tmp_path
