/* What systemd wants to hear of a service of Type=notify: READY=1, STOPPING=1 (sd_notify(3)).
 * One datagram each; nothing happens, and nothing is lost, where no systemd listens. */
#ifndef DAVIT_CORE_SYSTEMD_H
#define DAVIT_CORE_SYSTEMD_H

void systemd_notify(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
