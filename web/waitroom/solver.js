// Solves the puzzles of a challenge, away from the page so that it stays smooth.
// The form of tokens and answers is written down in package pow. SHA-256 is
// written out here because crypto.subtle answers asynchronously, which costs more
// than a hash, and is missing over plain HTTP.

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
	let [a, b, c, d, e, f, g, h] = state;
	for (let i = 0; i < 64; i++) {
		const s1 = (e >>> 6 | e << 26) ^ (e >>> 11 | e << 21) ^ (e >>> 25 | e << 7);
		const t1 = h + s1 + (e & f ^ ~e & g) + K[i] + W[i] | 0;
		const s0 = (a >>> 2 | a << 30) ^ (a >>> 13 | a << 19) ^ (a >>> 22 | a << 10);
		const t2 = s0 + (a & b ^ a & c ^ b & c) | 0;
		h = g; g = f; f = e; e = d + t1 | 0; d = c; c = b; b = a; a = t1 + t2 | 0;
	}
	state[0] = state[0] + a | 0; state[1] = state[1] + b | 0; state[2] = state[2] + c | 0; state[3] = state[3] + d | 0;
	state[4] = state[4] + e | 0; state[5] = state[5] + f | 0; state[6] = state[6] + g | 0; state[7] = state[7] + h | 0;
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

const decode = text => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), c => c.charCodeAt(0));
const encode = bytes => btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

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
	return 0;
}

export function answer(token, progress) {
	const body = decode(token);
	const count = body[2], bits = body[3];
	const seed = digest(token);
	const nonces = new Uint8Array(count * 4);
	for (let puzzle = 0; puzzle < count; puzzle++) {
		new DataView(nonces.buffer).setUint32(puzzle * 4, solve(seed, puzzle, bits));
		progress?.((puzzle + 1) / count);
	}
	return `${token}.${encode(nonces)}`;
}

self.onmessage = event => {
	const done = answer(event.data, share => self.postMessage({ share }));
	self.postMessage({ answer: done });
};
