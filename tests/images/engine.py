"""Builds images with the project's script, and runs them as restricted as a cluster does."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
IMAGES = ("keyvault-svc", "gateway-svc", "keyturn")
PYTHON = "/opt/keyturn/bin/python3"
_PREFIX = "keyturn-test"
_BUILD_SECONDS = 1500.0
_RUN_SECONDS = 120.0
# What a pod of the profile "restricted" with a read-only root may do, and no network either.
_RESTRICTED = (
    "--read-only",
    "--read-only-tmpfs=false",
    "--cap-drop=all",
    "--security-opt=no-new-privileges",
    "--network=none",
    # podman asks for more than a machine may allow, and more than a program here needs.
    "--ulimit=nofile=4096:4096",
    "--ulimit=nproc=4096:4096",
)


@dataclass(frozen=True, slots=True)
class Engine:
    """The images of one build, in the store of podman and in *output*.

    Attributes:
        tag: Tells this build from others in the store.
        output: Folder of the archives and of the bills of materials.
        commit: What was checked out when this was made.
    """

    tag: str
    output: Path
    commit: str = field(default_factory=lambda: _git("rev-parse", "HEAD"))

    def build(self, images: Sequence[str] = IMAGES, *, anew: bool = False) -> None:
        """Build *images*; with *anew* without anything that an earlier build left."""
        environment = {
            **os.environ,
            "IMAGE_PREFIX": _PREFIX,
            "SOURCE_DATE_EPOCH": _git("log", "-1", "--format=%ct", self.commit),
            "TAG": self.tag,
            "OUTPUT": str(self.output),
            "NO_CACHE": "yes" if anew else "",
        }
        done = subprocess.run(
            [ROOT / "tools" / "build_images.sh", *images],
            env=environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=_BUILD_SECONDS,
        )
        assert done.returncode == 0, f"{done.stdout[-4000:]}\n{done.stderr[-4000:]}"

    def remove(self) -> None:
        """Take the images out of the store; their layers stay as a cache."""
        names = [self.name(image) for image in IMAGES]
        self._podman("rmi", "--force", *names)

    def name(self, image: str) -> str:
        return f"localhost/{_PREFIX}/{image}:{self.tag}"

    def run(
        self, image: str, *arguments: str, entrypoint: str | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run *image* to its end, restricted; return what it wrote and its exit code."""
        instead = [] if entrypoint is None else [f"--entrypoint={entrypoint}"]
        return self._podman("run", "--rm", *_RESTRICTED, *instead, self.name(image), *arguments)

    def run_python(self, image: str, program: str) -> subprocess.CompletedProcess[str]:
        """Run the Python *program* by the interpreter of *image*."""
        return self.run(image, "-P", "-c", program, entrypoint=PYTHON)

    def _podman(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["podman", *_here(), *arguments],
            check=False,
            capture_output=True,
            text=True,
            timeout=_RUN_SECONDS,
        )


def _here() -> list[str]:
    """Return the options that podman needs where no systemd manages control groups."""
    options = [] if Path("/run/systemd/system").is_dir() else ["--cgroup-manager=cgroupfs"]
    return options + (["--runtime=runc"] if shutil.which("runc") else [])


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True)
    return done.stdout.strip()
