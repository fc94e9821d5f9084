#!/usr/bin/env bash
# Run all tests in parts, some of them side by side, as most of each is waiting. Faults of a Vault
# cluster time how soon a call is answered again, and restarts are under load; a busy machine is slow
# too, so only what needs no server runs beside those, and gives way to all that does. The canary key
# is searched for at the end of each part that has it. Arguments go to all. The parts are those of
# tests/conftest.py.
set -euo pipefail
cd "$(dirname "$0")/.."

outputs="$(mktemp -d)"
declare -A beside=()
status=0

run_beside() { # NICENESS PART ARGUMENT...: run a part in the background
  # A process group of its own: Ctrl-C does not reach it, so it is ended whole at the exit.
  set -m
  nice -n "$1" .venv/bin/pytest --part "$2" "${@:3}" >"$outputs/$2" 2>&1 &
  beside[$2]=$!
  set +m
}

wait_beside() { # PART
  echo "What ran meanwhile, $1:"
  wait "${beside[$1]}" || status=$?
  unset "beside[$1]"
  cat "$outputs/$1"
}

# shellcheck disable=SC2329  # the trap calls it
end_all() {
  for process in "${beside[@]}"; do kill -- "-$process" 2>/dev/null || true; done
  rm -rf "$outputs"
}
trap end_all EXIT

run_beside 10 unit "$@"
.venv/bin/pytest --part alone "$@" || status=$?
wait_beside unit

run_beside 0 second "$@"
run_beside 0 servers "$@"
.venv/bin/pytest --part first "$@" || status=$?
wait_beside servers
wait_beside second
exit "$status"
