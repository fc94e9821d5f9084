#!/usr/bin/env bash
# Make deploy/kustomize/base: the chart, rendered with the values beside it. With --check: fail when
# it is not what the chart renders.
set -euo pipefail
cd "$(dirname "$0")/.."

case "${1:-}" in
  '' | --check) ;;
  *) echo "usage: ${0##*/} [--check]" >&2 && exit 2 ;;
esac

scratch="$(mktemp -d)"
trap 'rm -rf "$scratch"' EXIT
.venv/bin/python tools/render_chart.py --values deploy/kustomize/values.yaml "$scratch/base"

if [[ $# -eq 0 ]]; then
  rm -rf deploy/kustomize/base
  cp -r "$scratch/base" deploy/kustomize/base
elif ! diff --recursive --unified deploy/kustomize/base "$scratch/base"; then
  echo "deploy/kustomize/base is not what the chart renders. Run: make manifests" >&2
  exit 1
fi
