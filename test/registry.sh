#!/bin/sh
# A registry on a free port of 127.0.0.1, with one image of an engine in it (docker-registry, Debian's package).
# usage: test/registry.sh start DIR ENGINE IMAGE   prints the image's name there: 127.0.0.1:PORT/base:1
#        test/registry.sh stop DIR
set -eu
verb=$1
mkdir -p "$2"
dir=$(cd "$2" && pwd)

answers() { curl -sf -m 2 "http://127.0.0.1:$port/v2/" >/dev/null 2>&1; }

start() {
	engine=$1
	image=$2
	port=$(/usr/bin/python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
	printf 'version: 0.1\nstorage: {filesystem: {rootdirectory: "%s"}}\nhttp: {addr: "127.0.0.1:%s"}\n' "$dir/data" "$port" >"$dir/conf.yml"
	docker-registry serve "$dir/conf.yml" >"$dir/log" 2>&1 </dev/null &
	echo $! >"$dir/pid"
	tries=0
	until answers; do
		tries=$((tries + 1))
		[ $tries -lt 300 ] || { echo "registry.sh: no answer within 30 s; see $dir/log" >&2; exit 1; }
		sleep 0.1
	done
	name=127.0.0.1:$port/base:1
	docker -H "$engine" tag "$image" "$name"
	docker -H "$engine" push -q "$name" >/dev/null
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
