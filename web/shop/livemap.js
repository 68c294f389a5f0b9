// The live map: a snapshot, then deltas, over a WebSocket; the snapshot alone every
// few seconds where there is none. The form of the frames is written down in
// package mapframe. A delta is applied to exactly the version that it starts from.

import { api, event, pause } from "./api.js";

export const FREE = 0, HELD = 1, BOOKED = 2, BLOCKED = 3;
const SNAPSHOT = 1, DELTA = 2, COUNTS = 3;

class Reader {
	constructor(bytes) { this.bytes = bytes; this.at = 1; }
	get more() { return this.at < this.bytes.length; }
	// Numbers up to 2^53: versions and epochs are far below.
	number() {
		let value = 0, factor = 1;
		for (;;) {
			const byte = this.bytes[this.at++];
			if (byte === undefined) throw new Error("a frame is cut");
			value += (byte & 0x7f) * factor;
			if (byte < 0x80) return value;
			factor *= 128;
		}
	}
}

export class LiveMap {
	// onChange is told the ordinals that changed, or null for all; onCounts the summary.
	constructor({ onChange, onCounts }) {
		Object.assign(this, { onChange, onCounts, epoch: 0, version: -1, states: new Uint8Array(0), live: false });
	}

	// follow never ends: it connects, listens, and falls back to polling.
	async follow() {
		for (let failures = 0; ; failures++) {
			if (await this.listen()) failures = 0;
			try {
				await this.poll();
			} catch { /* the next round tries again */ }
			await pause((1000 + 2000 * Math.random()) * Math.min(1 + failures, 5));
		}
	}

	async poll() {
		const reply = await fetch(`${api}/events/${event}/availability`, { cache: "no-cache", credentials: "same-origin" });
		if (!reply.ok) return;
		this.take(new Uint8Array(await reply.arrayBuffer()));
		const summary = await fetch(`${api}/events/${event}/summary`, { credentials: "same-origin" });
		if (summary.ok) this.onCounts(await summary.json());
	}

	// listen resolves when the stream has ended: true if it ever spoke.
	listen() {
		return new Promise(done => {
			const from = this.version >= 0 ? `?from=${this.epoch}.${this.version}` : "";
			const scheme = location.protocol === "https:" ? "wss" : "ws";
			const socket = new WebSocket(`${scheme}://${location.host}${api}/events/${event}/live${from}`, "tickets.map.v1");
			socket.binaryType = "arraybuffer";
			let spoke = false;
			socket.onmessage = message => {
				try {
					this.take(new Uint8Array(message.data));
					spoke = this.live = true;
				} catch { // a gap: begin anew
					this.version = -1;
					socket.close();
				}
			};
			socket.onclose = () => { this.live = false; done(spoke); };
		});
	}

	take(bytes) {
		const reader = new Reader(bytes);
		switch (bytes[0]) {
		case SNAPSHOT: this.snapshot(reader); break;
		case DELTA: this.delta(reader); break;
		case COUNTS: this.onCounts(JSON.parse(new TextDecoder().decode(bytes.subarray(1)))); break;
		default: throw new Error("an unknown frame");
		}
	}

	snapshot(reader) {
		const epoch = reader.number(), version = reader.number(), cells = reader.number();
		const states = new Uint8Array(cells);
		for (let i = 0; i < cells; i++) states[i] = reader.bytes[reader.at + (i >> 2)] >> (i % 4) * 2 & 3;
		Object.assign(this, { epoch, version, states });
		this.onChange(null);
	}

	delta(reader) {
		const epoch = reader.number(), from = reader.number(), to = reader.number();
		if (epoch !== this.epoch || from !== this.version) throw new Error("a gap");
		const changed = [];
		let ordinal = -1;
		while (reader.more) {
			const n = reader.number();
			ordinal += Math.floor(n / 4);
			this.states[ordinal] = n % 4;
			changed.push(ordinal);
		}
		this.version = to;
		if (changed.length > 0) this.onChange(changed);
	}
}
