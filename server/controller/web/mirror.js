"use strict";

/* What the mirror has and what it saves, as long as the page is looked at. */
const MIRROR_EVERY = 3000;

function mirrorFacts(m) {
	const replies = m.hits + m.misses, saved = Math.max(0, m.sent_bytes - m.fetched_bytes);
	const fact = (label, ...what) => [el("dt", {}, label), el("dd", {}, ...what)];
	return el("dl", { class: "pair" },
		...fact("Listens on", ...m.addresses.map((a) => el("code", {}, a))),
		...fact("From here", el("b", {}, replies > 0 ? Math.floor(100 * m.hits / replies) + " %" : "—"), " of " + replies.toLocaleString() + " replies",
			m.stale ? " (" + m.stale.toLocaleString() + " while the upstream was away)" : ""),
		...fact("Saved", el("b", {}, bytes(saved)), " of " + bytes(m.sent_bytes) + " that clients got"),
		...fact("Stored", el("b", {}, bytes(m.bytes)), " of " + bytes(m.size) + ", " + m.objects.toLocaleString() + " replies; " + m.evicted.toLocaleString() + " gave way"),
		...fact("Upstream", m.upstream_requests.toLocaleString() + " requests, " + bytes(m.fetched_bytes) + "; " + m.joined.toLocaleString() + " clients joined one, " +
			m.resumed.toLocaleString() + " bodies were continued"),
		...fact("Now", m.connections.toLocaleString() + " clients, " + m.transfers.toLocaleString() + " requests upstream"),
		...fact("Errors", m.errors.toLocaleString()));
}

/* Those asked last come first. */
function mirrorUpstreams(list) {
	const left = (u) => u.remaining === undefined ? "" : "; " + u.remaining.toLocaleString() + (u.limit === undefined ? "" : " of " + u.limit.toLocaleString()) + " left";
	const state = (u) => u.state === "away" ? el("b", {}, "away, asked again in " + u.retry_s + " s") : "up";
	const row = (u) => [el("dt", {}, u.url), el("dd", {}, state(u), ", " + u.requests.toLocaleString() + " requests, " + u.failures.toLocaleString() + " failed, " +
		u.waiting.toLocaleString() + " wait" + left(u))];
	return el("dl", { class: "pair" }, ...list.flatMap(row));
}

async function showMirror() {
	begin("mirror", "Mirror");
	const card = el("div", { class: "card repo" });
	main.append(el("div", { class: "bar" }, el("h1", {}, "Mirror")), card);
	let timer = null, isOpen = true;
	leave = () => {
		isOpen = false;
		clearTimeout(timer);
	};
	const load = async () => {
		const figures = await api("GET", "/mirror");
		if (!isOpen)
			return;
		card.replaceChildren(mirrorFacts(figures), mirrorUpstreams(figures.upstreams));
		timer = setTimeout(() => load().catch(complain), MIRROR_EVERY);
	};
	await load();
}
