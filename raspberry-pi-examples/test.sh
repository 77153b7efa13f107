#!/usr/bin/env bash
# Runs button-leds and the command `electra` in a booted raspi3b: Debian's arm64 kernel in QEMU,
# with model and programs on its SD card. Buttons are pressed and LEDs are read through the
# registers of its GPIO. A cgroup limits the memory, to measure how much is needed.
#
#     raspberry-pi-examples/test.sh              with the promised 40 MB
#     raspberry-pi-examples/test.sh --search     also finds the smallest limit; takes many minutes
#
# Needs a Debian machine with qemu-system-arm, qemu-user-static, gcc-aarch64-linux-gnu,
# libc6-dev-arm64-cross, e2fsprogs and cpio. LIMIT is the time limit for the machine in seconds.
# MODEL names another model file. Root is not needed.
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "$0")"

model=${MODEL:-$PWD/../models/electra-small-sentiment/model.electra}
limit=${LIMIT:-900} search=
case "${1:-}" in
  "") ;;
  --search) search=electra.search limit=${LIMIT:-3600} ;;
  *)
    echo "usage: $0 [--search]" >&2
    exit 2
    ;;
esac
target=aarch64-unknown-linux-gnu
cache=$PWD/../target/raspberry-pi/emulator
text="ELECTRA is surprisingly fast and accurate."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# shellcheck source=emulator.sh
. ./emulator.sh

main() {
  mkdir -p "$cache"
  build
  debian_kernel
  debian_arm64 busybox-static
  card
  initramfs
  boot
}

build() {
  [ -d "$(rustc --print sysroot)/lib/rustlib/$target/lib" ] || rustup target add "$target" >&2
  cargo build --quiet --release --locked --target "$target"
  cargo build --quiet --release --locked --target "$target" --target-dir ../target --manifest-path ../Cargo.toml \
    -p electra-cli --no-default-features
}

# Makes the SD card with programs, their libraries, model, texts and the expected answers. The
# answers are computed on another emulated processor, which uses other kernels.
card() {
  local card=$scratch/card
  mkdir -p "$card/bin" "$card/lib"
  cp "../target/raspberry-pi/$target/release/button-leds" "../target/$target/release/electra" "$card/bin"
  cp /usr/aarch64-linux-gnu/lib/{ld-linux-aarch64.so.1,libc.so.6,libm.so.6,libgcc_s.so.1} "$card/lib"
  cp "$model" "$card/model.electra"
  cp button-leds/texts.txt "$card"
  electra classify --model "$model" "$text" >"$card/answer.txt"
  electra classify --model "$model" --input button-leds/texts.txt >"$card/answers.txt"
  sed 's/^\[\(.*\)\].* (Score: \(.*\))$/\1\t\2/' "$card/answer.txt" >"$card/served.txt"
  truncate -s 32M "$scratch/card.img"
  mke2fs -q -t ext4 -d "$card" "$scratch/card.img"
}

electra() { qemu-aarch64-static -cpu cortex-a76 -L /usr/aarch64-linux-gnu "../target/$target/release/electra" "$@"; }

initramfs() {
  local root=$scratch/root
  mkdir -p "$root"/{bin,modules,checks,dev,proc,sys,card,tmp}
  cp "$cache/busybox-static/bin/busybox" "$root/bin"
  ln -s busybox "$root/bin/sh"
  # The driver of the card, its file system, and the modules that both need.
  modules "$root/modules" bcm2835 crc32c_generic ext4 >"$root/modules/order"
  cp guest/{common,gpio,memory} "$root/checks"
  cp guest/init "$root"
  chmod +x "$root/init"
  (cd "$root" && find . | cpio -o -H newc --quiet | gzip -1) >"$scratch/initramfs"
}

boot() {
  local log=$scratch/log status=0
  echo "booting $release"
  # iomem=relaxed lets /dev/mem access registers that belong to a driver.
  watch_machine "$log" 'guest: [0-9]+ checks failed|Kernel panic' "$limit" -M raspi3b \
    -kernel "$kernel/boot/vmlinuz-$release" -dtb "$kernel/usr/lib/linux-image-$release/broadcom/bcm2837-rpi-3-b.dtb" \
    -initrd "$scratch/initramfs" -drive "if=sd,format=raw,file=$scratch/card.img" \
    -append "console=ttyAMA0,115200 iomem=relaxed panic=-1 $search" || status=$?
  tr -d '\r' <"$log" | grep -aE '^(ready|ok|FAILED|figure|guest|  )' || true
  if [ "$status" != 0 ] || ! grep -aq 'guest: 0 checks failed' "$log"; then
    [ "$status" = 0 ] || { echo "the machine came to no end within $limit s; its last lines:" >&2; tail -20 "$log" >&2; }
    exit 1
  fi
  echo "all passed in $SECONDS s"
}

main
