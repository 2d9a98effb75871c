"use strict";

/* A job's log on the page. Text only ever becomes text nodes; of the terminal's language colours and styles are
 * understood, what else there is (titles, links, cursor moves) is left out, and what could mislead the reader
 * (bidirectional overrides, control bytes) is shown as its code. */
class LogView {
	constructor(box) {
		this.box = box;
		this.line = 0;
		this.style = "";
		this.sgr = { fg: -1, bg: -1, bold: false, faint: false, italic: false, underline: false, inverse: false };
		this.rest = "";    /* an escape sequence whose end has not come */
		this.current = null; /* the line that is not ended yet */
		this.column = "";  /* its raw text, for carriage returns */
		this.chunk = null;
		this.segments = new Map();
	}

	/* Lines are kept in chunks, which the browser need not lay out while they are out of sight. */
	place() {
		if (!this.chunk || this.chunk.childElementCount >= 200) {
			this.chunk = document.createElement("div");
			this.chunk.className = "chunk";
			this.box.append(this.chunk);
		}
		return this.chunk;
	}

	open() {
		const number = ++this.line;
		const row = document.createElement("div");
		const link = document.createElement("a");
		const text = document.createElement("span");
		row.className = "l";
		row.id = "L" + number;
		link.href = "#L" + number;
		link.textContent = number;
		row.append(link, text);
		this.place().append(row);
		this.current = text;
	}

	write(text) {
		text = this.rest + text;
		this.rest = "";
		const token = /\x1b\[([0-9;:?]*)([@-~])|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[()][A-Za-z0-9]|\x1b[^[\]PX^_()]|\r\n|\n|\r(?!$)|[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f\u202a-\u202e\u2066-\u2069\u200e\u200f]/g;
		let from = 0;
		for (let m; (m = token.exec(text)); from = token.lastIndex) {
			this.add(text.slice(from, m.index));
			if (m[2] === "m")
				this.paint(m[1]);
			else if (m[0] === "\n" || m[0] === "\r\n")
				this.end();
			else if (m[0] === "\r")
				this.again();
			else if (m[0][0] !== "\x1b")
				this.control(m[0]);
		}
		const left = text.slice(from);
		const escape = left.search(/\x1b|\r$/);
		if (escape < 0 || left.length - escape > 4096) {
			this.add(left.replace(/\x1b/g, ""));
		} else {
			this.add(left.slice(0, escape));
			this.rest = left.slice(escape);
		}
	}

	end() {
		if (!this.current)
			this.open();
		this.current = null;
	}

	/* A lone carriage return: the line is written again, as progress bars do. */
	again() {
		if (this.current)
			this.current.textContent = "";
	}

	add(text) {
		if (!text)
			return;
		if (!this.current)
			this.open();
		if (!this.style) {
			this.current.append(text);
			return;
		}
		const span = document.createElement("span");
		span.className = this.style;
		span.textContent = text;
		this.current.append(span);
	}

	control(c) {
		if (!this.current)
			this.open();
		const span = document.createElement("span");
		span.className = "ctl";
		span.textContent = "U+" + c.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0");
		this.current.append(span);
	}

	paint(codes) {
		const s = this.sgr;
		const list = (codes || "0").split(/[;:]/).map(Number);
		for (let i = 0; i < list.length; i++) {
			const c = list[i];
			if (c === 0) Object.assign(s, { fg: -1, bg: -1, bold: false, faint: false, italic: false, underline: false, inverse: false });
			else if (c === 1) s.bold = true;
			else if (c === 2) s.faint = true;
			else if (c === 3) s.italic = true;
			else if (c === 4) s.underline = true;
			else if (c === 7) s.inverse = true;
			else if (c === 22) s.bold = s.faint = false;
			else if (c === 23) s.italic = false;
			else if (c === 24) s.underline = false;
			else if (c === 27) s.inverse = false;
			else if (c >= 30 && c <= 37) s.fg = c - 30;
			else if (c >= 90 && c <= 97) s.fg = c - 82;
			else if (c === 39) s.fg = -1;
			else if (c >= 40 && c <= 47) s.bg = c - 40;
			else if (c >= 100 && c <= 107) s.bg = c - 100;
			else if (c === 49) s.bg = -1;
			else if (c === 38 || c === 48) {
				const colour = list[i + 1] === 5 ? nearest256(list[i + 2]) : list[i + 1] === 2 ? nearest(list[i + 2], list[i + 3], list[i + 4]) : -1;
				if (c === 38) s.fg = colour; else s.bg = colour < 0 ? -1 : colour % 8;
				i += list[i + 1] === 5 ? 2 : list[i + 1] === 2 ? 4 : 0;
			}
		}
		const fg = s.inverse ? 0 : s.fg, bg = s.inverse ? 7 : s.bg;
		this.style = [fg >= 0 ? "c" + fg : "", bg >= 0 ? "g" + bg : "", s.bold ? "b" : "", s.faint ? "f" : "",
			s.italic ? "i" : "", s.underline ? "u" : ""].filter(Boolean).join(" ");
	}

	segment(mark) {
		const known = this.segments.get(mark.name);
		if (mark.exit_code === null) {
			if (known && known.offset === mark.offset)
				return;
			const row = document.createElement("div");
			const name = document.createElement("span");
			const took = document.createElement("em");
			row.className = "seg";
			name.textContent = mark.name;
			row.append(name, took);
			this.current = null;
			this.chunk = null;
			this.box.append(row);
			this.segments.set(mark.name, { offset: mark.offset, time: mark.time_ms, row, took });
		} else if (known) {
			known.row.classList.add(mark.exit_code === 0 ? "good" : "bad");
			known.took.textContent = (mark.exit_code !== 0 ? "exit code " + mark.exit_code + " · " : "") + duration(mark.time_ms - known.time);
			this.current = null;
		}
	}
}

/* Of the sixteen colours the one that looks most like it. */
function nearest(r, g, b) {
	const bright = Math.max(r, g, b), low = Math.min(r, g, b);
	if (bright - low < 40)
		return bright > 200 ? 15 : bright > 140 ? 7 : 8;
	const half = low + (bright - low) / 2;
	return (r > half ? 1 : 0) + (g > half ? 2 : 0) + (b > half ? 4 : 0) + (bright > 190 ? 8 : 0);
}

function nearest256(n) {
	if (!(n >= 0 && n <= 255))
		return -1;
	if (n < 16)
		return n;
	if (n >= 232)
		return nearest(8 + 10 * (n - 232), 8 + 10 * (n - 232), 8 + 10 * (n - 232));
	const level = (v) => (v ? 55 + 40 * v : 0);
	n -= 16;
	return nearest(level(Math.floor(n / 36)), level(Math.floor(n / 6) % 6), level(n % 6));
}

function duration(ms) {
	if (!(ms >= 0))
		return "";
	if (ms < 1000)
		return Math.round(ms) + " ms";
	const s = Math.round(ms / 1000);
	if (s < 60)
		return (ms / 1000).toFixed(1) + " s";
	if (s < 3600)
		return Math.floor(s / 60) + " min " + (s % 60) + " s";
	return Math.floor(s / 3600) + " h " + Math.floor((s % 3600) / 60) + " min";
}
