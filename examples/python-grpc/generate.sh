#!/usr/bin/env bash
# Generate Python stubs of the gateway's API: generate.sh PROTOS OUTPUT
#
# PROTOS is Keyturn's folder protos/. Needs the package grpcio-tools; put OUTPUT into PYTHONPATH.
set -euo pipefail
protos="$1" output="$2"

mkdir -p "$output"
cd "$protos"
"${PYTHON:-python3}" -m grpc_tools.protoc -I. --python_out="$output" --pyi_out="$output" \
  --grpc_python_out="$output" keyturn/gateway/v1/*.proto
