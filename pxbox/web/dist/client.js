// A client of PxBox: one module without dependencies, for browsers and for Node 22 or later.
// src/client/problem.ts
/** The broker refused the call. */
var Refused = class extends Error {
	problem;
	constructor(problem) {
		super(problem.detail ?? problem.title);
		this.problem = problem;
	}
	get code() {
		return this.problem.code;
	}
};
/** No answer came: whether the call took effect is not known. */
var Unreachable = class extends Error {};
// src/client/http.ts
/** REST calls to a broker, with nothing but `fetch`. */
var Http = class {
	options;
	/** By how many milliseconds the broker's clock is ahead of ours, to the second. */
	skew = 0;
	base;
	constructor(options = {}) {
		this.options = options;
		this.base = options.base ?? "";
	}
	/** The broker's time, in milliseconds since 1970. */
	now() {
		return Date.now() + this.skew;
	}
	/** Where something of the broker is, given as the broker gives it: relative to itself. */
	address(path) {
		return new URL(path, new URL(`${this.base}/`, globalThis.location?.href)).href;
	}
	async call(method, path, call = {}) {
		const sentAt = Date.now();
		let reply;
		try {
			reply = await fetch(this.base + path + search(call.query), {
				method,
				headers: this.headers(method, call),
				body: call.body === void 0 ? void 0 : JSON.stringify(call.body),
				credentials: "same-origin",
				signal: call.signal
			});
		} catch (error) {
			if (call.signal?.aborted) throw error;
			throw new Unreachable(String(error));
		}
		this.setClock(reply, sentAt);
		if (reply.status === 204) return void 0;
		const body = await reply.json().catch(() => null);
		if (reply.ok) return body;
		throw new Refused(problemOf(reply, body));
	}
	headers(method, call) {
		const headers = { accept: "application/json" };
		if (call.body !== void 0) headers["content-type"] = "application/json";
		if (call.idempotencyKey) headers["idempotency-key"] = call.idempotencyKey;
		if (this.options.token) headers.authorization = `Bearer ${this.options.token}`;
		if (!this.options.token && method !== "GET") headers["x-pxbox-page"] = "1";
		return headers;
	}
	setClock(reply, sentAt) {
		const date = Date.parse(reply.headers.get("date") ?? "");
		if (Number.isNaN(date)) return;
		const skew = date - (sentAt + Date.now()) / 2;
		this.skew = Math.abs(skew) < 1500 ? 0 : skew;
	}
};
function search(query) {
	const given = Object.entries(query ?? {}).filter(([, value]) => value != null && value !== "");
	if (given.length === 0) return "";
	return `?${new URLSearchParams(given.map(([name, value]) => [name, String(value)]))}`;
}
function problemOf(reply, body) {
	if (body && typeof body === "object" && "code" in body) return body;
	return {
		code: "unreadable",
		title: reply.statusText || "No answer",
		status: reply.status
	};
}
// src/client/upload.ts
/** Sending the bytes of a file to where the broker has signed for them. */
/**
* PUTs the whole of a file, to the broker or to an object store. What was cut off leaves nothing there:
* call it again.
*
* Rejects with Refused, with Unreachable, and with what `signal` was aborted for.
*/
function putFile(url, file, upload = {}) {
	const { headers = {}, onProgress, signal } = upload;
	if (typeof XMLHttpRequest === "undefined") return putPlainly(url, file, headers, signal);
	return new Promise((resolve, reject) => {
		const call = new XMLHttpRequest();
		const stop = () => call.abort();
		call.open("PUT", url);
		for (const [name, value] of Object.entries(headers)) call.setRequestHeader(name, value);
		call.upload.onprogress = (event) => onProgress?.(event.loaded);
		call.onload = () => {
			if (call.status >= 200 && call.status < 300) resolve();
			else reject(new Refused(problemIn(call.responseText, call.status)));
		};
		call.onerror = () => reject(new Unreachable("the upload was cut off"));
		call.onabort = () => reject(signal?.aborted ? signal.reason : new Unreachable("the page was left"));
		call.onloadend = () => signal?.removeEventListener("abort", stop);
		signal?.addEventListener("abort", stop);
		if (signal?.aborted) return reject(signal.reason);
		call.send(file);
	});
}
/** Where there is no browser; nothing is said of the progress there. */
async function putPlainly(url, file, headers, signal) {
	const reply = await fetch(url, {
		method: "PUT",
		body: file,
		headers,
		signal
	}).catch((error) => {
		if (signal?.aborted) throw error;
		throw new Unreachable(String(error));
	});
	if (!reply.ok) throw new Refused(problemIn(await reply.text(), reply.status));
}
function problemIn(text, status) {
	try {
		return JSON.parse(text);
	} catch {
		return {
			code: "unreadable",
			title: "No answer",
			status
		};
	}
}
// src/client/types.ts
/** Of the contract that this was made from. */
var version = "1.0.0";
// src/client/live.ts
var FIRST_WAIT = 500;
var LONGEST_WAIT = 2e4;
var Live = class {
	http;
	onState;
	onExpiring;
	state = "closed";
	socket = null;
	channels = /* @__PURE__ */ new Map();
	tries = 0;
	timer;
	frames = 0;
	constructor(http, onState, onExpiring = () => void 0) {
		this.http = http;
		this.onState = onState;
		this.onExpiring = onExpiring;
	}
	start() {
		if (this.state === "closed" || this.state === "signedOut") this.connect();
	}
	/** Connect at once, such as when the network is back. */
	hurry() {
		if (this.state !== "waiting") return;
		clearTimeout(this.timer);
		this.tries = 0;
		this.connect();
	}
	/** Connect anew, by what the session is now; what comes meanwhile is not missed. */
	renew() {
		const old = this.socket;
		this.socket = null;
		old?.close(1e3);
		clearTimeout(this.timer);
		this.connect();
	}
	stop() {
		clearTimeout(this.timer);
		this.set("closed");
		this.socket?.close(1e3);
		this.socket = null;
		this.channels.clear();
	}
	/** Watch a channel from a position, or from now on. Returns how to stop. */
	watch(channel, watch, position) {
		const entry = {
			...watch,
			...position
		};
		this.channels.set(channel, entry);
		if (this.state === "open") this.join(channel, entry);
		return () => {
			if (this.channels.get(channel) !== entry) return;
			this.channels.delete(channel);
			if (this.state === "open") this.send({
				type: "unsubscribe",
				channel
			});
		};
	}
	async connect() {
		this.set("connecting");
		try {
			const { ticket } = await this.http.call("POST", "/v1/ws/ticket", { body: {} });
			if (this.state !== "connecting") return;
			const address = this.http.address(`/v1/ws?ticket=${ticket}&batch=true`);
			this.open(new WebSocket(address.replace(/^http/, "ws")));
		} catch (error) {
			if (error instanceof Refused && error.problem.status === 401) this.set("signedOut");
			else this.retry();
		}
	}
	open(socket) {
		this.socket = socket;
		socket.onopen = () => {
			this.tries = 0;
			this.set("open");
			for (const [name, channel] of this.channels) this.join(name, channel);
		};
		socket.onmessage = (message) => this.receive(JSON.parse(String(message.data)));
		socket.onclose = (event) => {
			if (this.socket !== socket) return;
			this.socket = null;
			if (event.code === 4001) this.set("signedOut");
			else if (this.state !== "closed") this.retry();
		};
	}
	retry() {
		this.set("waiting");
		const longest = Math.min(LONGEST_WAIT, FIRST_WAIT * 2 ** this.tries++);
		this.timer = setTimeout(() => void this.connect(), longest * (.5 + Math.random() / 2));
	}
	join(name, channel) {
		if (channel.seq !== void 0 && channel.epoch) this.send({
			type: "resume",
			channel: name,
			since: channel.seq,
			epoch: channel.epoch
		});
		else {
			const data = channel.last ? { last: channel.last } : void 0;
			this.send({
				type: "subscribe",
				channel: name,
				...data && { data }
			});
		}
	}
	receive(frame) {
		if (frame.type === "events") for (const one of frame.data) this.receive(one);
		else if (frame.type === "event") this.take(frame);
		else if (frame.type === "recovered") this.recovered(frame);
		else if (frame.type === "heartbeat") this.checkHeads(frame);
		else if (frame.type === "ack" && frame.op === "subscribed") this.subscribed(frame);
		else if (frame.type === "notice" && frame.data.code === "token_expiring") this.onExpiring(frame.data.expiresAt);
	}
	take(frame) {
		const channel = this.channels.get(frame.channel);
		if (!channel || frame.epoch === channel.epoch && frame.seq <= (channel.seq ?? 0)) return;
		channel.epoch = frame.epoch;
		channel.seq = frame.seq;
		channel.onEvent(frame);
	}
	recovered(frame) {
		const channel = this.channels.get(frame.channel);
		if (!channel || frame.data.recovered) return;
		channel.epoch = frame.epoch;
		channel.seq = frame.seq;
		channel.onReset();
	}
	subscribed(frame) {
		const channel = this.channels.get(frame.channel);
		if (!channel) return;
		channel.epoch = frame.epoch;
		channel.seq = frame.data?.from ? frame.data.from - 1 : frame.seq;
	}
	checkHeads(frame) {
		const heads = frame.data.heads;
		for (const [name, head] of Object.entries(heads)) {
			const channel = this.channels.get(name);
			if (channel && typeof head === "number" && head > (channel.seq ?? head)) this.join(name, channel);
		}
	}
	send(frame) {
		if (this.socket?.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify({
			id: `f${++this.frames}`,
			...frame
		}));
	}
	set(state) {
		if (this.state === state) return;
		this.state = state;
		this.onState(state);
	}
};
// src/client/index.ts
/** A client of PxBox for browsers: no dependency, every call typed by the contract. */
var Client = class {
	http;
	constructor(options = {}) {
		this.http = new Http(options);
	}
	async session() {
		return known(await this.http.call("GET", "/v1/session"));
	}
	async signIn(by) {
		return known(await this.http.call("POST", "/v1/session", { body: by }));
	}
	async signOut() {
		await this.http.call("DELETE", "/v1/session");
	}
	/** Moves the end of the session on, as far as that goes. */
	async renew() {
		return known(await this.http.call("POST", "/v1/session/renew", { body: {} }));
	}
	inquiries(query) {
		return this.http.call("GET", "/v1/inquiries", { query });
	}
	mark(action, ids, remindAt) {
		return this.http.call("POST", "/v1/inquiries/bulk", { body: {
			action,
			ids,
			...remindAt && { remindAt }
		} });
	}
	snooze(id, remindAt) {
		return this.http.call("POST", `/v1/inquiries/${id}/snooze`, { body: { remindAt } });
	}
	request(id) {
		return this.http.call("GET", `/v1/requests/${id}`);
	}
	/** What the caller has asked, the newest first. */
	asked(query) {
		return this.http.call("GET", "/v1/requests", { query });
	}
	create(body, idempotencyKey) {
		return this.http.call("POST", "/v1/requests", {
			body,
			idempotencyKey
		});
	}
	claim(id) {
		return this.http.call("POST", `/v1/requests/${id}/claim`, { body: {} });
	}
	release(id) {
		return this.http.call("POST", `/v1/requests/${id}/release`, { body: {} });
	}
	/** `files` are the ids of files that belong to the answer beside those in its payload. */
	answer(id, payload, idempotencyKey, files = []) {
		const body = {
			payload,
			...files.length > 0 && { files }
		};
		return this.http.call("POST", `/v1/requests/${id}/response`, {
			body,
			idempotencyKey
		});
	}
	/** Says which file is about to be uploaded for the answer to a request. */
	signFile(requestId, name, contentType, size) {
		return this.http.call("POST", "/v1/files/sign", { query: {
			requestId,
			name,
			contentType,
			size
		} });
	}
	/** Uploads what was signed for; see `putFile`. */
	upload(signed, file, upload) {
		return putFile(this.http.address(signed.putUrl), file, {
			headers: signed.putHeaders,
			...upload
		});
	}
	decline(id, reason) {
		return this.http.call("POST", `/v1/requests/${id}/decline`, { body: reason ? { reason } : {} });
	}
	cancel(id) {
		return this.http.call("POST", `/v1/requests/${id}/cancel`, { body: {} });
	}
	answerOf(id) {
		return this.http.call("GET", `/v1/requests/${id}/response`);
	}
	events(id) {
		return this.http.call("GET", `/v1/requests/${id}/events`, { query: { limit: 200 } });
	}
	draft(id) {
		return this.http.call("GET", `/v1/requests/${id}/draft`);
	}
	keepDraft(id, payload) {
		return this.http.call("PUT", `/v1/requests/${id}/draft`, { body: { payload } });
	}
	dropDraft(id) {
		return this.http.call("DELETE", `/v1/requests/${id}/draft`);
	}
	entity(id) {
		return this.http.call("GET", `/v1/entities/${encodeURIComponent(id)}`);
	}
	flows(query) {
		return this.http.call("GET", "/v1/flows", { query });
	}
	flow(id) {
		return this.http.call("GET", `/v1/flows/${id}`);
	}
	timeline(id) {
		return this.http.call("GET", `/v1/flows/${id}/timeline`, { query: { limit: 200 } });
	}
	flowAction(id, action, body = {}) {
		return this.http.call("POST", `/v1/flows/${id}/${action}`, { body });
	}
};
function known(session) {
	return session.signedIn ? session : null;
}
export { Client, Http, Live, Refused, Unreachable, version };
