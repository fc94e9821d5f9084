#!/usr/bin/env bash
# Generate keyturn/ from protos/ under the directory given, gen/ by default.
set -euo pipefail
output="$(realpath "${1:-$(dirname "$0")/../gen}")"
cd "$(dirname "$0")/.."
python="${PYTHON:-.venv/bin/python}"
PATH="$(dirname "$python"):$PATH" # protoc finds the mypy plugins there

rm -rf "$output/keyturn"
mapfile -t all < <(find protos -name '*.proto' | sort)
# Only files with a service: the plugin writes empty modules for the others.
mapfile -t services < <(find protos -name '*_service.proto' | sort)
"$python" -m grpc_tools.protoc -Iprotos --python_out="$output" --mypy_out=quiet:"$output" "${all[@]}"
"$python" -m grpc_tools.protoc -Iprotos --grpc_python_out="$output" \
  --mypy_grpc_out=quiet:"$output" "${services[@]}"
while IFS= read -r directory; do
  printf '"""Generated from protos/ by tools/generate_protos.sh. Never edited."""\n' >"$directory/__init__.py"
done < <(find "$output/keyturn" -type d)
touch "$output/keyturn/py.typed"
