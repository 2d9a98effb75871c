/* Accept, claim, lease and outbox, as scripts/redis has them, for two servers and BUILDS builds of one job each. Whatever
 * server is killed or paused at whatever step: no build is lost (nobody waits for ever) or made twice, each job's end is
 * taken once and from its owner, and what the forge hears last is the end.
 *
 * Each d_step is one Lua script (on disk before its answer), or one act on the outside; between them a server may be killed,
 * and what it knew is gone. Left out: planning, a job's container, and a sender who is paused for longer than the lease of
 * its notice, since an attempt to send ends sooner than that.
 *
 * What test/model/run breaks, so that the model is seen to find something: BREAK_FENCE: finish.lua does not look at the
 * token. BREAK_DEDUPE: accept.lua does not know a delivery again. BREAK_OUTBOX: a notice is forgotten before it is sent.
 * BREAK_LEASE: nobody looks for leases that ran out. */
#ifndef BREAK_FENCE
#define BREAK_FENCE false
#endif
#ifndef BREAK_DEDUPE
#define BREAK_DEDUPE false
#endif
#ifndef BREAK_OUTBOX
#define BREAK_OUTBOX false
#endif
#ifndef BREAK_LEASE
#define BREAK_LEASE false
#endif

#define SERVERS 2
/* The bounds of the search. */
#ifndef BUILDS
#define BUILDS 1
#endif
#ifndef KILLS
#define KILLS 3
#endif
#ifndef PAUSES
#define PAUSES 2
#endif

mtype = { ABSENT, QUEUED, RUNNING, PASSED };

/* Redis. */
mtype state[BUILDS] = ABSENT;
byte made[BUILDS];  /* builds of one delivery */
byte token[BUILDS]; /* of the claim; 0: none */
byte next_token[BUILDS];
bool leased[BUILDS];
byte ended[BUILDS]; /* how often the end of the job was taken */
bool notice_run[BUILDS], notice_end[BUILDS], sending[BUILDS]; /* the outbox of a target, in order; its lease */

/* What servers know of their claims, what the forge knows. */
byte mine[SERVERS * BUILDS]; /* tokens, of server * BUILDS + build */
bool answered[BUILDS];
mtype told[BUILDS] = ABSENT;

byte kills, pauses;

/* Sends until it is answered; the server may die before it answers. */
active [BUILDS] proctype forge()
{
	byte b = _pid;

	do
	:: answered[b] -> break
	:: else ->
		d_step { /* accept.lua */
			if
			:: made[b] == 0 || (BREAK_DEDUPE && made[b] == 1) ->
				made[b]++;
				state[b] = QUEUED
			:: else
			fi
		};
		if
		:: answered[b] = true
		:: d_step { kills < KILLS -> kills++ }
		fi
	od
}

#define NOBODY(b) (mine[b] != token[b] && mine[BUILDS + b] != token[b])

inline claim(b)
{
	d_step {
		next_token[b]++;
		token[b] = next_token[b];
		mine[me * BUILDS + b] = token[b];
		state[b] = RUNNING;
		leased[b] = true;
		if
		:: token[b] == 1 -> notice_run[b] = true
		:: else
		fi
	}
}

/* The job has run: finish.lua. */
inline finish(b)
{
	d_step {
		if
		:: (token[b] == mine[me * BUILDS + b] && state[b] == RUNNING) || BREAK_FENCE ->
			ended[b]++;
			state[b] = PASSED;
			leased[b] = false;
			notice_end[b] = true
		:: else
		fi;
		mine[me * BUILDS + b] = 0
	}
}

/* The head of the target's notices goes out, and is forgotten then. */
inline deliver(b)
{
	if
	:: d_step { notice_run[b] -> notice_run[b] = !BREAK_OUTBOX }; word = RUNNING
	:: d_step { !notice_run[b] && notice_end[b] -> notice_end[b] = !BREAK_OUTBOX }; word = PASSED
	fi;
	if
	:: d_step { kills < KILLS -> kills++; sending[b] = false }; goto killed
	:: told[b] = word
	fi;
	if
	:: d_step { kills < KILLS -> kills++; sending[b] = false }; goto killed
	:: d_step {
			if
			:: word == RUNNING -> notice_run[b] = false
			:: else -> notice_end[b] = false
			fi;
			sending[b] = false
		}
	fi
}

#define SAID(b) (state[b] == PASSED && !notice_run[b] && !notice_end[b])
#if BUILDS == 1
#define ALL_SAID SAID(0)
#define ALL_TOLD (told[0] == PASSED)
#else
#define ALL_SAID (SAID(0) && SAID(1))
#define ALL_TOLD (told[0] == PASSED && told[1] == PASSED)
#endif

#define WORK(b) \
	:: atomic { state[b] == QUEUED -> claim(b) } \
	:: atomic { mine[me * BUILDS + b] != 0 -> finish(b) } \
	:: d_step { leased[b] && state[b] == RUNNING && (pauses < PAUSES && !NOBODY(b)) -> pauses++; leased[b] = false } \
	:: d_step { leased[b] && state[b] == RUNNING && NOBODY(b) -> leased[b] = false } \
	:: d_step { state[b] == RUNNING && !leased[b] && !BREAK_LEASE -> token[b] = 0; state[b] = QUEUED } /* requeue.lua */ \
	:: d_step { (notice_run[b] || notice_end[b]) && !sending[b] -> sending[b] = true }; deliver(b)

active [SERVERS] proctype server()
{
	byte me = _pid - BUILDS;
	mtype word;

killed:
	skip;
	d_step {
		mine[me * BUILDS] = 0;
#if BUILDS == 2
		mine[me * BUILDS + 1] = 0
#endif
	};
	do
	WORK(0)
#if BUILDS == 2
	WORK(1)
#endif
	:: d_step { kills < KILLS && !ALL_SAID -> kills++ }; goto killed
	:: ALL_SAID -> break
	od;
	assert(ALL_TOLD)
}

#define RIGHT(b) (made[b] <= 1 && ended[b] <= 1 && (!answered[b] || state[b] != ABSENT))

active proctype watch()
{
end:
#if BUILDS == 2
	!(RIGHT(0) && RIGHT(1)) -> assert(false)
#else
	!RIGHT(0) -> assert(false)
#endif
}
