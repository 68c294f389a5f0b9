// --- talking to the room

const pause = ms => new Promise(done => setTimeout(done, ms));
const jitter = ms => ms * (0.5 + Math.random()); // so that five million pages do not come in step

// nap is a pause that ends early when the fan looks at the page again or the
// network is back. After hurry() the next one is hardly any.
let wake = () => {}, hurried = false;
const nap = ms => new Promise(done => {
	const timer = setTimeout(done, hurried ? 300 * Math.random() : ms);
	hurried = false;
	wake = () => { clearTimeout(timer); done(); };
});

// hurry gives up the stream, to open it again at once.
function hurry() {
	hurried = true;
	control.abort();
}

function connection(link) {
	if (link === "lost" && !fan.joined) link = "offline";
	if (fan.link === link) return;
	fan.link = link;
	draw();
}

// waitOf is how long the room asks to wait, in ms. Nobody comes earlier than that.
function waitOf(reply) {
	const asked = reply.headers.get("Retry-After") ?? "";
	const seconds = /^\d+$/.test(asked) ? Number(asked) : (Date.parse(asked) - now()) / 1000;
	return seconds > 0 ? 1000 * Math.min(seconds, 120) : 0;
}

const patience = 20_000; // for one request
const troubles = [408, 425, 429, 500, 502, 503, 504]; // of the moment

// call makes a request and repeats it while that may help. It comes back with
// an answer of the room: a proxy's error page is none.
async function call(method, path, headers = {}) {
	for (let tries = 0; ; tries++) {
		const control = new AbortController(), late = setTimeout(() => control.abort(), patience);
		let wait = 0, link = "lost";
		try {
			const reply = await fetch(base + path, {
				method, headers: { Accept: "application/json", ...headers },
				cache: "no-store", credentials: "same-origin", signal: control.signal,
			});
			setClock(reply);
			wait = waitOf(reply);
			const body = reply.status === 204 ? {} : await reply.json();
			if (!troubles.includes(reply.status) || ["queue-full", "room-full"].includes(body.code)) {
				if (fan.link === "lost" || fan.link === "offline" || fan.link === "busy") connection("");
				return { status: reply.status, body, wait };
			}
			if (reply.status === 429) link = "busy";
		} catch { /* no answer, or none of the room */ } finally {
			clearTimeout(late);
		}
		connection(link);
		if (wait > 0) await pause(wait * (1 + Math.random() / 2));
		else await nap(jitter(Math.min(1000 * 2 ** tries, 15_000)));
	}
}

// setClock corrects what a slow first page or a changed clock got wrong. The
// header has whole seconds.
function setClock(reply) {
	const server = Date.parse(reply.headers.get("Date"));
	if (Math.abs(server - now()) > 2000) skew = server - Date.now();
}

