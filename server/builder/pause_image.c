#include "server/builder/pause.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "proto/tar.h"

enum { PROGRAM_MAX = 16 * 1024 * 1024 };

static bool
read_all(const char *path, struct buf *b, struct err *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char piece[65536];
	ssize_t len = fd >= 0 ? 1 : -1;

	while (len > 0 && (len = read(fd, piece, sizeof(piece))) > 0)
		if (!buf_add(b, piece, (size_t)len))
			break;
	if (len < 0)
		*err = err_errno("%s", path);
	else if (buf_failed(b))
		err_set(err, ERR_LIMIT, 0, "%s: larger than %d bytes", path, PROGRAM_MAX);
	if (fd >= 0)
		close(fd);
	return len == 0;
}

/* In an image of its own a program finds no shared library and no loader. */
static bool
needs_loader(struct str program)
{
	Elf64_Ehdr head;
	Elf64_Phdr part;

	if (program.len < sizeof(head) || program.p[EI_CLASS] != ELFCLASS64)
		return false;
	memcpy(&head, program.p, sizeof(head));
	for (size_t i = 0; i < head.e_phnum; i++) {
		size_t at = head.e_phoff + i * sizeof(part);

		if (at > program.len - sizeof(part))
			return false;
		memcpy(&part, program.p + at, sizeof(part));
		if (part.p_type == PT_INTERP)
			return true;
	}
	return false;
}

static bool
check(const char *path, struct str program, struct err *err)
{
	if (program.len < SELFMAG || memcmp(program.p, ELFMAG, SELFMAG) != 0)
		return err_set(err, ERR_INPUT, 0, "%s is not a program", path);
	if (needs_loader(program))
		return err_set(
		    err, ERR_INPUT, 0, "%s is not statically linked: install the package busybox-static", path);
	return true;
}

char *
pause_image(const char *busybox, size_t *len, struct err *err)
{
	struct buf program, tar;
	char *image = NULL;

	buf_init(&program, PROGRAM_MAX);
	buf_init(&tar, PROGRAM_MAX + 8 * TAR_BLOCK);
	if (read_all(busybox, &program, err) && check(busybox, buf_str(&program), err) &&
	    tar_add_dir(&tar, "bin", 0755, 0) && tar_add_file(&tar, "bin/busybox", 0755, 0, buf_str(&program)) &&
	    tar_end(&tar))
		image = buf_take(&tar, len);
	buf_fini(&program);
	buf_fini(&tar);
	return image;
}
