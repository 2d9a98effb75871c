#!/bin/sh
# A registry on a free port of 127.0.0.1, or at $ADDRESS (host:port), with one image of an engine in it (docker-registry, Debian's package).
# usage: test/registry.sh start DIR ENGINE IMAGE   prints the image's name there: 127.0.0.1:PORT/base:1
#        test/registry.sh start DIR ENGINE IMAGE USER PASSWORD   the same of one that wants a login
#        test/registry.sh stop DIR
set -eu
verb=$1
mkdir -p "$2"
dir=$(cd "$2" && pwd)

answers() { curl -sf -m 2 ${login:+-u "$login"} "http://$address/v2/" >/dev/null 2>&1; }

want_login() {
	login=$1:$2
	/usr/bin/python3 -W ignore -c 'import crypt, sys; print(sys.argv[1], crypt.crypt(sys.argv[2], crypt.mksalt(crypt.METHOD_BLOWFISH, rounds=16)), sep=":")' \
		"$1" "$2" >"$dir/htpasswd"
	printf 'auth: {htpasswd: {realm: test, path: "%s"}}\n' "$dir/htpasswd" >>"$dir/conf.yml"
	mkdir -p "$dir/client"
	printf '{"auths": {"%s": {"auth": "%s"}}}\n' "$address" "$(printf %s "$login" | base64 -w 0)" >"$dir/client/config.json"
}

start() {
	engine=$1
	image=$2
	address=${ADDRESS:-127.0.0.1:$(/usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')}
	printf 'version: 0.1\nstorage: {filesystem: {rootdirectory: "%s"}}\nhttp: {addr: "%s"}\n' "$dir/data" "$address" >"$dir/conf.yml"
	login=
	[ $# = 2 ] || want_login "$3" "$4"
	docker-registry serve "$dir/conf.yml" >"$dir/log" 2>&1 </dev/null &
	echo $! >"$dir/pid"
	tries=0
	until answers; do
		tries=$((tries + 1))
		[ $tries -lt 300 ] || { echo "registry.sh: no answer within 30 s; see $dir/log" >&2; exit 1; }
		sleep 0.1
	done
	name=$address/base:1
	docker -H "$engine" tag "$image" "$name"
	docker --config "$dir/client" -H "$engine" push -q "$name" >/dev/null
	docker -H "$engine" rmi "$name" >/dev/null
	echo "$name"
}

stop() {
	[ ! -f "$dir/pid" ] || kill "$(cat "$dir/pid")" 2>/dev/null || true
	rm -rf "$dir"
}

shift 2
case $verb in
start | stop) $verb "$@" ;;
esac
