// The list of flows: a grid of which only the visible rows exist (APG grid pattern).

import { call } from './api.js';
import { announce, byId, button, drag, element, settings } from './dom.js';
import { clock, dateTime, duration, hue, plain, size, statusClass } from './format.js';
import { VirtualRows, steps } from './virtual.js';

/** Titles, widths and formats of columns; others have their names as titles. A column with a minimum takes what is left of the width. */
const known = {
  started: { title: 'Time', width: 108, show: clock, hint: dateTime },
  ended: { title: 'End', width: 108, show: clock, hint: dateTime },
  method: { title: 'Method', width: 76 },
  status: { title: 'Status', width: 64 },
  host: { title: 'Host', width: 150, least: 90 },
  path: { title: 'Path', width: 330, least: 140 },
  query: { title: 'Query', width: 160, least: 90 },
  url: { title: 'URL', width: 420, least: 160 },
  duration_us: { title: 'Duration', width: 82, number: true, show: duration },
  ttfb_us: { title: 'First byte', width: 82, number: true, show: duration },
  req_bytes: { title: 'Request', width: 80, number: true, show: size },
  resp_bytes: { title: 'Response', width: 80, number: true, show: size },
  size: { title: 'Size', width: 76, number: true, show: size },
  req_type: { title: 'Request type', width: 130, least: 80 },
  resp_type: { title: 'Type', width: 120, least: 80 },
  client: { title: 'Client', width: 140 },
  server: { title: 'Server', width: 140 },
  http_version: { title: 'Version', width: 76 },
  kind: { title: 'Kind', width: 80 },
  state: { title: 'State', width: 88 },
  error: { title: 'Error', width: 200, least: 120 },
  port: { title: 'Port', width: 60, number: true },
};
const titleOf = (name) => known[name]?.title ?? name;

export const usualColumns = ['started', 'method', 'status', 'host', 'path', 'resp_type', 'size', 'duration_us'];
const waterfallLeast = 110;

