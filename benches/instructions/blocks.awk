# Sums the instructions of every block that QEMU executed, from its log of `-d exec,nochain,in_asm`: a block is listed
# when it is translated ("IN:", then an address a line) and named by its address each time it runs ("Trace").
/^IN:/ { start = ""; next }
/^0x/ {
  if (start == "") {
    start = $1
    sub(/^0x0*/, "", start)
    sub(/:$/, "", start)
    length_of[start] = 0
  }
  length_of[start]++
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
