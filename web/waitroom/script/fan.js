// --- what is known about this fan

const data = JSON.parse(document.getElementById("data").textContent);
const { base } = data;
const to = "?to=" + encodeURIComponent(data.location);

const fan = {
	state: data.state, // a key of say.words
	joined: data.joined,
	status: data.status, // the last that the room said
	link: "", // a key of say.links
	problem: "", // a refusal that the words do not tell
	work: 0, // share of the calculation that is done
	seen: 0, // the lowest position shown: it never goes up
	first: 0, // how many were ahead at first
};

// The server's clock. A phone's own may be minutes off.
let skew = data.now - Date.now();
const now = () => Date.now() + skew;

// Positions that were shown are remembered over reloads and in all tabs, or a
// reload could show a higher one. A browser that keeps nothing just forgets.
const drawer = "waitroom:" + base;

function recall() {
	try {
		const kept = JSON.parse(localStorage.getItem(drawer)) ?? {};
		if (kept.visitor === fan.status.visitor && kept.seen > 0) Object.assign(fan, { seen: kept.seen, first: kept.first });
	} catch { /* nothing was kept */ }
}

function remember() {
	try {
		localStorage.setItem(drawer, JSON.stringify({ visitor: fan.status.visitor, seen: fan.seen, first: fan.first }));
	} catch { /* it is not kept */ }
}

// forget is for a place that is gone: the next one may well be higher.
function forget() {
	fan.seen = fan.first = 0;
	fan.status.position = 0;
	fan.status.drawn = false;
	try {
		localStorage.removeItem(drawer);
	} catch { /* it was not kept */ }
}

// stateOf decides in the order of page.go.
function stateOf({ state, degraded }) {
	if (state === "admitted" || state === "active") return "admitted";
	if (["sold-out", "closed", "scheduled"].includes(state)) return state;
	if (fan.state === "no-room") return fan.state;
	if (!fan.joined) return "joining";
	if (state === "lobby") return state;
	if (degraded) return "degraded";
	if (state === "drawing") return state;
	return state === "paused" ? state : "waiting";
}

// take in what the stream or the status says.
function take(news) {
	const before = fan.status.state, status = Object.assign(fan.status, { degraded: false }, news);
	if (before === "drawing" && status.state !== before && fan.joined) status.drawn = true; // or placed behind the draw: check.js says which
	if (status.position > 0) {
		fan.seen = fan.seen > 0 ? Math.min(fan.seen, status.position) : status.position;
		fan.first = Math.max(fan.first, fan.seen);
		status.position = fan.seen;
		status.ahead = fan.seen - 1;
		remember();
	}
	fan.state = stateOf(status);
}

