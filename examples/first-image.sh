#!/bin/bash
# Builds a first image with Ingot, from nothing but Debian, git and Rust: installs what is missing,
# starts a Docker Engine if none answers, compiles Ingot and builds examples/hello-docker.
# Run as often as you like; what is there stays as it is.
set -euo pipefail
cd "$(dirname "$0")/.."
. .ci/machine.sh

find_root
need_rust
need_compiler
need static_busybox busybox-static 'the base image of the example'
# All that is missing is told at once.
status=0
install_missing || status=1
need_engine || status=1
[ $status = 0 ] || exit $status

if ! $ENGINE_AS "$ENGINE_CLIENT" image inspect ingot-example-base:1 >/dev/null 2>&1; then
  say 'Making the base image ingot-example-base:1 of busybox'
  DOCKER="$ENGINE_AS $ENGINE_CLIENT" examples/hello-docker/base.sh >/dev/null
fi

# Without Amazon's SDK and the hosting of plugins, which are most of a build; .ci/test builds all.
# What the tests built is as good, where nothing has changed since.
ingot=target/debug/ingot
if [ ! -e $ingot ] || [ -n "$(find Cargo.* src plugins -newer $ingot -type f -print -quit)" ]; then
  say 'Compiling Ingot: about 5 minutes the first time, on two cores'
  quiet=--quiet
  [ ! -t 2 ] || quiet=
  cargo build --locked $quiet --no-default-features --features registry-server
fi

say "> $ingot build examples/hello-docker"
$ENGINE_AS ${ENGINE_AS:+env ${DOCKER_HOST:+DOCKER_HOST=$DOCKER_HOST}} \
  $ingot build examples/hello-docker
id=$($ENGINE_AS "$ENGINE_CLIENT" image inspect -f '{{ .Id }}' ingot-hello:latest)
run="${ENGINE_AS:+sudo }$ENGINE_CLIENT run --rm ingot-hello"
cat <<END

The image is $id
  $run
$($run | sed 's/^/      /')

Next:
  examples/hello-docker/hello.pkr.hcl   is the template; change it, and run this again
  $ingot -help              what else there is
  docs/tutorial.md                      publish, promote, revoke and rebuild images
  .ci/test                              installs what the tests need, and runs them
END
