#!/usr/bin/env bash
# Run all tests in parts. Faults of a Vault cluster come alone: what they time is how soon a call is
# answered again, and a busy machine is slow too. Then the other parts side by side, as most of each
# is waiting. The canary key is searched for at the end of each. Arguments go to all.
set -euo pipefail
cd "$(dirname "$0")/.."

status=0
.venv/bin/pytest --part cluster "$@" || status=$?

outputs="$(mktemp -d)"
beside=()
# Each is a process group of its own: Ctrl-C does not reach it, so it is ended whole at the exit.
set -m
for part in stack-a rest; do
  .venv/bin/pytest --part "$part" "$@" >"$outputs/$part" 2>&1 &
  beside+=("$!")
done
set +m
trap 'for group in "${beside[@]}"; do kill -- "-$group" 2>/dev/null || true; done; rm -rf "$outputs"' EXIT

.venv/bin/pytest --part stack-b "$@" || status=$?
echo "The other parts, which ran meanwhile:"
for group in "${beside[@]}"; do
  wait "$group" || status=$?
done
cat "$outputs"/*
exit "$status"
