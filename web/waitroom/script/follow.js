// --- the stream, and polling where there is none
//
// The stream is read with fetch, not EventSource: only so can a page tell a room
// that is full from a network that is gone, wait as long as it is asked to, and
// notice a connection that died without a word, as they do on phones.

const silence = 30_000; // the room writes every 5 s; after this the connection is dead
const longestEvent = 1 << 20;
const pollsBeforeStream = 6;

let watching = 0; // whoever watches with an older number has been replaced
let control; // of the open stream
let heardAt = 0;

function stopWatching() {
	watching++;
	control?.abort();
	control = undefined;
	wake();
}

function streamAddress() {
	const address = new URL(fan.status.stream || base + "stream", location.href);
	if (fan.seen) address.searchParams.set("seen", fan.seen);
	return address;
}

// listen reads one stream to its end and says how it was.
async function listen(mine) {
	const heard = { events: 0, retry: 3000, code: "" };
	const mute = control = new AbortController();
	let timer;
	const alive = () => { heardAt = Date.now(); clearTimeout(timer); timer = setTimeout(() => mute.abort(), silence); };
	try {
		alive();
		const address = streamAddress();
		const reply = await fetch(address, {
			headers: { Accept: "text/event-stream" }, cache: "no-store", signal: mute.signal,
			credentials: address.origin === location.origin ? "same-origin" : "include",
		});
		if (!reply.ok) {
			heard.retry = waitOf(reply) || heard.retry;
			heard.code = (await reply.json()).code;
			return heard;
		}
		const reader = reply.body.getReader(), decoder = new TextDecoder();
		for (let text = ""; text.length < longestEvent;) {
			const { done, value } = await reader.read();
			if (done || mine !== watching) break;
			alive();
			const events = (text + decoder.decode(value, { stream: true })).split(/\r?\n\r?\n/);
			text = events.pop();
			for (const event of events) if (mine === watching) hear(event, heard);
		}
	} catch { /* it broke off */ } finally {
		clearTimeout(timer);
		mute.abort();
		if (control === mute) control = undefined;
	}
	return heard;
}

// hear one event: its fields, one a line.
function hear(event, heard) {
	const fields = { event: "message", data: "" };
	for (const line of event.split(/\r?\n/)) {
		const [, name, value] = /^([^:]+):? ?(.*)$/.exec(line) ?? [];
		if (name) fields[name] = value;
	}
	if (/^\d+$/.test(fields.retry)) heard.retry = Number(fields.retry);
	if (!fields.data) return;
	heard.events++;
	fan.link = "live";
	const news = JSON.parse(fields.data);
	if (fields.event === "message") fan.status.message = news.message;
	else take(news);
	act();
}

// act on the state that the news have led to.
function act() {
	draw();
	if (fan.state === "admitted") enter();
	else if (fan.state === "sold-out" || fan.state === "closed") end(fan.state);
}

// follow watches the stream for as long as the fan waits.
async function follow() {
	stopWatching();
	const mine = watching;
	for (let failures = 0; mine === watching;) {
		const { events, retry, code } = await listen(mine);
		if (mine !== watching) return;
		if (code === "not-queued") return end("lost");
		failures = events > 0 ? 0 : failures + 1;
		if (code === "no-stream" || failures > 1) {
			await poll(mine);
			failures = 0;
			continue;
		}
		if (!hurried) connection("lost");
		await nap(retry * (1 + Math.random())); // never earlier than asked, and never all at once
	}
}

// poll asks for the status a few times, until the stream is worth another try.
async function poll(mine) {
	for (let turn = 0; turn < pollsBeforeStream && mine === watching; turn++) {
		const { status, body } = await call("GET", "status" + (fan.seen ? "?seen=" + fan.seen : ""));
		if (mine !== watching) return;
		if (body.code === "not-queued") return end("lost");
		if (status === 200) {
			fan.link = "polling";
			take(body);
			act();
		}
		await nap(jitter(pollWait()));
	}
}

// pollWait is the room's wish. A page that nobody looks at asks less often, but
// often enough to hear of its turn in time.
function pollWait() {
	const asked = 1000 * (fan.status.pollAfter || 10);
	return document.hidden ? Math.min(Math.max(2 * asked, 20_000), 45_000) : asked;
}

