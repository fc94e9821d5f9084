"""`python -m keyturn_cli.standin`: run the stand-in until it is told to stop.

Prints one JSON line, `{"port": N}`, once it accepts connections. Exit codes: 0 after
SIGTERM or SIGINT, 1 when it cannot listen or cannot write the record, 2 for wrong
arguments.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from aiohttp import web

from keyturn_cli.standin.app import make_app
from keyturn_cli.standin.record import RequestRecord
from svc_runtime.clock import SystemClock

_HOST: Final = "127.0.0.1"  # Fixed: the stand-in is for this machine alone.
_MAX_PORT: Final = 65535
_BACKLOG: Final = 1024  # connections that may come at one moment
_SHUTDOWN_SECONDS: Final = 0.2  # For answers under way; those that hang never end.


def main(argv: Sequence[str] | None = None) -> int:
    """Run the stand-in with the arguments *argv* and return the exit code."""
    arguments = _parse(argv)
    logging.basicConfig(level=logging.WARNING, format="keyturn-standin: %(message)s")
    try:
        record = RequestRecord(arguments.record) if arguments.record else None
        asyncio.run(_serve(arguments.port, record))
    except OSError as error:
        sys.stderr.write(f"keyturn-standin: {error.strerror or type(error).__name__}\n")
        return 1
    return 0


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m keyturn_cli.standin", description="Answer locally as OpenAI's API does."
    )
    parser.add_argument(
        "--port", type=_port, default=0, help="port on 127.0.0.1; 0 picks a free one"
    )
    parser.add_argument("--record", type=Path, help="file to append one JSON line a request to")
    return parser.parse_args(argv)


def _port(raw: str) -> int:
    port = int(raw)
    if not 0 <= port <= _MAX_PORT:
        raise argparse.ArgumentTypeError(f"must be 0 to {_MAX_PORT}")
    return port


async def _serve(port: int, record: RequestRecord | None) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_number, stop.set)
    runner = web.AppRunner(
        make_app(SystemClock(), record),
        access_log=None,
        auto_decompress=False,
        handler_cancellation=True,
        logger=_quiet_logger(),
        shutdown_timeout=_SHUTDOWN_SECONDS,
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, _HOST, port, backlog=_BACKLOG).start()
        sys.stdout.write(json.dumps({"port": runner.addresses[0][1]}) + "\n")
        sys.stdout.flush()
        await stop.wait()
    finally:
        await runner.cleanup()
        if record is not None:
            record.close()


def _quiet_logger() -> logging.Logger:
    """Return a logger that drops everything.

    For a malformed request aiohttp logs the offending header line, which may be the
    one with the key.
    """
    logger = logging.getLogger("keyturn_cli.standin.http")
    logger.disabled = True
    return logger


if __name__ == "__main__":
    sys.exit(main())
