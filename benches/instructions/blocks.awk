# Sums the instructions of all blocks that QEMU executed. The input is QEMU's log of
# `-d exec,nochain,in_asm`. QEMU lists a block when it translates the block: "IN:", then lines with
# an address and code. Each time the block runs, QEMU prints "Trace" with its address.
#
# Thumb code is listed in halfwords. The disassembler splits instructions that it does not know
# (MVE) wrongly, so the lengths are read from the code itself: a first halfword of 0xe800 or above
# is followed by a second one.
#
# With `-v by_kernel=1`, the sums of the kernels of electra-core are printed, one per line with the
# kernel's name. QEMU ends the line of a block with the symbol of its function, if the program has
# symbols. Code outside the kernels is summed as "others".
/^IN:/ { start = ""; second = 0; next }
/^0x/ {
  if (start == "") {
    start = $1
    sub(/^0x0*/, "", start)
    sub(/:$/, "", start)
    length_of[start] = 0
  }
  if (length($2) != 4) {
    length_of[start]++
    next
  }
  for (field = 2; field <= 3; field++) {
    if ($field !~ /^[0-9a-f][0-9a-f][0-9a-f][0-9a-f]$/) break
    if (second) {
      second = 0
    } else {
      length_of[start]++
      second = substr($field, 1, 2) >= "e8"
    }
  }
  next
}
/^Trace/ {
  split($0, part, "/")
  address = part[2]
  sub(/^0+/, "", address)
  if (!(address in length_of)) {
    print "blocks.awk: no listing of block " address >"/dev/stderr"
    exit 1
  }
  instructions += length_of[address]
  if (by_kernel) of_symbol[$NF] += length_of[address]
}
END {
  if (!by_kernel) {
    printf "%d\n", instructions
    exit
  }
  for (symbol in of_symbol) {
    kernel = "others"
    # A kernel is a method of `KernelSet`, or the function `kernel` in it. The symbol ends with the
    # length and the name of each, and a hash: "...$GT$10requantize6kernel17h39da7bfd2e1cffc9E".
    if (symbol ~ /KernelSet/ && symbol ~ /17h[0-9a-f]+E$/) {
      kernel = symbol
      sub(/(6kernel)?17h[0-9a-f]+E$/, "", kernel)
      sub(/.*\$GT\$[0-9]+/, "", kernel)
    }
    of_kernel[kernel] += of_symbol[symbol]
  }
  for (kernel in of_kernel) printf "%d %s\n", of_kernel[kernel], kernel
}
