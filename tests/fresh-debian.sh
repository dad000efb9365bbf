#!/bin/bash
# Tries the README's two commands on a Debian 12 that has git and Rust and nothing else: a container
# made by debootstrap, with a Docker Engine of its own inside. Run as root where Docker and
# debootstrap are; it takes as long as two builds of Ingot.
#
#   tests/fresh-debian.sh               both commands as root, the first one twice
#   tests/fresh-debian.sh first         the first command only
#   tests/fresh-debian.sh user          the first as a user with no root: says what is missing
#   tests/fresh-debian.sh sudo          the first as a user with sudo
#   tests/fresh-debian.sh prepare       what the second installs, twice, and no tests
#
# INGOT_FRESH_TARGET=DIR keeps what is compiled, for the next time; without it every try compiles all.
#
# Rust is that of this machine (rustup), the checkout a clone of HEAD. Ends with wall times, and the
# number of lines that a newcomer has read by the first success.
set -euo pipefail
cd "$(dirname "$0")/.."
what=${1:-all}
image=ingot-fresh-debian:12
work=$(mktemp -d)
name=ingot-fresh-$$
trap 'docker rm -f "$name" >/dev/null 2>&1; rm -rf "$work"' EXIT

if ! docker image inspect "$image" >/dev/null 2>&1; then
  echo "Making $image with debootstrap"
  mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | head -n 1)
  debootstrap --variant=minbase --include=git,ca-certificates,sudo bookworm "$work/root" \
    "${mirror:-http://deb.debian.org/debian}" >"$work/debootstrap.log" ||
    { tail -n 20 "$work/debootstrap.log"; exit 1; }
  tar -C "$work/root" -c . | docker import - "$image" >/dev/null
fi
git clone -q --depth 1 "file://$PWD" "$work/ingot"
# The newcomer's Rust, without what this machine has downloaded for other builds.
toolchain=$(rustc --print sysroot)
mkdir "$work/cargo" "$work/docker"
target=${INGOT_FRESH_TARGET:-$work/target}
mkdir -p "$target"

# A container that may run a Docker Engine. Where not even root may have all rights, as in a
# sandbox, those that the engine needs.
rights=(--privileged)
if ! docker run --rm --privileged "$image" true 2>/dev/null; then
  rights=(--cap-add SYS_ADMIN --cap-add NET_ADMIN --cap-add SYS_PTRACE
    --security-opt seccomp=unconfined --security-opt apparmor=unconfined
    --security-opt systempaths=unconfined)
fi
docker run -d --name "$name" "${rights[@]}" -v "$work/ingot:/ingot" -v "$target:/ingot/target" \
  -v "$work/docker:/var/lib/docker" \
  -v "$work/cargo:/cargo" -v "$toolchain:/rust:ro" \
  -e CARGO_HOME=/cargo -e "PATH=/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" \
  -e PIP_CERT=/etc/ssl/certs/ca-certificates.crt -e "CARGO_BUILD_JOBS=${CARGO_BUILD_JOBS:-2}" -w /ingot "$image" \
  sleep infinity >/dev/null
# The certificates of a proxy, where this machine is behind one.
docker cp -q /usr/local/share/ca-certificates "$name:/usr/local/share/" 2>/dev/null || true
docker exec "$name" update-ca-certificates >/dev/null 2>&1
# The engine inside makes control groups, which only a privileged container has writable.
docker exec "$name" sh -c 'for group in /sys/fs/cgroup /sys/fs/cgroup/*; do
    mount -o remount,bind,rw "$group" 2>/dev/null || true
  done
  useradd -m newcomer; chown -R newcomer /ingot /cargo; git config --system safe.directory "*"'

# step NAME USER COMMAND: runs it, shows and keeps what it says, and how long it took.
step() {
  local begin=$SECONDS status=0
  echo "== $1: $3 (as $2)"
  docker exec -u "$2" "$name" bash -c "$3" 2>&1 | tee "$work/$1.log" || status=$?
  echo "== $1: exit code $status, $((SECONDS - begin)) s, $(wc -l <"$work/$1.log") lines of output"
  return $status
}

case $what in
  user)
    ! step user newcomer examples/first-image.sh || { echo 'it must fail'; exit 1; }
    grep -q 'apt-get install' "$work/user.log"
    ;;
  sudo)
    docker exec "$name" sh -c 'echo "newcomer ALL=(ALL) NOPASSWD: ALL" >/etc/sudoers.d/newcomer'
    step sudo newcomer examples/first-image.sh
    ;;
  prepare)
    docker exec "$name" chown -R root /ingot /cargo
    step prepare root 'CI=true .ci/prepare'
    step again root 'CI=true .ci/prepare'
    ;;
  *)
    # Rights of files are those of root's own clone.
    docker exec "$name" chown -R root /ingot /cargo
    step first root examples/first-image.sh
    read_lines=$(($(sed -n '1,/first-image/p' README.md | grep -c .) + $(wc -l <"$work/first.log")))
    step again root examples/first-image.sh
    grep -q 'sha256:' "$work/first.log"
    echo "== lines read by the first success: $read_lines (README down to the command, and its output)"
    [ "$what" = first ] || step test root .ci/test
    ;;
esac
