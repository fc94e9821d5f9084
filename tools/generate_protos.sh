#!/usr/bin/env bash
# Generate gen/keyturn from protos/. `make proto-check` runs it and fails when the result differs.
set -euo pipefail
cd "$(dirname "$0")/.."
python="${PYTHON:-.venv/bin/python}"
PATH="$(dirname "$python"):$PATH" # protoc finds the mypy plugins there

rm -rf gen/keyturn
mapfile -t all < <(find protos -name '*.proto' | sort)
# Only files with a service: the plugin writes empty modules for the others.
mapfile -t services < <(find protos -name '*_service.proto' | sort)
"$python" -m grpc_tools.protoc -Iprotos --python_out=gen --mypy_out=gen "${all[@]}"
"$python" -m grpc_tools.protoc -Iprotos --grpc_python_out=gen --mypy_grpc_out=gen "${services[@]}"
while IFS= read -r directory; do
  printf '"""Generated from protos/ by tools/generate_protos.sh. Never edited."""\n' >"$directory/__init__.py"
done < <(find gen/keyturn -type d)
touch gen/keyturn/py.typed
