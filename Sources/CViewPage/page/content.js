// Content as a view of it shows it: lines that are asked for as they are scrolled into view.

import { call } from './api.js';
import { copy, element } from './dom.js';
import { coloured, plain } from './format.js';

const lineHeight = 18;
const pageSize = 400;

/** Lines of text of which only the visible ones exist. */
export class LineView {
  #path;
  #view = 'auto';
  #total = 0;
  #pages = new Map();
  #generation = 0;
  #needle = '';
  #found = null;

  /** @param {string} path of the content, without its parameters @param {string[]} views @param {string} label */
  constructor(path, views, label) {
    this.#path = path;
    this.box = element('div.lines', { tabindex: '0', role: 'region', 'aria-label': label });
    this.inner = element('div.lines-inner');
    this.box.append(this.inner);
    this.choice = element('select', { 'aria-label': `View of the ${label}`, onchange: () => this.show(this.choice.value) },
      ...views.map((name) => element('option', { value: name }, name)));
    this.search = element('input', { type: 'search', placeholder: 'Search', 'aria-label': `Search in the ${label}`, spellcheck: false });
    this.search.addEventListener('keydown', (event) => {
      if (event.key === 'Enter') { event.preventDefault(); this.#find(event.shiftKey); }
      if (event.key === 'Escape' && this.search.value) { event.stopPropagation(); this.search.value = ''; this.#mark(''); }
    });
    this.search.addEventListener('input', () => this.#mark(this.search.value));
    this.result = element('span.result', { 'aria-live': 'polite' });
    this.wrap = element('button', { type: 'button', 'aria-pressed': 'false', title: 'Wrap long lines' }, 'Wrap');
    this.wrap.addEventListener('click', () => this.#toggleWrap());
    const copyAll = element('button', { type: 'button', title: 'Copy the content as it is shown' }, 'Copy');
    copyAll.addEventListener('click', () => this.#copy());
    this.bar = element('div.content-bar', {}, this.choice, this.search, this.result, this.wrap, copyAll);
    this.box.addEventListener('scroll', () => this.#draw(), { passive: true });
    this.observer = new ResizeObserver(() => this.#draw());
    this.observer.observe(this.box);
    this.show('auto');
  }

  /** @param {string} view */
  async show(view) {
    this.#view = view;
    this.#pages.clear();
    this.#generation += 1;
    this.#found = null;
    this.box.scrollTop = 0;
    this.#total = 0;
    await this.#load(0);
  }

  async #load(page) {
    if (this.#pages.has(page)) return;
    const generation = this.#generation;
    this.#pages.set(page, null);
    try {
      const answer = await call(`${this.#path}?view=${this.#view}&from=${page * pageSize}&lines=${pageSize}`);
      if (generation !== this.#generation) return;
      this.#total = answer.total;
      this.#pages.set(page, answer.lines);
      this.onempty?.(answer.total === 0);
    } catch (error) {
      if (generation !== this.#generation) return;
      this.#total = 1;
      this.#pages.set(0, [error.message]);
    }
    this.#draw();
  }

  #line(number) { return this.#pages.get(Math.floor(number / pageSize))?.[number % pageSize]; }

  get #isWrapped() { return this.wrap.getAttribute('aria-pressed') === 'true'; }

  #draw() {
    const isWrapped = this.#isWrapped;
    this.box.classList.toggle('wrapped', isWrapped);
    if (isWrapped) return this.#drawAll();
    const from = Math.max(0, Math.floor(this.box.scrollTop / lineHeight) - 20);
    const to = Math.min(this.#total, Math.ceil((this.box.scrollTop + this.box.clientHeight) / lineHeight) + 20);
    this.inner.style.height = `${this.#total * lineHeight}px`;
    const rows = [];
    for (let number = from; number < to; number += 1) rows.push(this.#row(number, true));
    this.inner.replaceChildren(...rows);
    for (let page = Math.floor(from / pageSize); page * pageSize < to; page += 1) this.#load(page);
  }

  /** Wrapped lines have no known height: as many as were loaded are shown, and more at the end. */
  #drawAll() {
    this.inner.style.height = '';
    const rows = [];
    let number = 0;
    while (number < this.#total && number < 5000 && this.#line(number) != null) {
      rows.push(this.#row(number, false));
      number += 1;
    }
    if (number < this.#total) {
      rows.push(element('button.more', { type: 'button', onclick: () => this.#load(Math.floor(number / pageSize)) },
        `Show more of ${this.#total} lines`));
    }
    this.inner.replaceChildren(...rows);
  }

  #row(number, isPlaced) {
    const line = this.#line(number);
    const row = element('div.line');
    if (isPlaced) row.style.top = `${number * lineHeight}px`;
    row.dataset.line = number + 1;
    if (line == null) return row;
    if (number === this.#found) row.classList.add('found');
    for (const piece of coloured(line)) this.#append(row, piece);
    return row;
  }

  #append(row, { text, style }) {
    let rest = text;
    const needle = this.#needle.toLowerCase();
    while (needle) {
      const at = rest.toLowerCase().indexOf(needle);
      if (at < 0) break;
      if (at > 0) row.append(element('span', { className: style }, rest.slice(0, at)));
      row.append(element('mark', {}, rest.slice(at, at + needle.length)));
      rest = rest.slice(at + needle.length);
    }
    if (rest) row.append(style ? element('span', { className: style }, rest) : rest);
  }

  // Search

  #mark(needle) {
    this.#needle = needle;
    this.#found = null;
    this.result.textContent = '';
    this.#draw();
  }

  async #find(isBackwards) {
    if (!this.#needle) return;
    const needle = this.#needle.toLowerCase();
    const step = isBackwards ? -1 : 1;
    const first = this.#found == null ? (isBackwards ? this.#total - 1 : 0) : this.#found + step;
    for (let tried = 0; tried < this.#total; tried += 1) {
      const number = (first + step * tried + 2 * this.#total) % this.#total;
      if (this.#line(number) == null) await this.#load(Math.floor(number / pageSize));
      if (plain(this.#line(number) ?? '').toLowerCase().includes(needle)) {
        this.#found = number;
        this.result.textContent = `line ${number + 1}`;
        this.box.scrollTop = Math.max(0, number * lineHeight - this.box.clientHeight / 2);
        this.#draw();
        return;
      }
    }
    this.result.textContent = 'not found';
  }

  #toggleWrap() {
    this.wrap.setAttribute('aria-pressed', !this.#isWrapped);
    this.#draw();
  }

  async #copy() {
    const lines = [];
    for (let page = 0; page * pageSize < this.#total && page < 250; page += 1) {
      await this.#load(page);
      lines.push(...(this.#pages.get(page) ?? []));
    }
    copy(lines.map(plain).join('\n'), 'Content');
  }

  end() { this.observer.disconnect(); }
}
