// Content as a view of it shows it: lines that are asked for as they come into view.

import { call } from './api.js';
import { button, copy, element, settings, toggle } from './dom.js';
import { coloured, count, literal, plain } from './format.js';
import { VirtualRows } from './virtual.js';

/** Lines that are shown wrapped: their heights are not known. */
const maximumWrapped = 5000;
const maximumCopied = 100_000;

export class LineView {
  #view = 'auto';
  #needle = '';
  #found = null;

  /** @param {string} path of the content, without its parameters @param {string[]} views @param {string} label */
  constructor(path, views, label) {
    this.path = path;
    this.box = element('div.lines', { tabindex: '0', role: 'region', 'aria-label': label });
    this.choice = element('select', { 'aria-label': `View of the ${label}`, title: 'View of the content (v)', onchange: () => this.#show(this.choice.value) },
      ...views.map((name) => element('option', { value: name }, name)));
    this.search = element('input', {
      type: 'search', placeholder: 'Search', 'aria-label': `Search in the ${label}`, spellcheck: false, oninput: () => this.#mark(this.search.value),
      onkeydown: (event) => {
        if (event.key === 'Enter') this.#find(event.shiftKey ? -1 : 1);
        if (event.key === 'Escape' && this.search.value) {
          event.stopPropagation();
          this.search.value = '';
          this.#mark('');
        }
      },
    });
    this.result = element('span.muted', { 'aria-live': 'polite' });
    this.bar = element('div.content-bar', {}, this.choice, this.search, this.result,
      toggle('Wrap', 'Wrap long lines', 'wrap', () => this.#draw()), button('Copy', 'Copy the content as it is shown', () => this.#copy()));
    this.rows = new VirtualRows(this.box, {
      height: 18, pageSize: 400, make: () => element('div'), fill: (made, index, line) => this.#fill(made, index, line),
      load: async (from, lines) => {
        const answer = await call(`${this.path}?view=${this.#view}&from=${from}&lines=${lines}`);
        if (answer.total !== this.rows.count) this.rows.setCount(answer.total);
        this.#draw();
        return answer.lines;
      },
      failed: (error) => { this.result.textContent = error.message; },
    });
    this.wrapped = element('div.wrapped', { hidden: true });
    this.box.append(this.wrapped);
    this.#show('auto');
  }

  #show(view) {
    this.#view = view;
    this.#found = null;
    this.rows.reset(0);
    this.rows.load(0).then(() => this.#draw());
  }

  /** Shows the next view that there is. */
  next() {
    this.choice.selectedIndex = (this.choice.selectedIndex + 1) % this.choice.length;
    this.#show(this.choice.value);
  }

  #draw() {
    const isWrapped = settings.get('wrap', false);
    this.wrapped.hidden = !isWrapped;
    this.rows.layer.hidden = isWrapped;
    this.rows.spacer.hidden = isWrapped;
    if (!isWrapped) return this.rows.draw(true);
    const lines = [];
    for (let line; lines.length < Math.min(this.rows.count, maximumWrapped); lines.push(line)) {
      const row = this.rows.row(lines.length);
      if (row === undefined) break;
      line = this.#fill(element('div'), lines.length, row);
    }
    const shown = lines.length;
    if (shown < Math.min(this.rows.count, maximumWrapped)) {
      lines.push(button(`Show more of ${count(this.rows.count)} lines`, '', async () => { await this.rows.fetch(shown); this.#draw(); }));
    }
    this.wrapped.replaceChildren(...lines);
  }

  #fill(row, index, line) {
    row.className = index === this.#found ? 'line found' : 'line';
    row.dataset.line = index + 1;
    row.replaceChildren();
    for (const { text, style } of coloured(line ?? '')) {
      // Odd pieces are what is searched for.
      const pieces = this.#needle ? text.split(new RegExp(`(${literal(this.#needle)})`, 'i')) : [text];
      pieces.forEach((piece, number) => {
        if (piece) row.append(number % 2 ? element('mark', {}, piece) : style ? element('span', { className: style }, piece) : piece);
      });
    }
    return row;
  }

  // Search

  #mark(needle) {
    this.#needle = needle;
    this.#found = null;
    this.result.textContent = '';
    this.#draw();
  }

  async #find(step) {
    const needle = this.#needle.toLowerCase();
    const total = this.rows.count;
    if (!needle) return;
    const first = this.#found == null ? (step < 0 ? total - 1 : 0) : this.#found + step;
    for (let tried = 0; tried < total; tried += 1) {
      const index = (first + step * tried + 2 * total) % total;
      if (needle !== this.#needle.toLowerCase()) return;
      if (!plain(await this.rows.fetch(index) ?? '').toLowerCase().includes(needle)) continue;
      this.#found = index;
      this.result.textContent = `line ${count(index + 1)}`;
      this.rows.window.moveTo(index - this.rows.window.visible / 2);
      this.rows.layout();
      this.#draw();
      this.wrapped.querySelector('.found')?.scrollIntoView({ block: 'center' });
      return;
    }
    this.result.textContent = 'not found';
  }

  async #copy() {
    const lines = [];
    while (lines.length < Math.min(this.rows.count, maximumCopied)) lines.push(plain(await this.rows.fetch(lines.length) ?? ''));
    copy(lines.join('\n'), lines.length < this.rows.count ? `First ${count(maximumCopied)} lines` : 'Content');
  }

  end() { this.rows.end(); }
}
