#!/bin/sh
# Secrets are compared in constant time (crypto_equal of proto/crypto.h): nothing named like one stands in a comparison
# that ends at the first difference. Fencing tokens and digests of public things are no secrets.
set -u
cd "${srcdir:-.}" || exit 1
names='secret|signature|password|hmac|bearer|(admin|api|session)_?token'
if grep -RniE "\b((mem|str|strn|strcase|strncase|b)cmp|str_(eq|is|is_nocase)) *\([^;]*($names)" \
	proto server cli --include='*.[ch]'; then
	echo "the comparisons above tell how much of a secret is right: use crypto_equal"
	exit 1
fi
