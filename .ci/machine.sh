# Functions of the scripts that set up a machine. They install what is missing with apt-get, say
# what and why, and never change what is there. Sourced by bash; it needs no more than Debian's base.

# Where the tools of the tests that no Debian package has are installed.
TEST_TOOLS=${INGOT_TEST_TOOLS:-$PWD/target/test-tools}

# Where Debian has sshd, dockerd and others; not on everybody's PATH.
export PATH="$PATH:/usr/sbin:/sbin"

say() { printf '%s\n' "$*"; }

# Ends the script with what is wrong and what to do about it.
fail() {
  printf 'error: %s\n' "$1" >&2
  shift
  [ $# -eq 0 ] || printf '  %s\n' "$@" >&2
  exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

# Whether a Debian package is installed.
has_package() { [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]; }

# How to become root: nothing for root, `sudo` for who may use it, `-` for everybody else.
find_root() {
  if [ "$(id -u)" = 0 ]; then
    AS_ROOT=
  elif has sudo && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
    AS_ROOT=sudo
  else
    AS_ROOT=-
  fi
}

# Whether there is a busybox that runs in an image with nothing else in it.
static_busybox() { [ -x /bin/busybox ] && ! ldd /bin/busybox; }

# Collects a package that is missing: need 'CHECK' 'PACKAGES' 'WHAT FOR'. CHECK is a command that
# succeeds where what the packages bring is there, from wherever it came.
MISSING_PACKAGES=()
MISSING_REASONS=()
need() {
  ! eval "$1" >/dev/null 2>&1 || return 0
  read -r -a packages <<<"$2"
  MISSING_PACKAGES+=("${packages[@]}")
  MISSING_REASONS+=("$(printf '%-28s %s' "$2" "$3")")
}

# Installs what `need` collected. Fails where it cannot.
install_missing() {
  [ ${#MISSING_PACKAGES[@]} -gt 0 ] || return 0
  local names="${MISSING_PACKAGES[*]}" log
  if [ "$AS_ROOT" = - ]; then
    say 'This is missing, and only root can install it:'
    printf '  %s\n' "${MISSING_REASONS[@]}"
    say "Ask for: apt-get install --no-install-recommends $names"
    return 1
  fi
  has apt-get || fail 'there is no apt-get here' "install what brings Debian's $names"
  say 'Missing, and installed now with apt-get:'
  printf '  %s\n' "${MISSING_REASONS[@]}"
  log=$(mktemp)
  apt_get "$log" update || { tail -n 20 "$log" >&2; fail 'apt-get update failed'; }
  local install=(install -y --no-install-recommends --no-upgrade)
  if ! apt_get "$log" "${install[@]}" "${MISSING_PACKAGES[@]}"; then
    # Images of Debian may come with newer packages than those of the release, which others depend on
    # in the release's version. Downgrading changes what is there: only CI may, where nothing else helps.
    if [ "${CI:-}" != true ] ||
      ! apt_get "$log" "${install[@]}" --allow-downgrades "${MISSING_PACKAGES[@]}"; then
      tail -n 20 "$log" >&2
      rm -f "$log"
      fail 'apt-get could not install them; its last lines are above' \
        "try it yourself: apt-get install --no-install-recommends $names"
    fi
  fi
  rm -f "$log"
  MISSING_PACKAGES=()
  MISSING_REASONS=()
}

apt_get() {
  local log=$1
  shift
  # sudo takes variables away; `env` sets them behind it.
  $AS_ROOT env DEBIAN_FRONTEND=noninteractive apt-get -q "$@" >"$log" 2>&1 </dev/null
}

# Installs Python's packages in an environment: install_python DIRECTORY PACKAGE... The uv of the test
# tools does it in a tenth of pip's time; pip, where that is not there or fails, as it reads only the
# index of pip's settings, and that from here.
install_python() {
  local uv=$TEST_TOOLS/bin/uv cache=$1/cache index
  index=${PIP_INDEX_URL:-$("$1/bin/pip" config get global.index-url 2>/dev/null || true)}
  if [ -x "$uv" ] && "$uv" pip install -q --system-certs --cache-dir "$cache" \
    ${index:+--default-index "$index"} --python "$1/bin/python" "${@:2}"; then
    rm -rf "$cache"
  else
    pip_install "$@"
  fi
}

# The same with pip.
pip_install() {
  "$1/bin/pip" install -q --no-compile --disable-pip-version-check "${@:2}"
}

# What compiles Ingot.
need_compiler() {
  need 'has cc && has c++ && has make' build-essential 'a linker, and the C parts of libraries'
  need 'has pkg-config' pkg-config 'finds OpenSSL'
  need 'pkg-config --exists openssl || has_package libssl-dev' libssl-dev 'OpenSSL, for SSH'
}

# Cargo on the PATH, new enough.
need_rust() {
  has cargo || PATH="$HOME/.cargo/bin:$PATH"
  has cargo || fail 'there is no Rust here (no cargo on the PATH)' \
    'install it as https://rustup.rs says, and run this again'
  local version
  version=$(rustc --version) || fail 'rustc does not run; it said why above'
  version=${version#rustc }
  version=${version%% *}
  if [ "$(printf '%s\n' 1.88 "$version" | sort -V | head -n 1)" != 1.88 ]; then
    fail "Rust $version is too old; Ingot needs 1.88" 'rustup update stable (https://rustup.rs)'
  fi
}

# Whether a Docker Engine answers; ENGINE says what it said.
engine_answers() {
  local client=${ENGINE_CLIENT:-docker}
  has "$client" || return 1
  ENGINE=$($ENGINE_AS "$client" version -f '{{ .Server.Version }}' 2>&1)
}

# A Docker Engine: the one that answers, else one of the user's own, else the machine's, started.
# Sets ENGINE_CLIENT (docker or podman), ENGINE_AS (`sudo` where only root may use it) and, for an
# engine of the user's own, DOCKER_HOST. Fails with what to do where there can be none.
need_engine() {
  ENGINE_CLIENT=docker ENGINE_AS=
  ! engine_answers || return 0
  if [ -n "${DOCKER_HOST:-}" ]; then
    has docker || has podman || need false docker.io 'the client of Docker'
    install_missing || return 1
    ! engine_answers || return 0
    say "No Docker Engine answers at DOCKER_HOST=$DOCKER_HOST: $ENGINE"
    say 'Start it, or unset DOCKER_HOST to use one of this machine.'
    return 1
  fi
  if [ "$AS_ROOT" = - ]; then
    own_engine && return 0
    say 'No Docker Engine answers, and only root can install or start one. One of these helps:'
    say '  - be in the group "docker" of a machine with a running engine (usermod -aG docker YOU)'
    say '  - Docker without root: https://docs.docker.com/engine/security/rootless/'
    say '  - Podman: apt-get install podman uidmap slirp4netns dbus-user-session; then run this again'
    say '  - an engine elsewhere: export DOCKER_HOST=ssh://HOST or tcp://HOST:2376'
    return 1
  fi
  # The user's own engine before one that needs sudo.
  [ "$AS_ROOT" = sudo ] && own_engine && return 0
  need 'has dockerd && has docker' docker.io 'the Docker Engine, which runs what is built'
  need 'has iptables' iptables 'networks of the Docker Engine'
  install_missing || return 1
  ENGINE_AS=$AS_ROOT
  # Where there is systemd, installing it started it.
  [ -d /run/systemd/system ] && wait_for_engine 10 && return 0
  start_engine
}

# An engine that the user runs without root: rootless Docker, or Podman's API.
own_engine() {
  local runtime=${XDG_RUNTIME_DIR:-/run/user/$(id -u)} socket client
  # The last one is what is started below.
  local own=$runtime
  [ -w "$runtime" ] || own=$HOME/.cache
  for socket in "$runtime"/{docker,podman/podman}.sock "$own/ingot-podman.sock"; do
    [ -S "$socket" ] || continue
    client=docker
    has docker || client=podman
    use_own_engine "$socket" "$client" && return 0
  done
  has podman || return 1
  client=docker
  has docker || client=podman
  socket=$own/ingot-podman.sock
  say "Starting Podman's API for you at $socket (podman system service)"
  mkdir -p target "$own"
  setsid podman system service --time=0 "unix://$socket" >target/podman.log 2>&1 </dev/null &
  local _
  for _ in $(seq 20); do
    use_own_engine "$socket" "$client" && return 0
    sleep 0.5
  done
  say 'Podman does not respond; target/podman.log ends so:'
  tail -n 5 target/podman.log
  return 1
}

use_own_engine() {
  local before=${DOCKER_HOST:-}
  export DOCKER_HOST=unix://$1 CONTAINER_HOST=unix://$1
  ENGINE_CLIENT=$2
  if engine_answers; then
    say "Using your engine without root: export DOCKER_HOST=$DOCKER_HOST"
    return 0
  fi
  ENGINE_CLIENT=docker
  unset CONTAINER_HOST
  if [ -n "$before" ]; then export DOCKER_HOST=$before; else unset DOCKER_HOST; fi
  return 1
}

wait_for_engine() {
  local _
  for _ in $(seq "$1"); do
    ! engine_answers || return 0
    sleep 1
  done
  return 1
}

# Starts the machine's engine in the background.
start_engine() {
  local log=/var/log/dockerd-ingot.log
  # One that runs already and only wants time.
  wait_for_engine 2 && return 0
  if [ -d /run/systemd/system ] && has systemctl; then
    say 'No Docker Engine answers: starting it (systemctl start docker)'
    $AS_ROOT systemctl start docker || true
  else
    say "No Docker Engine answers: starting dockerd; its log is $log"
    # A new session, so that it stays when this script ends.
    $AS_ROOT sh -c "exec setsid dockerd >$log 2>&1 </dev/null &"
  fi
  wait_for_engine 60 && return 0
  say "The Docker Engine does not start: $ENGINE"
  [ ! -s "$log" ] || { say "$log ends so:" && $AS_ROOT tail -n 5 "$log"; }
  say 'In a container it needs: docker run --privileged. Or name one elsewhere: export DOCKER_HOST=…'
  return 1
}
