#!/bin/bash
# Makes what the tests boot, in the directory given as the only argument:
#
#   guest.qcow2     A minimal Debian that boots by BIOS and by UEFI, has an SSH server and takes
#                   its seed from a NoCloud disc: a `user-data` that is a script is run once.
#   quick.qcow2     The same with an init of a few lines in place of systemd, for tests that boot
#                   often: without KVM that is several times as fast.
#   installer.iso   Waits at a boot prompt for a line to be typed. Given `install=URL`, it fetches
#                   the script at URL, runs it and powers off.
#
# Needs root, debootstrap, the Debian packages named in `.ci/prepare`, and about a minute.
set -euo pipefail
out=$(realpath -m "$1")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
mkdir -p "$out"

mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' | head -n 1)
root=$work/root
# What dpkg does by default, but it need not wait for the disk after each file.
export DPKG_FORCE=security-mac,downgrade,unsafe-io
debootstrap --variant=minbase --include=systemd-sysv,udev,kmod,openssh-server bookworm \
  "$root" "${mirror:-http://deb.debian.org/debian}" >"$work/debootstrap.log" 2>&1 ||
  { tail -n 20 "$work/debootstrap.log" >&2; exit 1; }

# The kernel is unpacked rather than installed: the initramfs below is smaller, and made sooner,
# than one that has to fit any machine.
package=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends:/ { print $2; exit }')
(cd "$work" && apt-get download -q "$package" >/dev/null)
dpkg-deb -x "$work/$package"_*.deb "$work/kernel"
version=${package#linux-image-}
# The modules of QEMU's machines and of systemd; with all of them the disk is half as large again.
depmod -b "$work/kernel" "$version"
from=$work/kernel/lib/modules/$version to=$root/usr/lib/modules/$version
mkdir -p "$to"
cp "$from"/modules.{order,builtin,builtin.modinfo} "$to/"
for module in virtio_{pci,blk,net,scsi,balloon,console,rng} ata_piix sr_mod isofs vfat \
  nls_{ascii,cp437,utf8} efivarfs autofs4 fuse loop overlay button evdev; do
  while read -r _ file _; do
    install -D -m 644 "$file" "$to/${file#"$from/"}"
  done < <(modprobe -d "$work/kernel" -S "$version" --show-depends "$module" | grep ^insmod)
done
depmod -b "$root" "$version"
cp "$work/kernel/boot/vmlinuz-$version" "$work/vmlinuz"

# What is not needed to boot and be provisioned.
rm -rf "$root"/usr/share/{doc,man,locale,i18n,zoneinfo} "$root"/var/cache/apt/archives/*.deb \
  "$root"/var/lib/apt/lists/*

echo guest >"$root/etc/hostname"
echo '127.0.0.1 localhost guest' >"$root/etc/hosts"
printf '/dev/vda2 / ext4 defaults 0 1\n' >"$root/etc/fstab"
printf '[Match]\nName=e*\n[Network]\nDHCP=yes\n[DHCPv4]\nClientIdentifier=mac\n' \
  >"$root/etc/systemd/network/80-dhcp.network"
rm -f "$root"/etc/ssh/ssh_host_*
cat >"$root/usr/local/sbin/seed" <<'SEED'
#!/bin/sh
# What cloud-init does of NoCloud, as far as the tests need it.
set -eu
[ -e /var/lib/seeded ] && exit 0
ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
modprobe -a ata_piix sr_mod isofs || true
mkdir -p /run/seed
for _ in $(seq 100); do
  for device in /dev/sr0 /dev/sr1 /dev/vdb; do
    mount -t iso9660 -o ro "$device" /run/seed 2>/dev/null || continue
    [ -e /run/seed/user-data ] && break 2
    umount /run/seed
  done
  sleep 0.1
done
case $(head -c 2 /run/seed/user-data) in
  '#!') sh /run/seed/user-data ;;
esac
umount /run/seed
touch /var/lib/seeded
SEED
chmod 755 "$root/usr/local/sbin/seed"
cp /bin/busybox "$root/usr/local/bin/busybox"
cat >"$root/usr/local/sbin/quick-init" <<'QUICK'
#!/bin/sh
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
mount -t devtmpfs dev /dev
mkdir -p /dev/pts
mount -t devpts devpts /dev/pts
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs run /run
ln -sf /proc/self/fd /dev/fd
mkdir -p /run/sshd
busybox hostname guest
seed
/usr/sbin/sshd
exec busybox sh -c 'while :; do wait; sleep 1; done'
QUICK
chmod 755 "$root/usr/local/sbin/quick-init"
cat >"$root/etc/systemd/system/seed.service" <<'UNIT'
[Unit]
Before=ssh.service
[Service]
Type=oneshot
ExecStart=/usr/local/sbin/seed
StandardOutput=journal+console
StandardError=journal+console
[Install]
WantedBy=multi-user.target
UNIT
systemctl --root "$root" enable -q seed.service systemd-networkd.service ssh.service
systemctl --root "$root" disable -q apt-daily.timer apt-daily-upgrade.timer \
  dpkg-db-backup.timer fstrim.timer e2scrub_all.timer 2>/dev/null || true

# An initramfs for both: busybox, and the modules of QEMU's disks and network card.
ram=$work/ram
mkdir -p "$ram"/{bin,dev,proc,sys,root,modules}
cp /bin/busybox "$ram/bin/busybox"
order=()
for module in virtio_pci virtio_blk virtio_net; do
  while read -r _ file; do
    name=$(basename "$file")
    [ -e "$ram/modules/$name" ] || order+=("$name")
    cp "$file" "$ram/modules/$name"
  done < <(modprobe -d "$root" -S "$version" --show-depends "$module" | grep ^insmod)
done
cat >"$ram/init" <<INIT
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t devtmpfs devtmpfs /dev
mount -t proc proc /proc
mount -t sysfs sysfs /sys
for module in ${order[*]}; do insmod /modules/\$module; done
INIT
cat >>"$ram/init" <<'INIT'
for word in $(cat /proc/cmdline); do
  case $word in install=*) install=${word#install=} ;; esac
done
if [ -n "${install:-}" ]; then
  ifconfig eth0 10.0.2.15 netmask 255.255.255.0 up
  route add default gw 10.0.2.2
  wget -q -O /install "$install" && sh /install
  sync
  poweroff -f
fi
case $(cat /proc/cmdline) in
  *quick-init*)
    init=/usr/local/sbin/quick-init
    ifconfig lo 127.0.0.1 up
    ifconfig eth0 10.0.2.15 netmask 255.255.255.0 up
    route add default gw 10.0.2.2
    ;;
  *) init=/sbin/init ;;
esac
for _ in $(seq 100); do [ -e /dev/vda2 ] && break; sleep 0.05; done
mount -t ext4 /dev/vda2 /root
exec switch_root /root "$init"
INIT
chmod 755 "$ram/init"
(cd "$ram" && find . | cpio -o -H newc --quiet | gzip -1) >"$work/initrd"

# Disk: a master boot record, a FAT partition with SYSLINUX for BIOS and systemd-boot for UEFI,
# and the root file system.
truncate -s 48M "$work/boot.img"
mkfs.vfat -F 16 -n BOOT "$work/boot.img" >/dev/null
options='root=/dev/vda2 rw mitigations=off console=ttyS0 console=tty0 net.ifnames=0 quiet'
syslinux_config() {
  printf 'default guest\nlabel guest\n kernel vmlinuz\n initrd initrd\n append %s\n' "$options$1"
}
syslinux_config '' >"$work/syslinux.cfg"
syslinux_config ' quick-init' >"$work/quick.cfg"
uefi_config() {
  printf 'title guest\nlinux /vmlinuz\ninitrd /initrd\noptions %s\n' "$options$1"
}
uefi_config '' >"$work/guest.conf"
uefi_config ' quick-init' >"$work/quick.conf"
printf 'timeout 0\n' >"$work/loader.conf"
mmd -i "$work/boot.img" ::EFI ::EFI/BOOT ::loader ::loader/entries
mcopy -i "$work/boot.img" /usr/lib/systemd/boot/efi/systemd-bootx64.efi ::EFI/BOOT/BOOTX64.EFI
mcopy -i "$work/boot.img" "$work/guest.conf" ::loader/entries/guest.conf
mcopy -i "$work/boot.img" "$work/loader.conf" ::loader/loader.conf
mcopy -i "$work/boot.img" "$work/vmlinuz" ::vmlinuz
mcopy -i "$work/boot.img" "$work/initrd" ::initrd
mcopy -i "$work/boot.img" "$work/syslinux.cfg" ::syslinux.cfg
syslinux --install "$work/boot.img"
truncate -s 700M "$work/root.img"
mkfs.ext4 -q -O ^metadata_csum_seed,^orphan_file -E lazy_itable_init=1 -d "$root" "$work/root.img"
disk=$work/disk.img
truncate -s 750M "$disk"
printf '2048,98304,0xEF,*\n100352,,L\n' | sfdisk -q "$disk"
dd if=/usr/lib/syslinux/mbr/mbr.bin of="$disk" bs=440 count=1 conv=notrunc status=none
dd if="$work/boot.img" of="$disk" bs=1M seek=1 conv=notrunc,sparse status=none
dd if="$work/root.img" of="$disk" bs=1M seek=49 conv=notrunc,sparse status=none
qemu-img convert -O qcow2 "$disk" "$work/guest.qcow2"
mcopy -o -i "$disk@@1M" "$work/quick.cfg" ::syslinux.cfg
mcopy -o -i "$disk@@1M" "$work/quick.conf" ::loader/entries/guest.conf
qemu-img convert -O qcow2 "$disk" "$work/quick.qcow2"

iso=$work/iso
mkdir -p "$iso/isolinux"
cp /usr/lib/ISOLINUX/isolinux.bin /usr/lib/syslinux/modules/bios/ldlinux.c32 "$iso/isolinux/"
cp "$work/vmlinuz" "$work/initrd" "$iso/"
cat >"$iso/isolinux/isolinux.cfg" <<'CFG'
prompt 1
timeout 0
label linux
  kernel /vmlinuz
  initrd /initrd
  append console=ttyS0 console=tty0
CFG
xorriso -as mkisofs -quiet -o "$work/installer.iso" -b isolinux/isolinux.bin \
  -c isolinux/boot.cat -no-emul-boot -boot-load-size 4 -boot-info-table "$iso" 2>/dev/null

mv "$work"/{installer.iso,guest.qcow2,quick.qcow2,vmlinuz} "$out/"
