#!/usr/bin/env bash
# Let the services of an older release, in a folder and an environment of its own, work together with
# those of this one, under load: `tools/skew_test.sh REV`. Further arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."

rev="${1:?which release? a tag or commit of this repository}"
shift
folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT

mkdir "$folder/code"
git archive "$rev" | tar -x -C "$folder/code"
.venv/bin/python -m venv "$folder/venv"
requirements=()
for name in keyvault gateway; do
  requirements+=(--requirement "$folder/code/requirements/$name.txt")
done
"$folder/venv/bin/python" -m pip install --quiet --disable-pip-version-check --require-hashes "${requirements[@]}"
"$folder/venv/bin/python" - "$folder/code" <<'PYTHON'
import sys
import sysconfig
from pathlib import Path

code = Path(sys.argv[1])
paths = Path(sysconfig.get_path("purelib"), "keyturn.pth")
paths.write_text(f"{code}\n{code / 'gen'}\n", encoding="utf-8")
PYTHON
.venv/bin/python -m pytest tests/skew --older-python "$folder/venv/bin/python" "$@"
