// The details of one flow: request and response, messages, timing, connections, and what rules and the recorder did to it.

import { call } from './api.js';
import { LineView } from './content.js';
import { button, byId, copy, drag, element, settings, table, toast, toggle } from './dom.js';
import { count, dateTime, duration, present, size, statusClass, visible } from './format.js';
import { MessageList } from './messages.js';

const titles = { exchange: 'Exchange', messages: 'Messages', timing: 'Timing', connection: 'Connection', rules: 'Rules', json: 'JSON' };

export class Details {
  #flow = null;
  #tab = settings.get('tab', 'exchange');
  #parts = [];
  #request = null;
  /** The number of the flow; null for no flow. */
  n = null;
  /** Where flows can be sent again; null when they cannot. */
  replayTarget = null;

  /** @param {{closed: () => void, compare: (n: number) => void, replay: (n: number) => void}} events */
  constructor(events) {
    this.events = events;
    this.pane = byId('details');
    this.split = byId('split');
    this.split.addEventListener('pointerdown', (event) => {
      const box = byId('work').getBoundingClientRect();
      drag(event, (moved) => this.#setSize(this.#isRight ? (box.right - moved.clientX) / box.width * 100 : (box.bottom - moved.clientY) / box.height * 100));
    });
    this.split.addEventListener('keydown', (event) => {
      const step = { ArrowUp: 5, ArrowLeft: 5, ArrowDown: -5, ArrowRight: -5 }[event.key];
      if (step) this.#setSize(this.size + step);
    });
    this.#setSide(settings.get('side', innerWidth > 1600 ? 'right' : 'below'));
    this.#setSize(settings.get('detailsSize', 55));
  }

  get isShown() { return !this.pane.hidden; }

  /** Shows a flow. @param {number} n its number */
  async show(n) {
    this.#request?.abort();
    this.#request = new AbortController();
    this.n = n;
    try {
      this.#flow = await call(`flows/${n}`, { signal: this.#request.signal });
      this.#draw();
    } catch (error) {
      if (error.name === 'AbortError') return;
      this.#end();
      this.pane.replaceChildren(element('p.problem', { role: 'alert' }, error.message));
    }
    this.pane.hidden = false;
    this.split.hidden = false;
  }

  close() {
    this.#request?.abort();
    this.#end();
    this.pane.hidden = true;
    this.split.hidden = true;
    this.#flow = null;
    this.n = null;
    this.events.closed();
  }

  /** Asks for the flow again, because it continues. */
  async refresh() {
    if (!this.#flow?.open) return;
    const flow = await call(`flows/${this.n}`).catch(() => null);
    if (flow?.n !== this.n) return;
    this.#flow = flow;
    const list = this.#parts.find((part) => part instanceof MessageList);
    if (list) list.grow(flow.messages ?? 0);
    else if (!flow.open) this.#draw();
  }

  // Layout

  get #isRight() { return document.body.classList.contains('side-right'); }

  toggleSide() { this.#setSide(this.#isRight ? 'below' : 'right'); }

  #setSide(side) {
    document.body.classList.toggle('side-right', side === 'right');
    this.split.ariaOrientation = side === 'right' ? 'vertical' : 'horizontal';
    settings.set('side', side);
  }

  #setSize(percent) {
    this.size = Math.min(85, Math.max(15, percent));
    document.body.style.setProperty('--details', `${this.size}%`);
    this.split.ariaValueNow = Math.round(this.size);
    settings.set('detailsSize', this.size);
  }

  // Parts

  #end() {
    for (const part of this.#parts) part.end();
    this.#parts = [];
  }

  #draw() {
    this.#end();
    const data = this.#flow;
    const tabs = Object.keys(titles).filter((tab) => tab !== 'messages' || data.messages != null);
    const hasExchange = data.heads.request ?? data.heads.response ?? data.heads.local;
    const wanted = tabs.includes(this.#tab) ? this.#tab : 'exchange';
    const current = wanted === 'exchange' && !hasExchange && data.messages != null ? 'messages' : wanted;
    const list = element('div.tabs', {
      role: 'tablist', 'aria-label': 'Parts of the flow', onkeydown: (event) => {
        const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        if (step) this.choose(tabs[(tabs.indexOf(current) + step + tabs.length) % tabs.length]);
      },
    }, ...tabs.map((tab) => {
      const shown = { messages: data.messages, rules: data.flow.redacted?.length }[tab];
      return button(titles[tab] + (shown ? ` ${count(shown)}` : ''), '', () => this.choose(tab), {
        role: 'tab', id: `tab-${tab}`, 'aria-selected': tab === current, 'aria-controls': 'panel', tabindex: tab === current ? '0' : '-1' });
    }));
    const panel = element('div.panel', { id: 'panel', role: 'tabpanel', 'aria-labelledby': `tab-${current}`, tabindex: '0' });
    panel.append(...this[current](data).filter(Boolean));
    this.pane.replaceChildren(this.#title(data), list, panel);
  }

  /** Shows a part. @param {string} tab */
  choose(tab) {
    this.#tab = tab;
    settings.set('tab', tab);
    this.#draw();
    byId(`tab-${tab}`)?.focus();
  }

  #title({ flow: { request, response, local_reply: local, server }, kind, open }) {
    const status = (local ?? response)?.status;
    const url = request?.url ?? present([server?.host, server?.port]).map(([, part]) => part).join(':');
    return element('header.title', {},
      element('h2', {}, status && element(`span.status.${statusClass(status)}`, {}, String(status)), element('span', {}, request?.method ?? kind),
        element('span.url', { title: url }, url), open ? element('span.tag', {}, 'open') : null),
      element('div.tools', { role: 'toolbar', 'aria-label': 'This flow' },
        request && button('Copy curl', 'Copy as a command of curl (c); without secrets (Shift+C)', (event) => this.copyAs('curl', event.shiftKey)),
        request && button('Copy URL', 'Copy the URL (u)', () => this.copyURL()),
        request && this.replayTarget && button('Replay', `Send it again to ${this.replayTarget}, and compare the response (r)`, () => this.events.replay(this.n), { id: 'replay' }),
        button('Compare', 'Compare with another flow (m)', () => this.events.compare(this.n)),
        button('Layout', 'Details below or beside the list (d)', () => this.toggleSide(), { className: 'layout' }),
        button('×', 'Close (Esc)', () => this.close(), { 'aria-label': 'Close' })));
  }

  /** Copies the flow. @param {string} format @param {boolean} [isRedacted] */
  async copyAs(format, isRedacted = false) {
    try {
      copy(await call(`flows/${this.n}/${format}${isRedacted ? '?redact=share' : ''}`), isRedacted ? 'Command without secrets' : format === 'curl' ? 'Command' : 'JSON');
    } catch (error) {
      toast(error.message);
    }
  }

  copyURL() { if (this.#flow?.flow.request) copy(this.#flow.flow.request.url, 'URL'); }

  /** The next view of the content. */
  nextView() { this.#parts.at(-1)?.next(); }

  exchange(data) {
    const { flow, heads } = data;
    const sides = [['request', 'Request', flow.request], ['response', 'Response', flow.response], ['local', 'Answer of the recorder itself', flow.local_reply]]
      .filter(([side]) => heads[side] != null).map(([side, title, message]) => this.#message(data, side, title, message));
    return [
      flow.error && element('p.problem', {}, element('strong', {}, `Error${flow.error.side ? ` (${flow.error.side})` : ''}: `), flow.error.message),
      ...(flow.notes ?? []).map((note) => element('p.note', {}, [note.side, note.message].filter(Boolean).join(': '))),
      sides.length || flow.error ? element('div.sides', {}, ...sides) : element('p', {}, 'There was no HTTP exchange.'),
    ];
  }

  #message(data, side, title, message) {
    const head = element('div');
    const fill = (isRaw) => head.replaceChildren(isRaw ? element('pre', {}, data.heads[side].trimEnd()) : this.#fields(data.heads[side]));
    fill(settings.get('raw', false));
    const trailers = data.heads[`${side}_trailers`];
    const body = side === 'local' ? { size: message.size, complete: true } : message?.body;
    return element(`section.side.${side}`, { 'aria-label': title },
      element('h3', {}, title, toggle('Raw', 'The head as it was received', 'raw', fill)),
      ...(side === 'response' ? data.heads.informational ?? [] : []).map((interim) => element('div.interim', {}, this.#fields(interim))),
      head,
      ...(body?.size > 0 ? this.#content(data, side, body) : [element('p.muted', {}, body && !body.complete ? 'The content is missing.' : 'No content.')]),
      trailers && element('h4', {}, 'Trailers'), trailers && this.#fields(`\n${trailers}`));
  }

  #fields(head) {
    const table = element('dl.fields');
    head.replaceAll('\r', '').split('\n').forEach((line, index) => {
      const colon = line.indexOf(':', 1);
      if (line === '') return;
      if (index === 0 && !line.startsWith(':')) return table.append(element('dt.start', {}, line));
      const [name, value] = colon < 0 ? [line, ''] : [line.slice(0, colon), line.slice(colon + 1).trim()];
      table.append(element('dt', {}, name), element('dd', {}, value, button('⧉', 'Copy the value', () => copy(value, 'Value'), { className: 'copy', 'aria-label': `Copy the value of ${name}` })));
    });
    return table;
  }

  #content(data, side, body) {
    const lines = new LineView(`flows/${this.n}/content/${side}`, data.views, `content of the ${side}`);
    this.#parts.push(lines);
    const above = [];
    if (side !== 'local') {
      const raw = `api/1/flows/${this.n}/raw/${side}`;
      const image = data[`${side}_image`];
      const type = data.flow[side].headers?.find(([name]) => name.toLowerCase() === 'content-type')?.[1] ?? '';
      lines.bar.append(element('a.button', { href: raw, download: '', title: 'Store the content as it was sent' }, 'Download'));
      if (image) above.push(this.#image(`${raw}?decoded=1`, image, side));
      if (/html|svg/.test(type)) {
        const place = element('div');
        lines.bar.append(button('Preview', 'Show it in a frame without scripts and network', () => place.replaceChildren(element('iframe', {
          sandbox: '', title: `Preview of the ${side}`, src: `api/1/flows/${this.n}/preview/${side}`, referrerPolicy: 'no-referrer' }))));
        above.push(place);
      }
    }
    const partly = body.complete ? body.truncated || body.stored < body.size ? ', not all stored' : '' : ', incomplete';
    return [element('h4', {}, `Content, ${size(body.size)}${partly}`), lines.bar, ...above, lines.box];
  }

  #image(path, type, side) {
    const image = element('img', { alt: `Image of the ${side}` });
    fetch(path).then((answer) => answer.blob()).then((bytes) => {
      const address = URL.createObjectURL(new Blob([bytes], { type }));
      image.onload = () => URL.revokeObjectURL(address);
      image.src = address;
    });
    return image;
  }

  messages({ flow: { websocket }, messages, views }) {
    const list = new MessageList(`flows/${this.n}`, messages, views);
    this.#parts.push(list);
    const close = websocket?.close;
    return [close && element('p.note', {}, `Closed by the ${close.by}: ${close.code ?? ''} ${close.reason ?? ''}`), list.element];
  }

  timing({ flow, timing: at }) {
    const total = Math.max(1, at.ended ?? Math.max(...Object.values(at)));
    const isOwn = at.server_opened >= 0;
    const phases = [
      ['Connect', isOwn ? at.server_opened : null, at.server_connected, 'connect'], ['TLS with the server', isOwn ? at.tls_started : null, at.tls_ended, 'tls'],
      ['Request', at.request_started, at.request_ended, 'send'], ['Wait', at.request_ended ?? at.request_started, at.response_started, 'wait'],
      ['Response', at.response_started, at.response_ended, 'receive'], ['Whole flow', 0, at.ended, 'whole'],
    ].filter(([, from, to]) => from != null && to >= from);
    const rows = phases.map(([title, from, to, kind]) => {
      const bar = element('span.phase');
      Object.assign(bar.style, { background: `var(--${kind})`, left: `${Math.max(0, from / total * 100)}%`, width: `${(to - from) / total * 100}%` });
      return [title, duration(Math.max(0, from)), duration(to - from), element('div.track', {}, bar)];
    });
    return [
      element('p', {}, `Started ${dateTime(Date.parse(flow.started) * 1000)}${flow.duration_ms == null ? '' : `, took ${duration(Math.round(flow.duration_ms * 1000))}`}`),
      at.server_opened < 0 ? element('p.muted', {}, 'The connection to the server was open already.') : null,
      table(['Phase', '#After', '#Takes', 'Course'], rows, 'timing'),
    ];
  }

  #facts(title, facts) {
    return element('section', {}, element('h3', {}, title),
      element('dl.fields', {}, ...present(facts).flatMap(([name, value]) => [element('dt', {}, name), element('dd', {}, String(value))])));
  }

  connection({ flow, certificates }) {
    const side = (title, { tls, settings: http2, ...facts } = {}) => this.#facts(title, {
      Address: facts.address, Host: facts.host && `${facts.host}:${facts.port}`, Connection: facts.id, TLS: tls && [tls.version, tls.cipher].filter(Boolean).join(', '),
      'Server name': tls?.sni, ALPN: tls?.alpn, JA3: tls?.ja3, JA4: tls?.ja4, Handshake: tls?.handshake_ms != null && duration(Math.round(tls.handshake_ms * 1000)),
      Resumed: tls?.resumed && 'yes', Certificate: tls?.verified == null ? null : tls.verified ? 'verified' : `not verified: ${tls.verification_error ?? ''}`,
      'HTTP/2 settings': http2?.map((setting) => `${setting.name ?? setting.id} ${setting.value}`).join(', '),
    });
    return [
      element('div.sides', {}, side('Client', flow.client), side('Server', flow.server)),
      ...certificates.map((text, index) => element('section', {}, element('h3', {}, `Certificate ${index + 1} of the server`), element('pre', {}, text || 'a certificate that cannot be read'))),
    ];
  }

  rules({ flow }) {
    const rules = (flow.redacted ?? []).map(({ rule, in: place, count: changed, not_stored: reason }) => [
      element('code', {}, rule), place ?? '', count(changed ?? 0), reason ? `not stored: ${reason}` : 'hidden']);
    const notes = (flow.notes ?? []).map((note) => [dateTime(Date.parse(note.at) * 1000), note.side ?? '', note.message]);
    return [
      element('h3', {}, 'Redaction'),
      rules.length ? table(['Rule', 'Part', '#Values', 'What was done'], rules) : element('p.muted', {}, 'No rule changed this flow before it was stored.'),
      ...notes.length ? [element('h3', {}, 'Notes'), table(['Time', 'Side', 'Deviation that passed'], notes)] : [],
      this.#facts('Recording', {
        Flow: flow.id, State: flow.state, Listener: flow.mode, Tags: flow.tags?.join(', '), Comment: flow.comment,
        Error: flow.error?.message, 'Answered by': flow.local_reply && `the recorder itself, with ${flow.local_reply.status}`,
        Malformed: flow.malformed?.map(({ from, size: bytes }) => `${size(bytes)} from the ${from}`).join(', '),
        Passthrough: flow.passthrough && Object.entries(flow.passthrough).map(([name, value]) => `${name.replaceAll('_', ' ')} ${value}`).join(', '),
      }),
    ];
  }

  json() {
    const box = element('pre', { tabindex: '0', 'aria-label': 'JSON' }, '…');
    call(`flows/${this.n}/json`).then((text) => {
      box.textContent = text.length > 2_000_000 ? 'The JSON of this flow is too large to be shown here; export it instead.' : visible(JSON.stringify(JSON.parse(text), null, 2));
    }).catch((error) => { box.textContent = error.message; });
    return [element('div.content-bar', {}, button('Copy', 'Copy the JSON', () => this.copyAs('json'))), box];
  }
}
