# Prints a script with what it uses of the common parts in front, and what that uses in turn: Redis makes every function
# in a script's text anew for each call, used or not.
# usage: awk -v script=FILE -f pick.awk COMMON... FILE
# A part of a common file begins at the left margin, with "local" or "function", and goes on to the next, so nothing else
# may stand between. A name counts as used wherever it is a word, in a text too: one part too many does no harm.

function words_of(line, set, n, i, list) {
	n = split(line, list, /[^A-Za-z0-9_]+/)
	for (i = 1; i <= n; i++)
		set[list[i]] = 1
}

# The names that a part's first line declares.
function names_of(line) {
	sub(/^local +/, "", line)
	if (sub(/^function +/, "", line))
		sub(/\(.*/, "", line)
	else
		sub(/=.*/, "", line)
	return line
}

/^[ \t]*--/ || /^$/ {
	next
}

FILENAME == script {
	text = text $0 "\n"
	words_of($0, used)
	next
}

/^(local|function) / {
	names[++count] = names_of($0)
}

{
	part[count] = part[count] $0 "\n"
}

END {
	do {
		again = 0
		for (i = 1; i <= count; i++) {
			if (is_in[i])
				continue
			n = split(names[i], list, /[, ]+/)
			for (k = 1; k <= n; k++)
				if (list[k] != "" && list[k] in used)
					is_in[i] = 1
			if (is_in[i]) {
				words_of(part[i], used)
				again = 1
			}
		}
	} while (again)
	for (i = 1; i <= count; i++)
		if (is_in[i])
			printf "%s", part[i]
	printf "%s", text
}
