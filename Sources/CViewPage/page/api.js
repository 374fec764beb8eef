// Calls of the server. The secret is in the fragment of the address, which a browser never sends; it becomes a cookie that scripts cannot read.

export class CallError extends Error {
  /** @param {number} status @param {{error?: string, at?: number}} body */
  constructor(status, body) {
    super(body.error ?? `the server answered ${status}`);
    this.status = status;
    this.at = body.at;
  }
}

/** Exchanges the secret of the address for a cookie, and takes it out of the address. */
export async function begin() {
  const secret = new URLSearchParams(location.hash.slice(1)).get('k');
  if (!secret) return;
  const answer = await fetch('session', { method: 'POST', headers: { Authorization: `Bearer ${secret}` } });
  if (answer.ok) history.replaceState(null, '', location.pathname);
}

/** @param {string} path @param {object} [options] @param {object} [options.body] @param {AbortSignal} [options.signal] */
export async function call(path, { body, signal } = {}) {
  const answer = await fetch(`api/1/${path}`, body ? { method: 'POST', body: JSON.stringify(body), signal } : { signal });
  const type = answer.headers.get('content-type') ?? '';
  if (!type.includes('json')) {
    if (!answer.ok) throw new CallError(answer.status, {});
    return type.startsWith('text/') ? answer.text() : answer.blob();
  }
  const json = await answer.json();
  if (!answer.ok) throw new CallError(answer.status, json);
  return json;
}

/** The counts of the list that is shown, as they change. */
export class Live {
  #socket = null;
  #view = null;

  /** @param {(counts: any) => void} changed @param {(isOpen: boolean) => void} state */
  constructor(changed, state) {
    this.changed = changed;
    this.state = state;
  }

  connect() {
    const address = new URL('api/1/live', location.href);
    address.protocol = 'ws:';
    const socket = new WebSocket(address);
    socket.onopen = () => {
      this.#socket = socket;
      this.state(true);
      this.#send();
    };
    socket.onmessage = (event) => this.changed(JSON.parse(event.data));
    socket.onclose = () => {
      this.#socket = null;
      this.state(false);
      setTimeout(() => this.connect(), 1000);
    };
  }

  /** @param {string} view */
  watch(view) {
    this.#view = view;
    this.#send();
  }

  #send() { if (this.#socket && this.#view) this.#socket.send(JSON.stringify({ view: this.#view })); }
}
