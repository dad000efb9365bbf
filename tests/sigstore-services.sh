#!/bin/sh
# Builds the services that the live test of keyless attestations runs against: Fulcio, Rekor, a log of
# certificates, and Trillian, with its schema for PostgreSQL. That takes Go 1.26 and many minutes: what
# they can keep keys in is compiled with them.
#
#   tests/sigstore-services.sh ~/sigstore
#   PATH=~/sigstore:$PATH cargo test --test e2e keyless
set -eu
[ $# = 1 ] || { echo "usage: $0 DIRECTORY" >&2; exit 2; }
mkdir -p "$1"
to=$(cd "$1" && pwd)
work=$(mktemp -d)
# Of Trillian's databases and elections, these alone.
export GOFLAGS="-mod=mod -tags=postgresql,etcd"
trap 'rm -rf "$work"' EXIT
# Each in a module of its own, with the versions that it asks for.
build() {
    module=$1 && shift
    mkdir "$work/$module" && cd "$work/$module"
    go mod init services 2>/dev/null
    for package in "$@"; do go get "$package"; done
    for package in "$@"; do go build -o "$to/" "${package%@*}"; done
}
build fulcio github.com/sigstore/fulcio@v1.8.8
build rekor github.com/sigstore/rekor/cmd/rekor-server@v1.5.2
build ct github.com/google/certificate-transparency-go/trillian/ctfe/ct_server@v1.3.3
trillian=github.com/google/trillian
build trillian $trillian/cmd/trillian_log_server@v1.7.3 $trillian/cmd/trillian_log_signer@v1.7.3 \
    $trillian/cmd/createtree@v1.7.3
cp "$(go list -m -f '{{.Dir}}' $trillian)/storage/postgresql/schema/storage.sql" "$to/"
echo "Put $to on the PATH."
