// The list of flows: a grid of which only the visible rows exist (APG grid pattern).

import { call } from './api.js';
import { announce, byId, element, settings } from './dom.js';
import { clock, dateTime, duration, plain, size, statusClass } from './format.js';
import { PageCache, RowWindow, rowHeight } from './rows.js';

/** Titles and widths of columns; others have their names as titles. */
const known = {
  started: { title: 'Time', width: 104, show: clock, hint: dateTime },
  ended: { title: 'End', width: 104, show: clock, hint: dateTime },
  method: { title: 'Method', width: 76 },
  status: { title: 'Status', width: 66, number: true },
  host: { title: 'Host', width: 180 },
  path: { title: 'Path', width: 320 },
  query: { title: 'Query', width: 160 },
  url: { title: 'URL', width: 420 },
  duration_us: { title: 'Duration', width: 84, number: true, show: duration },
  ttfb_us: { title: 'First byte', width: 84, number: true, show: duration },
  req_bytes: { title: 'Request', width: 80, number: true, show: size },
  resp_bytes: { title: 'Response', width: 80, number: true, show: size },
  size: { title: 'Size', width: 80, number: true, show: size },
  req_type: { title: 'Request type', width: 130 },
  resp_type: { title: 'Type', width: 130 },
  client: { title: 'Client', width: 140 },
  server: { title: 'Server', width: 140 },
  http_version: { title: 'Version', width: 76 },
  kind: { title: 'Kind', width: 80 },
  state: { title: 'State', width: 88 },
  error: { title: 'Error', width: 240 },
  port: { title: 'Port', width: 60, number: true },
};

export const usualColumns = ['started', 'method', 'status', 'host', 'path', 'resp_type', 'size', 'duration_us'];

export class FlowGrid {
  #window = new RowWindow();
  #cache = new PageCache();
  #view = null;
  #revision = 0;
  #pending = new Set();
  #active = 0;
  #selected = null;
  #isOwnScroll = false;
  #isDrawing = false;
  #sortable = new Set();
  /** The flow that is shown beside the list. */
  follows = true;

