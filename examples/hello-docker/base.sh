#!/bin/sh
# Imports a small base image from Debian's busybox-static (apt-get install busybox-static).
# DOCKER is the client, if it is not `docker`.
set -eu
name=${1:-ingot-example-base:1}
# One that is linked dynamically does not start in an image without libraries.
if ! [ -x /bin/busybox ] || ldd /bin/busybox 2>/dev/null | grep -q '=>'; then
  echo "base.sh: there is no static /bin/busybox; install it: apt-get install busybox-static" >&2
  exit 1
fi
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root/bin" "$root/etc" "$root/tmp" "$root/root"
chmod 1777 "$root/tmp"
cp /bin/busybox "$root/bin/busybox"
for applet in $(/bin/busybox --list); do
  [ "$applet" = busybox ] || ln -s busybox "$root/bin/$applet"
done
echo 'root:x:0:0:root:/root:/bin/sh' >"$root/etc/passwd"
tar -C "$root" -c . | ${DOCKER:-docker} import --change 'CMD ["/bin/sh"]' - "$name"
