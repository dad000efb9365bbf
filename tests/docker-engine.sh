#!/bin/sh
# Builds a current Docker Engine, which Debian 12 does not have, and runs it beside the one of this
# machine until it is interrupted. It keeps its images in the store of containerd; with `graph` it keeps
# them as Engines before 29 do. Run as root, with Go 1.26, a C compiler and iproute2. Building takes
# minutes and 1.5 GB in Go's cache, once.
#
#   tests/docker-engine.sh ~/engine [graph]
#   DOCKER_HOST=unix://$HOME/engine/docker.sock cargo test --test e2e
set -eu
case $#${2-} in
    1) store=true data=data ;;
    2graph) store=false data=data-graph ;;
    *) echo "usage: $0 DIRECTORY [graph]" >&2; exit 2 ;;
esac
mkdir -p "$1"
to=$(cd "$1" && pwd)
# Engine 29 is this module; its versions do not say so.
moby=v2.0.0-beta.24 containerd=v2.4.2 runc=v1.4.0
if [ ! -x "$to/bin/dockerd" ]; then
    mkdir -p "$to/building"
    export GOBIN="$to/building" CGO_ENABLED=0 GOFLAGS=
    go install -ldflags "-s -w" -tags "no_btrfs no_zfs no_devmapper no_cri" \
        github.com/containerd/containerd/v2/cmd/containerd@$containerd \
        github.com/containerd/containerd/v2/cmd/containerd-shim-runc-v2@$containerd
    version=github.com/moby/moby/v2/dockerversion.Version=29-$moby
    go install -ldflags "-s -w -X $version" \
        -tags "no_systemd exclude_graphdriver_btrfs exclude_graphdriver_zfs" \
        github.com/moby/moby/v2/cmd/dockerd@$moby github.com/moby/moby/v2/cmd/docker-proxy@$moby
    # Debian's is too old for it. That for which it needs libseccomp is left out.
    CGO_ENABLED=1 go install -ldflags "-s -w" github.com/opencontainers/runc@$runc
    mv "$to/building" "$to/bin"
fi
# Its own bridge, and no rules of the firewall: it does not touch what the machine's Engine has there.
ip link show ingot-engine >/dev/null 2>&1 || {
    ip link add ingot-engine type bridge
    ip address add 172.31.29.1/24 dev ingot-engine
    ip link set ingot-engine up
}
echo "{}" >"$to/daemon.json"
echo "export DOCKER_HOST=unix://$to/docker.sock"
PATH=$to/bin:$PATH exec dockerd --host "unix://$to/docker.sock" --data-root "$to/$data" \
    --exec-root "$to/run" --pidfile "$to/docker.pid" --config-file "$to/daemon.json" \
    --bridge ingot-engine --iptables=false --ip6tables=false --ip-forward=false \
    --seccomp-profile unconfined --feature containerd-snapshotter=$store
