#!/bin/sh
# Prints C source that holds Lua scripts: embed.sh COMMON... -- SCRIPT... Each script has the common parts in front, in
# that order, and the SHA-1 by which Redis calls it.
set -eu
common=
while [ "$1" != -- ]; do
	common="$common $1"
	shift
done
shift
echo '/* Made by scripts/redis/embed.sh from scripts/redis/. */'
echo '#include "server/store/scripts.h"'
for file in "$@"; do
	name=$(basename "$file" .lua)
	sha=$(cat $common "$file" | sha1sum | cut -d ' ' -f 1)
	printf '\nconst struct redis_script script_%s = {\n\t.name = "%s",\n\t.sha = "%s",\n\t.text =\n' "$name" "$name" "$sha"
	cat $common "$file" | sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/\t    "/' -e 's/$/\\n"/'
	printf '\t    ,\n};\n'
done
