// Checks a fan's place in a draw, with nothing but what the room publishes and
// the browser's own SHA-256. It is internal/draw, written a second time: what
// that makes, this must find, and a test holds the two together. The words
// (`say`) stand before this file.

export const { checking } = say;

const patience = 20_000; // for one file
const tiers = 8, tierSize = 2 ** 50; // package place

const text = string => new TextEncoder().encode(string);
const fill = (words, values) => words.replace(/\{(\w+)\}/g, (_, name) => values[name]);

// checkDraw fetches the record and this fan's proof, and says in lines what holds.
export async function checkDraw(base, visitor) {
	if (!globalThis.crypto?.subtle) return { verdict: say.insecure };
	const record = await get(base + "draw"), proof = await get(base + "draw/proof");
	const without = say.without[record.body.code ?? proof.body.code]; // by the code of a refusal
	if (without) return { verdict: without };
	if (!record.ok || !proof.ok) return { verdict: say.busy };
	return judge(record.body, proof.body, visitor);
}

async function get(path) {
	const reply = await fetch(path, { headers: { Accept: "application/json" }, cache: "no-store", signal: AbortSignal.timeout(patience) });
	return { ok: reply.ok, body: await reply.json() };
}

async function judge(record, own, visitor) {
	const beacon = record.beacon ?? {};
	const values = { ...beacon, tier: own.tier, visitor: own.visitor, count: Number(record.count).toLocaleString("en-US") };
	const lines = [];
	const line = async (name, check) => {
		// What cannot even be read does not hold.
		const holds = await check().catch(() => false), [right, wrong] = say[name];
		lines.push({ holds, text: fill(holds ? right : wrong, values) });
	};
	await line("place", async () => own.visitor === visitor);
	await line("commitment", async () => same(await sha256(hex(record.secret)), hex(record.commitment)));
	await line("member", async () => own.proof.count === record.count && same(await climb(own), hex(record.root)));
	await line(beacon.value ? "seed" : "seedAlone", async () => honest(beacon) && same(await seedOf(record), hex(record.seed)));
	await line(own.tier > 0 ? "tier" : "score", async () => own.score === await scoreOf(hex(record.seed), own));
	const holds = lines.every(line => line.holds);
	const how = beacon.missed ? "missed" : beacon.value ? "beacon" : "alone";
	return { lines, verdict: fill(holds ? say.holds : say.wrong, values), remarks: [fill(say[how], values), say.before] };
}

// honest: a beacon was used if one was announced, but for one that was missed as announced.
const honest = ({ source, value, missed, within }) => missed ? source && within > 0 && !value : !source === !value;

// seedOf is HKDF-SHA256 without salt over secret, beacon and root.
async function seedOf({ room, secret, beacon, root }) {
	const material = join(hex(secret), hex(beacon.value ?? ""), hex(root));
	const key = await crypto.subtle.importKey("raw", material, "HKDF", false, ["deriveBits"]);
	const how = { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(), info: text("caddy-tickets draw 1 " + room) };
	return new Uint8Array(await crypto.subtle.deriveBits(how, key, 256));
}

// scoreOf is tier · 2^50 + the first 48 bits of HMAC-SHA256(seed, visitor): below
// 2^53, so a number holds it exactly.
async function scoreOf(seed, { visitor, tier }) {
	const key = await crypto.subtle.importKey("raw", seed, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
	const mac = new Uint8Array(await crypto.subtle.sign("HMAC", key, entrant(visitor, tier).subarray(0, 16)));
	return tier * tierSize + mac.subarray(0, 6).reduce((sum, byte) => sum * 256 + byte, 0);
}

// climb goes from the leaf to the root: RFC 9162, section 2.1.3.2.
async function climb({ visitor, tier, proof }) {
	let index = proof.index, last = proof.count - 1;
	if (!Number.isSafeInteger(index) || !Number.isSafeInteger(last) || index < 0 || index > last) throw new Error("no such entrant");
	let hash = await sha256(join([0], entrant(visitor, tier)));
	for (const neighbour of proof.path) {
		if (last === 0) throw new Error("the path is too long");
		if (index % 2 === 1 || index === last) {
			hash = await sha256(join([1], hex(neighbour), hash));
			while (index % 2 === 0 && index > 0) [index, last] = [index / 2, Math.floor(last / 2)];
		} else {
			hash = await sha256(join([1], hash, hex(neighbour)));
		}
		[index, last] = [Math.floor(index / 2), Math.floor(last / 2)];
	}
	if (last !== 0) throw new Error("the path is too short");
	return hash;
}

const sha256 = async bytes => new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));

// entrant is the 17 bytes of one: visitor and tier.
function entrant(visitor, tier) {
	if (!/^[\w-]{22}$/.test(visitor) || !Number.isInteger(tier) || tier < 0 || tier >= tiers) throw new Error("no entrant");
	const raw = atob(visitor.replaceAll("-", "+").replaceAll("_", "/"));
	return join(Uint8Array.from(raw, c => c.charCodeAt(0)), [tier]);
}

function hex(string) {
	if (!/^(?:[0-9a-f]{2})*$/.test(string)) throw new Error("not hexadecimal");
	return Uint8Array.from(string.match(/../g) ?? [], pair => parseInt(pair, 16));
}

const same = (a, b) => a.length === b.length && a.every((byte, i) => byte === b[i]);

function join(...parts) {
	const out = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
	let at = 0;
	for (const part of parts) {
		out.set(part, at);
		at += part.length;
	}
	return out;
}
