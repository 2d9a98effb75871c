#include "proto/http_date.h"

#include <strings.h>

#define DAY 86400

static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov",
	"Dec" };
static const char *const days[7] = { "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday" };

struct civil {
	unsigned year, month, day; /* month from 1 on */
	unsigned hour, minute, second;
};

static void
drop(struct str *text, size_t len)
{
	*text = (struct str){ text->p + len, text->len - len };
}

/* Cuts exactly digits digits off the front; with is_padded a blank may stand for the first. */
static bool
cut_number(struct str *text, unsigned digits, bool is_padded, unsigned *ret)
{
	*ret = 0;
	if (text->len < digits)
		return false;
	for (unsigned i = 0; i < digits; i++) {
		char c = text->p[i];

		if (i == 0 && is_padded && c == ' ')
			c = '0';
		if (c < '0' || c > '9')
			return false;
		*ret = *ret * 10 + (unsigned)(c - '0');
	}
	drop(text, digits);
	return true;
}

static bool
cut_text(struct str *text, const char *what)
{
	struct str expected = str_of(what);

	if (text->len < expected.len || strncasecmp(text->p, what, expected.len) != 0)
		return false;
	drop(text, expected.len);
	return true;
}

static bool
cut_char(struct str *text, char c)
{
	if (text->len == 0 || text->p[0] != c)
		return false;
	drop(text, 1);
	return true;
}

/* Three letters in either case, which the bit 0x20 tells apart, are those of the name. */
static bool
begins_as(struct str text, const char *name)
{
	return text.len >= 3 && (text.p[0] | 0x20) == (name[0] | 0x20) && (text.p[1] | 0x20) == name[1] &&
	       (text.p[2] | 0x20) == name[2];
}

static bool
cut_month(struct str *text, unsigned *ret)
{
	for (unsigned i = 0; i < 12; i++)
		if (begins_as(*text, months[i])) {
			drop(text, 3);
			*ret = i + 1;
			return true;
		}
	return false;
}

/* The whole name, or its first three letters. */
static bool
cut_day_name(struct str *text, bool *is_long)
{
	for (unsigned i = 0; i < 7; i++) {
		if (!begins_as(*text, days[i]))
			continue;
		*is_long = cut_text(text, days[i]);
		if (!*is_long)
			drop(text, 3);
		return true;
	}
	return false;
}

static bool
cut_time(struct str *text, struct civil *ret)
{
	return cut_number(text, 2, false, &ret->hour) && cut_char(text, ':') &&
	       cut_number(text, 2, false, &ret->minute) && cut_char(text, ':') &&
	       cut_number(text, 2, false, &ret->second);
}

/* "Nov  6 08:49:37 1994" */
static bool
read_asctime(struct str *text, struct civil *ret)
{
	return cut_char(text, ' ') && cut_month(text, &ret->month) && cut_char(text, ' ') &&
	       cut_number(text, 2, true, &ret->day) && cut_char(text, ' ') && cut_time(text, ret) &&
	       cut_char(text, ' ') && cut_number(text, 4, false, &ret->year);
}

/* ", 06 Nov 1994 08:49:37 GMT" */
static bool
read_fixed(struct str *text, struct civil *ret)
{
	return cut_text(text, ", ") && cut_number(text, 2, false, &ret->day) && cut_char(text, ' ') &&
	       cut_month(text, &ret->month) && cut_char(text, ' ') && cut_number(text, 4, false, &ret->year) &&
	       cut_char(text, ' ') && cut_time(text, ret) && cut_text(text, " GMT");
}

static int64_t
days_from_civil(int64_t year, unsigned month, unsigned day)
{
	int64_t era, of_era;
	unsigned of_year;

	year -= month <= 2;
	era = (year >= 0 ? year : year - 399) / 400;
	of_era = year - era * 400;
	of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/* ", 06-Nov-94 08:49:37 GMT" */
static bool
read_rfc850(struct str *text, int64_t now, struct civil *ret)
{
	if (!cut_text(text, ", ") || !cut_number(text, 2, false, &ret->day) || !cut_char(text, '-') ||
	    !cut_month(text, &ret->month) || !cut_char(text, '-') || !cut_number(text, 2, false, &ret->year) ||
	    !cut_char(text, ' ') || !cut_time(text, ret) || !cut_text(text, " GMT"))
		return false;
	ret->year += 1900;
	while (days_from_civil(ret->year + 50, 1, 1) * DAY < now)
		ret->year += 100;
	return true;
}

bool
http_date_parse(struct str text, int64_t now, int64_t *ret)
{
	struct civil c = { 0 };
	bool is_long, ok;

	if (!cut_day_name(&text, &is_long))
		return false;
	if (text.len > 0 && text.p[0] == ' ')
		ok = read_asctime(&text, &c);
	else
		ok = is_long ? read_rfc850(&text, now, &c) : read_fixed(&text, &c);
	if (!ok || text.len > 0 || c.day < 1 || c.day > 31 || c.hour > 23 || c.minute > 59 || c.second > 60)
		return false;
	*ret = days_from_civil(c.year, c.month, c.day) * DAY + c.hour * 3600 + c.minute * 60 + c.second;
	return true;
}
