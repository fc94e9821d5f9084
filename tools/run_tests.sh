#!/usr/bin/env bash
# Run all tests in parts, some of them side by side, as most of each is waiting. Faults of a Vault
# cluster time how soon a call is answered again, and restarts are under load; a busy machine is slow
# too, so only what needs no server runs beside those, and gives way to them. The canary key is
# searched for at the end of each part that has it. Arguments go to all.
set -euo pipefail
cd "$(dirname "$0")/.."

status=0
output="$(mktemp)"
beside=""

run_beside() { # NICENESS PART ARGUMENT...: run a part in the background
  # A process group of its own: Ctrl-C does not reach it, so it is ended whole at the exit.
  set -m
  nice -n "$1" .venv/bin/pytest --part "$2" "${@:3}" >"$output" 2>&1 &
  beside=$!
  set +m
}

wait_beside() {
  echo "What ran meanwhile:"
  wait "$beside" || status=$?
  beside=""
  cat "$output"
}

# shellcheck disable=SC2329  # the trap calls it
end_all() {
  [[ -z "$beside" ]] || kill -- "-$beside" 2>/dev/null || true
  rm -f "$output"
}
trap end_all EXIT

run_beside 10 unit "$@"
.venv/bin/pytest --part alone "$@" || status=$?
wait_beside

run_beside 0 rest "$@"
.venv/bin/pytest --part stack "$@" || status=$?
wait_beside
exit "$status"