export class FlowGrid {
  #view = null;
  #revision = 0;
  #active = 0;
  #selected = null;
  #sortable = new Set();
  /** Microseconds from the start of the first visible flow to the end of the last one. */
  #span = [0, 0];
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
      const row = event.target.closest('.row');
      if (!row) return;
      this.grid.focus({ preventScroll: true });
      this.moveTo(Number(row.dataset.index), true);
    });
    this.rows = new VirtualRows(this.scroller, {
      height: 24, pageSize: 120, draw: (index, row) => this.#row(index, row), before: (rows) => this.#before(rows),
      look: (index) => `${index === this.#active} ${this.rows.row(index)?.n === this.#selected} ${this.#hasWaterfall}`,
      place: (made, row) => { if (row?.t && !row.damaged && this.#hasWaterfall) this.#place(made.lastChild.firstChild, row.t); },
      load: async (from, count) => {
        // Tags mark rows, whatever the columns are.
        const answer = await call(`views/${this.#view}/rows?from=${from}&count=${count}&columns=${[...this.columns, 'tags']}`);
        return answer.rows;
      },
    });
    this.rows.failed = (error) => { if (error.status === 410) this.events.gone(); };
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
    this.rows.draw();
  }

  /** Shows another list. @param {string} view @param {any} counts */
  show(view, counts) {
    this.#view = view;
    this.#revision = counts.revision;
    this.rows.reset(counts.matched);
    this.#active = this.follows ? Math.max(0, counts.matched - 1) : 0;
    this.rows.reveal(this.#active);
    this.grid.ariaRowCount = counts.matched + 1;
  }

  /** The list has changed. */
  update(counts) {
    if (counts.revision !== this.#revision) this.rows.clear();
    this.#revision = counts.revision;
    const isFollowed = this.follows && !this.sort && this.rows.window.isAtEnd;
    const wasLast = this.#active >= this.count - 1;
    this.rows.setCount(counts.matched);
    this.grid.ariaRowCount = counts.matched + 1;
    if (!isFollowed) return;
    if (wasLast && this.#selected == null) this.#active = Math.max(0, counts.matched - 1);
    this.rows.reveal(counts.matched - 1);
  }

  focus() { this.grid.focus(); }

  /** Moves to a row. @param {number} index */
  async moveTo(index, opens = false) {
    if (this.count === 0) return;
    this.#active = Math.min(Math.max(0, index), this.count - 1);
    this.rows.reveal(this.#active);
    const active = this.#active;
    const row = await this.rows.fetch(active);
    if (!row || active !== this.#active) return;
    if (opens || this.#selected != null) this.events.opened(row);
    else announce(this.#spoken(row));
  }

  move(count) { this.moveTo(this.#active + count); }

  /** Marks the flow whose details are shown. @param {number|null} n its number */
  select(n) {
    this.#selected = n;
    this.rows.draw();
  }

  // Heads

  #heads() {
    const tracks = this.columns.map((name) => {
      const { width = 130, least } = known[name] ?? {};
      const own = this.widths[name];
      return own || !least ? [`${own ?? width}px`, own ?? width] : [`minmax(${least}px, ${width}fr)`, least];
    });
    let least = tracks.reduce((sum, track) => sum + track[1], 0);
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
    this.rows.draw();
  }

  #head(name, index) {
    const [by, direction] = this.sort ?? [];
    const order = by !== name ? 'none' : direction === 'desc' ? 'descending' : 'ascending';
    const head = element(known[name]?.number ? 'div.cell.number' : 'div.cell', { role: 'columnheader', 'aria-colindex': index + 1 });
    const resize = (width) => {
      this.widths[name] = Math.max(40, Math.round(width));
      settings.set('widths', this.widths);
      this.#heads();
    };
    const isSortable = this.#sortable.has(name);
    if (isSortable) head.ariaSort = order;
    head.append(button(titleOf(name) + { none: '', ascending: ' ▲', descending: ' ▼' }[order],
      `${isSortable ? 'Sort' : 'This column has no order'}; Shift with ← or → changes the width`, () => { if (isSortable) this.#sortBy(name); }, {
        'data-column': name, 'aria-label': titleOf(name), onkeydown: (event) => {
          const step = { ArrowLeft: -10, ArrowRight: 10 }[event.key];
          if (step && event.shiftKey) resize(head.offsetWidth + step);
        },
      }));
    const handle = element('span.handle', { 'aria-hidden': 'true', title: 'Drag to change the width; click twice for the usual one' });
    handle.addEventListener('pointerdown', (event) => {
      const width = head.offsetWidth - event.clientX;
      drag(event, (moved) => resize(width + moved.clientX));
    });
    handle.addEventListener('dblclick', () => {
      delete this.widths[name];
      settings.set('widths', this.widths);
      this.#heads();
    });
    head.append(handle);
    return head;
  }

  #sortBy(name) {
    const direction = this.sort?.[0] === name ? { asc: 'desc' }[this.sort[1]] : 'asc';
    this.sort = direction ? [name, direction] : null;
    this.#heads();
    this.events.sorted();
  }

  // Rows

  #before(rows) {
    const times = rows.filter((row) => row?.t).map((row) => row.t);
    this.#span = [Math.min(...times.map((t) => t[0])), Math.max(...times.map((t) => t[0] + (t[1] ?? 0)))];
    if (this.count > 0) this.grid.setAttribute('aria-activedescendant', `row-${this.#active}`);
    else this.grid.removeAttribute('aria-activedescendant');
  }

  #row(index, row) {
    const classes = index === this.#active ? '.active' : '';
    const made = (more, cells) => element(`div.row${classes}${more}`, {
      role: 'row', id: `row-${index}`, 'aria-rowindex': index + 2, 'data-index': index, 'aria-selected': row ? row.n === this.#selected : null }, ...cells);
    const alone = (text) => [element('div.cell', { role: 'gridcell' }, text)];
    if (!row) return made('.loading', alone('…'));
    if (row.damaged) return made('.failure', alone('⚠ the recording is damaged here'));
    const status = row.cells[this.columns.indexOf('status')];
    const kind = row.failed && !(status >= 400) ? 'failure' : statusClass(status);
    const cells = this.columns.map((name, column) => this.#cell(name, row.cells[column], row, kind));
    if (this.#hasWaterfall) cells.push(this.#waterfall(row));
    const tags = row.cells[this.columns.length];
    const place = ['path', 'url', 'host'].map((name) => cells[this.columns.indexOf(name)]).find(Boolean) ?? cells[0];
    if (tags) place.append(...tags.split(',').map((tag) => element(`span.tag.hue-${hue(tag)}`, {}, tag)));
    return made(`.${kind}${row.n === this.#selected ? '.selected' : ''}`, cells);
  }

  #cell(name, value, row, kind) {
    const cell = element(known[name]?.number ? 'div.cell.number' : 'div.cell', { role: 'gridcell' });
    if (name === 'status') cell.append(...this.#status(value, row, kind));
    else if (name === 'method' && value == null && row.kind !== 'http') cell.append(element('span.tag', {}, row.kind));
    else if (value != null) {
      const { show = String, hint = show } = known[name] ?? {};
      cell.append(element('span', { title: hint(value) }, show(value)));
    }
    return cell;
  }

  /** Each state has its own sign, besides its colour. */
  #status(value, row, kind) {
    const sign = (text, title) => [element(`span.status.${kind}`, { title }, text)];
    if (value == null) {
      if (row.open) return [element('span.tag', { title: 'This flow has not ended' }, 'open')];
      if (row.failed) return sign('✕ failed', 'The flow failed');
      return row.state === 'incomplete' ? sign('… cut', 'The flow was cut off') : [];
    }
    return sign(`${value}${row.local ? '*' : ''}${kind === 'server-error' ? ' !' : ''}`, row.local ? 'An answer of the recorder itself' : row.kind === 'websocket' ? 'WebSocket' : null);
  }

  /** When the flow connected, agreed on TLS, waited and received, among the rows that are visible. */
  #waterfall({ t: [, length, firstByte, connected, secured] }) {
    const cell = element('div.cell.waterfall', { role: 'gridcell', 'aria-label': length == null ? 'open' : duration(length) });
    const whole = Math.max(1, length ?? Infinity);
    const bar = element('span.span');
    // Later phases cover earlier ones.
    for (const [phase, from] of [['connect', connected && 0], ['tls', secured && connected], ['wait', secured ?? connected ?? 0], ['receive', firstByte]]) {
      if (from == null) continue;
      const part = element(`span.${phase}`);
      part.style.left = `${Math.min(100, from / whole * 100)}%`;
      bar.append(part);
    }
    cell.append(bar);
    return cell;
  }

  #place(bar, [started, length]) {
    const [from, to] = this.#span;
    const scale = 100 / Math.max(1, to - from);
    bar.style.left = `${(started - from) * scale}%`;
    bar.style.width = `${(length ?? to - started) * scale}%`;
  }

  #spoken(row) {
    if (row.damaged) return 'damaged';
    return this.columns.map((name, index) => (row.cells[index] == null ? null : plain((known[name]?.show ?? String)(row.cells[index])))).filter(Boolean).join(', ');
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
