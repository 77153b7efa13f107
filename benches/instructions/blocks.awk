# Sums the instructions of every block that QEMU executed, from its log of `-d exec,nochain,in_asm`: a block is listed
# when it is translated ("IN:", then lines of an address and code) and named by its address each time it runs ("Trace").
#
# Thumb code is listed by halfwords, and wrongly split where the disassembler knows no better (MVE): so lengths are read
# from the code itself. A first halfword of 0xe800 and above has a second.
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
