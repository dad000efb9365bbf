#!/bin/sh
# Prints what the package managers of this machine have written down about what they installed.
# The last argument is the directory to look in; what links lead to outside of it is not read.
# Lines of the output:
#   D PATH    the directory, absolute and without links
#   F PATH    a file; its lines follow, each behind a blank
#   R …       a package of rpm
#   G PATH    a Go program; its section .go.buildinfo follows, bytes in hexadecimal behind blanks
#   C PATH    a Rust program; its section .dep-v0 follows, likewise
#   N …       a note for people
LC_ALL=C
export LC_ALL
nl='
'
for root in "$@"; do :; done
case "$root" in
  /*) ;;
  *) root=./$root ;;
esac
if [ ! -d "$root" ]; then
  echo "$root is not a directory" >&2
  exit 1
fi
# rpm takes no other path than an absolute one.
root=$(cd "$root" && pwd -P) || exit 1
case "$root" in
  *"$nl"*)
    echo "the name of the directory holds a line break" >&2
    exit 1
    ;;
esac
root=${root%/}/
echo 'INGOT-PACKAGES 2'
printf 'D %s\n' "$root"

if command -v awk >/dev/null 2>&1; then awk=yes; else awk=; fi
if command -v readlink >/dev/null 2>&1; then readlink=yes; else readlink=; fi
user=$(id -un 2>/dev/null)
if [ -z "$user" ]; then user='this user'; fi

# The note of what the user may not read: how many files or directories, and the first of them.
unreadable() {
  case "$1" in
    0) ;;
    1) printf 'N %s cannot be read by %s and is skipped\n' "$3" "$user" ;;
    *)
      printf 'N %s and other %s (%s in all) cannot be read by %s and are skipped\n' \
        "$3" "$2" "$1" "$user"
      ;;
  esac
}

# Whether what is at a path is below the directory when all links are followed.
inside() {
  [ "$root" = / ] && return 0
  if [ "$readlink" ]; then
    place=$(readlink -f "$1")
  elif [ -h "$1" ]; then
    place=
  else
    place=$(cd "${1%/*}" && pwd -P)/
  fi
  case "$place" in
    "$root"*) return 0 ;;
  esac
  printf 'N %s leads out of %s and is skipped\n' "$1" "$root"
  return 1
}

# The most that is read of one file: 64 MiB.
whole() {
  [ -f "$1" ] && inside "$1" || return 0
  if [ ! -r "$1" ]; then
    unreadable 1 files "$1"
    return 0
  fi
  if [ -n "$(find -H "$1" -size +65536k 2>/dev/null)" ]; then
    printf 'N %s has more than 64 MiB and is skipped\n' "$1"
    return 0
  fi
  printf 'F %s\n' "$1"
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

# Whether a directory and the files in it are below the root.
all_inside() {
  inside "$1" || return 1
  for file in "$1"/*; do
    [ ! -e "$file" ] || inside "$file" || return 1
  done
}

for name in var/lib/rpm usr/lib/sysimage/rpm; do
  [ -d "$root$name" ] || continue
  [ -n "$(ls -A "$root$name")" ] || continue
  all_inside "$root$name" || continue
  if ! command -v rpm >/dev/null 2>&1; then
    printf 'N there is a database of rpm in %s, and no rpm that could read it\n' "$root$name"
    break
  fi
  set -- -qa --qf 'R %{NAME}\t%|EPOCH?{%{EPOCH}}|\t%{VERSION}-%{RELEASE}\t%{ARCH}\t%{SOURCERPM}\t%{LICENSE}\t%{VENDOR}\n'
  [ "$root" = / ] || set -- --root "$root" --dbpath "/$name" "$@"
  rpm "$@" || printf 'N rpm cannot read its database in %s\n' "$root$name"
  break
done

# The note of packages that are there and not listed: whose, and some of them. Once for each kind.
unlisted() {
  case "$noted" in
    *"|$1|"*) return 0 ;;
  esac
  noted="$noted|$1|"
  printf 'N %s packages, such as %s, are not listed\n' "$1" "$2"
}

noted=
for kind in pacman:var/lib/pacman/local Nix:nix/store; do
  name=$root${kind#*:}
  [ -z "$(ls -A "$name" 2>/dev/null)" ] || unlisted "${kind%%:*}" "those in $name"
done

# Prints files whose paths are read from lines, many at a time where there is awk. A path may hold
# blanks and quotes. Notes among the lines are passed on.
files() {
  set --
  count=0
  while IFS= read -r name; do
    kind=
    case "$name" in
      N*)
        printf '%s\n' "$name"
        continue
        ;;
      *.jar | *.war | *.ear) kind=Java ;;
      *.gemspec) kind=Ruby ;;
      */composer/installed.json) kind=PHP ;;
      *.deps.json) kind=.NET ;;
    esac
    if [ "$kind" ]; then
      unlisted "$kind" "$name"
      continue
    fi
    [ -f "$name" ] || continue
    if [ ! -r "$name" ]; then
      count=$((count + 1))
      [ "$count" -gt 1 ] || first=$name
      continue
    fi
    if [ -z "$awk" ]; then
      whole "$name"
      continue
    fi
    set -- "$@" "$name"
    if [ $# -ge 200 ]; then
      print_files "$@"
      set --
    fi
  done
  [ $# -eq 0 ] || print_files "$@"
  unreadable "$count" files "$first"
}

# Of metadata only what stands before the first empty line: the rest is prose.
print_files() {
  awk '
    FNR == 1 { head = FILENAME ~ /(METADATA|PKG-INFO|egg-info)$/; past = 0; print "F " FILENAME }
    past { next }
    head && /^\r?$/ { past = 1; next }
    { print " " $0 }
  ' "$@" || printf 'N some files after %s could not be read\n' "$1"
}

# Reads what a program reports, and prints the note of the files or directories that it cannot read.
errors_of() {
  count=0
  while IFS= read -r line; do
    case "$line" in
      # Files come and go on a machine that runs.
      *': No such file or directory') continue ;;
      "$1: /"* | "$1: '/"* | "$1: \`/"*) ;;
      *) continue ;;
    esac
    count=$((count + 1))
    [ "$count" -eq 1 ] || continue
    first=${line#"$1: "}
    first=${first%: *}
    # GNU's quotes; find before 4.5 opens with a grave accent.
    first=${first#\'}
    first=${first#\`}
    first=${first%\'}
  done
  unreadable "$count" "$2" "$first"
}

# Finds what has the properties after the first argument, which says what is noted if it cannot be read:
# directories, or files that grep looks into. It follows no links. A name with a line end would be taken
# for several.
look() {
  case "$1" in
    files) program=grep ;;
    *) program=find ;;
  esac
  unread=$1
  shift
  # The paths pass by the pipe of the errors, which would be put into the middle of lines.
  {
    find "$root" \( -path "*$nl*" -o -path "${root}proc" -o -path "${root}sys" -o -path "${root}dev" \
      -o -path "${root}run" -o -path '*/pkg/mod/*' -o -path '*/registry/src/*' \) -prune -o \
      -type f "$@" 2>&1 >&3 3>&- | errors_of "$program" "$unread" >&3
  } 3>&1
}

look directories \( \( -name '*.jar' -o -name '*.war' -o -name '*.ear' -o -path '*/specifications/*.gemspec' \
  -o -path '*/composer/installed.json' -o -name '*.deps.json' \) -print -o \
  \( -path '*.dist-info/METADATA' -o -path '*.egg-info/PKG-INFO' -o -name '*.egg-info' -o \
  -path '*/node_modules/*/package.json' -o -name package-lock.json -o -name go.mod -o \
  -name Cargo.lock -o -name .crates2.json \) \( -size +65536k \
  -exec echo N '{}' has more than 64 MiB and is skipped ';' -o -print \) \) | files

# Programs that have a section with what they were built of, in which nothing else is read. Smaller
# ones there are none.
if [ "$awk" ] && command -v od >/dev/null 2>&1; then
  look files -perm -100 -size +200k -exec grep -l -e '[.]go[.]buildinfo' -e '[.]dep-v0' '{}' + | awk '
    # Reads bytes of the file into b; how many there are.
    function bytes(offset, length_, command, line, parts, count, k, i) {
      command = sprintf("od -An -v -tu1 -j %.0f -N %.0f %s", offset, length_, quoted)
      count = 0
      while ((command | getline line) > 0) {
        k = split(line, parts, " ")
        for (i = 1; i <= k; i++) b[count++] = parts[i] + 0
      }
      close(command)
      return count
    }
    # The number of so many bytes.
    function number(at, width, value, i) {
      value = 0
      for (i = 0; i < width; i++) value = value * 256 + b[big ? at + i : at + width - 1 - i]
      return value
    }
    function section(kind, path, offset, size, command, line) {
      if (size > 1048576) {
        print "N what " path " was built of has more than 1 MiB and is skipped"
        return
      }
      print kind " " path
      command = sprintf("od -An -v -tx1 -j %.0f -N %.0f %s", offset, size, quoted)
      while ((command | getline line) > 0) print " " line
      close(command)
    }
    BEGIN {
      for (i = 32; i < 127; i++) letter[i] = sprintf("%c", i)
    }
    /^N / {
      print
      next
    }
    # Nobody has so many.
    NR > 2000 {
      print "N " $0 " and programs after it are skipped"
      exit
    }
    {
      path = $0
      count = split(path, parts, quote)
      quoted = quote parts[1]
      for (i = 2; i <= count; i++) quoted = quoted quote "\\" quote quote parts[i]
      quoted = quoted quote
      # The header of ELF, in 32 or 64 bits.
      if (bytes(0, 64) < 64 || b[0] != 127 || b[1] != 69 || b[2] != 76 || b[3] != 70) next
      wide = b[4] == 2
      big = b[5] == 2
      word = wide ? 8 : 4
      table = number(wide ? 40 : 32, word)
      entry = number(wide ? 58 : 46, 2)
      count = number(wide ? 60 : 48, 2)
      names = number(wide ? 62 : 50, 2)
      if (entry != (wide ? 64 : 40) || count > 1000 || names >= count) next
      if (bytes(table, count * entry) < count * entry) next
      for (i = 0; i < count; i++) {
        name[i] = number(i * entry, 4)
        at[i] = number(i * entry + (wide ? 24 : 16), word)
        size[i] = number(i * entry + (wide ? 32 : 20), word)
      }
      length_ = size[names] > 65536 ? 65536 : size[names]
      length_ = bytes(at[names], length_)
      for (i = 0; i < count; i++) {
        text = ""
        for (k = name[i]; k < length_ && b[k] != 0 && length(text) < 20; k++) text = text letter[b[k]]
        if (text == ".go.buildinfo") section("G", path, at[i], size[i])
        if (text == ".dep-v0") section("C", path, at[i], size[i])
      }
    }
  ' quote="'"
else
  echo "N programs of Go and Rust are not looked into: that takes awk and od"
fi
exit 0
