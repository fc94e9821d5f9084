#!/usr/bin/env bash
# Fail when gen/ is not what protos/ generates. Generates elsewhere: the work tree is left alone.
set -euo pipefail
cd "$(dirname "$0")/.."
scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT

tools/generate_protos.sh "$scratch"
if ! diff --recursive --unified --exclude=__pycache__ gen/keyturn "$scratch/keyturn"; then
  echo "gen/ is not what protos/ generates. Run: make proto" >&2
  exit 1
fi
