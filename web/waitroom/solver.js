// Solves puzzles of a challenge, away from the page so that it stays smooth. The
// form of tokens is written down in package pow. SHA-256 is written out here
// because crypto.subtle answers asynchronously, which costs more than a hash, and
// is missing over plain HTTP.

const K = new Int32Array(64);
const INITIAL = new Int32Array(8);
(() => { // FIPS 180-4, 4.2.2 and 5.3.3: fractions of cube and square roots of primes
	const fraction = x => (x - Math.floor(x)) * 0x100000000 | 0;
	for (let n = 2, found = 0; found < 64; n++) {
		let prime = true;
		for (let d = 2; d * d <= n; d++) if (n % d === 0) { prime = false; break; }
		if (!prime) continue;
		if (found < 8) INITIAL[found] = fraction(Math.sqrt(n));
		K[found++] = fraction(Math.cbrt(n));
	}
})();

const W = new Int32Array(64);

// compress adds one block, in W[0..15], to the state.
function compress(state) {
	for (let i = 16; i < 64; i++) {
		const x = W[i - 15], y = W[i - 2];
		const s0 = (x >>> 7 | x << 25) ^ (x >>> 18 | x << 14) ^ x >>> 3;
		const s1 = (y >>> 17 | y << 15) ^ (y >>> 19 | y << 13) ^ y >>> 10;
		W[i] = W[i - 16] + s0 + W[i - 7] + s1 | 0;
	}
	let a = state[0], b = state[1], c = state[2], d = state[3], e = state[4], f = state[5], g = state[6], h = state[7];
	for (let i = 0; i < 64; i++) {
		const s1 = (e >>> 6 | e << 26) ^ (e >>> 11 | e << 21) ^ (e >>> 25 | e << 7);
		const t1 = h + s1 + (e & f ^ ~e & g) + K[i] + W[i] | 0;
		const s0 = (a >>> 2 | a << 30) ^ (a >>> 13 | a << 19) ^ (a >>> 22 | a << 10);
		const t2 = s0 + (a & b ^ a & c ^ b & c) | 0;
		h = g; g = f; f = e; e = d + t1 | 0; d = c; c = b; b = a; a = t1 + t2 | 0;
	}
	state[0] += a; state[1] += b; state[2] += c; state[3] += d;
	state[4] += e; state[5] += f; state[6] += g; state[7] += h;
}

// digest is SHA-256 of ASCII text, as eight words.
function digest(text) {
	const state = INITIAL.slice();
	const blocks = text.length + 9 + 63 >> 6;
	for (let block = 0; block < blocks; block++) {
		for (let i = 0; i < 16; i++) {
			let word = 0;
			for (let j = 0; j < 4; j++) {
				const at = block * 64 + i * 4 + j;
				word = word << 8 | (at < text.length ? text.charCodeAt(at) : at === text.length ? 0x80 : 0);
			}
			W[i] = word;
		}
		if (block === blocks - 1) W[15] = text.length * 8;
		compress(state);
	}
	return state;
}

// solve finds the nonce of one puzzle: a message of 40 bytes is one block.
function solve(seed, puzzle, bits) {
	const state = new Int32Array(8);
	for (let nonce = 0; nonce < 0x100000000; nonce++) {
		W.set(seed);
		W[8] = puzzle; W[9] = nonce | 0; W[10] = 0x80000000 | 0;
		W[11] = W[12] = W[13] = W[14] = 0; W[15] = 320;
		state.set(INITIAL);
		compress(state);
		if (state[0] >>> 32 - bits === 0) return nonce;
	}
	throw new Error("a puzzle has no solution");
}

// Each worker takes every step-th puzzle.
self.onmessage = ({ data: { token, from, step } }) => {
	const head = atob(token.slice(0, 8).replaceAll("-", "+").replaceAll("_", "/")); // the first six bytes of the body
	const count = head.charCodeAt(2), bits = head.charCodeAt(3), seed = digest(token);
	for (let puzzle = from; puzzle < count; puzzle += step) self.postMessage({ puzzle, nonce: solve(seed, puzzle, bits) });
};
