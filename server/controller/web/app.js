"use strict";

const main = document.getElementById("main");
const FINAL = new Set(["passed", "failed", "cancelled", "timed_out", "error"]);
let leave = () => {}; /* ends what the page at hand started */

/* --- small things --- */

/* el("div", {class: "x", onclick: fn}, "text", node): texts become text nodes, never markup. */
function el(tag, attributes, ...children) {
	const node = document.createElement(tag);
	for (const [key, value] of Object.entries(attributes || {})) {
		if (key.startsWith("on"))
			node.addEventListener(key.slice(2), value);
		else if (value !== null && value !== undefined && value !== false)
			node.setAttribute(key, value === true ? "" : value);
	}
	node.append(...children.filter((c) => c !== null && c !== undefined && c !== false));
	return node;
}

const AWAY = new Set([502, 503, 504]); /* also by a proxy in front, while the server is started again */
const PAUSES = [250, 500, 1000, 2000, 4000]; /* ms */

/* By it (Idempotency-Key) the server knows a request that it has had before, and does it once. randomUUID is for https alone. */
function newKey() {
	return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

function parsed(text) {
	try {
		return JSON.parse(text);
	} catch (error) {
		return null;
	}
}

/* A browser takes what has come of a head that was cut off for all of it. */
function isWhole(status, text) {
	return status >= 200 && (status === 204 || status >= 300 || parsed(text) !== null);
}

/* Null where the way to the server broke, be it in the midst of the answer. */
async function attempt(path, options) {
	try {
		const answer = await fetch(path, options), status = answer.status, text = await answer.text();
		const isUnderWay = status === 409 && answer.headers.has("Retry-After");
		return isWhole(status, text) ? { ok: answer.ok, status, text, again: isUnderWay || AWAY.has(status) } : null;
	} catch (error) {
		return null;
	}
}

/* Asked again where the way to the server broke: a browser ends requests that wait for a connection whenever a network comes or
 * goes, which on the machine of an engine is with each job. Only a session may be made or ended twice, which does no harm. */
async function request(method, path, options) {
	const all = { method, ...options, headers: { ...options.headers } };
	if (method !== "GET")
		all.headers["Idempotency-Key"] = `"${newKey()}"`;
	let answer = await attempt(path, all);
	for (const pause of PAUSES) {
		if (answer && !answer.again)
			break;
		await new Promise((resolve) => setTimeout(resolve, pause));
		answer = await attempt(path, all);
	}
	if (!answer)
		throw new Error("the server cannot be reached");
	return answer;
}

function told(body) {
	return body ? { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) } : {};
}

function understood(answer) {
	const value = parsed(answer.text);
	if (!answer.ok)
		throw new Error(value && value.error ? value.error.message : "the server answered " + answer.status);
	return value;
}

async function api(method, path, body) {
	const answer = await request(method, "/api/v1" + path, told(body));
	if (answer.status === 401) {
		showLogin();
		throw null;
	}
	return understood(answer);
}

function complain(error) {
	if (!error)
		return;
	const old = main.querySelector(".notice.problem");
	if (old)
		old.remove();
	main.prepend(el("div", { class: "notice problem", role: "alert" }, error.message));
}

function state(name) {
	return el("span", { class: "state s-" + name }, el("i"), name.replace("_", " "));
}

function ago(ms) {
	const s = Math.max(0, (Date.now() - ms) / 1000);
	if (s < 45)
		return "just now";
	if (s < 3600)
		return Math.round(s / 60) + " min ago";
	if (s < 86400)
		return Math.round(s / 3600) + " h ago";
	return new Date(ms).toLocaleDateString(undefined, { day: "numeric", month: "short", year: s > 2e7 ? "numeric" : undefined });
}

function took(thing) {
	return thing.started_ms ? duration((thing.finished_ms || Date.now()) - thing.started_ms) : "";
}

function safeUrl(url) {
	return /^https?:\/\//.test(url || "") ? url : null;
}

