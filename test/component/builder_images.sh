#!/bin/sh
# The images of test_builder: builder_images.sh URL. All are made of a static busybox and the system's sh; nothing is
# pulled. The folder of names is thrown away, the images stay.
set -eu
url=$1
busybox=${BUSYBOX:-/bin/busybox}
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
mkdir -p "$root/full/bin" "$root/tarless/bin" "$root/empty/etc"

cp "$busybox" "$root/full/bin/busybox"
for name in $("$busybox" --list); do
	[ "$name" = busybox ] || ln -s busybox "$root/full/bin/$name"
done
# A shell and its libraries, and no tar: a busybox shell would have its own.
for file in $(ldd /bin/dash | grep -o '/[^ ]*'); do
	mkdir -p "$root/tarless$(dirname "$file")"
	cp "$file" "$root/tarless$file"
done
cp /bin/dash "$root/tarless/bin/sh"
echo empty > "$root/empty/etc/issue"

import() {
	name=$1
	folder=$2
	shift 2
	tar -C "$root/$folder" --owner 0 --group 0 -c . | docker -H "$url" import "$@" - "davit-test/$name:latest" > /dev/null
}
docker -H "$url" inspect davit-test/busybox:latest > /dev/null 2>&1 || import busybox full
import tarless tarless
import empty empty
import service full --change 'CMD ["sh", "-c", "mkdir /www; echo it is up > /www/index.html; sleep 1; exec httpd -f -p 8000 -h /www"]'
import quitter full --change 'CMD ["sh", "-c", "echo cannot open the database; exit 4"]'
import healthy full --change 'CMD ["sh", "-c", "sleep 1; touch /tmp/up; exec sleep 1000"]' \
	--change 'HEALTHCHECK CMD ["test", "-e", "/tmp/up"]' || echo 'this engine imports no image with a HEALTHCHECK; what needs one will fail' >&2
