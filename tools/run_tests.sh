#!/usr/bin/env bash
# Run all tests in parts, some of them side by side, as most of each is waiting. Faults of a Vault
# cluster time how soon a call is answered again, and restarts are under load; a busy machine is slow
# too, so only what needs no server runs beside those, and gives way to them. The canary key is
# searched for at the end of each part that has it. Arguments go to all.
set -euo pipefail
cd "$(dirname "$0")/.."

status=0
outputs="$(mktemp -d)"
beside=""

run_parts() { # PART... -- ARGUMENT...: run each, whatever became of the one before
  local failed=0 parts=()
  for part in "$@"; do
    [[ "$part" != -- ]] || break
    parts+=("$part")
  done
  for part in "${parts[@]}"; do
    .venv/bin/pytest --part "$part" "${@:${#parts[@]}+2}" || failed=$?
  done
  return "$failed"
}

run_beside() { # as run_parts, in the background
  # A process group of its own: Ctrl-C does not reach it, so it is ended whole at the exit.
  set -m
  run_parts "$@" >"$outputs/beside" 2>&1 &
  beside=$!
  set +m
}

wait_beside() {
  echo "What ran meanwhile:"
  wait "$beside" || status=$?
  beside=""
  cat "$outputs/beside"
}

# shellcheck disable=SC2329  # the trap calls it
end_all() {
  [[ -z "$beside" ]] || kill -- "-$beside" 2>/dev/null || true
  rm -rf "$outputs"
}
trap end_all EXIT

run_beside unit -- "$@"
renice --priority 10 --pgrp "$beside" >/dev/null
run_parts alone -- "$@" || status=$?
wait_beside

run_beside rest stack-c -- "$@"
run_parts stack-a stack-b -- "$@" || status=$?
wait_beside
exit "$status"
