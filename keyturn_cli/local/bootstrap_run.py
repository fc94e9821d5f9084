"""The set-up of the local Vault, by the key service's own command."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from keyturn_cli.local.child_process import ChildProcess
from keyturn_cli.local.errors import LocalStackError
from keyturn_cli.local.layout import Layout

_SECONDS: Final = 60.0


def bootstrap(layout: Layout, root_token_file: Path) -> None:
    """Run `keyvault-svc bootstrap` with the settings of *layout*.

    Raises:
        LocalStackError: A step failed; carries the command's last lines.
    """
    settings = layout.service_settings("keyvault-svc")
    command = [
        *(sys.executable, "-m", "keyvault_svc", "bootstrap"),
        *("--config", str(settings), "--token-file", str(root_token_file)),
    ]
    child = ChildProcess(
        "bootstrap",
        command,
        run_dir=layout.run_dir,
        # Lines for people; `*.log` are JSON.
        log_file=layout.logs_dir / "bootstrap.txt",
    )
    try:
        child.start()
        status = child.wait(_SECONDS)
    finally:
        child.stop()
    if status != 0:
        raise LocalStackError(f"Vault could not be set up:\n{child.log_tail()}")
