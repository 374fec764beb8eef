// The messages of a WebSocket conversation or a TCP stream, of which only the visible ones exist, and the content of the chosen one.

import { call } from './api.js';
import { element } from './dom.js';
import { LineView } from './content.js';
import { count, duration, size } from './format.js';

const rowHeight = 24;
const pageSize = 100;

export class MessageList {
  #path;
  #views;
  #total;
  #pages = new Map();
  #chosen = null;
  #lines = null;

  /** @param {string} path of the flow @param {number} total @param {string[]} views */
  constructor(path, total, views) {
    this.#path = path;
    this.#total = total;
    this.#views = views;
    this.box = element('div.messages-list', { tabindex: '0', role: 'listbox', 'aria-label': `${count(total)} messages` });
    this.inner = element('div.messages-inner');
    this.box.append(this.inner);
    this.pane = element('div.message-content');
    this.element = element('div.messages', {}, this.box, this.pane);
    this.box.addEventListener('scroll', () => this.#draw(), { passive: true });
    this.box.addEventListener('keydown', (event) => this.#key(event));
    this.box.addEventListener('click', (event) => {
      const row = event.target.closest('.message');
      if (row) this.choose(Number(row.dataset.n));
    });
    this.observer = new ResizeObserver(() => this.#draw());
    this.observer.observe(this.box);
    this.#draw();
    if (total > 0) this.choose(0);
  }

  /** The conversation has grown. */
  grow(total) {
    this.#total = total;
    this.#draw();
  }

  #message(n) { return this.#pages.get(Math.floor(n / pageSize))?.[n % pageSize]; }

  async #load(page) {
    const wanted = Math.min(pageSize, this.#total - page * pageSize);
    const known = this.#pages.get(page);
    if (known === null || (known && known.length >= wanted)) return;
    this.#pages.set(page, null);
    try {
      const answer = await call(`${this.#path}/messages?from=${page * pageSize}&count=${pageSize}`);
      this.#pages.set(page, answer.messages);
    } catch {
      this.#pages.delete(page);
      return;
    }
    this.#draw();
  }

  #draw() {
    this.inner.style.height = `${this.#total * rowHeight}px`;
    const from = Math.max(0, Math.floor(this.box.scrollTop / rowHeight) - 10);
    const to = Math.min(this.#total, Math.ceil((this.box.scrollTop + this.box.clientHeight) / rowHeight) + 10);
    const rows = [];
    for (let n = from; n < to; n += 1) rows.push(this.#row(n));
    this.inner.replaceChildren(...rows);
    for (let page = Math.floor(from / pageSize); page * pageSize < to; page += 1) this.#load(page);
    if (this.#chosen != null) this.box.setAttribute('aria-activedescendant', `message-${this.#chosen}`);
  }

  #row(n) {
    const message = this.#message(n);
    const row = element('div.message', { role: 'option', id: `message-${n}`, 'aria-selected': n === this.#chosen });
    row.style.top = `${n * rowHeight}px`;
    row.dataset.n = n;
    if (!message) return row;
    row.classList.add(message.from);
    row.append(
      element('span.direction', { title: `from the ${message.from}` }, message.from === 'client' ? '↑ client' : '↓ server'),
      element('span.at', {}, `+${duration(message.at)}`),
      element('span.tag', {}, message.kind),
      element('span.number', {}, size(message.size)),
      element('span.text', {}, message.damaged ? 'the recording is damaged here' : message.text + (message.cut ? ' …' : '')));
    return row;
  }

  /** Shows the content of a message. @param {number} n */
  choose(n) {
    this.#chosen = Math.min(Math.max(0, n), this.#total - 1);
    const top = this.#chosen * rowHeight;
    if (top < this.box.scrollTop) this.box.scrollTop = top;
    if (top + rowHeight > this.box.scrollTop + this.box.clientHeight) this.box.scrollTop = top + rowHeight - this.box.clientHeight;
    this.#draw();
    this.#lines?.end();
    this.#lines = new LineView(`${this.#path}/messages/${this.#chosen}`, this.#views, `message ${this.#chosen + 1}`);
    this.pane.replaceChildren(this.#lines.bar, this.#lines.box);
  }

  #key(event) {
    const page = Math.max(1, Math.floor(this.box.clientHeight / rowHeight) - 1);
    const steps = {
      ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, PageDown: page, PageUp: -page, Home: -this.#total, End: this.#total,
    };
    if (!(event.key in steps) || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    event.stopPropagation();
    this.choose((this.#chosen ?? -1) + steps[event.key]);
  }

  end() {
    this.observer.disconnect();
    this.#lines?.end();
  }
}
