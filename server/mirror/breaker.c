#include "server/mirror/breaker.h"

bool
breaker_is_open(const struct breaker *b)
{
	return b->wait_ms > 0;
}

enum breaker_verdict
breaker_ask(struct breaker *b, int64_t now)
{
	if (!breaker_is_open(b))
		return BREAKER_GO;
	if (b->is_tried || now < b->until)
		return BREAKER_REFUSE;
	b->is_tried = true;
	return BREAKER_TRY;
}

void
breaker_succeed(struct breaker *b)
{
	*b = (struct breaker){ 0 };
}

/* Those that were out already when it opened tell nothing new. */
void
breaker_fail(struct breaker *b, int64_t now)
{
	b->failures++;
	if (b->failures < BREAKER_FAILURES || now < b->until)
		return;
	b->wait_ms = !breaker_is_open(b) ? BREAKER_WAIT_MS : 2 * b->wait_ms;
	if (b->wait_ms > BREAKER_WAIT_MAX_MS)
		b->wait_ms = BREAKER_WAIT_MAX_MS;
	b->until = now + b->wait_ms;
	b->is_tried = false;
}

void
breaker_give_up(struct breaker *b)
{
	b->is_tried = false;
}
