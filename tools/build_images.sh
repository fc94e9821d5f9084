#!/usr/bin/env bash
# Build the images keyvault-svc, gateway-svc and keyturn, or those that are named. Beside each: its
# bill of materials, an archive to mirror it from, and its digest. No daemon is needed.
#
#   ENGINE             buildah, podman or docker; by default the first that is here and works
#   BASE_IMAGE         base of the builder (python:3.11-slim-bookworm); pin it by digest for releases
#   IMAGE_PREFIX, TAG  the names: keyturn/<image>:<version of pyproject.toml>
#   OUTPUT             folder for what is written (build/images)
#   PIP_CONF           configuration of pip, where packages come from an index of your own
#   CA_BUNDLE          CAs that pip shall trust, where a proxy is on the way
#   NETWORK            network of the builder, such as `host`; by default the engine's own
#   NO_CACHE           set to build all anew
set -euo pipefail
cd "$(dirname "$0")/.."

base="${BASE_IMAGE:-python:3.11-slim-bookworm}"
prefix="${IMAGE_PREFIX:-keyturn}"
version="$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)"
tag="${TAG:-$version}"
output="${OUTPUT:-build/images}"
images=("$@")
[[ ${#images[@]} -gt 0 ]] || images=(keyvault-svc gateway-svc keyturn)

works() {
  command -v "$1" >/dev/null && "$1" info >/dev/null 2>&1
}

engine="${ENGINE:-}"
for candidate in buildah podman docker; do
  [[ -n "$engine" ]] || ! works "$candidate" || engine="$candidate"
done
[[ -n "$engine" ]] || { echo "no buildah, podman or docker works here" >&2; exit 1; }

# The time of the commit dates all files: the same commit makes the same image.
epoch="${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}"
revision="$(git describe --always --dirty --abbrev=40 --exclude '*')"
created="$(date --utc --date="@$epoch" +%Y-%m-%dT%H:%M:%SZ)"

options=(--file deploy/images/Containerfile
  --build-arg BASE_IMAGE="$base" --build-arg SOURCE_DATE_EPOCH="$epoch")
[[ -z "${NETWORK:-}" ]] || options+=(--network "$NETWORK")
[[ -z "${PIP_CONF:-}" ]] || options+=(--secret "id=pip_conf,src=$PIP_CONF")
[[ -z "${CA_BUNDLE:-}" ]] || options+=(--secret "id=ca_bundle,src=$CA_BUNDLE")
anew=()
[[ -z "${NO_CACHE:-}" ]] || anew=(--no-cache)

bill_of() { # image, further options
  "${build[@]}" "${options[@]}" "${@:2}" --target "$1-sbom" --output "type=local,dest=$output" .
}

case "$engine" in
  docker)
    build=(docker buildx build --provenance=false)
    write_archive() { # image, name, archive, further options
      "${build[@]}" "${options[@]}" "${@:4}" --target "$1" --tag "$2" \
        --output "type=oci,dest=$3,rewrite-timestamp=true" .
      docker load --quiet --input "$3" >/dev/null
    }
    ;;
  buildah | podman)
    build=("$engine" build --layers --format oci --identity-label=false --timestamp "$epoch"
      --ignorefile deploy/images/Containerfile.dockerignore)
    # A base that is here is used as it is.
    ! "$engine" inspect --type image "$base" >/dev/null 2>&1 || build+=(--pull-never)
    digest_field=Digest
    [[ "$engine" == podman ]] || digest_field=FromImageDigest
    write_archive() {
      # Annotated with the true base: left alone, buildah names the step before the last.
      "${build[@]}" "${options[@]}" "${@:4}" --target "$1" --tag "$2" \
        --annotation "org.opencontainers.image.base.name=$base" \
        --annotation "org.opencontainers.image.base.digest=$(
          "$engine" inspect --type image --format "{{.$digest_field}}" "$base"
        )" .
      "$engine" push --quiet --format oci "$2" "oci-archive:$3:$2"
    }
    ;;
  *)
    echo "ENGINE is $engine: it must be buildah, podman or docker" >&2
    exit 1
    ;;
esac

mkdir -p "$output"
for image in "${images[@]}"; do
  name="$prefix/$image:$tag"
  bill="$output/$image.cdx.json"
  archive="$output/$image.oci.tar"
  rm -f "$bill" "$archive" "$output/$image.digest"
  echo "Building $name with $engine"
  # Twice, as the image has the SHA-256 of its bill as a label; the second time all but the labels
  # comes out of the cache of the first.
  bill_of "$image" "${anew[@]}"
  write_archive "$image" "$name" "$archive" \
    --build-arg CREATED="$created" --build-arg REVISION="$revision" --build-arg VERSION="$version" \
    --build-arg SBOM_SHA256="$(sha256sum "$bill" | cut -d ' ' -f 1)"
  tar -xOf "$archive" index.json | grep -oE 'sha256:[0-9a-f]{64}' | head -n 1 >"$output/$image.digest"
  echo "$name $(<"$output/$image.digest"), $(($(stat -c %s "$archive") >> 20)) MiB to pull"
done
