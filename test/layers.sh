#!/bin/sh
# The arrows of ARCHITECTURE.md: a file may include only what stands to its right, and each third-party library has one home.
#   main -> app -> controller -> { hook scheduler builder mirror delivery notify } -> store -> io -> core -> proto
set -u
cd "${srcdir:-.}" || exit 1
bad=0

# forbid FOLDER PATTERN: no file below FOLDER includes a project header that matches PATTERN.
forbid() {
	[ -d "$1" ] || return 0
	if grep -RnE "^#[[:space:]]*include[[:space:]]*\"($2)" "$1" --include='*.[ch]'; then
		bad=1
	fi
}

# home PATTERN FILES...: headers that match PATTERN are included below server/, proto/ and cli/ by FILES alone.
home() {
	pattern=$1
	shift
	hits=$(grep -RnE "^#[[:space:]]*include[[:space:]]*<($pattern)" server proto cli --include='*.[ch]')
	for allowed in "$@"; do
		hits=$(printf '%s\n' "$hits" | grep -vE "^($allowed)" || true)
	done
	if [ -n "$hits" ]; then
		printf '%s\n' "$hits"
		bad=1
	fi
}

components='hook scheduler builder mirror delivery notify'
above_store='server/(hook|scheduler|builder|mirror|delivery|notify|controller)/|server/(app|conf)\.h'

forbid proto 'server/|cli/'
forbid server/core "server/(io|store)/|$above_store|cli/"
forbid server/io "server/store/|$above_store|cli/"
forbid server/store "$above_store|cli/"
for c in $components; do
	others=$(printf '%s\n' $components | grep -v "^$c\$" | tr '\n' '|')
	forbid "server/$c" "server/(${others}controller)/|server/(app|conf)\.h|cli/"
done
forbid server/controller 'server/app\.h|cli/'
# davit run has a builder of its own.
forbid cli 'server/(store|hook|scheduler|mirror|delivery|notify|controller)/|server/(app|conf)\.h'

home 'evhtp' server/controller/
home 'hiredis' server/io/redis
home 'expat' proto/xml
home 'zstd' server/store/pack
home 'yajl' proto/json
home 'yaml\.h' proto/yaml
home 'uthash' server/mirror/
home 'openssl' server/io/stream proto/crypto

[ "$bad" = 0 ] || echo "the includes above go against the arrows (ARCHITECTURE.md)"
exit "$bad"