  /** @param {{opened: (row: any) => void, sorted: (sort: string[]|null) => void}} events */
  constructor(events) {
    this.events = events;
    this.grid = byId('grid');
    this.scroller = byId('scroller');
    this.layer = byId('layer');
    this.spacer = byId('spacer');
    this.columns = settings.get('columns', usualColumns);
    this.widths = settings.get('widths', {});
    this.sort = null;
    this.scroller.addEventListener('scroll', () => this.#scrolled(), { passive: true });
    this.scroller.addEventListener('wheel', (event) => this.#wheel(event), { passive: false });
    this.grid.addEventListener('keydown', (event) => this.#key(event));
    this.layer.addEventListener('click', (event) => this.#click(event));
    new ResizeObserver(() => this.#resized()).observe(this.scroller);
    this.#heads();
  }

  /** The row that has the focus; undefined while it is not loaded. */
  get activeRow() { return this.#cache.row(this.#active); }
  get count() { return this.#window.count; }

  setSortable(names) {
    this.#sortable = new Set(names);
    this.#heads();
  }

  setColumns(columns) {
    this.columns = columns.length ? columns : usualColumns;
    settings.set('columns', this.columns);
    this.#cache.clear();
    this.#heads();
    this.draw();
  }

  /** Shows another list. @param {string} view @param {any} counts */
  show(view, counts) {
    this.#view = view;
    this.#cache.clear();
    this.#pending.clear();
    this.#revision = counts.revision;
    this.#window.count = counts.matched;
    this.#active = this.follows ? Math.max(0, counts.matched - 1) : 0;
    this.#window.moveTo(this.follows ? this.#window.maximumTop : 0);
    this.#layout();
  }

  /** The list has changed. */
  update(counts) {
    const wasAtEnd = this.#window.isAtEnd;
    if (counts.revision !== this.#revision) {
      this.#revision = counts.revision;
      this.#cache.clear();
    }
    const grew = counts.matched !== this.#window.count;
    const wasLast = this.#active >= this.#window.count - 1;
    this.#window.count = counts.matched;
    if (grew && this.follows && wasAtEnd && !this.sort) {
      this.#window.moveTo(this.#window.maximumTop);
      if (wasLast && this.#selected == null) this.#active = Math.max(0, counts.matched - 1);
    }
    this.#window.moveTo(this.#window.top);
    this.#layout();
  }

  /** Asks for all rows again. */
  refresh() {
    this.#cache.clear();
    this.draw();
  }

  focus() { this.grid.focus(); }

  /** Moves to a row. @param {number} row */
  moveTo(row, opens = false) {
    if (this.#window.count === 0) return;
    this.#active = Math.min(Math.max(0, row), this.#window.count - 1);
    this.#window.reveal(this.#active);
    this.#layout();
    const loaded = this.activeRow;
    if (opens || this.#selected != null) this.#open();
    else if (loaded) announce(this.#spoken(loaded));
  }

  move(rows) { this.moveTo(this.#active + rows); }

  /** Marks the flow whose details are shown. @param {number|null} n its number */
  select(n) {
    this.#selected = n;
    this.draw();
  }

  #open() {
    const row = this.activeRow;
    if (row) this.events.opened(row);
    else this.whenLoaded = () => this.#open();
  }

  // Heads

  #heads() {
    const template = this.columns.map((name) => `${this.widths[name] ?? known[name]?.width ?? 140}px`).join(' ') + ' minmax(120px, 1fr)';
    this.grid.style.setProperty('--columns', template);
    const row = element('div.row.heads', { role: 'row', 'aria-rowindex': '1' });
    this.columns.forEach((name, index) => row.append(this.#head(name, index)));
    row.append(element('div.cell', { role: 'columnheader', 'aria-colindex': this.columns.length + 1 }, 'Waterfall'));
    byId('heads').replaceChildren(row);
    this.grid.setAttribute('aria-colcount', this.columns.length + 1);
  }

  #head(name, index) {
    const title = known[name]?.title ?? name;
    const isSorted = this.sort?.[0] === name;
    const head = element('div.cell', { role: 'columnheader', 'aria-colindex': index + 1 });
    if (this.#sortable.has(name)) {
      head.setAttribute('aria-sort', isSorted ? (this.sort[1] === 'desc' ? 'descending' : 'ascending') : 'none');
      head.append(element('button', { type: 'button', title: `Sort by ${title}`, onclick: () => this.#sortBy(name) },
        title, isSorted ? element('span', { 'aria-hidden': 'true' }, this.sort[1] === 'desc' ? ' ▼' : ' ▲') : null));
    } else {
      head.append(title);
    }
    const handle = element('span.handle', { 'aria-hidden': 'true' });
    handle.addEventListener('pointerdown', (event) => this.#resize(event, name, head));
    head.append(handle);
    return head;
  }

  #sortBy(name) {
    if (this.sort?.[0] !== name) this.sort = [name, 'asc'];
    else this.sort = this.sort[1] === 'asc' ? [name, 'desc'] : null;
    this.#heads();
    this.events.sorted(this.sort);
  }

  #resize(event, name, head) {
    event.preventDefault();
    const [from, width] = [event.clientX, head.getBoundingClientRect().width];
    const move = (moved) => {
      this.widths[name] = Math.max(40, Math.round(width + moved.clientX - from));
      this.#heads();
    };
    const end = () => {
      removeEventListener('pointermove', move);
      settings.set('widths', this.widths);
    };
    addEventListener('pointermove', move);
    addEventListener('pointerup', end, { once: true });
  }

  // Scrolling

  #resized() {
    this.#window.height = this.scroller.clientHeight;
    const atEnd = this.follows && this.#window.isAtEnd;
    this.#window.moveTo(atEnd ? this.#window.maximumTop : this.#window.top);
    this.#layout();
  }

  #layout() {
    this.spacer.style.height = `${this.#window.scrollHeight}px`;
    const wanted = this.#window.scrollTop;
    if (Math.abs(this.scroller.scrollTop - wanted) >= 1) {
      this.#isOwnScroll = true;
      this.scroller.scrollTop = wanted;
    }
    this.grid.setAttribute('aria-rowcount', this.#window.count + 1);
    this.draw();
  }

  #scrolled() {
    if (this.#isOwnScroll) {
      this.#isOwnScroll = false;
      return;
    }
    this.#window.scrolled(this.scroller.scrollTop);
    this.draw();
  }

  #wheel(event) {
    // In a scaled list a pixel stands for many rows.
    if (!this.#window.isScaled || event.ctrlKey || event.deltaY === 0) return;
    event.preventDefault();
    const pixels = event.deltaMode === 1 ? event.deltaY * rowHeight : event.deltaY;
    this.#window.moveTo(this.#window.top + pixels / rowHeight);
    this.#layout();
  }

  // Rows

  draw() {
    if (this.#isDrawing) return;
    this.#isDrawing = true;
    requestAnimationFrame(() => {
      this.#isDrawing = false;
      this.#draw();
    });
  }

  #draw() {
    const [from, to] = this.#window.range();
    const rows = [];
    let span = null;
    for (let index = from; index < to; index += 1) {
      const row = this.#cache.row(index);
      if (row?.t && index >= this.#window.top && index < this.#window.top + this.#window.visible) {
        const end = row.t[0] + (row.t[1] ?? 0);
        span = span ? [Math.min(span[0], row.t[0]), Math.max(span[1], end)] : [row.t[0], end];
      }
    }
    for (let index = from; index < to; index += 1) rows.push(this.#row(index, span));
    this.layer.replaceChildren(...rows);
    if (this.#window.count > 0) this.grid.setAttribute('aria-activedescendant', `row-${this.#active}`);
    else this.grid.removeAttribute('aria-activedescendant');
    if (this.#view) for (const page of this.#cache.missing(from, to, this.#window.count)) this.#load(page);
  }

  #row(index, span) {
    const row = this.#cache.row(index);
    const made = element('div.row', { role: 'row', id: `row-${index}`, 'aria-rowindex': index + 2 });
    made.style.transform = `translateY(${(index - this.#window.top) * rowHeight}px)`;
    made.dataset.index = index;
    if (index === this.#active) made.classList.add('active');
    if (!row) {
      made.classList.add('loading');
      made.append(element('div.cell', { role: 'gridcell' }, '…'));
      return made;
    }
    const isSelected = row.n === this.#selected;
    made.setAttribute('aria-selected', isSelected);
    if (isSelected) made.classList.add('selected');
    if (row.failed) made.classList.add('failed');
    if (row.open) made.classList.add('open');
    if (row.damaged) {
      made.append(element('div.cell', { role: 'gridcell' }, 'the recording is damaged here'));
      return made;
    }
    this.columns.forEach((name, column) => made.append(this.#cell(name, row.cells[column], row)));
    made.append(this.#waterfall(row, span));
    return made;
  }

  #cell(name, value, row) {
    const cell = element('div.cell', { role: 'gridcell' });
    const format = known[name];
    if (format?.number) cell.classList.add('number');
    if (name === 'method' && value == null && row.kind !== 'http') {
      cell.append(element('span.tag', {}, row.kind));
      return cell;
    }
    if (name === 'status') return this.#status(cell, value, row);
    if (value == null) return cell;
    const text = format?.show ? format.show(value) : String(value);
    cell.append(text);
    cell.title = format?.hint ? format.hint(value) : text;
    return cell;
  }

  #status(cell, value, row) {
    if (row.open && value == null) {
      cell.append(element('span.tag', { title: 'This flow has not ended' }, 'open'));
    } else if (value == null) {
      if (row.failed) cell.append(element('span.status.failure', { title: 'The flow failed' }, '✕'));
      else if (row.state === 'incomplete') cell.append(element('span.status.none', { title: 'The flow was cut off' }, '…'));
    } else {
      cell.append(element(`span.status.${statusClass(value)}`, { title: row.local ? 'An answer of the recorder itself' : null }, String(value), row.local ? '*' : null));
      if (row.kind === 'websocket') cell.title = 'WebSocket';
    }
    return cell;
  }

  /** When the flow started, waited and received, among the rows that are visible. */
  #waterfall(row, span) {
    const cell = element('div.cell.waterfall', { role: 'gridcell', 'aria-label': row.t[1] == null ? 'open' : duration(row.t[1]) });
    if (!span || span[1] <= span[0]) return cell;
    const scale = 100 / (span[1] - span[0]);
    const length = row.t[1] ?? span[1] - row.t[0];
    const bar = element('span.span');
    bar.style.left = `${Math.max(0, (row.t[0] - span[0]) * scale)}%`;
    bar.style.width = `${Math.max(0.3, length * scale)}%`;
    if (row.t[2] != null && length > 0) {
      const wait = element('span.wait');
      wait.style.width = `${Math.min(100, row.t[2] / length * 100)}%`;
      bar.append(wait);
    }
    cell.append(bar);
    return cell;
  }

  async #load(page) {
    const key = `${this.#view} ${this.#revision} ${page} ${this.columns}`;
    if (this.#pending.has(key)) return;
    this.#pending.add(key);
    const view = this.#view;
    const columns = this.columns;
    try {
      const from = page * PageCache.pageSize;
      const answer = await call(`views/${view}/rows?from=${from}&count=${PageCache.pageSize}&columns=${encodeURIComponent(columns.join(','))}`);
      if (view !== this.#view || columns !== this.columns) return;
      this.#cache.put(page, answer.rows);
      this.draw();
      const waiting = this.whenLoaded;
      this.whenLoaded = null;
      waiting?.();
    } catch (error) {
      if (error.status === 410) this.events.gone?.();
    } finally {
      this.#pending.delete(key);
    }
  }

  #spoken(row) {
    if (row.damaged) return 'damaged';
    return this.columns.map((name, index) => {
      const value = row.cells[index];
      return value == null ? null : plain(known[name]?.show ? known[name].show(value) : String(value));
    }).filter(Boolean).join(', ');
  }

  // Input

  #click(event) {
    const row = event.target.closest('.row');
    if (!row) return;
    this.grid.focus({ preventScroll: true });
    this.moveTo(Number(row.dataset.index), true);
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest('button')) return;
    const page = Math.max(1, Math.floor(this.#window.visible) - 1);
    const steps = {
      ArrowDown: () => this.move(1), j: () => this.move(1), ArrowUp: () => this.move(-1), k: () => this.move(-1),
      PageDown: () => this.move(page), PageUp: () => this.move(-page), Home: () => this.moveTo(0),
      End: () => this.moveTo(this.#window.count - 1), G: () => this.moveTo(this.#window.count - 1),
      Enter: () => this.#open(), ' ': () => this.#open(),
    };
    const step = steps[event.key];
    if (!step) return;
    event.preventDefault();
    step();
  }
}
