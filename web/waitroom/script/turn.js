// --- coming in, taking the turn, leaving

// A fan's tabs tell each other when the place is given up.
const tabs = window.BroadcastChannel && new BroadcastChannel(drawer);
if (tabs) tabs.onmessage = ({ data }) => { if (data === "left" && fan.joined) end("left"); };

// end shows a state in which nothing more is heard.
function end(state) {
	stopWatching();
	if (["lost", "left", "missed"].includes(state)) {
		fan.joined = false;
		forget();
	}
	fan.link = "";
	fan.state = state;
	draw();
}

let joining = false;

async function join() {
	if (joining) return;
	joining = true;
	Object.assign(fan, { state: "joining", work: 0, problem: "" });
	draw();
	try {
		came(await ask());
	} finally {
		joining = false;
	}
}

// ask for a place, and do the work that is asked for.
async function ask() {
	let reply = await call("POST", "join");
	for (let tries = 0; reply.body.challenge && tries < 4; tries++) {
		let solution;
		try {
			solution = await answer(reply.body.challenge);
		} catch {
			break;
		}
		reply = await call("POST", "join", { "Botguard-Answer": solution });
	}
	return reply;
}

function came({ status, body, wait }) {
	if (status === 200 || status === 201) {
		if (status === 201) forget(); // what was seen was another place's
		fan.joined = true;
		fan.status.visitor = body.visitor;
		if (fan.seen === 0) recall();
		take(body);
		follow();
		act();
		return;
	}
	if (!navigator.cookieEnabled) return end("cookies");
	const states = { "sold-out": "sold-out", closed: "closed", "queue-full": "full", "not-open": "scheduled", "room-full": "no-room" };
	end(states[body.code] ?? "refused");
	if (fan.state === "scheduled") awaitDoors();
	if (fan.state === "no-room") lookAgain(wait);
}

// lookAgain opens the page anew when there may be room. Who is let in gets the site.
async function lookAgain(wait = 0) {
	const mine = watching;
	await nap(Math.max(wait, 1000 * (fan.status.pollAfter || 10)) * (1 + Math.random() / 2));
	if (mine === watching) go(data.location);
}

// awaitDoors joins when the room opens.
async function awaitDoors() {
	stopWatching();
	const mine = watching;
	while (mine === watching) {
		const left = Date.parse(fan.status.opens) - now();
		await nap(jitter(Math.min(Math.max(left / 4 || 0, 1000), 15_000)));
		const { status, body } = await call("GET", "board");
		if (mine !== watching || status !== 200) continue;
		if (body.state !== "scheduled") return join();
		const { state, message, stock, opens, waiting } = body;
		take({ state, message, stock, opens, waiting });
		draw();
	}
}

let entering = false;

// enter takes the turn. The edge that is asked may know of it a moment later than
// the one that told.
async function enter() {
	if (entering) return;
	entering = true;
	stopWatching();
	fan.problem = "";
	fan.state = "admitted";
	draw();
	const loud = alarm();
	for (let tries = 1; ; tries++) {
		const { status, body, wait } = await call("POST", "claim" + to);
		if (status === 200) {
			if (loud) await pause(1200); // leaving at once would cut the sound off
			return go(body.location);
		}
		if (body.code === "not-yet" && tries < 5) {
			await pause(Math.max(wait, 1000) * (1 + Math.random() / 2));
			continue;
		}
		entering = false;
		return refused(body);
	}
}

function refused({ code, detail }) {
	const states = { "turn-missed": "missed", "not-queued": "lost", "sold-out": "sold-out", closed: "closed" };
	if (states[code]) return end(states[code]);
	if (code === "not-yet") { // it was not the turn after all
		fan.status.state = "waiting";
		fan.state = stateOf(fan.status);
		draw();
		return follow();
	}
	fan.problem = detail ?? say.words.refused.text; // the button stays
	draw();
}

// go to the site, and nowhere else.
function go(path) {
	const target = new URL(path || "/", location.origin);
	location.replace(target.origin === location.origin ? target : "/");
}

async function leave() {
	const { status, body } = await call("POST", "leave");
	if (status === 204) {
		tabs?.postMessage("left");
		return end("left");
	}
	fan.problem = body.detail ?? "";
	draw();
}

