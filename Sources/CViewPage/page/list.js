// The list of flows: a grid of which only the visible rows exist (APG grid pattern).

import { call } from './api.js';
import { announce, byId, button, drag, element, settings } from './dom.js';
import { clock, dateTime, duration, hue, plain, size, statusClass, visible } from './format.js';
import { VirtualRows, steps } from './virtual.js';

/** Titles, widths and formats of columns. A column with a minimum takes what is left of the width. */
const known = {
  started: { title: 'Time', width: 108, show: clock, hint: dateTime },
  ended: { title: 'End', width: 108, show: clock, hint: dateTime },
  method: { width: 76 },
  status: { width: 64 },
  host: { width: 150, least: 90 },
  path: { width: 330, least: 140 },
  query: { width: 160, least: 90 },
  url: { title: 'URL', width: 420, least: 160 },
  duration_us: { title: 'Duration', width: 82, isNumber: true, show: duration },
  ttfb_us: { title: 'First byte', width: 82, isNumber: true, show: duration },
  req_bytes: { title: 'Request', width: 80, isNumber: true, show: size },
  resp_bytes: { title: 'Response', width: 80, isNumber: true, show: size },
  size: { width: 76, isNumber: true, show: size },
  req_type: { title: 'Request type', width: 130, least: 80 },
  resp_type: { title: 'Type', width: 120, least: 80 },
  http_version: { title: 'Version', width: 76 },
  kind: { width: 80 },
  state: { width: 88 },
  error: { width: 200, least: 120 },
  port: { width: 60, isNumber: true },
};
const usual = { width: 130, show: String };
/** @param {string} name */
const column = (name) => ({ title: /^[a-z]+$/.test(name) ? name[0].toUpperCase() + name.slice(1) : name, ...usual, ...known[name] });

export const usualColumns = ['started', 'method', 'status', 'host', 'path', 'resp_type', 'size', 'duration_us'];
/** Tags mark rows, and queries tell paths apart, whatever the columns are. */
const extraColumns = ['tags', 'query'];
const waterfallLeast = 110;

/** Changes what a cell shows, when that is something else. @param {string} text @param {string} [query] @param {string[]} [tags] */
function write(cell, text, query = '', tags = []) {
  const key = [text, query, ...tags].join('\n');
  if (cell.key === key) return;
  cell.key = key;
  cell.textContent = visible(text);
  if (query) cell.append(element('span.muted', {}, `?${query}`));
  cell.append(...tags.map((tag) => element(`span.tag.hue-${hue(tag)}`, {}, tag)));
}

/** Each state has its own sign, besides its colour. */
function statusText(status, { local, failed, state }) {
  if (status == null) return failed ? '✕ failed' : state === 'incomplete' ? '… cut' : '';
  return `${status}${local ? '*' : ''}${status >= 500 ? ' !' : ''}`;
}

function statusHint({ local, open, failed, state, kind }) {
  if (local) return 'An answer of the recorder itself';
  if (open) return 'This flow has not ended';
  return failed ? 'The flow failed' : state === 'incomplete' ? 'The flow was cut off' : kind;
}

export class FlowGrid {
  #view = null;
  #revision = 0;
  #active = 0;
  #selected = null;
  #sortable = new Set();
  #hasWaterfall = true;
  sort = null;
  follows = false;

