#!/usr/bin/env bash
# Copy what the chart brings along from where it is kept into deploy/chart/files: a chart cannot read
# outside its own folder. With --check: fail when the copies are not what they are copies of.
set -euo pipefail
cd "$(dirname "$0")/.."

target=deploy/chart/files
case "${1:-}" in
  '') ;;
  --check)
    target="$(mktemp -d)"
    trap 'rm -rf "$target"' EXIT
    ;;
  *) echo "usage: ${0##*/} [--check]" >&2 && exit 2 ;;
esac

rm -rf "$target"/{policies,alerts,dashboards}
mkdir -p "$target"/{policies,alerts,dashboards}
cp deploy/vault/policies/*.hcl "$target/policies/"
cp deploy/observability/alerts/keyturn.rules.yml "$target/alerts/"
cp deploy/observability/dashboards/*.json "$target/dashboards/"

[[ "${1:-}" == --check ]] || exit 0
for folder in policies alerts dashboards; do
  if ! diff --recursive --unified "$target/$folder" "deploy/chart/files/$folder"; then
    echo "deploy/chart/files is not a copy of what the chart brings along. Run: make chart-files" >&2
    exit 1
  fi
done
