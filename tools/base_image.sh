#!/usr/bin/env bash
# Make the base image of the builds out of Debian's packages, for machines that reach a mirror of
# Debian and no registry of images: under the same name, with the same release of Debian and of
# Python. Packages come from where apt of this machine gets them. Needs root, mmdebstrap and buildah.
#
#   BASE_IMAGE   the name (python:3.11-slim-bookworm)
set -euo pipefail

base="${BASE_IMAGE:-python:3.11-slim-bookworm}"
suite="${base##*-}"

for command in apt-get buildah mmdebstrap; do
  command -v "$command" >/dev/null || { echo "the base image is made by $command: not here" >&2; exit 1; }
done

# shellcheck disable=SC2016  # apt fills these in, not the shell
mapfile -t sources < <(apt-get indextargets --format '$(ORIGIN)|$(CODENAME)|$(REPO_URI)|$(COMPONENT)' \
  'Identifier: Packages' \
  | awk -F '|' -v suite="$suite" \
    '$1 == "Debian" && $2 ~ "^" suite "(-updates|-security)?$" { print "deb", $3, $2, $4 }' | sort -u)
[[ ${#sources[@]} -gt 0 ]] || { echo "apt of this machine knows no Debian $suite; see apt-get update" >&2; exit 1; }

folder="$(mktemp -d)"
container=""
cleanup() {
  [[ -z "$container" ]] || buildah rm "$container" >/dev/null
  rm -rf "$folder"
}
trap cleanup EXIT

printf '%s\n' "${sources[@]}" \
  | mmdebstrap --quiet --variant=essential \
    --include=ca-certificates,libstdc++6,python3,python3-pip,tzdata "$suite" "$folder/base.tar" -

container="$(buildah from scratch)"
buildah add --quiet "$container" "$folder/base.tar" / >/dev/null
buildah config --env PATH=/usr/local/bin:/usr/local/sbin:/usr/bin:/usr/sbin:/bin:/sbin \
  --label keyturn.base="made of Debian's packages by tools/base_image.sh" "$container"
buildah commit --quiet "$container" "$base" >/dev/null
echo "$base is made"
