// The messages of a WebSocket conversation or a TCP stream, and the content of the chosen one.

import { call } from './api.js';
import { LineView } from './content.js';
import { element } from './dom.js';
import { count, duration, size } from './format.js';
import { VirtualRows, steps } from './virtual.js';

export class MessageList {
  #chosen = 0;
  #lines = null;
  #timer = null;

  /** @param {string} path of the flow @param {number} total @param {string[]} views */
  constructor(path, total, views) {
    this.path = path;
    this.total = total;
    this.views = views;
    this.search = element('input', { type: 'search', placeholder: 'Messages with this text', 'aria-label': 'Messages with this text', spellcheck: false, oninput: () => this.#filter(250) });
    this.side = element('select', { 'aria-label': 'Direction', onchange: () => this.#filter(0) },
      ...[['', 'both directions'], ['true', '↑ from the client'], ['false', '↓ from the server']].map(([value, title]) => element('option', { value }, title)));
    this.result = element('span.muted', { 'aria-live': 'polite' });
    this.box = element('div.messages-list', { tabindex: '0', role: 'listbox', 'aria-label': 'Messages', onkeydown: (event) => this.#key(event) });
    this.box.addEventListener('click', (event) => {
      const row = event.target.closest('.message');
      if (row) this.choose(row.index);
    });
    this.pane = element('div.message-content');
    this.element = element('div.messages', {}, element('div.content-bar', {}, this.search, this.side, this.result), this.box, this.pane);
    this.rows = new VirtualRows(this.box, {
      height: 24, pageSize: 100, make: () => element('div', { role: 'option' }), fill: (made, index, message) => this.#fill(made, index, message),
      load: async (from, wanted) => {
        const answer = await call(`${this.path}/messages?from=${from}&count=${wanted}${this.#parameters()}`);
        const found = answer.matched ?? answer.total;
        if (found !== this.rows.count) this.rows.setCount(found);
        this.result.textContent = found === answer.total && !this.#parameters() ? count(found) : `${count(found)} of ${count(this.total)}`;
        return answer.messages;
      },
      failed: (error) => { this.result.textContent = error.message; },
    });
    this.#filter(0);
  }

  #parameters() {
    return (this.search.value && `&filter=${encodeURIComponent(this.search.value)}`) + (this.side.value && `&from_client=${this.side.value}`);
  }

  #filter(wait) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(async () => {
      this.rows.reset(0);
      await this.rows.load(0);
      this.choose(0);
    }, wait);
  }

  /** The conversation has grown. */
  grow(total) {
    this.total = total;
    if (this.#parameters()) this.rows.load(Math.floor(this.rows.count / 100));
    else this.rows.setCount(total);
  }

  #fill(row, index, message) {
    Object.assign(row, { className: `message ${message?.from}`, id: `message-${index}`, ariaSelected: index === this.#chosen });
    row.replaceChildren(...!message ? [] : [
      element('span.direction', { title: `from the ${message.from}` }, message.from === 'client' ? '↑ client' : '↓ server'),
      element('span.number', {}, `+${duration(message.at)}`), element('span.tag', {}, message.kind), element('span.number', {}, size(message.size)),
      element('span.text', {}, message.damaged ? 'the recording is damaged here' : message.text + (message.cut ? ' …' : '')),
    ]);
  }

  /** Shows the content of a message. @param {number} index in the list */
  async choose(index) {
    this.#chosen = Math.min(Math.max(0, index), this.rows.count - 1);
    this.#lines?.end();
    this.pane.replaceChildren();
    if (this.rows.count === 0) return;
    this.rows.reveal(this.#chosen);
    this.rows.draw(true);
    this.box.setAttribute('aria-activedescendant', `message-${this.#chosen}`);
    const chosen = this.#chosen;
    const message = await this.rows.fetch(chosen);
    if (!message || chosen !== this.#chosen) return;
    this.#lines = new LineView(`${this.path}/messages/${message.n}`, this.views, `message ${message.n + 1}`);
    this.pane.replaceChildren(this.#lines.bar, this.#lines.box);
  }

  #key(event) {
    const step = steps(event, this.rows.window);
    if (step === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    this.choose(this.#chosen + step);
  }

  next() { this.#lines?.next(); }

  end() {
    clearTimeout(this.#timer);
    this.rows.end();
    this.#lines?.end();
  }
}
