# shellcheck shell=bash
# Functions of test.sh and packaging/test-install: they download Debian packages for arm64 and
# Debian's kernel, and run a machine in QEMU and watch its serial line. Nothing is installed, and no
# architecture is added to this machine.
#
# To be sourced. Expects the variable cache: a folder that is kept between runs.

# Downloads packages of this machine's Debian release for arm64, and unpacks each into a separate
# folder below $cache.
debian_arm64() { # PACKAGE ...
  local package
  export APT_CONFIG=$cache/apt/apt.conf
  for package in "$@"; do
    [ ! -d "$cache/$package" ] || continue
    [ -n "${lists_updated:-}" ] || update_lists
    rm -rf "$cache/apt/download" "$cache/$package.part"
    mkdir "$cache/apt/download"
    (cd "$cache/apt/download" && apt-get download -qq "$package")
    dpkg-deb -x "$cache/apt/download/"*.deb "$cache/$package.part"
    mv "$cache/$package.part" "$cache/$package"
  done
  unset APT_CONFIG
}

# Downloads the package lists for arm64 from the sources of this machine, into a separate folder.
update_lists() {
  mkdir -p "$cache/apt/lists/partial" "$cache/apt/archives/partial"
  cat >"$APT_CONFIG" <<CONF
Dir::State::Lists "$cache/apt/lists";
Dir::State::status "/dev/null";
Dir::Cache "$cache/apt";
APT::Architecture "arm64";
APT::Architectures { "arm64"; };
APT::Sandbox::User "";
CONF
  apt-get update -qq
  lists_updated=yes
}

# Sets kernel, the folder of Debian's unpacked arm64 kernel, and release, its version.
debian_kernel() {
  local package
  kernel=$(echo "$cache"/linux-image-[0-9]*-arm64)
  if [ ! -d "$kernel" ]; then
    debian_arm64 linux-image-arm64
    package=$(APT_CONFIG=$cache/apt/apt.conf apt-cache depends linux-image-arm64 | sed -n 's/.*Depends: \(linux-image-[0-9]\)/\1/p' | head -1)
    debian_arm64 "$package"
    kernel=$cache/$package
  fi
  release=${kernel##*/linux-image-}
}

# Copies modules and their dependencies into a folder. Prints their names in the order in which they
# must be loaded.
modules() { # FOLDER MODULE ...
  local folder=$1 module file needed
  shift
  mkdir -p "$folder"
  for module in "$@"; do
    file=$(find "$kernel/lib/modules" -name "$module.ko" -o -name "${module//_/-}.ko" | head -1)
    # A name without a module file is part of the kernel.
    [ -n "$file" ] && [ ! -e "$folder/$module.ko" ] || continue
    needed=$(tr '\0' '\n' <"$file" | sed -n 's/^depends=//p' | tr , ' ')
    # shellcheck disable=SC2086
    modules "$folder" $needed
    cp "$file" "$folder/$module.ko"
    echo "$module"
  done
}

# Runs a machine until the output of its serial line, which is copied to LOG, matches PATTERN. Fails
# if there is no match within the time limit. Then kills the machine, because a raspi3b does not end
# by itself.
watch_machine() { # LOG PATTERN SECONDS QEMU-ARGUMENTS...
  local log=$1 pattern=$2 limit=$3 machine status=0
  shift 3
  : >"$log"
  qemu-system-aarch64 "$@" -display none -monitor none -no-reboot -serial "file:$log" </dev/null 2>"$log.qemu" &
  machine=$!
  local deadline=$((SECONDS + limit))
  until grep -Eq "$pattern" "$log"; do
    if [ "$SECONDS" -ge "$deadline" ] || ! kill -0 "$machine" 2>/dev/null; then
      status=1
      break
    fi
    sleep 0.5
  done
  kill "$machine" 2>/dev/null || cat "$log.qemu" >&2
  wait "$machine" 2>/dev/null || true
  return "$status"
}
