#!/usr/bin/env bash
# Pin every extra of pyproject.toml, with hashes, in requirements/. `make lock` runs it; it needs the network.
# Pins that still satisfy pyproject.toml stay; UPGRADE=1 moves them to the newest releases.
set -euo pipefail
cd "$(dirname "$0")/.."
uv="${UV:-.venv/bin/uv}"

# The oldest supported Python decides, and --universal keeps the file valid for newer ones.
options=(--quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url
  --custom-compile-command "make lock")
if [[ -n "${UPGRADE:-}" ]]; then
  options+=(--upgrade)
fi

# dev holds the others: it is resolved first and constrains them, so that the images run what was tested.
"$uv" pip compile pyproject.toml --extra dev "${options[@]}" -o requirements/dev.txt >/dev/null
for extra in keyvault gateway cli; do
  "$uv" pip compile pyproject.toml --extra "$extra" "${options[@]}" -c requirements/dev.txt \
    -o "requirements/$extra.txt" >/dev/null
done

# Run beside Keyturn, not with it, and choose their own versions of what both use.
for group in clients envoy; do
  "$uv" pip compile --group "$group" "${options[@]}" -o "requirements/$group.txt" >/dev/null
done
