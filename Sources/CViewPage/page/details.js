// The details of one flow: request and response, messages, timing, connections.

import { call } from './api.js';
import { LineView } from './content.js';
import { byId, copy, element, settings, toast } from './dom.js';
import { count, dateTime, duration, size, statusClass, visible } from './format.js';
import { MessageList } from './messages.js';

const tabs = [
  { name: 'exchange', title: 'Exchange' },
  { name: 'messages', title: 'Messages' },
  { name: 'timing', title: 'Timing' },
  { name: 'connection', title: 'Connection' },
  { name: 'json', title: 'JSON' },
];

export class Details {
  #flow = null;
  #n = null;
  #tab = settings.get('tab', 'exchange');
  #parts = [];
  #request = null;

  /** @param {{closed: () => void, compare: (n: number) => void}} events */
  constructor(events) {
    this.events = events;
    this.pane = byId('details');
    this.split = byId('split');
    this.setSide(settings.get('side', 'below'));
    this.split.addEventListener('pointerdown', (event) => this.#resize(event));
    this.split.addEventListener('keydown', (event) => this.#resizeByKey(event));
    this.setSize(settings.get('detailsSize', 50));
  }

  get isShown() { return !this.pane.hidden; }
  get n() { return this.#n; }

  /** Shows a flow. @param {number} n its number */
  async show(n) {
    this.#request?.abort();
    this.#request = new AbortController();
    this.#n = n;
    try {
      const flow = await call(`flows/${n}`, { signal: this.#request.signal });
      this.#flow = flow;
      this.pane.hidden = false;
      this.split.hidden = false;
      this.#draw();
    } catch (error) {
      if (error.name === 'AbortError') return;
      this.pane.hidden = false;
      this.pane.replaceChildren(element('p.problem', { role: 'alert' }, error.message));
    }
  }

  close() {
    this.#end();
    this.pane.hidden = true;
    this.split.hidden = true;
    this.#flow = null;
    this.#n = null;
    this.events.closed();
  }

  /** Asks for the flow again, because it continues. */
  async refresh() {
    if (this.#flow?.open && this.#n != null) {
      const flow = await call(`flows/${this.#n}`).catch(() => null);
      if (!flow || flow.n !== this.#n) return;
      const list = this.#parts.find((part) => part instanceof MessageList);
      this.#flow = flow;
      if (list) list.grow(flow.messages ?? 0);
      else if (!flow.open) this.#draw();
    }
  }

  // Layout

  toggleSide() { this.setSide(document.body.classList.contains('side-right') ? 'below' : 'right'); }

  setSide(side) {
    document.body.classList.toggle('side-right', side === 'right');
    this.split.setAttribute('aria-orientation', side === 'right' ? 'vertical' : 'horizontal');
    settings.set('side', side);
  }

  setSize(percent) {
    this.size = Math.min(85, Math.max(15, percent));
    document.body.style.setProperty('--details', `${this.size}%`);
    this.split.setAttribute('aria-valuenow', Math.round(this.size));
    settings.set('detailsSize', this.size);
  }

  #resize(event) {
    event.preventDefault();
    const box = byId('work').getBoundingClientRect();
    const isRight = document.body.classList.contains('side-right');
    const move = (moved) => this.setSize(isRight
      ? (box.right - moved.clientX) / box.width * 100
      : (box.bottom - moved.clientY) / box.height * 100);
    addEventListener('pointermove', move);
    addEventListener('pointerup', () => removeEventListener('pointermove', move), { once: true });
  }

  #resizeByKey(event) {
    const steps = { ArrowUp: 5, ArrowLeft: 5, ArrowDown: -5, ArrowRight: -5 };
    if (!(event.key in steps)) return;
    event.preventDefault();
    this.setSize(this.size + steps[event.key]);
  }

  // Parts

  #end() {
    for (const part of this.#parts) part.end();
    this.#parts = [];
  }

  #draw() {
    this.#end();
    const flow = this.#flow;
    const shown = tabs.filter((tab) => tab.name !== 'messages' || flow.messages != null);
    if (!shown.some((tab) => tab.name === this.#tab)) this.#tab = 'exchange';
    const hasExchange = flow.flow.request || flow.flow.response || flow.heads.local;
    const current = this.#tab === 'exchange' && flow.messages != null && !hasExchange ? 'messages' : this.#tab;
    const list = element('div.tabs', { role: 'tablist', 'aria-label': 'Parts of the flow' }, ...shown.map((tab) => element('button', {
      type: 'button', role: 'tab', id: `tab-${tab.name}`, 'aria-selected': tab.name === current, 'aria-controls': 'panel',
      tabindex: tab.name === current ? '0' : '-1', onclick: () => this.#choose(tab.name),
    }, tab.title, tab.name === 'messages' ? ` ${count(flow.messages)}` : null)));
    list.addEventListener('keydown', (event) => this.#tabKey(event, shown, current));
    const panel = element('div.panel', { id: 'panel', role: 'tabpanel', 'aria-labelledby': `tab-${current}`, tabindex: '-1' });
    panel.append(...this[`_${current}`](flow));
    this.pane.replaceChildren(this.#title(flow), list, panel);
  }

  #choose(tab) {
    this.#tab = tab;
    settings.set('tab', tab);
    this.#draw();
    byId(`tab-${tab}`)?.focus();
  }

  #tabKey(event, shown, current) {
    const index = shown.findIndex((tab) => tab.name === current);
    const steps = { ArrowRight: 1, ArrowLeft: -1 };
    if (!(event.key in steps)) return;
    event.preventDefault();
    event.stopPropagation();
    this.#choose(shown[(index + steps[event.key] + shown.length) % shown.length].name);
  }

  #title({ flow, kind, open }) {
    const status = flow.local_reply?.status ?? flow.response?.status;
    const what = flow.request ? `${flow.request.method} ` : `${kind} `;
    const url = flow.request?.url ?? `${flow.server?.host ?? ''}${flow.server?.port ? `:${flow.server.port}` : ''}`;
    const button = (title, label, action) => element('button', { type: 'button', title, onclick: action }, label);
    return element('header.title', {},
      element('h2', {},
        status ? element(`span.status.${statusClass(status)}`, {}, String(status)) : null,
        element('span.method', {}, what), element('span.url', {}, url), open ? element('span.tag', {}, 'open') : null),
      element('div.tools', { role: 'toolbar', 'aria-label': 'This flow' },
        flow.request ? button('Copy as a command of curl (c)', 'Copy curl', () => this.copyAs('curl')) : null,
        flow.request ? button('Copy the URL (u)', 'Copy URL', () => copy(url, 'URL')) : null,
        button('Compare with another flow (m)', 'Compare', () => this.events.compare(this.#n)),
        button('Details below or beside the list (d)', 'Layout', () => this.toggleSide()),
        button('Close (Esc)', '×', () => this.close())));
  }

  /** Copies the flow. @param {string} format */
  async copyAs(format) {
    if (this.#n == null) return;
    try {
      copy(await call(`flows/${this.#n}/${format}`), format === 'curl' ? 'Command' : format);
    } catch (error) {
      toast(error.message);
    }
  }

  copyURL() { if (this.#flow?.flow.request?.url) copy(this.#flow.flow.request.url, 'URL'); }

  _exchange(data) {
    const { flow, heads } = data;
    const parts = [];
    if (flow.error) parts.push(this.#problem(flow.error));
    for (const note of flow.notes ?? []) parts.push(element('p.note', {}, `${note.side ? `${note.side}: ` : ''}${note.message}`));
    const sides = element('div.sides');
    if (heads.request) sides.append(this.#message(data, 'request', heads.request, flow.request));
    if (heads.response) sides.append(this.#message(data, 'response', heads.response, flow.response, heads.informational));
    if (heads.local) sides.append(this.#message(data, 'local', heads.local, flow.local_reply));
    parts.push(sides);
    if (!sides.children.length && !flow.error) parts.push(element('p', {}, 'There was no HTTP exchange.'));
    return parts;
  }

  #problem(error) {
    return element('p.problem', {}, element('strong', {}, error.side ? `Error (${error.side}): ` : 'Error: '), error.message);
  }

  #message(data, side, head, message, interims) {
    const title = { request: 'Request', response: 'Response', local: 'Answer of the recorder itself' }[side];
    const section = element(`section.side.${side}`, { 'aria-label': title });
    const raw = element('button', { type: 'button', 'aria-pressed': settings.get('raw', false), title: 'The head as it was received' }, 'Raw');
    const headBox = element('div.head');
    const drawHead = () => headBox.replaceChildren(raw.getAttribute('aria-pressed') === 'true'
      ? element('pre', {}, head.trimEnd()) : this.#fields(head));
    raw.addEventListener('click', () => {
      raw.setAttribute('aria-pressed', raw.getAttribute('aria-pressed') !== 'true');
      settings.set('raw', raw.getAttribute('aria-pressed') === 'true');
      drawHead();
    });
    section.append(element('h3', {}, title, raw));
    for (const interim of interims ?? []) section.append(element('div.head.interim', {}, this.#fields(interim)));
    drawHead();
    section.append(headBox);
    const trailers = data.heads[`${side}_trailers`];
    const body = side === 'local' ? { size: message.size, complete: true } : message?.body;
    if (body?.size > 0) section.append(...this.#content(data, side, body));
    else section.append(element('p.muted', {}, body && !body.complete ? 'The content is missing.' : 'No content.'));
    if (trailers) section.append(element('h4', {}, 'Trailers'), element('div.head', {}, this.#fields(`\n${trailers}`)));
    return section;
  }

  #fields(head) {
    const lines = head.replace(/\r/g, '').split('\n').filter((line) => line !== '');
    const isStart = !head.startsWith('\n') && !lines[0]?.startsWith(':');
    const table = element('dl.fields');
    if (isStart) table.append(element('dt.start', {}, lines.shift() ?? ''));
    for (const line of lines) {
      const colon = line.indexOf(':', 1);
      if (colon < 0) {
        table.append(element('dt', {}, line), element('dd', {}));
        continue;
      }
      const value = line.slice(colon + 1).trim();
      table.append(element('dt', {}, line.slice(0, colon)),
        element('dd', {}, value, element('button.copy', { type: 'button', title: 'Copy the value', 'aria-label': `Copy the value of ${line.slice(0, colon)}`, onclick: () => copy(value, 'Value') }, '⧉')));
    }
    return table;
  }

  #content(data, side, body) {
    const path = `flows/${this.#n}/content/${side}`;
    const lines = new LineView(path, data.views, side === 'request' ? 'request content' : 'response content');
    this.#parts.push(lines);
    const facts = `${size(body.size)}${body.complete ? '' : ', incomplete'}`;
    const parts = [];
    if (side !== 'local') {
      const rawPath = `api/1/flows/${this.#n}/raw/${side}`;
      lines.bar.append(element('a.button', { href: rawPath, download: '', title: 'Store the content as it was sent' }, 'Download'));
      const image = data[`${side}_image`];
      if (image) parts.push(this.#image(rawPath, image, side));
      const type = data.flow[side]?.headers?.find(([name]) => name.toLowerCase() === 'content-type')?.[1] ?? '';
      if (/html|svg/.test(type)) parts.push(this.#preview(side, lines));
    }
    return [element('h4', {}, `Content, ${facts}`), lines.bar, ...parts, lines.box];
  }

  #image(path, type, side) {
    const image = element('img.image', { alt: `Image of the ${side}` });
    fetch(`${path}?decoded=1`).then((answer) => answer.blob()).then((bytes) => {
      const address = URL.createObjectURL(new Blob([bytes], { type }));
      image.onload = () => URL.revokeObjectURL(address);
      image.src = address;
    });
    return image;
  }

  /** The content in a frame without scripts, origin and network, when it is asked for. */
  #preview(side, lines) {
    const place = element('div.preview');
    lines.bar.append(element('button', {
      type: 'button', title: 'Show it in a frame without scripts and network',
      onclick: () => place.replaceChildren(element('iframe', {
        sandbox: '', title: `Preview of the ${side}`, src: `api/1/flows/${this.#n}/preview/${side}`, referrerPolicy: 'no-referrer' })),
    }, 'Preview'));
    return place;
  }

  _messages(data) {
    const list = new MessageList(`flows/${this.#n}`, data.messages ?? 0, data.views);
    this.#parts.push(list);
    const close = data.flow.websocket?.close;
    return [close ? element('p.note', {}, `closed by the ${close.by}: ${close.code} ${close.reason ?? ''}`) : null, list.element].filter(Boolean);
  }

  _timing({ flow, timing }) {
    const rows = [];
    const total = Math.max(1, timing.ended ?? Math.max(...Object.values(timing)));
    const phase = (title, from, to, kind) => {
      if (from == null || to == null || to < from) return;
      const bar = element(`span.phase.${kind}`);
      bar.style.left = `${Math.max(0, from / total * 100)}%`;
      bar.style.width = `${Math.max(0.4, (to - Math.max(0, from)) / total * 100)}%`;
      rows.push(element('tr', {}, element('th', { scope: 'row' }, title), element('td.number', {}, duration(Math.max(0, from))),
        element('td.number', {}, duration(to - from)), element('td.track', {}, bar)));
    };
    phase('Connect', timing.server_opened >= 0 ? timing.server_opened : null, timing.server_connected, 'connect');
    phase('TLS with the server', timing.tls_started >= 0 ? timing.tls_started : null, timing.tls_ended, 'tls');
    phase('Request', timing.request_started, timing.request_ended, 'send');
    phase('Wait', timing.request_ended ?? timing.request_started, timing.response_started, 'wait');
    phase('Response', timing.response_started, timing.response_ended, 'receive');
    phase('Whole flow', 0, timing.ended, 'whole');
    const microseconds = Date.parse(flow.started) * 1000;
    const used = timing.server_opened < 0 ? element('p.muted', {}, 'The connection to the server was open already.') : null;
    return [
      element('p', {}, `Started ${dateTime(microseconds)}${flow.duration_ms != null ? `, took ${duration(Math.round(flow.duration_ms * 1000))}` : ''}`),
      used,
      element('table.timing', {},
        element('thead', {}, element('tr', {}, ...['Phase', 'After', 'Takes', ''].map((title) => element('th', { scope: 'col' }, title)))),
        element('tbody', {}, ...rows)),
    ].filter(Boolean);
  }

  _connection({ flow, certificates }) {
    const parts = [];
    for (const [title, side] of [['Client', flow.client], ['Server', flow.server]]) {
      if (!side) continue;
      const facts = [
        ['Address', side.address], ['Host', side.host && `${side.host}:${side.port}`], ['Connection', side.id],
        ['TLS', side.tls && [side.tls.version, side.tls.cipher].filter(Boolean).join(', ')], ['Server name', side.tls?.sni],
        ['ALPN', side.tls?.alpn], ['JA3', side.tls?.ja3], ['JA4', side.tls?.ja4],
        ['Handshake', side.tls?.handshake_ms != null ? duration(Math.round(side.tls.handshake_ms * 1000)) : null],
        ['Resumed', side.tls?.resumed ? 'yes' : null],
        ['Certificate', side.tls?.verified == null ? null : side.tls.verified ? 'verified' : `not verified: ${side.tls.verification_error ?? ''}`],
        ['HTTP/2 settings', side.settings?.map((setting) => `${setting.name ?? setting.id} ${setting.value}`).join(', ')],
      ].filter(([, value]) => value);
      const list = element('dl.fields');
      for (const [name, value] of facts) list.append(element('dt', {}, name), element('dd', {}, value));
      parts.push(element('section', {}, element('h3', {}, title), list));
    }
    if (certificates.length) {
      parts.push(element('section', {}, element('h3', {}, 'Certificates of the server'),
        ...certificates.map((text) => element('pre.certificate', {}, text || 'a certificate that cannot be read'))));
    }
    return [element('div.sides', {}, ...parts), element('p.muted', {}, `Flow ${flow.id}, mode ${flow.mode ?? 'unknown'}`)];
  }

  _json() {
    const box = element('pre.json', { tabindex: '0' }, '…');
    call(`flows/${this.#n}/json`).then((text) => {
      const shown = text.length > 2_000_000 ? null : text;
      box.textContent = shown == null ? 'The JSON of this flow is too large to be shown here; export it instead.'
        : visible(JSON.stringify(JSON.parse(shown), null, 2));
    }).catch((error) => { box.textContent = error.message; });
    return [element('div.content-bar', {}, element('button', { type: 'button', onclick: () => this.copyAs('json') }, 'Copy')), box];
  }
}
