#!/bin/sh
# Prints C source that holds Lua scripts: embed.sh COMMON... -- SCRIPT... Each script has in front the fence and what it
# uses of the common parts (pick.awk), in their order, and the SHA-1 by which Redis calls it.
set -eu
pick=$(dirname "$0")/pick.awk
fence=$(dirname "$0")/fence.lua
common=
while [ "$1" != -- ]; do
	common="$common $1"
	shift
done
shift
picked() {
	grep -v '^--' "$fence"
	awk -v script="$1" -f "$pick" $common "$1"
}
echo '/* Made by scripts/redis/embed.sh from scripts/redis/. */'
echo '#include "server/store/scripts.h"'
for file in "$@"; do
	name=$(basename "$file" .lua)
	sha=$(picked "$file" | sha1sum | cut -d ' ' -f 1)
	printf '\nconst struct redis_script script_%s = {\n\t.name = "%s",\n\t.sha = "%s",\n\t.text =\n' "$name" "$name" "$sha"
	picked "$file" | sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/\t    "/' -e 's/$/\\n"/'
	printf '\t    ,\n};\n'
done
