// --- taking the place to another device

async function makeLink() {
	const { status, body } = await call("POST", "device");
	if (status !== 200) {
		fan.problem = body.detail ?? "";
		return draw();
	}
	const made = new URL(body.link), link = location.origin + made.pathname + made.search;
	put("move-until", `${say.move.until} ${timeOf(Date.parse(body.expires))}.`);
	tell("move-link", link);
	const copy = element("move-copy");
	copy.hidden = !navigator.clipboard; // only on secure addresses
	copy.textContent = say.move.copy;
	copy.onclick = async () => {
		try {
			await navigator.clipboard.writeText(link);
			copy.textContent = say.move.copied;
		} catch { /* it can be selected and copied by hand */ }
	};
}

