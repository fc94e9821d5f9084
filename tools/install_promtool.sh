#!/usr/bin/env bash
# Put promtool, which checks and tests the alert rules, into .venv/bin: out of Debian's package
# `prometheus`, at one version, without root and without installing the package. It needs the network.
set -euo pipefail
cd "$(dirname "$0")/.."

version='2.42.0+ds-5+deb12u1'
declare -A sha256=(
  [amd64]=81d59a24fce84f7fbe97a45a4f2914b6a5881b5cd1db2a6a0e129e515e1a5f55
)

for command in apt-get dpkg dpkg-deb; do
  command -v "$command" >/dev/null || { echo "promtool comes from a Debian package: no $command here" >&2; exit 1; }
done
architecture="$(dpkg --print-architecture)"
expected="${sha256[$architecture]:-}"
[[ -n "$expected" ]] || { echo "no SHA-256 of promtool is known for $architecture" >&2; exit 1; }

folder="$(mktemp -d)"
trap 'rm -rf "$folder"' EXIT
# apt's own user, to which a root gives up its rights, cannot write into the folder of another.
(cd "$folder" && apt-get download --quiet=2 -o APT::Sandbox::User="$(id -un)" "prometheus=$version")
package=("$folder"/prometheus_*.deb)
echo "$expected  ${package[0]}" | sha256sum --check --quiet --strict
dpkg-deb --fsys-tarfile "${package[0]}" | tar -x -C "$folder" ./usr/bin/promtool
install -m 755 "$folder/usr/bin/promtool" .venv/bin/promtool
