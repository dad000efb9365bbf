#!/bin/sh
# Prints what the package managers of this machine have written down about what they installed.
# The last argument is the directory to look in. Lines of the output:
#   F PATH    a file; its lines follow, each behind a blank
#   R …       a package of rpm
#   N …       a note for people
LC_ALL=C
export LC_ALL
for root in "$@"; do :; done
case "$root" in
  /*) ;;
  *) root=./$root ;;
esac
if [ ! -d "$root" ]; then
  echo "$root is not a directory" >&2
  exit 1
fi
root=${root%/}/
echo 'INGOT-PACKAGES 1'

if command -v awk >/dev/null 2>&1; then awk=yes; else awk=; fi

whole() {
  [ -f "$1" ] || return 0
  if [ ! -r "$1" ]; then
    echo "N $1 cannot be read"
    return 0
  fi
  echo "F $1"
  sed 's/^/ /' "$1"
  # A file may lack the end of its last line.
  echo
}

for name in usr/lib/os-release etc/os-release var/lib/dpkg/status lib/apk/db/installed \
  usr/lib/apk/db/installed; do
  whole "$root$name"
done
# Images without dpkg have one file for each package.
for name in "${root}var/lib/dpkg/status.d/"*; do
  case "$name" in
    *.md5sums) ;;
    *) whole "$name" ;;
  esac
done

for name in var/lib/rpm usr/lib/sysimage/rpm; do
  [ -d "$root$name" ] || continue
  [ -n "$(ls -A "$root$name")" ] || continue
  if ! command -v rpm >/dev/null 2>&1; then
    echo "N there is a database of rpm in $root$name, and no rpm that could read it"
    break
  fi
  set -- -qa --qf 'R %{NAME}\t%|EPOCH?{%{EPOCH}}|\t%{VERSION}-%{RELEASE}\t%{ARCH}\t%{SOURCERPM}\t%{LICENSE}\t%{VENDOR}\n'
  [ "$root" = / ] || set -- --root "$root" "$@"
  rpm "$@" || echo "N rpm cannot read its database in $root$name"
  break
done

# Prints files whose paths are read from lines, many at a time where there is awk. A path may hold
# blanks and quotes.
files() {
  set --
  while IFS= read -r name; do
    if [ -z "$awk" ]; then
      whole "$name"
      continue
    fi
    [ -f "$name" ] && [ -r "$name" ] || continue
    set -- "$@" "$name"
    if [ $# -ge 200 ]; then
      print_files "$@"
      set --
    fi
  done
  [ $# -eq 0 ] || print_files "$@"
}

# Of metadata only what stands before the first empty line: the rest is prose.
print_files() {
  awk '
    FNR == 1 { head = FILENAME ~ /(METADATA|PKG-INFO|egg-info)$/; past = 0; print "F " FILENAME }
    past { next }
    head && /^\r?$/ { past = 1; next }
    { print " " $0 }
  ' "$@" || echo "N some files after $1 could not be read"
}

nl='
'

# A name with a line end would be taken for several.
find "$root" \( -path "*$nl*" -o -path "${root}proc" -o -path "${root}sys" -o -path "${root}dev" -o \
  -path "${root}run" -o -path '*/pkg/mod/*' -o -path '*/registry/src/*' \) -prune -o \
  -type f \( -path '*.dist-info/METADATA' -o -path '*.egg-info/PKG-INFO' -o -name '*.egg-info' -o \
  -path '*/node_modules/*/package.json' -o -name package-lock.json -o -name go.mod -o \
  -name Cargo.lock -o -name .crates2.json \) -print 2>/dev/null | files
exit 0
