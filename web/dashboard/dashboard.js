// Asks for the numbers once a second and shows them. When they do not come it says
// how old they are, rather than show old ones as if they were new.

const history = new Map(); // room → the last waiting counts, one a second
const KEPT = 300;
let seen = 0;

const number = n => n.toLocaleString("en-US");
const states = { open: "open", paused: "paused", lobby: "lobby", scheduled: "not open yet", "sold-out": "sold out", closed: "closed" };

function rate(room) {
	const unit = { 1: "s", 60: "min", 3600: "h" }[room.ratePerSeconds] ?? `${room.ratePerSeconds} s`;
	return `${number(room.rate)} / ${unit}`;
}

function figures(room) {
	const all = [
		["Waiting", number(room.waiting)],
		["Admission rate", rate(room)],
		["Admitted last minute", number(Math.round(room.admittedPerMinute))],
		["Admitted in all", number(room.admittedTotal)],
		["Inside now", `${number(room.active)} / ${number(room.activeCap)}`],
		["Turns not taken yet", number(room.turns)],
		["No-shows", number(room.noShowsTotal)],
		["Streams at this edge", number(room.streams)],
	];
	if (room.stock) all.push(["Held", number(room.stock.held)], ["Booked", number(room.stock.booked)]);
	return all.map(([name, value]) => {
		const box = document.createElement("div");
		const figure = document.createElement("b"), label = document.createElement("span");
		figure.textContent = value;
		label.textContent = name;
		box.append(figure, label);
		return box;
	});
}

function troubles(room) {
	const all = [];
	if (room.degraded) all.push("Redis is away. Fans keep their places; nobody is admitted until it is back.");
	if (room.settingsDiffer) all.push("The settings in force are not those of this edge's file: another edge was loaded later. Load the same file everywhere.");
	if (room.inventory && !room.stock) all.push("The seat service has not said what is left.");
	return all.join(" ");
}

function trend(room) {
	const counts = history.get(room.room) ?? [];
	counts.push(room.waiting);
	if (counts.length > KEPT) counts.shift();
	history.set(room.room, counts);
	const most = Math.max(1, ...counts);
	return counts.map((n, i) => `${(300 * (KEPT - counts.length + i)) / (KEPT - 1)},${58 - 56 * n / most}`).join(" ");
}

function draw(rooms) {
	const main = document.getElementById("rooms");
	if (rooms.length === 0) {
		main.textContent = "This edge has no waiting rooms.";
		return;
	}
	main.replaceChildren(...rooms.map(room => {
		const card = document.getElementById("room").content.cloneNode(true);
		const find = name => card.querySelector(name);
		find(".name").textContent = room.room;
		find(".state").textContent = states[room.state] ?? room.state;
		find(".state").dataset.state = room.state;
		const trouble = troubles(room);
		find(".trouble").textContent = trouble;
		find(".trouble").hidden = !trouble;
		find(".message").textContent = room.message ? `Fans read: ${room.message}` : "";
		find(".message").hidden = !room.message;
		find(".figures").replaceChildren(...figures(room));
		find("polyline").setAttribute("points", trend(room));
		if (room.stock) {
			const { free, held, booked, capacity } = room.stock;
			find(".stock").hidden = false;
			find(".booked").style.width = `${100 * booked / Math.max(1, capacity)}%`;
			find(".held").style.width = `${100 * held / Math.max(1, capacity)}%`;
			find(".stocknote").textContent = `${number(booked)} booked, ${number(held)} held, ${number(free)} free of ${number(capacity)}`;
		}
		return card;
	}));
}

async function ask() {
	try {
		const reply = await fetch("rooms.json", { cache: "no-store", signal: AbortSignal.timeout(5000) });
		if (!reply.ok) throw new Error(`the edge answers ${reply.status}`);
		draw(await reply.json());
		seen = Date.now();
	} catch { /* the age says it */ }
	setTimeout(ask, 1000);
}

setInterval(() => {
	const age = document.getElementById("age");
	const seconds = Math.round((Date.now() - seen) / 1000);
	const late = seen === 0 ? false : seconds > 3;
	age.classList.toggle("late", late);
	age.textContent = seen === 0 ? "Loading …" : late ? `These numbers are ${seconds} s old: the edge does not answer.` : "Live";
}, 500);
ask();
