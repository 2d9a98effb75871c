#!/bin/sh
# Builds the fuzz targets with clang (libFuzzer, ASan, UBSan) and runs each for some seconds; "ok NAME" for each that
# found nothing. A crash's input is left in the folder and named.
# usage: test/fuzz/smoke.sh [SECONDS]   default 5; DAVIT_FUZZ_DIR names the build folder (build/fuzz)
set -u

top=$(cd "$(dirname "$0")/../.." && pwd)
work=${DAVIT_FUZZ_DIR:-$top/build/fuzz}
seconds=${1:-5}
mkdir -p "$work/obj" "$work/crashes"
[ -x "$top/configure" ] || "$top/autogen.sh" >/dev/null 2>&1

cd "$work/obj" || exit 1
[ -f Makefile ] || "$top/configure" -q CC=clang --enable-fuzzing --enable-sanitizers CFLAGS='-g -O1' || exit 1
targets=$(sed -n 's/^FUZZ_TARGETS += //p' "$top/test/fuzz/Makefile.inc")
# shellcheck disable=SC2086
make -j"$(nproc)" $targets || exit 1

bad=0
for target in $targets; do
	name=$(basename "$target")
	corpus=$work/corpus/$name
	mkdir -p "$corpus"
	# shellcheck disable=SC2046
	if "./$target" -max_total_time="$seconds" -timeout=5 -rss_limit_mb=2048 -print_final_stats=1 \
		-artifact_prefix="$work/crashes/$name-" \
		"$corpus" $("$top/test/fuzz/seeds.sh" "${name#fuzz_}") >"$work/$name.log" 2>&1; then
		echo "ok $name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$work/$name.log") runs"
	else
		bad=1
		echo "FAILED $name:"
		tail -n 40 "$work/$name.log"
	fi
done
exit $bad
