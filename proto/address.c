#include "proto/address.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static const struct {
	unsigned char address[4];
	unsigned bits;
} not_public[] = {
	{ { 0, 0, 0, 0 }, 8 },      /* this network */
	{ { 10, 0, 0, 0 }, 8 },     /* private */
	{ { 100, 64, 0, 0 }, 10 },  /* shared by carriers */
	{ { 127, 0, 0, 0 }, 8 },    /* loopback */
	{ { 169, 254, 0, 0 }, 16 }, /* link-local: also where clouds keep their metadata */
	{ { 172, 16, 0, 0 }, 12 },  /* private */
	{ { 192, 0, 0, 0 }, 24 },   /* protocol assignments */
	{ { 192, 0, 2, 0 }, 24 },   /* documentation */
	{ { 192, 88, 99, 0 }, 24 }, /* 6to4 relays */
	{ { 192, 168, 0, 0 }, 16 }, /* private */
	{ { 198, 18, 0, 0 }, 15 },  /* benchmarks */
	{ { 198, 51, 100, 0 }, 24 }, { { 203, 0, 113, 0 }, 24 },
	{ { 224, 0, 0, 0 }, 3 }, /* multicast, reserved, broadcast */
};

static uint32_t
number(const unsigned char a[4])
{
	return (uint32_t)a[0] << 24 | (uint32_t)a[1] << 16 | (uint32_t)a[2] << 8 | a[3];
}

bool
address_v4_is_public(const unsigned char address[4])
{
	for (size_t i = 0; i < sizeof(not_public) / sizeof(not_public[0]); i++)
		if ((number(address) ^ number(not_public[i].address)) >> (32 - not_public[i].bits) == 0)
			return false;
	return true;
}

/* Only global unicast (2000::/3), and of that neither documentation nor what carries an IPv4 address within, as that
 * would be a way around the table above. */
bool
address_v6_is_public(const unsigned char a[16])
{
	static const unsigned char teredo[4] = { 0x20, 0x01, 0, 0 }, documentation[4] = { 0x20, 0x01, 0x0d, 0xb8 };

	if (a[0] >> 5 != 1)
		return false;
	return memcmp(a, teredo, 4) != 0 && memcmp(a, documentation, 4) != 0 && !(a[0] == 0x20 && a[1] == 0x02);
}
