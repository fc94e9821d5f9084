"""One pod of a test cluster: a process with a network and a root of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from keyturn_cli.local.child_process import ChildProcess
from tests.kube.image import Image
from tests.kube.places import Address

USER: Final = 65532  # of every pod of the chart; those around it have the same
_REPOSITORY: Final = Path(__file__).resolve().parents[2]
# What a root without an image has beside the system's /usr: Python, the packages, and the sources.
_PARTS: Final = tuple(dict.fromkeys((sys.base_prefix, sys.prefix, str(_REPOSITORY))))
_POD_ROOT: Final = _REPOSITORY / "tests" / "kube" / "pod_root.sh"
_ENTER: Final = _REPOSITORY / "tests" / "kube" / "programs" / "enter_pod.py"
_ENVIRONMENT: Final = {
    "HOME": "/home/nonroot",
    "LANG": "C.UTF-8",
    "PATH": "/usr/sbin:/usr/bin",
    "PYTHONDONTWRITEBYTECODE": "1",
}
_SEARCH: Final = "svc.cluster.local svc.cluster.local cluster.local"


@dataclass
class Pod:
    """A pod, whose network is there already.

    Attributes:
        address: Its name and network.
        command: What it runs, or the arguments of its image's program; empty for one that only
            other programs are run in.
        folder: For its files; made anew.
        nameserver: Whom it asks for names.
        files: What is mounted read-only: sources by target.
        data: Folders that it may write, likewise.
        user: Who it runs as.
        group: Likewise.
        image: What its own program runs in; by default the system's /usr and this repository.
    """

    address: Address
    command: Sequence[str]
    folder: Path
    nameserver: str
    files: Mapping[str, Path] = field(default_factory=dict)
    data: Mapping[str, Path] = field(default_factory=dict)
    user: int = USER
    group: int = USER
    image: Image | None = None

    def __post_init__(self) -> None:
        """Write what its root is made of."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "root").mkdir(exist_ok=True)
        etc = {
            "hosts": f"127.0.0.1 localhost\n{self.address.ip} {self.address.name}\n",
            "resolv.conf": (
                f"nameserver {self.nameserver}\noptions ndots:5\n"
                f"search {self.address.namespace or 'default'}.{_SEARCH}\n"
            ),
            "nsswitch.conf": "hosts: files dns\n",
        }
        mounts = []
        for name, text in etc.items():
            (self.folder / name).write_text(text, encoding="ascii")
            mounts.append(f"ro {self.folder / name} /etc/{name}")
        mounts += [f"ro {source} {target}" for target, source in self.files.items()]
        for target, source in self.data.items():
            os.chown(source, self.user, self.group)
            mounts.append(f"rw {source} {target}")
        parts = [f"ro {part} {part}" for part in _PARTS]
        for name, lines in (("mounts", mounts), ("mounts-and-tools", parts + mounts)):
            (self.folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
        self.process = ChildProcess(
            self.address.name,
            self._beside(self.command) if self.image is None else self._of(self.image),
            run_dir=self.folder,
            log_file=self.log_file,
            environment=_ENVIRONMENT,
            working_dir=Path("/"),
        )

    @property
    def log_file(self) -> Path:
        """Both outputs of its process."""
        return self.folder / f"{self.address.name}.log"

    def execute(
        self,
        *command: str,
        stdin: bytes = b"",
        environment: Mapping[str, str] | None = None,
        seconds: float = 60,
    ) -> subprocess.CompletedProcess[bytes]:
        """Run another program beside the pod's, as `kubectl debug` does, and wait for its end."""
        return subprocess.run(
            self._beside(command),
            input=stdin,
            env={**_ENVIRONMENT, **(environment or {})},
            cwd="/",
            capture_output=True,
            check=False,
            timeout=seconds,
        )

    @contextmanager
    def background(self, *command: str) -> Iterator[subprocess.Popen[bytes]]:
        """Run another program beside the pod's for as long as the context lasts."""
        with subprocess.Popen(
            self._beside(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=_ENVIRONMENT,
            cwd="/",
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def _of(self, image: Image) -> list[str]:
        """Return what runs the program of *image* in it."""
        variables = [f"{name}={value}" for name, value in image.environment.items()]
        command = [*variables, "--", *image.entry_point, *self.command]
        return self._inside(str(image.root), self.folder / "mounts", command)

    def _beside(self, command: Sequence[str]) -> list[str]:
        """Return what runs *command* with the pod's network and mounts, in a root with tools."""
        return self._inside("", self.folder / "mounts-and-tools", ["--", *command])

    def _inside(self, image: str, mounts: Path, command: Sequence[str]) -> list[str]:
        network = ["nsenter", f"--net=/run/netns/{self.address.name}", "unshare", "--mount"]
        root = [str(_POD_ROOT), str(self.folder / "root"), image, str(mounts)]
        enter = [sys.executable, "-I", "-S", str(_ENTER), str(self.user), str(self.group)]
        return [*network, *root, *enter, *command]


def python(module: str, *arguments: str) -> list[str]:
    """Return the command of a program of this repository, in a pod without an image."""
    # From /, so the sources must be said.
    start = f"import runpy,sys; sys.path.insert(0, {str(_REPOSITORY)!r}); "
    start += f"runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"
    return [sys.executable, "-I", "-c", start, *arguments]
