// Asks for the numbers once a second and shows them. When they do not come it says
// how old they are, rather than show old ones as if they were new.

const KEPT = 300; // waiting counts of each room, one a second
const PATIENCE = 5000; // ms for one answer
const LATE = 3000; // ms after which numbers are called old
const cards = new Map(); // room → its card and its last counts
let seen = 0, failure = "";

const main = document.getElementById("rooms");
const number = n => Math.round(n).toLocaleString("en-US");
const states = { open: "open", paused: "paused", lobby: "lobby", scheduled: "not open yet", "sold-out": "sold out", closed: "closed" };
const stocks = { "all-held": "Everything is held right now. ", "sold-out": "Sold out. ", "not-open": "The sale is not open. " };

// put writes only what changes, so that a selection or a screen reader is not
// disturbed each second.
function put(element, text) {
	if (element.textContent !== text) element.textContent = text;
}

function rate(room) {
	const unit = { 1: "s", 60: "min", 3600: "h" }[room.ratePerSeconds] ?? `${room.ratePerSeconds} s`;
	return `${number(room.rate)}/${unit}`;
}

// The figures of a room, in the order in which a fan passes them. A label may have
// a number of its own after it.
const limits = { "Inside now": room => `, of ${number(room.activeCap)}` };
const figures = {
	"Waiting": room => number(room.waiting),
	"Admission rate": rate,
	"Admitted, last minute": room => number(room.admittedPerMinute),
	"Admitted in all": room => number(room.admittedTotal),
	"Turns not taken yet": room => number(room.turns),
	"Inside now": room => number(room.active),
	"Held": room => room.stock && number(room.stock.held),
	"Booked": room => room.stock && number(room.stock.booked),
	"No-shows": room => number(room.noShowsTotal),
	"Streams, this edge": room => number(room.streams),
};

function troubles(room) {
	const all = [];
	if (room.degraded) all.push("Redis is away. Fans keep their places; nobody is admitted until it is back.");
	if (room.settingsDiffer) all.push("The settings in force are not those of this edge's file: another edge or an operator changed them later.");
	if (room.inventory && !room.stock) all.push("The seat service has not said what is left.");
	return all.join(" ");
}

function card(name) {
	const known = cards.get(name);
	if (known) return known;
	const section = document.getElementById("room").content.cloneNode(true).firstElementChild;
	const find = selector => section.querySelector(selector);
	const made = { section, find, counts: [], values: {} };
	put(find(".name"), name);
	for (const label of Object.keys(figures)) {
		const box = document.createElement("div"), term = document.createElement("dt"), value = document.createElement("dd");
		term.textContent = label;
		box.append(term, value);
		find(".figures").append(box);
		made.values[label] = { box, term, value };
	}
	cards.set(name, made);
	return made;
}

function draw(room) {
	const { section, find, counts, values } = card(room.room);
	put(find(".state"), states[room.state] ?? room.state);
	find(".state").dataset.state = room.state;
	const trouble = troubles(room);
	put(find(".trouble"), trouble);
	find(".trouble").hidden = !trouble;
	put(find(".message"), room.message ? `Fans read: ${room.message}` : "");
	find(".message").hidden = !room.message;
	for (const [label, of] of Object.entries(figures)) {
		const text = of(room);
		values[label].box.hidden = text === null;
		put(values[label].value, text ?? "");
		put(values[label].term, label + (limits[label]?.(room) ?? ""));
	}
	counts.push(room.waiting);
	if (counts.length > KEPT) counts.shift();
	const most = Math.max(1, ...counts);
	find("polyline").setAttribute("points", counts.map((n, i) =>
		`${(300 * (KEPT - counts.length + i)) / (KEPT - 1)},${58 - 56 * n / most}`).join(" "));
	put(find(".trendnote"), `Waiting over the last five minutes; at most ${number(Math.max(...counts))}`);
	find(".stock").hidden = !room.stock;
	if (room.stock) {
		const { state, free, held, booked, capacity } = room.stock;
		find(".booked").style.width = `${100 * booked / Math.max(1, capacity)}%`;
		find(".held").style.width = `${100 * held / Math.max(1, capacity)}%`;
		put(find(".stocknote"), `${stocks[state] ?? ""}${number(booked)} booked, ${number(held)} held, ${number(free)} free of ${number(capacity)}`);
	}
	return section;
}

function show(rooms) {
	const sections = rooms.map(draw);
	for (const [name, { section }] of cards) {
		if (!sections.includes(section)) cards.delete(name);
	}
	if (sections.length === 0) return put(main, "This edge has no waiting rooms.");
	if (sections.length !== main.childNodes.length || sections.some((s, i) => main.childNodes[i] !== s)) main.replaceChildren(...sections);
	const waiting = rooms.reduce((sum, room) => sum + room.waiting, 0);
	document.title = `${number(waiting)} waiting`;
}

async function ask() {
	try {
		const reply = await fetch("rooms.json", { cache: "no-store", signal: AbortSignal.timeout(PATIENCE) });
		if (!reply.ok) throw new Error(`the edge answers ${reply.status}`);
		show(await reply.json());
		seen = Date.now();
	} catch (error) {
		failure = error.message.startsWith("the edge") ? error.message : "the edge does not answer";
	}
	age();
	setTimeout(ask, 1000);
}

function age() {
	const line = document.getElementById("age");
	const old = Date.now() - seen;
	const late = seen === 0 ? failure !== "" : old > LATE;
	line.classList.toggle("late", late);
	main.classList.toggle("late", late);
	if (!late) put(line, seen === 0 ? "Loading …" : "Live");
	else if (seen === 0) put(line, `No numbers: ${failure}.`);
	else put(line, `These numbers are ${Math.round(old / 1000)} s old: ${failure || "the edge does not answer"}.`);
}

setInterval(age, 1000);
ask();
