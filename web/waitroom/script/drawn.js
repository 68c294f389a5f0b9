// --- how the place was drawn: check.js is loaded when that is asked

element("drawn").addEventListener("toggle", async () => {
	if (!element("drawn").open) return;
	const { checkDraw, checking } = await import(element("drawn").dataset.check).catch(() => ({}));
	if (!checkDraw) return report({ verdict: say.what.unread });
	report({ verdict: checking });
	report(await checkDraw(base, fan.status.visitor).catch(() => ({ verdict: say.what.unread })));
});

// report what was found. A verdict without lines is none on the draw.
function report({ lines = [], remarks = [], verdict }) {
	element("checked").replaceChildren(...lines.map(({ holds, text }) => item(text, holds ? "" : "wrong")));
	element("remarks").replaceChildren(...remarks.map(text => item(text, "")));
	element("verdict").dataset.holds = lines.length > 0 ? lines.every(line => line.holds) : "";
	put("verdict", verdict);
}

function item(text, className) {
	const li = document.createElement("li");
	Object.assign(li, { textContent: text, className });
	return li;
}
