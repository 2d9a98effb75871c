// What llhttp (Node's parser, strict as a server has it) makes of the bytes of a connection; requests.c has the format.
"use strict";

process.removeAllListeners("warning");
process.on("warning", () => {});
const { HTTPParser } = process.binding("http_parser");
const METHODS = require("http").METHODS;
const { methods } = process.binding("http_parser");
const fs = require("fs");

const hex = (text) => Buffer.from(text, "latin1").toString("hex");
const trim = (text) => text.replace(/^[ \t]+|[ \t]+$/g, "");

function look(bytes) {
	const parser = new HTTPParser();
	let line = "", open = false, early = [], start = "";
	parser.initialize(HTTPParser.REQUEST, {}, 1 << 20, 0);
	parser[HTTPParser.kOnHeaders] = (headers, url) => {
		early.push(...headers); // when there are many, or they came before the end of the target
		start += url;
	};
	parser[HTTPParser.kOnHeadersComplete] = (major, minor, headers, method, url) => {
		const all = [...early, ...(headers || [])];
		open = true;
		line += (methods[method] || METHODS[method]) + " " + hex(start + (url || "")) + " " + major + "." + minor + " ";
		for (let i = 0; i < all.length; i += 2)
			line += hex(all[i]) + ":" + hex(trim(all[i + 1])) + " ";
		line += "[";
		early = [];
		start = "";
		return 0;
	};
	parser[HTTPParser.kOnBody] = (body, offset, length) => {
		line += (offset === undefined ? body : body.subarray(offset, offset + length)).toString("hex");
	};
	parser[HTTPParser.kOnMessageComplete] = () => {
		open = false;
		early = []; // trailers
		start = "";
		line += "]; ";
	};
	const taken = parser.execute(bytes, 0, bytes.length);
	if (open)
		line += "...]; ";
	if (taken instanceof Error)
		return line + "refused " + (taken.code || taken.message);
	if (taken < bytes.length)
		return line + "upgrade";
	return line + "end";
}

const input = fs.readFileSync(0);
const lines = [];
for (let at = 0; at + 4 <= input.length; ) {
	const length = input.readUInt32LE(at);
	lines.push(look(Buffer.from(input.subarray(at + 4, at + 4 + length))));
	at += 4 + length;
}
fs.writeSync(1, lines.join("\n") + "\n");
