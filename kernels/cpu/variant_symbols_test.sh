#!/bin/sh
# Fails when a library compiled for special instructions defines anything that
# the linker could give to other code: a weak symbol (an inline function of a
# shared header) or any symbol besides its kernel table.
#
# Arguments: libraries; what is not an archive is left out.
set -u
archives=0
for library in "$@"; do
  case "$library" in *.a) ;; *) continue ;; esac
  archives=$((archives + 1))
  symbols=$(nm -C --defined-only --extern-only "$library" |
    sed -n 's/^[0-9a-f]* \([A-Za-z]\) /\1 /p' |
    grep -v '^D peft::kernels::cpu::k[A-Za-z0-9]*Kernels$')
  if [ -n "$symbols" ]; then
    echo "$library defines symbols that others may be given:"
    echo "$symbols"
    exit 1
  fi
done
if [ "$archives" -eq 0 ]; then
  echo "found no archive among: $*"
  exit 1
fi
