#!/bin/sh
# The page's scripts are joined to one: a name that two of them declare would mean the later one in both.
set -u
cd "${srcdir:-.}" || exit 1
twice=$(sed -nE 's/^(async )?(function|const|let|class) ([A-Za-z0-9_$]+).*/\3/p' server/controller/web/*.js | sort | uniq -d)
[ -z "$twice" ] || { echo "declared by two scripts of the page: $twice"; exit 1; }
