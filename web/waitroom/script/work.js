// --- the calculation that keeps bots out: package pow has the form of tokens

const decode = text => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), c => c.charCodeAt(0));
const encode = bytes => btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

// answer solves a challenge. A browser that cannot calculate waits instead, if
// that is taken.
async function answer({ token, wait }) {
	try {
		return await solve(token);
	} catch {
		if (!(wait > 0)) throw new Error("no way to answer the challenge");
		await pause(1000 * wait + 500);
		return token + ".wait";
	}
}

// solve shares the puzzles among a few workers, and leaves the phone a core.
function solve(token) {
	const count = decode(token)[2];
	const hands = Math.max(1, Math.min(4, count, (navigator.hardwareConcurrency || 2) - 1));
	const nonces = new DataView(new ArrayBuffer(4 * count));
	const workers = [];
	return new Promise((done, failed) => {
		let solved = 0;
		for (let hand = 0; hand < hands; hand++) {
			const worker = new Worker(say.solver);
			workers.push(worker);
			worker.onerror = () => failed(new Error("the solver failed"));
			worker.onmessage = ({ data: { puzzle, nonce } }) => {
				nonces.setUint32(4 * puzzle, nonce);
				fan.work = ++solved / count;
				draw();
				if (solved === count) done(`${token}.${encode(new Uint8Array(nonces.buffer))}`);
			};
			worker.postMessage({ token, from: hand, step: hands });
		}
	}).finally(() => workers.forEach(worker => worker.terminate()));
}

