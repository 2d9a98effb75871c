#include "proto/git_error.h"

#include <stdio.h>
#include <string.h>

static const struct {
	const char *needle; /* in git's, curl's or ssh's words */
	enum err_code code;
	const char *text; /* %s: the commit */
} meanings[] = {
	{ "not our ref", ERR_NOT_FOUND, "commit %s is not on the server (was it force-pushed away?)" },
	{ "unadvertised object", ERR_NOT_FOUND,
	    "commit %s is not at the tip of a ref, and the server gives no others" },
	{ "couldn't find remote ref", ERR_NOT_FOUND, "the ref of commit %s is not on the server any more" },
	{ "bad object", ERR_NOT_FOUND, "commit %s is not in the mirror" },
	{ "failed to unpack tree object", ERR_NOT_FOUND, "commit %s is not in the mirror" },
	{ "Not a valid object name", ERR_NOT_FOUND, "commit %s is not in the mirror" },
	{ "could not read Username", ERR_AUTH, "the server wants credentials: set the repository's token" },
	{ "could not read Password", ERR_AUTH, "the server wants credentials: set the repository's token" },
	{ "Authentication failed", ERR_AUTH, "the server refuses the repository's token" },
	{ "error: 401", ERR_AUTH, "the server refuses the repository's token" },
	{ "error: 403", ERR_AUTH, "the server refuses access: the token may not read this repository" },
	{ "Permission denied (", ERR_AUTH, "the server refuses the ssh key" },
	{ "Host key verification failed", ERR_AUTH, "the server's ssh host key is not the one that is known" },
	{ "error: 404", ERR_NOT_FOUND, "repository not found: check its URL, and its token if it is private" },
	{ "Repository not found", ERR_NOT_FOUND,
	    "repository not found: check its URL, and its token if it is private" },
	{ "does not appear to be a git repository", ERR_NOT_FOUND, "repository not found: there is none at its URL" },
	{ "not a git repository", ERR_NOT_FOUND, "repository not found" },
	{ "does not exist", ERR_NOT_FOUND, "repository not found: check its URL" },
	{ "transport '", ERR_REFUSED, "the URL's protocol is not allowed" },
	{ "Could not resolve host", ERR_UNAVAILABLE, "the server's name cannot be resolved" },
	{ "Connection refused", ERR_UNAVAILABLE, "the server refuses connections" },
	{ "Failed to connect", ERR_UNAVAILABLE, "the server cannot be reached" },
	{ "Couldn't connect", ERR_UNAVAILABLE, "the server cannot be reached" },
	{ "unable to connect", ERR_UNAVAILABLE, "the server cannot be reached" },
	{ "Connection timed out", ERR_UNAVAILABLE, "the server does not answer" },
	{ "Operation too slow", ERR_UNAVAILABLE, "the server sends too slowly" },
	{ "Connection reset", ERR_UNAVAILABLE, "the server closed the connection" },
	{ "Empty reply", ERR_UNAVAILABLE, "the server closed the connection" },
	{ "hung up unexpectedly", ERR_UNAVAILABLE, "the server closed the connection" },
	{ "early EOF", ERR_UNAVAILABLE, "the server closed the connection" },
	{ "unexpected disconnect", ERR_UNAVAILABLE, "the server closed the connection" },
	{ "error: 429", ERR_UNAVAILABLE, "the server says: too many requests" },
	{ "error: 5", ERR_UNAVAILABLE, "the server has an error of its own" },
	{ "File exists", ERR_CONFLICT, "a lock of an earlier git process is in the way" },
	{ "No space left on device", ERR_UNAVAILABLE, "no space left on the disk" },
	{ "Out of diskspace", ERR_UNAVAILABLE, "no space left on the disk" },
	{ "couldn't write '", ERR_UNAVAILABLE, "the mirror cannot be written: is the disk full?" },
	{ "unable to write", ERR_UNAVAILABLE, "the mirror cannot be written: is the disk full?" },
	{ "certificate", ERR_REFUSED, "the server's certificate is not trusted" },
};

static bool
contains(struct str text, const char *needle)
{
	return memmem(text.p, text.len, needle, strlen(needle)) != NULL;
}

bool
git_error_is_missing_commit(struct str text)
{
	return contains(text, "not our ref") || contains(text, "unadvertised object") ||
	       contains(text, "couldn't find remote ref");
}

bool
git_error_is_damage(struct str text)
{
	return contains(text, "not a git repository: '") || contains(text, "object file ") ||
	       contains(text, "(stored in ") || contains(text, "bad object refs/");
}

/* The last line that says something, without git's "fatal: ". */
static struct str
last_line(struct str text)
{
	struct str found = { "", 0 };

	while (text.len > 0) {
		struct str line = str_trim(str_cut(&text, '\n'));

		if (str_has_prefix(line, "fatal: ") || str_has_prefix(line, "error: "))
			line = (struct str){ line.p + 7, line.len - 7 };
		if (line.len > 0)
			found = line;
	}
	return found;
}

/* The server chose some of it: nothing that moves a cursor. */
static void
make_printable(char *text)
{
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i++)
		if ((unsigned char)text[i] < ' ' || (unsigned char)text[i] >= 0x7f)
			text[i] = '?';
}

struct err
git_error(struct str text, int exit_code, const char *commit)
{
	struct str line = last_line(text);
	char shown[160];

	for (size_t i = 0; i < sizeof(meanings) / sizeof(meanings[0]); i++) {
		const char *name = commit == NULL ? "asked for" : commit;
		const char *place = strstr(meanings[i].text, "%s");

		if (!contains(text, meanings[i].needle))
			continue;
		if (place == NULL)
			return err_make(meanings[i].code, exit_code, "%s", meanings[i].text);
		return err_make(meanings[i].code, exit_code, "%.*s%s%s", (int)(place - meanings[i].text),
		    meanings[i].text, name, place + 2);
	}
	if (line.len == 0)
		return err_make(ERR_REFUSED, exit_code, "git ended with exit code %d", exit_code);
	snprintf(shown, sizeof(shown), "%.*s", (int)line.len, line.p);
	make_printable(shown);
	return err_make(ERR_REFUSED, exit_code, "git: %s", shown);
}
