#!/bin/sh
# The table of options in server/conf.c, the sample conf/davit.yml and the manual doc/davit.yml.5 hold the same options, and
# the manual says their defaults and help. That the sample's values are the defaults is checked by test/unit/test_conf.
set -u
src=${srcdir:-.}
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
bad=0

./test/list_options >"$tmp/options" || exit 1
[ -s "$tmp/options" ] || exit 1

# The sample's keys with their sections in front; keys below image_aliases are the user's own and quoted.
sed -n 's/^\( *\)#\([^ ].*\)$/\1\2/p' "$src/conf/davit.yml" | awk '
	{
		line = $0
		match(line, /^ */)
		depth = RLENGTH
		sub(/^ */, "", line)
		if (sub(/^- /, "", line))
			depth += 2
		if (line !~ /^[a-z_]+:/)
			next
		sub(/:.*/, "", line)
		while (top > 0 && depths[top] >= depth)
			top--
		depths[++top] = depth
		keys[top] = line
		path = keys[1]
		for (i = 2; i <= top; i++)
			path = path "." keys[i]
		print path
	}' | sort -u >"$tmp/sample"

# Sections that are no option themselves.
grep -vE '^(redis|builder|smtp|keep|git|forge|hook|artifacts|caches|mirror|engines\.tls)$' "$tmp/sample" >"$tmp/sample-options"
cut -f 1 "$tmp/options" | sort >"$tmp/table"
if ! diff "$tmp/table" "$tmp/sample-options"; then
	echo "the options (<) and conf/davit.yml (>) differ"
	bad=1
fi
sed -n 's/^\.It Ic \([a-z_.]*\).*/\1/p' "$src/doc/davit.yml.5" | sort >"$tmp/manual"
cut -f 1 "$tmp/options" | sort >"$tmp/table"
if ! diff "$tmp/table" "$tmp/manual"; then
	echo "the options (<) and doc/davit.yml.5 (>) differ"
	bad=1
fi
tab=$(printf '\t')
while IFS=$tab read -r key default help; do
	case $default in
	-) item=".It Ic $key Pq needed" ;;
	'""') item=".It Ic $key Pq empty" ;;
	*[\[{]*) item=".It Ic $key" ;;
	*) item=".It Ic $key Pq Li $default" ;;
	esac
	if ! grep -A 1 -xF -e "$item" "$src/doc/davit.yml.5" | tail -n 1 | grep -qixF -e "$help."; then
		echo "doc/davit.yml.5: no \"$item\" with \"$help.\" in the next line"
		bad=1
	fi
done <"$tmp/options"
exit "$bad"
