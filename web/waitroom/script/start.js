// --- beginning, and beginning again

function start() {
	if (fan.state === "admitted") enter();
	else if (fan.state === "scheduled") awaitDoors();
	else if (fan.state === "no-room") lookAgain();
	else if (fan.joined && (waits() || comes())) follow();
	else if (fan.state === "joining") join();
}

for (const [form, act] of [["join", join], ["enter", enter], ["give-up", leave], ["move", makeLink]]) {
	element(form).addEventListener("submit", event => { event.preventDefault(); act(); });
}

// A page that is looked at again ends whatever pause there is, and does not wait
// for a stream that has been silent for long.
document.addEventListener("visibilitychange", () => {
	if (document.hidden) return;
	if (control && Date.now() - heardAt > silence / 3) hurry();
	wake();
});

// A network that comes back is another one: the old connection is dead.
addEventListener("online", () => {
	if (control) hurry();
	wake();
});
addEventListener("offline", () => { if (control) connection("lost"); });

// A page that is left for another lets go of its connection, or the browser could
// not keep it; when the fan comes back to it, it goes on.
addEventListener("pagehide", stopWatching);
addEventListener("pageshow", event => { if (event.persisted) start(); });

document.querySelector(".stalled").remove();
recall();
if (fan.joined) take({ degraded: fan.status.degraded });
if (!navigator.cookieEnabled) end("cookies");
else {
	draw();
	start();
}
