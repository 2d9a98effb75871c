#!/bin/sh
# Runs every fuzz target of this build on its seeds. With libFuzzer in the build, the targets take the same arguments.
set -u
top=${srcdir:-.}
bad=0
count=0
for target in test/fuzz/fuzz_*; do
	case $target in *.o) continue ;; esac
	[ -x "$target" ] || continue
	count=$((count + 1))
	seeds=$("$top/test/fuzz/seeds.sh" "${target##*/fuzz_}")
	# shellcheck disable=SC2046
	if ! { [ -d "$seeds" ] && "$target" $(find "$seeds" -type f) >/dev/null; }; then
		echo "FAILED $target (seeds: $seeds)"
		bad=1
	fi
done
[ "$count" -gt 0 ] || { echo "no target was built"; exit 1; }
exit $bad
