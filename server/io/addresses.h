/* The IPv4 addresses of this machine, and word of new ones (rtnetlink(7)): whoever walls something off from the machine
 * has to know all of them, also those of bridges that are made later. */
#ifndef DAVIT_IO_ADDRESSES_H
#define DAVIT_IO_ADDRESSES_H

struct addresses;
struct loop;

/* For each address but those of the loopback network, in dotted form; one may be told more than once. */
typedef void addresses_fn(void *arg, const char *address);

/* Calls fn for those there are before it returns (the one exception to the async contract: there is nothing to wait
 * for), and from the loop for those that come. Without netlink, only the first. */
struct addresses *addresses_watch(struct loop *loop, addresses_fn *fn, void *arg);
/* Accepts NULL inside. Not from within fn. */
void addresses_unwatch(struct addresses **addresses);

#endif
