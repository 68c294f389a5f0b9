// --- what is shown: all of it follows from `fan`

const element = id => document.getElementById(id);
const put = (id, text) => { if (element(id).textContent !== text) element(id).textContent = text; };
const show = (id, shown) => { element(id).hidden = !shown; };
const tell = (id, text) => { put(id, text ?? ""); show(id, Boolean(text)); };

const waits = () => ["waiting", "paused", "degraded"].includes(fan.state);
const comes = () => fan.state === "lobby" || fan.state === "drawing"; // the place is not known yet, unless it is that of arrival
const hasPlace = () => (waits() || fan.state === "lobby") && fan.status.position > 0;
const scene = state => state === "lobby" && fan.status.method === "fifo" ? "early" : state;

function draw() {
	const { state, status } = fan;
	const words = say.words[scene(state)];
	const saidInText = state === "degraded" && status.message; // once is enough
	document.body.dataset.state = state;
	document.title = (hasPlace() ? grouped(status.position) + " · " : "") + words.title;
	put("head", words.head);
	put("text", saidInText ? status.message : words.text);
	tell("message", saidInText ? "" : status.message);
	tell("problem", fan.problem);
	drawPlace(status);
	drawOpening(status);
	drawStock(status.stock);

	show("work", state === "joining");
	element("work").value = fan.work;
	const due = state === "admitted" && Date.parse(status.claimBy);
	tell("deadline", due ? `Your turn is kept until ${timeOf(due)}.` : "");

	const joinable = words.button && state !== "joining";
	show("join", joinable);
	if (joinable) element("join").firstElementChild.textContent = words.button;
	show("enter", state === "admitted");
	show("retry", state === "no-room");
	const leavable = fan.joined && (waits() || comes());
	show("drawn", fan.joined && status.drawn && (waits() || state === "sold-out" || state === "closed"));
	show("options", leavable);
	show("hint", leavable);
	tell("tier", leavable ? tiersOf(status) : "");
	element("link").dataset.link = fan.link;
	tell("link", say.links[fan.link]);
	announce();
}

function drawPlace(status) {
	show("numbers", hasPlace());
	if (!hasPlace()) return;
	put("position", grouped(status.position));
	put("ahead", status.ahead > 0 ? grouped(status.ahead) : "nobody");
	put("waiting", grouped(status.waiting ?? 0));
	put("eta", status.eta ? between(status.eta.low, status.eta.high) : "not known yet");
	element("bar").value = 1 - status.ahead / fan.first;
	element("chance").dataset.chance = status.chance;
	tell("chance", say.chances[status.chance]);
}

function tiersOf({ tier, tiersAhead }) {
	const said = [];
	if (tier) said.push(`${say.tiers.mine} “${tier}”.`);
	if (tiersAhead?.length) said.push(`${say.tiers.ahead} “${tiersAhead.join("”, “")}”.`);
	return said.join(" ");
}

const timeOf = ms => new Date(ms).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });

let ticking;

function drawOpening(status) {
	const opening = status.opens && say.openings[scene(status.state)];
	show("opening", opening);
	if (!opening) {
		clearInterval(ticking);
		ticking = undefined;
		return;
	}
	put("until", opening);
	const opens = new Date(status.opens);
	put("opens", opens.toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "short" }) + " your time");
	put("here", grouped(status.waiting ?? 0));
	show("crowd", (status.state === "lobby" || status.state === "drawing") && status.waiting > 0 && !hasPlace());
	show("countdown", status.state !== "drawing");
	ticking ??= setInterval(tick, 1000);
	tick();
}

function tick() {
	const left = Math.ceil((Date.parse(fan.status.opens) - now()) / 1000);
	put("countdown", left > 0 ? clockFace(left) : "any moment now");
}

function drawStock(stock) {
	const known = stock && stock.state !== "not-open";
	const categories = known && stock.categories || [];
	const note = known ? noteOn(stock, categories) : "";
	show("stock", note || categories.length > 0);
	tell("note", note);
	element("prices").replaceChildren(...categories.map(category => {
		const row = document.createElement("tr"), name = document.createElement("th");
		name.scope = "row";
		name.textContent = category.name;
		row.append(name, cell(stock.currency ? price(category.price, stock.currency) : ""), cell(leftOf(category)));
		if (category.free === 0 && category.held === 0) row.className = "gone";
		return row;
	}));
}

function cell(text) {
	const td = document.createElement("td");
	td.textContent = text;
	return td;
}

function leftOf({ free, held }) {
	if (free > 0) return `${grouped(free)} ${say.what.left}`;
	return held > 0 ? say.what.held : say.what.gone;
}

function noteOn(stock, categories) {
	if (stock.state === "all-held") {
		const next = Math.floor((Date.parse(stock.nextReleaseAt) - now()) / 1000);
		return say.what.allHeld + (next > 0 ? ` ${say.what.next} ${between(next, next)}.` : "");
	}
	return categories.length === 0 && stock.free > 0 ? `${grouped(stock.free)} ${say.what.tickets}` : "";
}