  /** @param {{opened: (row: any) => void, sorted: () => void, gone: () => void}} events */
  constructor(events) {
    this.events = events;
    this.grid = byId('grid');
    this.scroller = byId('scroller');
    this.columns = settings.get('columns', usualColumns);
    this.widths = settings.get('widths', {});
    this.grid.addEventListener('keydown', (event) => this.#key(event));
    this.scroller.addEventListener('scroll', () => { byId('heads').scrollLeft = this.scroller.scrollLeft; }, { passive: true });
    this.scroller.addEventListener('click', (event) => {
      const made = event.target.closest('.row');
      if (!made) return;
      this.grid.focus({ preventScroll: true });
      this.moveTo(made.index, true);
    });
    this.scroller.addEventListener('pointerover', (event) => {
      const cell = event.target.closest('.cell');
      if (cell) cell.title = this.#hint(cell);
    });
    this.rows = new VirtualRows(this.scroller, {
      height: 24, pageSize: 120, kept: () => this.#active,
      make: () => this.#make(), fill: (made, index, row) => this.#fill(made, index, row), drawn: (made) => this.#drawn(made),
      load: async (from, count) => (await call(`views/${this.#view}/rows?from=${from}&count=${count}&columns=${[...this.columns, ...extraColumns]}`)).rows,
      failed: (error) => { if (error.status === 410) this.events.gone(); },
    });
    this.rows.layer.id = 'layer';
    new ResizeObserver(() => this.#heads()).observe(this.grid);
  }

  /** The row that has the focus; undefined while it is not loaded. */
  get activeRow() { return this.rows.row(this.#active); }
  get count() { return this.rows.count; }

  setSortable(names) {
    this.#sortable = new Set(names);
    this.#heads();
  }

  setColumns(columns) {
    this.columns = columns.length ? columns : usualColumns;
    settings.set('columns', this.columns);
    this.rows.clear();
    this.#heads();
  }

  /** Shows another list. @param {string} view @param {any} counts */
  show(view, counts) {
    this.#view = view;
    this.#revision = counts.revision;
    this.#active = this.follows ? Math.max(0, counts.matched - 1) : 0;
    this.rows.reset(counts.matched);
    this.rows.reveal(this.#active);
  }

  /** The list has changed. */
  update(counts) {
    if (counts.revision !== this.#revision) this.rows.clear();
    this.#revision = counts.revision;
    const isFollowed = this.follows && !this.sort && this.rows.window.isAtEnd;
    const wasLast = this.#active >= this.count - 1;
    this.rows.setCount(counts.matched);
    if (!isFollowed) return;
    if (wasLast && this.#selected == null) this.#active = Math.max(0, counts.matched - 1);
    this.rows.reveal(counts.matched - 1);
  }

  focus() { this.grid.focus(); }

  /** Moves to a row. @param {number} index */
  async moveTo(index, opens = false) {
    if (this.count === 0) return;
    const active = this.#active = Math.min(Math.max(0, index), this.count - 1);
    this.rows.reveal(active);
    this.rows.draw(true);
    const row = await this.rows.fetch(active);
    if (!row || active !== this.#active) return;
    if (opens || this.#selected != null) this.events.opened(row);
    else announce(this.#spoken(row));
  }

  move(count) { this.moveTo(this.#active + count); }

  /** Marks the flow whose details are shown. @param {number|null} n its number */
  select(n) {
    this.#selected = n;
    this.rows.draw(true);
  }

  // Heads

  #heads() {
    const tracks = this.columns.map((name) => {
      const { width, least } = column(name);
      const own = this.widths[name];
      return own || !least ? [`${own ?? width}px`, own ?? width] : [`minmax(${least}px, ${width}fr)`, least];
    });
    const least = tracks.reduce((sum, track) => sum + track[1], 0);
    this.#hasWaterfall = this.grid.clientWidth >= least + waterfallLeast;
    if (this.#hasWaterfall) tracks.push([`minmax(${waterfallLeast}px, 190fr)`]);
    this.grid.style.setProperty('--columns', tracks.map((track) => track[0]).join(' '));
    this.grid.style.setProperty('--least', `${least}px`);
    const row = element('div.row', { role: 'row', 'aria-rowindex': '1' }, ...this.columns.map((name, index) => this.#head(name, index)));
    if (this.#hasWaterfall) row.append(element('div.cell', { role: 'columnheader', 'aria-colindex': this.columns.length + 1 }, 'Waterfall'));
    const focused = document.activeElement?.dataset.column;
    byId('heads').replaceChildren(row);
    if (focused) row.querySelector(`[data-column="${focused}"]`)?.focus();
    this.grid.ariaColCount = row.children.length;
    this.rows.remake();
  }

  #head(name, index) {
    const { title, isNumber } = column(name);
    const [by, direction] = this.sort ?? [];
    const order = by !== name ? 'none' : direction === 'desc' ? 'descending' : 'ascending';
    const isSortable = this.#sortable.has(name);
    const resize = (width) => {
      this.widths[name] = width && Math.max(40, Math.round(width));
      settings.set('widths', this.widths);
      this.#heads();
    };
    const head = element(isNumber ? 'div.cell.number' : 'div.cell', { role: 'columnheader', 'aria-colindex': index + 1, 'aria-sort': isSortable ? order : null },
      button(title + { none: '', ascending: ' ▲', descending: ' ▼' }[order],
        `${isSortable ? 'Sort' : 'This column has no order'}; Shift with ← or → changes the width`, () => { if (isSortable) this.#sortBy(name); }, {
          'data-column': name, 'aria-label': title, onkeydown: (event) => {
            const step = { ArrowLeft: -10, ArrowRight: 10 }[event.key];
            if (step && event.shiftKey) resize(head.offsetWidth + step);
          },
        }),
      element('span.handle', {
        'aria-hidden': 'true', title: 'Drag to change the width; click twice for the usual one', ondblclick: () => resize(undefined), onpointerdown: (event) => {
          const width = head.offsetWidth - event.clientX;
          drag(event, (moved) => resize(width + moved.clientX));
        },
      }));
    return head;
  }

  #sortBy(name) {
    const direction = this.sort?.[0] === name ? { asc: 'desc' }[this.sort[1]] : 'asc';
    this.sort = direction ? [name, direction] : null;
    this.#heads();
    this.events.sorted();
  }

  // Rows

  #make() {
    const cells = this.columns.map((name) => element(`div.cell.${name}${column(name).isNumber ? '.number' : ''}`, { role: 'gridcell' }));
    if (this.#hasWaterfall) cells.push(element('div.cell.waterfall', { role: 'gridcell' }, element('span')));
    return element('div', { role: 'row' }, ...cells);
  }

  #fill(made, index, row) {
    const isWhole = row && !row.damaged;
    const isSelected = row?.n === this.#selected;
    const status = isWhole && row.cells[this.columns.indexOf('status')];
    const kind = !row ? 'alone muted' : row.damaged ? 'alone failure' : row.failed && !(status >= 400) ? 'failure' : statusClass(status);
    const looks = `row ${kind}${index === this.#active ? ' active' : ''}${isSelected ? ' selected' : ''}`;
    if (made.className !== looks) made.className = looks;
    made.id = `row-${index}`;
    made.ariaRowIndex = index + 2;
    made.ariaSelected = isSelected;
    const [tags, query] = isWhole ? row.cells.slice(this.columns.length) : [];
    const tagged = ['path', 'url', 'host'].find((name) => this.columns.includes(name)) ?? this.columns[0];
    this.columns.forEach((name, position) => {
      const cell = made.children[position];
      if (!isWhole) return write(cell, position > 0 ? '' : row ? '⚠ the recording is damaged here' : '…');
      const value = row.cells[position];
      const marks = name === tagged && tags ? tags.split(',') : [];
      if (name === 'status') write(cell, statusText(value, row), '', value == null && row.open ? ['open', ...marks] : marks);
      else if (name === 'method' && value == null && row.kind !== 'http') write(cell, '', '', [row.kind, ...marks]);
      else write(cell, value == null ? '' : column(name).show(value), name === 'path' ? query : '', marks);
    });
    if (this.#hasWaterfall) this.#phases(made.lastChild, isWhole ? row.t : null);
  }

  /** What a cell shows, in full. */
  #hint(cell) {
    const { row, children } = cell.parentNode;
    const position = [...children].indexOf(cell);
    const name = this.columns[position];
    if (name === 'status') return statusHint(row ?? {}) ?? '';
    const value = known[name]?.hint && row?.cells?.[position];
    return value == null ? cell.textContent : known[name].hint(value);
  }

  /** When the flow connected, agreed on TLS, waited and received. @param {number[]|null} times */
  #phases(cell, times) {
    const [, length, firstByte, connected, secured] = times ?? [];
    const whole = Math.max(1, length ?? Infinity);
    const stops = [['connect', connected], ['tls', connected && secured], ['wait', firstByte ?? whole], ['receive', whole]].filter(([, end]) => end != null);
    const colours = stops.map(([phase, end], index) => `var(--${phase}) ${index > 0 ? stops[index - 1][1] / whole * 100 : 0}% ${Math.min(100, end / whole * 100)}%`);
    cell.ariaLabel = !times ? '' : length == null ? 'open' : duration(length);
    cell.firstChild.hidden = !times;
    if (times) cell.firstChild.style.backgroundImage = length == null ? '' : `linear-gradient(90deg, ${colours})`;
  }

  /** Places the bars of the waterfall among the rows that are visible. */
  #drawn(elements) {
    const [active, count] = [this.count > 0 ? `row-${this.#active}` : '', this.count + 1];
    if (this.grid.getAttribute('aria-activedescendant') !== active) this.grid.setAttribute('aria-activedescendant', active);
    if (this.grid.ariaRowCount !== String(count)) this.grid.ariaRowCount = count;
    const shown = elements.filter(({ row }) => this.#hasWaterfall && row?.t && !row.damaged);
    const from = Math.min(...shown.map(({ row }) => row.t[0]));
    const to = Math.max(...shown.map(({ row }) => row.t[0] + (row.t[1] ?? 0)));
    const share = (time) => `${(time / Math.max(1, to - from) * 100).toFixed(2)}%`;
    for (const { row: { t: [started, length] }, lastChild: { firstChild: bar } } of shown) {
      const place = { left: share(started - from), width: share(length ?? to - started) };
      if (bar.place?.left !== place.left || bar.place.width !== place.width) Object.assign(bar.style, place);
      bar.place = place;
    }
  }

  #spoken(row) {
    if (row.damaged) return 'damaged';
    return this.columns.map((name, index) => (row.cells[index] == null ? null : plain(column(name).show(row.cells[index])))).filter(Boolean).join(', ');
  }

  #key(event) {
    if (event.target.closest('button')) return;
    const step = steps(event, this.rows.window);
    const opens = event.key === 'Enter' || event.key === ' ';
    if (step === undefined && !opens) return;
    event.preventDefault();
    this.moveTo(this.#active + (step ?? 0), opens);
  }
}
