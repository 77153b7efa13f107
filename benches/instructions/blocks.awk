# Sums the instructions of all blocks that QEMU executed. The input is QEMU's log of
# `-d exec,nochain,in_asm`. QEMU lists a block when it translates the block: "IN:", then lines with
# an address and code. Each time the block runs, QEMU prints "Trace" with its address.
#
# Thumb code is listed in halfwords. The disassembler splits instructions that it does not know
# (MVE) wrongly, so the lengths are read from the code itself: a first halfword of 0xe800 or above
# is followed by a second one.
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
}
END { printf "%d\n", instructions }
