#include "server/builder/relay.h"

#include "proto/wiring.h"
#include "server/builder/container.h"
#include "server/builder/pause.h"

/* $1 the port of the mirror, $2 its address; without one it is this network's gateway, which is the machine. */
static const char script[] = "b=/bin/busybox; port=$1; host=${2-}\n"
			     "gateway=$($b ip route | $b sed -n 's/^default via \\([^ ]*\\).*/\\1/p')\n"
			     "[ -n \"$host\" ] || host=$gateway\n"
			     "[ $host = $gateway ] || $b ip route add $host via $gateway || exit 1\n"
			     "$b ip route add blackhole 0.0.0.0/1 && $b ip route add blackhole 128.0.0.0/1 || exit 1\n"
			     "exec $b nc -ll -p " WIRING_PORT " -e $b nc $host $port\n";

struct docker_op *
relay_create(struct host *host, const char *name, const char *network, const struct host_labels *labels, docker_fn *fn,
    void *arg)
{
	const char *const command[] = { "/bin/busybox", "sh", "-c", script, "relay", host->relay_port,
		host->relay_address, NULL };
	const struct container_place place = {
		.image = PAUSE_IMAGE, .network = network, .labels = labels->list, .label_count = labels->count
	};
	struct docker_container_spec spec = container_of_relay(&place, WIRING_HOST, command);

	return docker_create(host->docker, name, &spec, fn, arg);
}
