#!/bin/sh
# Imports a small base image from Debian's busybox-static (apt-get install busybox-static).
# DOCKER is the client, if it is not `docker`.
set -eu
name=${1:-ingot-example-base:1}
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