function shortRef(build) {
	return build.branch || (build.ref || "").replace(/^refs\/(heads|tags)\//, "");
}

function copyable(text) {
	const button = el("button", { class: "copy", type: "button", onclick: async () => {
		await navigator.clipboard.writeText(text);
		button.textContent = "copied";
		setTimeout(() => (button.textContent = "copy"), 1500);
	} }, "copy");
	return [el("code", {}, text), navigator.clipboard ? button : null];
}

/* --- who looks at it --- */

const ROLES = ["read", "develop", "deploy", "admin"];

/* Buttons say in data-takes which role they take; style.css leaves out those that the token has not. */
const me = {
	name: null,
	async ask() {
		if (this.name !== null)
			return;
		const { name, role } = await api("GET", "/me");
		this.name = name;
		document.body.classList.add("known", ...ROLES.slice(0, ROLES.indexOf(role) + 1).map((r) => "may-" + r));
		document.getElementById("me").textContent = name + (role === name ? "" : " · " + role);
	},
	forget() {
		this.name = null;
		document.body.classList.remove("known", ...ROLES.map((r) => "may-" + r));
		document.getElementById("me").textContent = "";
	},
};

/* --- the live events of all builds --- */

const feed = {
	source: null,
	onbuild: null,
	onreload: null,
	start() {
		if (this.source)
			return;
		const source = (this.source = new EventSource("/api/v1/events"));
		let missed = false;
		source.addEventListener("build", (e) => this.onbuild && this.onbuild(JSON.parse(e.data)));
		source.addEventListener("reload", () => this.onreload && this.onreload());
		source.onopen = () => {
			this.show(true);
			if (missed && this.onreload)
				this.onreload();
		};
		source.onerror = () => {
			missed = true;
			this.show(false);
		};
	},
	stop() {
		if (this.source)
			this.source.close();
		this.source = null;
		document.getElementById("live").hidden = true;
	},
	show(on) {
		const live = document.getElementById("live");
		live.hidden = false;
		live.classList.toggle("on", on);
		live.lastElementChild.textContent = on ? "live" : "reconnecting…";
	},
};

/* --- pages --- */

function begin(page, title) {
	leave();
	leave = () => {};
	feed.onbuild = feed.onreload = null;
	document.title = title + " · Davit";
	document.getElementById("nav").hidden = page === "login";
	document.getElementById("logout").hidden = page === "login";
	for (const a of document.querySelectorAll("#nav a"))
		a.classList.toggle("here", a.dataset.page === page);
	main.replaceChildren();
	window.scrollTo(0, 0);
	if (page === "login") {
		feed.stop();
		me.forget();
	} else {
		feed.start();
	}
}

/* Each question that is refused leads here: what is being typed for the first of them stays. */
function showLogin() {
	if (main.querySelector(".login"))
		return;
	begin("login", "Log in");
	const token = el("input", { type: "password", autocomplete: "current-password", required: true, "aria-label": "Token" });
	const problem = el("div", { class: "notice", role: "alert", hidden: true });
	const form = el("form", { onsubmit: async (e) => {
		e.preventDefault();
		try {
			understood(await request("POST", "/login", told({ token: token.value.trim() })));
			if (location.pathname === "/login")
				history.replaceState(null, "", "/");
			show();
		} catch (error) {
			problem.textContent = error.message;
			problem.hidden = false;
			token.select();
		}
	} }, problem, token, el("button", { class: "first" }, "Log in"));
	main.append(el("div", { class: "card login" }, el("img", { src: "/web/davit.svg", alt: "" }), el("h1", {}, "Davit"),
		el("p", {}, "The administrator's token stands in the file admin-token of the server's state folder; who has no other asks the administrator for one."), form));
	token.focus();
}

/* The list of builds. */
async function showBuilds() {
	begin("builds", "Builds");
	const parameters = new URLSearchParams(location.search);
	const chosen = parameters.get("repo") || "";
	const rows = new Map();
	const list = el("div", { class: "card builds" });
	const more = el("div", { class: "more", hidden: true }, el("button", { onclick: () => load(oldest()) }, "Older builds"));
	const repos = el("select", { "aria-label": "Repository", onchange: () => go("/" + (repos.value ? "?repo=" + encodeURIComponent(repos.value) : "")) }, el("option", { value: "" }, "All repositories"));
	main.append(el("div", { class: "bar" }, el("h1", {}, "Builds"), repos), list, more);

	function oldest() {
		return Math.min(...rows.keys());
	}

	function row(build) {
		return el("a", { class: "build", href: "/builds/" + build.build },
			state(build.state),
			el("span", { class: "n" }, "#" + build.build),
			el("div", { class: "what" },
				el("div", { class: "title" }, build.title || build.ref || "—"),
				el("div", { class: "sub" }, build.repo, " · ", shortRef(build), " · ", el("code", {}, (build.commit || "").slice(0, 8)),
					build.state !== "passed" && build.reason ? " · " + build.reason : "")),
			el("div", { class: "who" }, build.author || ""),
			el("div", { class: "when" }, el("b", {}, took(build)), ago(build.created_ms)));
	}

	function put(build, isNew) {
		const node = row(build), old = rows.get(build.build);
		if (old) {
			old.node.replaceWith(node);
		} else {
			const after = [...rows.keys()].filter((n) => n < build.build).sort((a, b) => b - a)[0];
			if (after === undefined)
				list.append(node);
			else
				rows.get(after).node.before(node);
			node.classList.toggle("new", isNew);
		}
		rows.set(build.build, { node, build });
		const empty = list.querySelector(".empty");
		if (empty)
			empty.remove();
	}

	async function load(before) {
		const answer = await api("GET", "/builds?limit=30" + (before ? "&before=" + before : "") + (chosen ? "&repo=" + encodeURIComponent(chosen) : ""));
		for (const build of answer.builds)
			put(build, false);
		more.hidden = answer.builds.length < 30;
		if (rows.size === 0)
			list.replaceChildren(el("div", { class: "empty" }, el("h2", {}, "No builds yet"),
				el("p", {}, "Add a repository, give its webhook's address to the forge, and push.")));
	}

	feed.onbuild = (build) => (!chosen || build.repo === chosen) && (rows.size === 0 || build.build >= oldest()) && put(build, true);
	feed.onreload = () => load().catch(complain);
	const clock = setInterval(() => {
		for (const { node, build } of rows.values())
			node.querySelector(".when").replaceChildren(el("b", {}, took(build)), ago(build.created_ms));
	}, 5000);
	leave = () => clearInterval(clock);
	await load();
	for (const repo of (await api("GET", "/repos")).repos)
		repos.append(el("option", { value: repo.id, selected: repo.id === chosen }, repo.id));
}

/* One build, its jobs, and the log of one of them. */
async function showBuild(number) {
	begin("builds", "Build " + number);
	const head = el("div", { class: "card head" }), jobs = el("div", { class: "jobs" });
	const facts = el("div", { class: "facts jobfacts" }), place = el("div");
	const files = el("div", { class: "card files", hidden: true });
	let build = await api("GET", "/builds/" + number);
	let chosen = null, log = null, filesOf = "";
	main.append(head, files, jobs, facts, place);

	function page(build) {
		const url = safeUrl(build.web_url);
		return url ? el("a", { href: url, rel: "noreferrer noopener" }, "on the forge's page") : "at the forge";
	}

	function rerunWords(jobs) {
		const words = { failed: "failed jobs of ", "": "again of " };
		return words[jobs] || (jobs.startsWith("deploy ") ? "deployed again to " + jobs.slice(7) + ", of " : "job " + jobs + " of ");
	}

	/* Of a verb that makes a build, that build is shown. */
	function act(verb, path, body) {
		return async (e) => {
			e.target.disabled = true;
			try {
				const answer = await api("POST", (path || "/builds/" + number) + "/" + verb, body);
				if (verb.startsWith("rerun") || verb === "deploy")
					go("/builds/" + answer.build);
			} catch (error) {
				e.target.disabled = false;
				complain(error);
			}
		};
	}

	/* The very same goes to each environment that its jobs deploy to. */
	function deployButtons() {
		const names = new Set(build.jobs.map((job) => job.environment).filter((name) => name));
		return FINAL.has(build.state) ? [...names].map((name) => el("button", { "data-takes": "deploy", onclick: act("deploy", null, { environment: name }) }, "Deploy to " + name)) : [];
	}

	function drawHead() {
		const page = safeUrl(build.web_url), body = (build.message || "").split("\n").slice(1).join("\n").trim();
		const commit = el("code", {}, (build.commit || "").slice(0, 12));
		document.title = "#" + number + " " + build.state + " · Davit";
		head.replaceChildren(
			el("div", { class: "bar" }, state(build.state), el("h1", {}, build.title || build.ref || "Build " + number),
				FINAL.has(build.state) && build.jobs.some(isUnsuccessful) ? el("button", { "data-takes": "develop", onclick: act("rerun?jobs=failed") }, "Run failed jobs again") : null,
				FINAL.has(build.state) ? el("button", { "data-takes": "develop", onclick: act("rerun") }, "Run again") : null,
				...deployButtons(),
				build.state === "waiting" ? el("button", { class: "first", "data-takes": "develop", onclick: act("approve") }, "Approve") : null,
				build.state === "waiting" ? el("button", { class: "danger", "data-takes": "develop", onclick: act("reject") }, "Reject") : null,
				FINAL.has(build.state) || build.state === "waiting" ? null
					: el("button", { class: "danger", "data-takes": "develop", disabled: build.cancel, onclick: act("cancel") }, build.cancel ? "Cancelling…" : "Cancel")),
			el("div", { class: "facts" },
				el("span", {}, "Build ", el("b", {}, "#" + number)),
				el("span", {}, el("a", { href: "/?repo=" + encodeURIComponent(build.repo) }, el("b", {}, build.repo))),
				el("span", {}, build.event === "tag" ? "tag " : build.event === "pull_request" ? "pull request " : "branch ", el("b", {}, build.pull_number ? "#" + build.pull_number : shortRef(build))),
				el("span", {}, "commit ", page ? el("a", { href: page, rel: "noreferrer noopener" }, el("b", {}, commit)) : el("b", {}, commit)),
				build.author ? el("span", {}, "by ", el("b", {}, build.author)) : null,
				el("span", {}, ago(build.created_ms), took(build) ? el("span", {}, FINAL.has(build.state) ? " · took " : " · for ", el("b", {}, took(build))) : null),
				build.rerun_of ? el("span", {}, rerunWords(build.rerun_jobs), el("a", { href: "/builds/" + build.rerun_of }, el("b", {}, "#" + build.rerun_of))) : null));
		if (body)
			head.append(el("pre", { class: "message" }, body));
		for (const old of main.querySelectorAll(".notice.reason"))
			old.remove();
		if (build.warnings)
			head.after(el("div", { class: "notice soft reason" }, build.warnings));
		if (build.reason && build.state !== "passed")
			head.after(el("div", { class: "notice reason" + (build.state === "cancelled" ? " soft" : "") }, build.reason));
	}

	function drawBuild() {
		const job = build.jobs.find((j) => j.id === chosen);
		drawHead();
		drawJobs(jobs, build.jobs, chosen, choose);
		facts.replaceChildren(...(job ? jobFacts(build, job, act) : []));
	}

	function choose(id) {
		if (log)
			log.close();
		chosen = id;
		log = openLog(id, place, () => choose(id));
		drawBuild();
	}

	function draw() {
		if (filesOf !== build.state && FINAL.has(build.state)) {
			filesOf = build.state;
			drawFiles(files, build).catch(complain);
		}
		if (!chosen && build.jobs.length > 0)
			choose(jobOfInterest(build.jobs).id);
		else
			drawBuild();
		if (build.jobs.length === 0)
			place.replaceChildren(FINAL.has(build.state) ? "" : build.state === "waiting" ? el("div", { class: "card empty" }, el("h2", {}, "Waits for approval"),
				"Look at what it would run, ", page(build), ", before you approve it: nothing of it has been read yet.") : el("div", { class: "card empty" }, el("h2", {}, "Planning"), "The pipeline file of this commit is being read."));
	}

	feed.onbuild = (b) => {
		if (b.build !== Number(number))
			return;
		build = b;
		draw();
	};
	feed.onreload = async () => {
		build = await api("GET", "/builds/" + number);
		draw();
	};
	const clock = setInterval(() => FINAL.has(build.state) || drawBuild(), 1000);
	leave = () => {
		clearInterval(clock);
		if (log)
			log.close();
	};
	draw();
}

/* A job's log: its past and its present by one stream of events, which goes on where it was when it is cut. onagain: this
 * attempt has ended, another one follows. */
function openLog(job, place, onagain) {
	const lines = el("div", { class: "lines" });
	const follow = el("button", { onclick: () => setFollow(!following) }, "Follow");
	const size = el("span", { class: "grow" });
	const view = new LogView(lines);
	let following = false, pending = [], frame = 0, ended = false;
	place.replaceChildren(el("section", { class: "log", "aria-label": "Log" },
		el("div", { class: "tools" }, el("b", {}, "Job " + job), size, follow,
			el("button", { onclick: () => (setFollow(false), place.scrollIntoView()) }, "Top"),
			el("a", { href: "/api/v1/jobs/" + job + "/log", target: "_blank", rel: "noopener" }, "Raw")), lines));

	function setFollow(on) {
		following = on;
		follow.classList.toggle("on", on);
		if (on)
			window.scrollTo(0, document.documentElement.scrollHeight);
	}

	function atEnd() {
		return window.innerHeight + window.scrollY > document.documentElement.scrollHeight - 60;
	}

	/* What has come since the last picture is drawn in one go, but no more than the reader would notice. */
	function draw() {
		frame = 0;
		const until = performance.now() + 12;
		while (pending.length > 0 && performance.now() < until)
			pending.shift()();
		if (pending.length > 0)
			schedule();
		if (following)
			window.scrollTo(0, document.documentElement.scrollHeight);
	}

	function schedule() {
		frame = frame || requestAnimationFrame(draw);
	}

	function later(fn) {
		pending.push(fn);
		schedule();
	}

	const source = new EventSource("/api/v1/jobs/" + job + "/log/stream");
	source.addEventListener("log", (e) => later(() => {
		view.write(JSON.parse(e.data));
		size.textContent = view.line.toLocaleString() + " lines";
	}));
	source.addEventListener("segment", (e) => later(() => view.segment(JSON.parse(e.data))));
	source.addEventListener("end", (e) => {
		ended = true;
		source.close();
		later(() => {
			const end = JSON.parse(e.data);
			setFollow(false);
			if (!JOB_FINAL.has(end.state)) {
				onagain();
				return;
			}
			lines.after(el("div", { class: "end" }, state(end.state), end.reason || (end.state === "passed" ? "All commands succeeded." : "")));
			const wanted = /^#L\d+$/.test(location.hash) && document.querySelector(location.hash);
			if (wanted)
				wanted.scrollIntoView({ block: "center" });
		});
	});
	const onscroll = () => {
		if (following && !atEnd())
			setFollow(false);
		else if (!following && !ended && view.line > 30 && atEnd())
			setFollow(true);
	};
	window.addEventListener("wheel", onscroll, { passive: true });
	window.addEventListener("touchmove", onscroll, { passive: true });
	return { close() {
		source.close();
		cancelAnimationFrame(frame);
		window.removeEventListener("wheel", onscroll);
		window.removeEventListener("touchmove", onscroll);
	} };
}

/* The repositories, and a form for a new one. */
async function showRepos() {
	begin("repos", "Repositories");
	const list = el("div"), added = el("div");
	const form = el("form", { class: "card grid", hidden: true, onsubmit: submit });
	const field = (name, label, attributes) => el("label", {}, label, el("input", { name, autocomplete: "off", ...attributes }));
	form.append(
		field("id", "Id (in the webhook's address)", { required: true, pattern: "[a-z0-9][a-z0-9._\\-]*", placeholder: "app" }),
		field("url", "Clone URL", { required: true, placeholder: "https://github.com/acme/app.git" }),
		el("label", {}, "Forge", el("select", { name: "forge" }, ...[["", "by the URL"], ["github", "GitHub"], ["gitlab", "GitLab"], ["gitea", "Gitea, Forgejo"], ["generic", "other"]].map(([v, t]) => el("option", { value: v }, t)))),
		field("api", "API address (self-hosted forges)", { placeholder: "guessed from the clone URL" }),
		field("token", "Access token (fetch, commit status)", { type: "password" }),
		field("secret", "Webhook secret", { type: "password", placeholder: "empty: one is made" }),
		el("label", { class: "wide" }, "E-mails, separated by commas", el("input", { name: "emails", autocomplete: "off" })),
		el("div", { class: "wide" }, el("button", { class: "first" }, "Add repository")));
	main.append(el("div", { class: "bar" }, el("h1", {}, "Repositories"),
		el("button", { class: "first", "data-takes": "admin", onclick: () => { form.hidden = !form.hidden; } }, "Add…")), added, form, list);

	async function submit(e) {
		e.preventDefault();
		const values = Object.fromEntries([...new FormData(form)].filter(([, v]) => v !== ""));
		try {
			const repo = await api("POST", "/repos", values);
			form.reset();
			form.hidden = true;
			added.replaceChildren(el("div", { class: "notice good" }, el("b", {}, repo.id + " is added. "), "Give this address and secret to the forge's webhook settings",
				repo.secret ? " (the secret is shown once):" : ":",
				el("dl", { class: "pair" }, el("dt", {}, "Payload URL"), el("dd", {}, ...copyable(repo.webhook)),
					...(repo.secret ? [el("dt", {}, "Secret"), el("dd", {}, ...copyable(repo.secret))] : []))));
			await load();
		} catch (error) {
			complain(error);
		}
	}

	async function remove(id) {
		if (!confirm("Remove " + id + "? Its builds stay until they are pruned."))
			return;
		try {
			await api("DELETE", "/repos/" + encodeURIComponent(id));
			await load();
		} catch (error) {
			complain(error);
		}
	}

	async function load() {
		const repos = (await api("GET", "/repos")).repos;
		list.replaceChildren(...repos.map((repo) => el("section", { class: "card repo" },
			el("div", { class: "bar" }, el("h2", {}, el("a", { href: "/?repo=" + encodeURIComponent(repo.id) }, repo.name || repo.id)), el("span", { class: "tag" }, repo.forge),
				el("button", { class: "quiet danger", "data-takes": "admin", onclick: () => remove(repo.id) }, "Remove")),
			el("dl", { class: "pair" },
				el("dt", {}, "Clone URL"), el("dd", {}, el("code", {}, repo.url)),
				el("dt", {}, "Webhook"), el("dd", {}, ...copyable(repo.webhook)),
				el("dt", {}, "Builds of"), el("dd", {}, triggerWords(repo)),
				...(repo.emails ? [el("dt", {}, "E-mails"), el("dd", {}, repo.emails)] : [])),
			...triggerParts(repo, load))));
		if (repos.length === 0)
			list.replaceChildren(el("div", { class: "card empty" }, el("h2", {}, "No repositories yet"), el("p", {}, "Add one, and push.")));
	}

	await load();
}

/* --- the address decides --- */

function show() {
	const build = /^\/builds\/(\d+)$/.exec(location.pathname);
	const page = location.pathname === "/login" ? showLogin : location.pathname === "/repos" ? showRepos : location.pathname === "/mirror" ? showMirror
		: build ? () => showBuild(build[1]) : showBuilds;
	Promise.resolve(page()).catch(complain);
	if (page !== showLogin)
		me.ask().catch(complain); /* until it is answered, all buttons are there: the server decides in any case */
}

function go(path) {
	history.pushState(null, "", path);
	show();
}

document.addEventListener("click", (e) => {
	const a = e.target.closest("a");
	if (!a || a.target || a.origin !== location.origin || e.ctrlKey || e.metaKey || e.shiftKey || e.button !== 0 ||
	    a.getAttribute("href").startsWith("#") || a.pathname.startsWith("/api/"))
		return;
	e.preventDefault();
	go(a.pathname + a.search);
});
window.addEventListener("popstate", show);
/* A page that is kept for the way back would keep its streams, and a browser has six connections to a server. */
window.addEventListener("pagehide", () => {
	leave();
	leave = () => {};
	feed.stop();
});
window.addEventListener("pageshow", (e) => e.persisted && show());
document.getElementById("logout").addEventListener("click", async () => {
	try {
		await request("POST", "/logout", {});
		showLogin();
	} catch (error) {
		complain(error);
	}
});
show();
