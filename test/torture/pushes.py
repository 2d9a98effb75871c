"""What jobs do that are looked at afterwards: every byte of output follows from a seed, so that it is known beforehand."""

PRIME, FACTOR = 2147483647, 16807

# Tells the receiver of the steps' effects that this step of this attempt was begun, then prints its lines. The message is
# sent until it is taken: whoever reads it drops repetitions by their last word.
STEP = """\
step=$1 seed=$2 lines=$3 rest=$4
word=$(cat /proc/sys/kernel/random/uuid)
while [ -n "$EFFECTS" ]; do
  [ "$(echo "$DAVIT_COMMIT $DAVIT_JOB $DAVIT_ATTEMPT $step $word" | nc -w 5 ${EFFECTS%:*} ${EFFECTS#*:} 2>/dev/null)" != ok ] || break
  sleep 0.1
done
half=$((lines / 2))
print() {
  awk -v s="$seed" -v from="$1" -v to="$2" -v p=2147483647 \\
    'BEGIN { for (i = 0; i < to; i++) { s = s * 16807 % p; if (i >= from) printf "%010d %d\\n", s, i } }'
}
print 0 $half
sleep "$rest"
print $half $lines
"""


def lines_of(seed, count):
    text = []
    for i in range(count):
        seed = seed * FACTOR % PRIME
        text.append(f"{seed:010d} {i}\n")
    return "".join(text).encode()
