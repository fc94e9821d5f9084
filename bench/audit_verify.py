"""How fast `keyturn audit verify` is, and how much memory it takes, beside jq on the same file.

Makes one call at a local stack, takes the entries of that call from OpenBao's audit log, and
repeats them with shifted times and new ids into logs of several sizes. Each is verified by the
command in a process of its own, and read by jq; nothing may be found, and the peak of memory must
not grow.

    .venv/bin/python bench/audit_verify.py --lines 1000000
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from keyturn_cli.local.stack import LocalStack
from keyturn_cli.local.upstream import Upstream

SHARES = (0.1, 0.3, 1)
JQ_FILTER = 'select(.type=="response")'
PARTS_OF_A_CALL = (
    "keyturn-kv/data/",
    "keyturn-kv/data/operator/controls",
    "keyturn-transit/decrypt",
)
START = datetime(2027, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Template:
    """A line of one call, and what changes from call to call.

    Attributes:
        after: How long after the call's first line it was written.
    """

    line: bytes
    time: bytes
    operation_id: bytes
    request_id: bytes
    lease: bytes
    after: timedelta


def recorded_log(folder: Path) -> Path:
    """Make a call at a local stack, and return OpenBao's audit log."""
    with LocalStack(folder, Upstream.of({})) as stack:
        environment = {**os.environ, "KEYTURN_CLIENT_ENV": str(stack.layout.client_env)}
        chat = [sys.executable, "-m", "keyturn_cli", "chat", "Hello"]
        subprocess.run(chat, env=environment, check=True, stdout=subprocess.DEVNULL)
        return stack.openbao.audit_log


def templates(log: Path) -> list[Template]:
    """Return the lines of a call in *log* that read the controls and a record, and opened a key."""
    calls = defaultdict(list)
    for line in log.read_bytes().splitlines():
        entry = json.loads(line)
        headers = entry["request"].get("headers", {})
        if "x-keyturn-lease" in headers:
            calls[headers["x-keyturn-request-id"][0]].append((line, entry))
    for request_id, lines in calls.items():
        paths = [entry["request"]["path"] for _, entry in lines]
        if all(any(path.startswith(part) for path in paths) for part in PARTS_OF_A_CALL):
            begin = datetime.fromisoformat(lines[0][1]["time"])
            return [
                Template(
                    line,
                    entry["time"].encode(),
                    entry["request"]["id"].encode(),
                    request_id.encode(),
                    entry["request"]["headers"]["x-keyturn-lease"][0].encode(),
                    datetime.fromisoformat(entry["time"]) - begin,
                )
                for line, entry in lines
            ]
    raise SystemExit(f"no whole call is in {log}")


def lines_of(made_from: list[Template], count: int, calls_per_second: float) -> Iterator[bytes]:
    """Yield *count* lines, of whole calls, each a moment after the one before."""
    operations = {template.operation_id: index for index, template in enumerate(made_from)}
    for number in range(count // len(made_from)):
        begin = START + timedelta(seconds=number / calls_per_second)
        milliseconds = int(begin.timestamp() * 1000)
        lease = b"%012x7000%016x" % (milliseconds, (8 << 60) + number)
        for template in made_from:
            operation = operations[template.operation_id]
            written = (begin + template.after).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")
            yield (
                template.line.replace(template.time, written.encode())
                .replace(template.operation_id, b"%08x-0000-4000-8000-%012x" % (operation, number))
                .replace(template.request_id, b"%032x" % number)
                .replace(template.lease, lease)
            )


def verify(log: Path) -> tuple[dict[str, float], float]:
    """Return what the command says of its run over *log*, and its seconds of processor.

    Raises:
        SystemExit: It found something.
    """
    before = processor_seconds()
    command = [sys.executable, "-m", "keyturn_cli", "audit", "verify", "--json", str(log)]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    document = json.loads(result.stdout)
    if result.returncode:
        raise SystemExit(f"{document['verdict']} {document['counts']}")
    return document["run"], processor_seconds() - before


def read_by_jq(jq: str, log: Path) -> tuple[float, float]:
    """Return how many seconds *jq* takes for *log*, by the clock and of processor."""
    begin, before = time.perf_counter(), processor_seconds()
    subprocess.run([jq, "-c", JQ_FILTER, str(log)], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - begin, processor_seconds() - before


def processor_seconds() -> float:
    """Return what the processes that ended so far took of processor."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--lines", type=int, default=1_000_000, help="of the longest log")
    parser.add_argument("--calls-per-second", type=float, default=200, help="by the logs' clock")
    parser.add_argument("--log", type=Path, help="OpenBao's audit log, in place of a local stack's")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source = arguments.log or recorded_log(Path(folder) / "stack")
        made_from = templates(source)
        jq = shutil.which("jq")
        print(f"{'':16} {'verify':>33}   {'jq':>23} {'by processor':>13}")
        print(f"{'lines':>9} {'MB':>6} {'s':>7} {'cpu s':>7} {'lines/s':>8} {'MiB':>8}", end="")
        print(f" {'s':>8} {'cpu s':>7} {'lines/s':>8} {'verify/jq':>13}", flush=True)
        for share in SHARES:
            log = Path(folder) / "audit.log"
            count = int(arguments.lines * share)
            with log.open("wb") as file:
                for line in lines_of(made_from, count, arguments.calls_per_second):
                    file.write(line + b"\n")
            run, cpu = verify(log)
            print(f"{run['lines']:9,} {log.stat().st_size / 1e6:6,.0f} ", end="")
            print(f"{run['seconds']:7.1f} {cpu:7.1f} {run['lines_per_second']:8,} ", end="")
            print(f"{run['peak_mebibytes']:8} ", end="")
            if jq is None:
                print(f"{'no jq':>8}", flush=True)
                continue
            seconds, cpu_of_jq = read_by_jq(jq, log)
            print(f"{seconds:8.1f} {cpu_of_jq:7.1f} {run['lines'] / seconds:8,.0f} ", end="")
            print(f"{cpu_of_jq / cpu:13.2f}", flush=True)


if __name__ == "__main__":
    main()
