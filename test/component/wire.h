/* A raw client for component tests: its socket lives in the tested loop, and it sends exactly the bytes it is told to.
 */
#ifndef DAVIT_TEST_WIRE_H
#define DAVIT_TEST_WIRE_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/buf.h"

struct loop;
struct wire;

/* Connected on return (the listener's backlog takes it). */
struct wire *wire_tcp(struct loop *loop, unsigned port);
struct wire *wire_unix(struct loop *loop, const char *path);
void wire_free(struct wire **wire);
int wire_fd(const struct wire *wire);

/* Sends all of it, turning the loop while the peer does not take it; false when the peer has closed. */
bool wire_send(struct wire *wire, const char *bytes, size_t len);
bool wire_puts(struct wire *wire, const char *text);
void wire_half_close(struct wire *wire);
/* Reads no more until wire_read_again: a slow client. */
void wire_stop_reading(struct wire *wire);
void wire_read_again(struct wire *wire);

/* Turns the loop until the text has come, the peer has closed, or 10 s are over; whether the text has come. */
bool wire_expect(struct wire *wire, const char *text);
/* Until the peer has closed (true) or 10 s are over. */
bool wire_expect_end(struct wire *wire);
/* All that has come so far. */
struct buf *wire_got(struct wire *wire);
bool wire_is_ended(const struct wire *wire);

/* Turns the loop until *flag, or 10 s are over; its last value. */
bool wire_turn_until(struct loop *loop, const bool *flag);
/* Turns the loop for as long as something is ready. */
void wire_settle(struct loop *loop);

#endif
