// --- what a screen reader says: a change at once, a new position now and then

const quietFor = 30_000;
let said = { what: undefined, at: Date.now() };

function announce() {
	const { state, status, link } = fan;
	put("alert", state === "admitted" ? say.words.admitted.head : "");
	const broken = link in say.links && link !== "live" && link !== "polling" ? say.links[link] : "";
	const what = [state, status.message, broken].join("\n");
	const changed = what !== said.what;
	if (!changed && Date.now() - said.at < quietFor) return;
	const first = said.what === undefined; // the page itself has just been read
	said = { what, at: Date.now() };
	if (first || state === "admitted") return;
	put("polite", [
		say.words[scene(state)].head + ".",
		hasPlace() && `Position ${grouped(status.position)}.`,
		hasPlace() && status.eta && `Estimated wait: ${between(status.eta.low, status.eta.high)}.`,
		changed && status.message,
		broken,
	].filter(Boolean).join(" "));
}

// The alarm is off unless the fan wants it. A browser lets a page make sound only
// after a touch, and that touch is the one that turns it on.
let sound;

function alarm() {
	if (!element("alarm").checked) return false;
	navigator.vibrate?.([300, 150, 300]);
	for (const [at, pitch] of [[0, 660], [0.25, 880], [0.5, 1100]]) note(at, pitch);
	return true;
}

function note(at, pitch) {
	if (!sound) return;
	const tone = sound.createOscillator(), volume = sound.createGain(), from = sound.currentTime + at;
	tone.frequency.value = pitch;
	volume.gain.setValueAtTime(0.2, from);
	volume.gain.exponentialRampToValueAtTime(0.001, from + 0.4);
	tone.connect(volume).connect(sound.destination);
	tone.start(from);
	tone.stop(from + 0.4);
}

element("alarm").addEventListener("change", event => {
	if (!event.target.checked) return;
	sound ??= window.AudioContext && new AudioContext();
	sound?.resume();
	note(0, 880); // so that the fan knows it, and how loud it is
});

