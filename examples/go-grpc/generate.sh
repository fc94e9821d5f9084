#!/usr/bin/env bash
# Generate Go stubs of the gateway's API into keyturn/, beside this file: generate.sh PROTOS
#
# PROTOS is Keyturn's folder protos/. Needs protoc (or PROTOC="python3 -m grpc_tools.protoc") and Go.
set -euo pipefail
protos="$(realpath "$1")"
cd "$(dirname "$0")"
read -r -a protoc <<<"${PROTOC:-protoc}"

# The protos name no Go package: an app chooses where in its own module they go.
package=example.org/keyturn-example/keyturn
options=()
while IFS= read -r file; do
  options+=("--go_opt=M$file=$package" "--go-grpc_opt=M$file=$package")
done < <(cd "$protos" && printf '%s\n' keyturn/gateway/v1/*.proto)

rm -rf keyturn
mkdir keyturn
"${protoc[@]}" -I "$protos" "${options[@]}" \
  --plugin=protoc-gen-go="$(go tool -n protoc-gen-go)" --go_out=. --go_opt=module="${package%/*}" \
  --plugin=protoc-gen-go-grpc="$(go tool -n protoc-gen-go-grpc)" --go-grpc_out=. \
  --go-grpc_opt=module="${package%/*}" "$protos"/keyturn/gateway/v1/*.proto
