#!/usr/bin/env bash
# Run all tests in three parts. Faults of a Vault cluster come alone: what they time is how soon a
# call is answered again, and a busy machine is slow too. Then, side by side, as most of both is
# waiting: what calls a whole stack, and the rest. The canary key is searched for at the end of each.
# Arguments go to all.
set -euo pipefail
cd "$(dirname "$0")/.."

status=0
.venv/bin/pytest --part cluster "$@" || status=$?

output="$(mktemp)"
.venv/bin/pytest --part rest "$@" >"$output" 2>&1 &
rest=$!
# A shell's children in the background do not hear Ctrl-C.
trap 'kill "$rest" 2>/dev/null || true; rm -f "$output"' EXIT

.venv/bin/pytest --part stack "$@" || status=$?
echo "The other part, which ran meanwhile:"
wait "$rest" || status=$?
cat "$output"
exit "$status"
