// Keeps the waiting-room page current. Everything it knows about words and
// paths comes with the page; it talks to this room's endpoints and to nobody else.

const data = JSON.parse(document.getElementById("data").textContent);
const element = id => document.getElementById(id);
const { base, words, chances } = data;
const to = "?to=" + encodeURIComponent(data.location);
const skew = data.now - Date.now(); // the server's clock, as the page was made
const page = { state: data.state, joined: data.joined, status: data.status, seen: 0, first: 0, ended: false };

const pause = ms => new Promise(done => setTimeout(done, ms));
const jitter = ms => ms * (0.5 + Math.random()); // so that five million pages do not return in step
const grouped = n => n.toLocaleString("en-US");

// --- what is shown

function between({ low, high }) {
	const unit = (n, name) => n === 1 ? `1 ${name}` : `${n} ${name}s`;
	const range = (a, b, name) => a < 1 ? `up to ${unit(b, name)}` : a === b ? `about ${unit(b, name)}` : `${a} to ${unit(b, name)}`;
	if (high < 60) return "less than a minute";
	if (high < 7200) return range(Math.floor(low / 60), Math.ceil(high / 60), "minute");
	return range(Math.floor(low / 3600), Math.ceil(high / 3600), "hour");
}

function price(amount, currency) {
	const format = new Intl.NumberFormat(navigator.language, { style: "currency", currency });
	return format.format(amount / 10 ** format.resolvedOptions().maximumFractionDigits);
}

function left(category) {
	if (category.free > 0) return `${grouped(category.free)} left`;
	return category.held > 0 ? "all held, may come back" : "sold out";
}

function showStock(stock) {
	const categories = stock && stock.state !== "not-open" && stock.categories || [];
	element("stock").hidden = categories.length === 0;
	element("prices").replaceChildren(...categories.map(category => {
		const row = document.createElement("tr");
		const name = document.createElement("th");
		name.scope = "row";
		name.textContent = category.name;
		const cells = [price(category.price, stock.currency), left(category)].map(text => {
			const cell = document.createElement("td");
			cell.textContent = text;
			return cell;
		});
		row.append(name, ...cells);
		return row;
	}));
}

function say(state) {
	page.state = state;
	const { title, head, text } = words[state];
	document.body.dataset.state = state;
	element("head").textContent = head;
	element("text").textContent = text;
	document.title = title;
	const waits = ["waiting", "paused", "degraded"].includes(state);
	element("numbers").hidden = !(waits && page.status.position > 0);
	element("join").hidden = !(["missed", "left", "full", "challenge"].includes(state) || state === "lobby" && !page.joined);
	element("enter").hidden = state !== "admitted";
	element("leave").hidden = !page.joined || !(waits || state === "lobby");
	element("hint").hidden = element("leave").hidden;
}

let announced = { at: 0, state: "" };

function announce() {
	const { state, status } = page;
	if (state === "admitted") {
		element("alert").textContent = words.admitted.head;
		return;
	}
	if (state === announced.state && Date.now() - announced.at < 30_000) return; // not every few seconds
	announced = { at: Date.now(), state };
	const where = status.position > 0 ? ` Position ${grouped(status.position)}.` : "";
	const when = status.eta ? ` Estimated wait: ${between(status.eta)}.` : "";
	element("live").textContent = words[state].head + "." + where + when;
}

// show takes in what the stream or the status says.
function show(status) {
	Object.assign(page.status, status);
	const now = page.status;
	if (now.position > 0) {
		page.seen = page.seen > 0 ? Math.min(page.seen, now.position) : now.position; // a position never goes up
		page.first = Math.max(page.first, page.seen);
		now.position = page.seen;
		now.ahead = page.seen - 1;
		element("position").textContent = grouped(now.position);
		element("ahead").textContent = grouped(now.ahead);
		element("bar").style.width = `${100 * (1 - now.ahead / Math.max(page.first, 1))}%`;
	}
	element("eta").textContent = now.eta ? between(now.eta) : "not known yet";
	element("waiting").textContent = grouped(now.waiting ?? 0);
	element("chance").textContent = chances[now.chance] ?? "";
	element("chance").hidden = !chances[now.chance];
	showMessage(now.message);
	showStock(now.stock);
	if (["admitted", "active"].includes(now.state)) enter();
	else if (["sold-out", "closed"].includes(now.state)) end(now.state);
	else if (["paused", "lobby", "scheduled"].includes(now.state)) say(now.state);
	else if (page.joined) say("waiting");
	announce();
}

function showMessage(message) {
	element("message").textContent = message ?? "";
	element("message").hidden = !message;
}

function connection(text) {
	element("connection").textContent = text ?? "";
	element("connection").hidden = !text;
}

function end(state) {
	page.ended = true;
	closeStream();
	connection();
	say(state);
}

// The countdown goes by the server's clock.
function countdown() {
	const opens = page.status.opens && Date.parse(page.status.opens);
	const waits = opens && ["scheduled", "lobby"].includes(page.state);
	element("countdown").hidden = !waits;
	if (!waits) return;
	const left = Math.max(0, Math.ceil((opens - Date.now() - skew) / 1000));
	const part = n => String(n).padStart(2, "0");
	element("countdown").textContent = `${left >= 3600 ? Math.floor(left / 3600) + ":" : ""}${part(Math.floor(left / 60) % 60)}:${part(left % 60)}`;
}

// --- talking to the room

