from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from keyturn_cli.standin.__main__ import main
from keyturn_cli.standin.standin_keys import KeyKind, make_key


@pytest.fixture
def process(record_path: Path) -> Iterator[subprocess.Popen[str]]:
    argv = [
        sys.executable,
        "-m",
        "keyturn_cli.standin",
        "--port",
        "0",
        "--record",
        str(record_path),
    ]
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as started:
        yield started
        started.kill()


def _read_port(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    port = json.loads(process.stdout.readline())["port"]
    assert isinstance(port, int)
    return port


def _chat(port: int, key: str, model: str) -> str | None:
    with openai.OpenAI(
        base_url=f"http://127.0.0.1:{port}/v1", api_key=key, max_retries=0, timeout=1
    ) as client:
        completion = client.chat.completions.create(
            model=model, messages=[{"role": "user", "content": "hi"}]
        )
    return completion.choices[0].message.content


@pytest.mark.parametrize("signal_number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_a_signal_and_ends_cleanly(
    process: subprocess.Popen[str], signal_number: signal.Signals
) -> None:
    key = make_key().expose().decode()

    reply = _chat(_read_port(process), key, "gpt-4o-mini")
    process.send_signal(signal_number)
    output, errors = process.communicate(timeout=10)

    assert reply == "You said: hi"
    assert (process.returncode, output, errors) == (0, "", "")


def test_a_hanging_request_does_not_keep_it_from_ending(process: subprocess.Popen[str]) -> None:
    port = _read_port(process)
    body = b'{"model": "gpt-4o-hang", "messages": [{"role": "user", "content": "hi"}]}'
    head = (
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: standin\r\nExpect: 100-continue\r\n"
        b"Authorization: Bearer %b\r\nContent-Length: %d\r\n\r\n"
    ) % (make_key().expose(), len(body))
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(head)
        assert connection.recv(65536).startswith(b"HTTP/1.1 100 ")  # The request is under way.
        connection.sendall(body)

        process.send_signal(signal.SIGTERM)

        assert process.wait(timeout=10) == 0


def test_no_output_holds_a_key(process: subprocess.Popen[str], record_path: Path) -> None:
    port = _read_port(process)
    keys = [make_key(kind).expose() for kind in KeyKind]

    for key in keys:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            # The control character makes the header malformed.
            connection.sendall(
                b"GET /v1/models HTTP/1.1\r\nHost: standin\r\nConnection: close\r\n"
                b"Authorization: Bearer " + key + b"\r\nX-Bad: " + key + b"\x01\r\n\r\n"
            )
            connection.recv(65536)
    with pytest.raises(openai.APIStatusError):
        _chat(port, keys[-1].decode(), "gpt-4o-mini")
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=10)

    written = output + errors + record_path.read_text()
    assert [key for key in keys if key.decode() in written] == []
    assert len(record_path.read_text().splitlines()) == 1


def test_it_listens_on_loopback_only(process: subprocess.Popen[str]) -> None:
    port = _read_port(process)

    listening = [
        line.split()[1]
        for table in ("/proc/net/tcp", "/proc/net/tcp6")
        for line in Path(table).read_text().splitlines()[1:]
        if line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A"
    ]

    assert listening == [f"0100007F:{port:04X}"]


def test_a_port_in_use_is_an_error(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        exit_code = main(["--port", str(taken.getsockname()[1])])

    assert exit_code == 1
    assert "in use" in capsys.readouterr().err


def test_a_record_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    assert main(["--record", str(tmp_path / "missing" / "record")]) == 1


@pytest.mark.parametrize("raw_port", ["65536", "-1", "http"])
def test_a_wrong_port_is_refused(raw_port: str) -> None:
    with pytest.raises(SystemExit) as caught:
        main([f"--port={raw_port}"])

    assert caught.value.code == 2
