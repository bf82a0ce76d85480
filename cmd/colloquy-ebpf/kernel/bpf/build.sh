#!/bin/sh
# Compiles observer.c to $1, the same bytes on every machine with the same compiler:
# paths are relative to here, and of the debug information only what the loader
# needs (.BTF, .BTF.ext) is kept.
set -eu
out=$(realpath "$1")
cd "$(dirname "$0")"
"${CLANG:-clang-19}" -target bpfel -mcpu=v3 -O2 -g -Wall -Wextra -Werror -Wno-unused-parameter \
	-fdebug-compilation-dir=. -c observer.c -o "$out"
"${LLVM_STRIP:-llvm-strip-19}" -g "$out"
