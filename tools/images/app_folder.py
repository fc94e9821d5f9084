"""Where a program and its requirements are in an image, and how its commands are written."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

APP: Final = Path("/opt/keyturn")
SITE: Final = APP / f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"
PYTHON: Final = APP / "bin/python3"
INSTALLED: Final = Path("installed.json")
"""What pip reports on the packages that it installed, their hashes among it."""

SBOM: Final = APP / "bill-of-materials.json"
"""Its name tells scanners nothing: they would count what it lists beside what they find."""

# -P: the folder of the script is no place to import from. SIGTERM is heeded from the first moment:
# the first process of a container gets none that it has no handler for, and imports take a second.
_COMMAND: Final = """\
#!{python} -P
import signal
import sys

signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))

from {module} import {function}

sys.exit({function}())
"""


def make_environment() -> None:
    """Make the virtual environment: the interpreter by its real place, and no installer."""
    program = Path(sys.executable).resolve()
    SITE.mkdir(parents=True)
    PYTHON.parent.mkdir()
    PYTHON.symlink_to(program)
    settings = {
        "home": program.parent,
        "include-system-site-packages": "false",
        "version": ".".join(str(number) for number in sys.version_info[:3]),
    }
    text = "".join(f"{name} = {value}\n" for name, value in settings.items())
    (APP / "pyvenv.cfg").write_text(text, "utf-8")


def write_command(name: str, entry_point: str) -> None:
    """Write the program *name*, which calls *entry_point*: `package.module:function`."""
    module, _, function = entry_point.partition(":")
    command = PYTHON.with_name(name)
    text = _COMMAND.format(python=PYTHON, module=module, function=function)
    command.write_text(text, "utf-8")
    command.chmod(0o755)