// call makes a request and patiently repeats it while the room asks for that.
async function call(method, path, headers = {}) {
	for (let tries = 0; ; tries++) {
		let reply, document = {};
		try {
			reply = await fetch(base + path, { method, headers: { Accept: "application/json", ...headers }, cache: "no-store", credentials: "same-origin" });
			if (reply.status !== 204) document = await reply.json();
		} catch {
			connection(words.offline.text);
			await pause(jitter(Math.min(1000 * 2 ** tries, 15_000)));
			continue;
		}
		connection();
		const wait = Number(reply.headers.get("Retry-After"));
		if ([429, 502, 503, 504].includes(reply.status) && document.code !== "queue-full" && document.code !== "no-stream") {
			connection(reply.status === 429 ? words.busy.text : words.offline.text);
			await pause(jitter(1000 * Math.max(wait, 1)));
			continue;
		}
		return { status: reply.status, document };
	}
}

function solve(token) {
	return new Promise((done, failed) => {
		const worker = new Worker(data.solver, { type: "module" });
		worker.onmessage = event => {
			if (!event.data.answer) return;
			worker.terminate();
			done(event.data.answer);
		};
		worker.onerror = () => { worker.terminate(); failed(new Error("the solver failed")); };
		worker.postMessage(token);
	});
}

async function join() {
	say("joining");
	let { status, document } = await call("POST", "join");
	for (let tries = 0; document.challenge && tries < 3; tries++) {
		({ status, document } = await call("POST", "join", { "Botguard-Answer": await solve(document.challenge.token) }));
	}
	if (status === 200 || status === 201) {
		page.joined = true;
		page.seen = page.first = 0; // of another place, if there was one
		show(document);
		follow();
		return;
	}
	const states = { "sold-out": "sold-out", closed: "closed", "queue-full": "full", "not-open": "scheduled" };
	say(states[document.code] ?? "challenge");
	if (page.state === "scheduled") comeIn();
}

// comeIn waits for the doors and joins.
async function comeIn() {
	while (page.state === "scheduled") {
		await pause(jitter(Math.min(Math.max((Date.parse(page.status.opens) - Date.now() - skew) / 4, 1000), 15_000)));
		const { document } = await call("GET", "board");
		if (document.state !== "scheduled") return join();
	}
}

let entering = false;

async function enter() {
	if (entering) return;
	entering = true;
	closeStream();
	say("admitted");
	announce();
	for (;;) {
		const { status, document } = await call("POST", "claim" + to);
		if (status === 200) {
			page.ended = true;
			location.replace(document.location);
			return;
		}
		if (document.code !== "not-yet") {
			entering = false;
			page.joined = false;
			end(document.code === "sold-out" ? "sold-out" : document.code === "closed" ? "closed" : "missed");
			return;
		}
		await pause(jitter(1000));
	}
}

// --- the stream, and polling where there is none

let stream, watching = 0;

function closeStream() {
	stream?.close();
	stream = undefined;
}

// follow opens the stream. The browser reconnects by itself, after the pause that
// the server asked for, unless it was refused.
function follow() {
	if (page.ended || entering) return;
	closeStream();
	const address = new URL(page.status.stream ?? base + "stream", location.href);
	if (page.seen) address.searchParams.set("seen", page.seen);
	const source = stream = new EventSource(address, { withCredentials: address.origin !== location.origin });
	const hear = event => { connection(); show(JSON.parse(event.data)); };
	for (const name of ["position", "state", "admitted", "soldout"]) source.addEventListener(name, hear);
	source.addEventListener("message", event => {
		try { showMessage(JSON.parse(event.data).message); } catch { /* a comment of a proxy */ }
	});
	source.onopen = () => connection();
	source.onerror = () => {
		if (source !== stream || page.ended) return;
		connection(words.offline.text);
		if (source.readyState === EventSource.CLOSED) poll();
	};
}

// poll asks for the status, and tries the stream again every now and then.
async function poll() {
	const mine = ++watching;
	closeStream();
	for (let turns = 0; mine === watching && !page.ended && !entering; turns++) {
		const { status, document } = await call("GET", "status" + (page.seen ? "?seen=" + page.seen : ""));
		if (mine !== watching || page.ended) return;
		if (status === 404) return join(); // the place is gone
		if (status === 200) show(document);
		if (turns % 3 === 2) return follow();
		await wake(jitter(1000 * (document.pollAfter ?? 5)));
	}
}

// wake waits, but not while the page is hidden, and not when it comes back.
let waker;
async function wake(ms) {
	await Promise.race([pause(ms), new Promise(done => { waker = done; })]);
	while (document.hidden) await new Promise(done => { waker = done; });
}

document.addEventListener("visibilitychange", () => { if (!document.hidden) lookAgain(); });
addEventListener("online", lookAgain);
addEventListener("pageshow", event => { if (event.persisted) location.reload(); });

function lookAgain() {
	waker?.();
	if (page.joined && !page.ended && !entering && stream?.readyState === EventSource.CLOSED) follow();
}

for (const [id, act] of [["join", () => { page.ended = false; join(); }], ["enter", enter], ["leave", leave]]) {
	element(id).addEventListener("submit", event => { event.preventDefault(); act(); });
}

async function leave() {
	const { status } = await call("POST", "leave");
	if (status !== 204) return;
	page.joined = false;
	end("left");
}

setInterval(countdown, 1000);
if (location.hash === "#left" && !page.joined) end("left");
else if (page.state === "admitted") enter();
else if (["sold-out", "closed", "missed"].includes(page.state)) page.ended = true;
else if (page.joined) { show(page.status); follow(); }
else if (page.state === "scheduled") comeIn();
else join();
countdown();
