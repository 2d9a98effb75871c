"use strict";

/* A terminal in a job's container, as `davit debug` opens one: what it says is a log, what is typed goes there line by
 * line, since no more than that is needed to look around. Programs that draw on the screen are for davit debug. */

/* The server alone knows for sure; then it says no. */
function canDebug(job) {
	return job.state === "running" || isHeld(job);
}

function isHeld(job) {
	return JOB_FINAL.has(job.state) && /; held for debugging until /.test(job.reason || "");
}

function openTerminal(job) {
	const lines = el("div", { class: "lines" }), view = new LogView(lines), decoder = new TextDecoder();
	const line = el("input", { name: "line", autocomplete: "off", autocapitalize: "off", spellcheck: "false", "aria-label": "What the shell is to do" });
	const dialog = el("dialog", { class: "terminal" },
		el("section", { class: "log", "aria-label": "Terminal" },
			el("div", { class: "tools" }, el("b", {}, "Job " + job.id), el("span", { class: "grow" }, "^C and ^D as usual"),
				el("button", { type: "button", onclick: () => dialog.close() }, "Close")),
			lines, el("form", { onsubmit: sendLine }, line)));
	const address = new URL("/api/v1/jobs/" + job.id + "/debug?rows=40&columns=120&term=dumb", location.href);
	address.protocol = address.protocol.replace("http", "ws");
	const socket = new WebSocket(address);
	let last = "this job does not run here, or is not held any more";
	let early = ""; /* typed before it is open */

	function say(text) {
		view.write(text);
		lines.scrollTop = lines.scrollHeight;
	}

	function send(text) {
		if (socket.readyState === WebSocket.OPEN)
			socket.send(new TextEncoder().encode(text));
		else
			early += text;
	}

	function sendLine(event) {
		event.preventDefault();
		send(line.value + "\r");
		line.value = "";
	}

	line.onkeydown = (event) => {
		if (!event.ctrlKey || event.altKey || event.metaKey)
			return;
		if (event.key === "c" && line.selectionStart === line.selectionEnd)
			send("\x03");
		else if (event.key === "d")
			send("\x04");
		else
			return;
		event.preventDefault();
	};
	socket.binaryType = "arraybuffer";
	socket.onopen = () => {
		last = "the connection was lost";
		send(early);
	};
	socket.onmessage = (event) => {
		if (typeof event.data !== "string") {
			say(decoder.decode(event.data, { stream: true }));
			return;
		}
		const end = JSON.parse(event.data);
		last = end.error || "the shell ended with exit code " + end.exit_code;
	};
	socket.onclose = () => {
		say("\r\n" + last + "\r\n");
		line.disabled = true;
	};
	dialog.onclose = () => {
		socket.close();
		dialog.remove();
	};
	document.body.append(dialog);
	dialog.showModal();
	line.focus();
}
