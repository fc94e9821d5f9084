"""The one node of a test cluster: this process, in namespaces of its own.

Pods are network namespaces, each joined to the node by a pair of interfaces. The node routes
between them, enforces policies on what it routes, and translates Services' addresses. What the
node itself sends passes no policy, as kubelet's probes pass none.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tests.kube.places import Address

_CLONE_NEWNS: Final = 0x00020000
_CLONE_NEWNET: Final = 0x40000000
_PROGRAMS: Final = ("ip", "iptables-restore", "nsenter", "unshare", "mount")
_GATEWAY: Final = "169.254.1.1"  # the node, as every pod sees it


class NotPossibleError(Exception):
    """This machine, or this user, cannot run a cluster; the text says what is missing."""


class Node:
    """Moves this process into namespaces of its own; they end with it, and all in them.

    No thread may run yet: those that do stay outside.
    """

    def __init__(self, folder: Path) -> None:
        """Describe the node; *folder* is for its files."""
        self._folder = folder
        self._outside = -1
        self._numbers = itertools.count()

    def start(self) -> None:
        """Enter the namespaces, and make this one a router.

        Raises:
            NotPossibleError: Something is missing.
        """
        missing = [name for name in _PROGRAMS if shutil.which(name) is None]
        if os.geteuid() != 0 or missing:
            what = f"the programs {', '.join(missing)}" if missing else "root"
            raise NotPossibleError(f"tests/kube needs {what}: Debian has iproute2 and iptables")
        self._outside = os.open("/proc/self/ns/net", os.O_RDONLY)
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(_CLONE_NEWNET | _CLONE_NEWNS):
            raise NotPossibleError(f"no namespaces: {os.strerror(ctypes.get_errno())}")
        run("mount", "--make-rprivate", "/")
        Path("/run/netns").mkdir(exist_ok=True)
        run("mount", "-t", "tmpfs", "netns", "/run/netns")
        run("ip", "link", "set", "lo", "up")
        _set("net/ipv4/ip_forward", 1)
        _set("net/ipv4/icmp_ratelimit", 0)  # every refusal is heard

    def resolve_with(self, nameserver: str) -> None:
        """Let this process ask *nameserver* for names, as nodes do not, and the tests do."""
        file = self._folder / "resolv.conf"
        file.write_text(f"nameserver {nameserver}\noptions timeout:1\n", encoding="ascii")
        run("mount", "--bind", str(file), "/etc/resolv.conf")

    def stop(self) -> None:
        """Go back to the network outside."""
        if self._outside >= 0:
            ctypes.CDLL(None).setns(self._outside, _CLONE_NEWNET)
            os.close(self._outside)
            self._outside = -1

    def mount_memory(self, folder: Path) -> None:
        """Make *folder*, whose files are in memory: no disk of a busy machine is waited for."""
        folder.mkdir()
        run("mount", "-t", "tmpfs", "-o", "mode=711", "memory", str(folder))

    def join(self, pod: Address) -> None:
        """Make the network of *pod*."""
        near, inside = f"pod{next(self._numbers)}", ("ip", "-n", pod.name)
        run("ip", "netns", "add", pod.name)
        run(*inside, "link", "set", "lo", "up")
        run("ip", "link", "add", near, "type", "veth", "peer", "name", "eth0", "netns", pod.name)
        run(*inside, "addr", "add", f"{pod.ip}/32", "dev", "eth0")
        run(*inside, "link", "set", "eth0", "up")
        run("ip", "addr", "add", f"{_GATEWAY}/32", "dev", near)
        run("ip", "link", "set", near, "up")
        run("ip", "route", "add", f"{pod.ip}/32", "dev", near, "src", _GATEWAY)
        run(*inside, "route", "add", _GATEWAY, "dev", "eth0", "scope", "link")
        run(*inside, "route", "add", "default", "via", _GATEWAY)
        # As container engines have it: a port below 1024 needs no privilege in a pod.
        lowest = "net.ipv4.ip_unprivileged_port_start=0"
        run("ip", "netns", "exec", pod.name, "sysctl", "-qw", lowest)

    def part(self, pod: Address) -> None:
        """Take the network of *pod* away."""
        run("ip", "netns", "del", pod.name)

    def enforce(self, filter_table: str) -> None:
        """Put *filter_table* in place of the rules there are, at once; connections stay."""
        run("iptables-restore", stdin=filter_table)

    def translate(self, services: Mapping[tuple[str, int], Sequence[tuple[str, int]]]) -> None:
        """Spread new connections to each address of a Service over its endpoints."""
        lines = ["*nat"]
        for (ip, port), endpoints in services.items():
            to = f"-d {ip} -p tcp --dport {port}"
            for taken, (pod_ip, pod_port) in enumerate(endpoints):
                share = 1 / (len(endpoints) - taken)  # of what no rule before has taken
                to_one = f"{to} -m statistic --mode random --probability {share:.9f}"
                dnat = f"-j DNAT --to-destination {pod_ip}:{pod_port}"
                lines += [f"-A {chain} {to_one} {dnat}" for chain in ("PREROUTING", "OUTPUT")]
        run("iptables-restore", stdin="\n".join([*lines, "COMMIT", ""]))


def run(*command: str, stdin: str = "") -> str:
    """Run a program of the system and return what it prints.

    Raises:
        RuntimeError: It failed; the text is its own.
    """
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
    return done.stdout


def _set(setting: str, value: int) -> None:
    Path("/proc/sys", setting).write_text(str(value), encoding="ascii")
