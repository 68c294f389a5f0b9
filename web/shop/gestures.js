// What fingers, mice, wheels and keys do to the map.

const still = 8; // px that a tap may move

export function gestures(map) {
	const { canvas } = map;
	const fingers = new Map();
	let moved = 0;
	canvas.addEventListener("pointerdown", event => {
		canvas.setPointerCapture(event.pointerId);
		if (fingers.size === 0) moved = 0;
		fingers.set(event.pointerId, event);
	});
	canvas.addEventListener("pointermove", event => {
		const before = fingers.get(event.pointerId);
		if (!before) {
			const { seat, area } = map.at(event);
			map.onPoint(seat, area, event);
			return;
		}
		moved += Math.hypot(event.clientX - before.clientX, event.clientY - before.clientY);
		if (fingers.size > 1) pinch(before, event);
		else if (moved >= still) map.move((before.clientX - event.clientX) * map.ratio / map.view.scale, (before.clientY - event.clientY) * map.ratio / map.view.scale);
		fingers.set(event.pointerId, event);
	});

	// pinch zooms about, and moves with, the middle of two fingers.
	function pinch(before, event) {
		const other = [...fingers.values()].find(finger => finger.pointerId !== event.pointerId);
		const apart = finger => Math.hypot(finger.clientX - other.clientX, finger.clientY - other.clientY);
		const middle = finger => ({ clientX: (finger.clientX + other.clientX) / 2, clientY: (finger.clientY + other.clientY) / 2 });
		const [x, y] = map.world(middle(before));
		map.zoom(apart(event) / Math.max(1, apart(before)), x, y);
		const [toX, toY] = map.world(middle(event));
		map.move(x - toX, y - toY);
		moved = Infinity;
	}

	canvas.addEventListener("pointerup", event => {
		const tapped = fingers.delete(event.pointerId) && moved < still && fingers.size === 0;
		if (tapped) map.tap(event);
	});
	for (const name of ["pointercancel", "lostpointercapture"]) canvas.addEventListener(name, event => fingers.delete(event.pointerId));
	canvas.addEventListener("pointerleave", event => map.onPoint(-1, undefined, event));
	canvas.addEventListener("wheel", event => {
		event.preventDefault();
		const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 16 : 1;
		map.zoom(Math.exp(-event.deltaY * lines / 400), ...map.world(event));
	}, { passive: false });
	canvas.addEventListener("keydown", event => {
		const step = 80 * map.ratio / map.view.scale;
		const act = {
			ArrowLeft: () => map.move(-step, 0), ArrowRight: () => map.move(step, 0), ArrowUp: () => map.move(0, -step), ArrowDown: () => map.move(0, step),
			"+": () => map.zoom(1.4), "=": () => map.zoom(1.4), "-": () => map.zoom(1 / 1.4), "0": () => map.fit(),
		}[event.key];
		if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
		event.preventDefault();
		act();
	});
}
