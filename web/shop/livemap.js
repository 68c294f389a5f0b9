// The live map: a snapshot, then deltas, over a WebSocket; the snapshot alone every
// few seconds where there is none. The form of the frames is written down in
// package mapframe. A delta is applied to exactly the version that it starts from.

import { api, event, pause } from "./api.js";

export const FREE = 0, HELD = 1, BOOKED = 2, BLOCKED = 3;
const SNAPSHOT = 1, DELTA = 2, COUNTS = 3;

const pollEvery = 2000; // ms, by half more or less
const longestWait = 30_000; // before the stream is tried again

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
	// onChange is told the ordinals that changed, or null for all; onCounts the summary;
	// onLink how changes come: "live", "polled" or "lost".
	constructor({ onChange, onCounts, onLink }) {
		Object.assign(this, { onChange, onCounts, onLink, epoch: 0, version: -1, states: new Uint8Array(0) });
	}

	// follow never ends: it connects, listens, and polls while there is no stream.
	async follow() {
		let failures = 0, again = 0;
		for (;;) {
			if (performance.now() >= again) {
				const spoke = await this.listen();
				failures = spoke ? 0 : failures + 1;
				if (spoke) await pause(1500 * Math.random()); // an edge that ends parts all its viewers at once
				again = performance.now() + Math.random() * Math.min(1000 * 2 ** failures, longestWait);
			}
			this.onLink(await this.poll().then(() => "polled", () => "lost"));
			await pause(pollEvery * (0.5 + Math.random()));
		}
	}

	async poll() {
		const ask = what => fetch(`${api}/events/${event}/${what}`, { cache: "no-cache", credentials: "same-origin", signal: AbortSignal.timeout(10_000) });
		const [map, summary] = await Promise.all([ask("availability"), ask("summary")]);
		if (!map.ok || !summary.ok) throw new Error("the map cannot be had");
		this.take(new Uint8Array(await map.arrayBuffer()));
		this.onCounts(await summary.json());
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
				} catch { // a gap: begin anew
					this.version = -1;
					socket.close();
					return;
				}
				if (!spoke) this.onLink("live");
				spoke = true;
			};
			socket.onclose = () => done(spoke);
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
		if (epoch === this.epoch && version === this.version) return; // as we have it
		const states = new Uint8Array(cells), changed = [];
		for (let i = 0; i < cells; i++) {
			states[i] = reader.bytes[reader.at + (i >> 2)] >> (i % 4) * 2 & 3;
			if (states[i] !== this.states[i]) changed.push(i);
		}
		const all = this.states.length !== cells;
		Object.assign(this, { epoch, version, states });
		if (all) this.onChange(null); else if (changed.length > 0) this.onChange(changed);
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
