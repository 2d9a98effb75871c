#!/bin/sh
# The folders with inputs to begin from, for the fuzz target fuzz_NOUN: its own, or fixtures in the same format.
# usage: test/fuzz/seeds.sh NOUN
top=$(cd "$(dirname "$0")/.." && pwd)
case $1 in
hook | json) echo "$top/fixtures/hook" ;;
pipeline) echo "$top/fixtures/pipeline" ;;
*) echo "$top/fuzz/seeds/$1" ;;
esac
