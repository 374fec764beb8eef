// A box of rows of one height, of which only the visible ones exist. Rows are asked for in pages as they come into view.

import { element } from './dom.js';
import { PageCache, RowWindow } from './rows.js';

export class VirtualRows {
  #generation = 0;
  #pending = new Map();
  #isOwnScroll = false;
  #isDrawing = false;
  /** The elements of the rows that were drawn last, by index. */
  #made = new Map();

  /**
   * @param {HTMLElement} box scrolls
   * @param {object} source
   * @param {number} source.height of a row, in pixels
   * @param {number} source.pageSize
   * @param {(from: number, count: number) => Promise<any[]>} source.load
   * @param {(index: number, row: any) => HTMLElement} source.draw a row, which is undefined until it is loaded
   * @param {(index: number) => string} source.look what the look of a row depends on: with another one it is drawn again
   * @param {(rows: any[]) => void} [source.before] receives the visible rows before they are drawn
   * @param {(made: HTMLElement, row: any) => void} [source.place] changes a row that may have been drawn before
   */
  constructor(box, source) {
    this.box = box;
    this.source = source;
    this.window = new RowWindow(source.height);
    this.cache = new PageCache(source.pageSize);
    this.layer = element('div.layer');
    this.spacer = element('div');
    box.append(this.layer, this.spacer);
    box.addEventListener('scroll', () => this.#scrolled(), { passive: true });
    box.addEventListener('wheel', (event) => this.#wheel(event), { passive: false });
    this.observer = new ResizeObserver(() => this.resized());
    this.observer.observe(box);
  }

  get count() { return this.window.count; }
  row(index) { return this.cache.row(index); }

  /** Forgets all rows. */
  clear() {
    this.#generation += 1;
    this.#pending.clear();
    this.cache.clear();
  }

  /** Other rows. @param {number} count */
  reset(count) {
    this.clear();
    this.window.count = count;
    this.window.moveTo(0);
    this.layout();
  }

  /** @param {number} count of rows that there are now */
  setCount(count) {
    this.window.count = count;
    this.window.moveTo(this.window.top);
    this.layout();
  }

  reveal(index) {
    this.window.reveal(index);
    this.layout();
  }

  resized() {
    this.window.height = this.box.clientHeight;
    this.window.moveTo(this.window.top);
    this.layout();
  }

  layout() {
    this.spacer.style.height = `${this.window.scrollHeight}px`;
    const wanted = this.window.scrollTop;
    if (Math.abs(this.box.scrollTop - wanted) >= 1) {
      this.#isOwnScroll = true;
      this.box.scrollTop = wanted;
    }
    this.draw();
  }

  #scrolled() {
    if (this.#isOwnScroll) this.#isOwnScroll = false;
    else this.window.scrolled(this.box.scrollTop);
    this.draw();
  }

  #wheel(event) {
    // In a scaled list a pixel stands for many rows.
    if (!this.window.isScaled || event.ctrlKey || event.deltaY === 0) return;
    event.preventDefault();
    this.window.moveTo(this.window.top + (event.deltaMode === 1 ? event.deltaY : event.deltaY / this.window.rowHeight));
    this.layout();
  }

  /** Draws with the next frame. */
  draw() {
    if (this.#isDrawing) return;
    this.#isDrawing = true;
    requestAnimationFrame(() => {
      this.#isDrawing = false;
      this.#draw();
    });
  }

  #draw() {
    const [from, to] = this.window.range();
    const rows = [];
    for (let index = from; index < to; index += 1) rows.push(this.row(index));
    const hidden = Math.max(0, Math.floor(this.window.top) - from);
    this.source.before?.(rows.slice(hidden, hidden + Math.ceil(this.window.visible)));
    const made = new Map(rows.map((row, offset) => {
      const index = from + offset;
      const look = this.source.look(index);
      const old = this.#made.get(index);
      return [index, old && old.row === row && old.look === look ? old : { row, look, element: this.source.draw(index, row) }];
    }));
    for (const [index, old] of this.#made) if (made.get(index) !== old) old.element.remove();
    this.#made = made;
    let next = this.layer.firstChild;
    for (const [index, { row, element: drawn }] of made) {
      drawn.style.transform = `translateY(${(index - this.window.top) * this.window.rowHeight}px)`;
      this.source.place?.(drawn, row);
      if (drawn === next) next = next.nextSibling;
      else this.layer.insertBefore(drawn, next);
    }
    for (const page of this.cache.missing(from, to, this.count)) this.load(page);
  }

  /** Asks for a page, once. @param {number} page */
  load(page) {
    if (!this.#pending.has(page)) this.#pending.set(page, this.#load(page));
    return this.#pending.get(page);
  }

  async #load(page) {
    const generation = this.#generation;
    const size = this.cache.pageSize;
    try {
      const rows = await this.source.load(page * size, size);
      if (generation !== this.#generation) return;
      this.cache.put(page, rows);
      this.draw();
    } catch (error) {
      if (error.name !== 'AbortError') this.failed?.(error);
    } finally {
      if (generation === this.#generation) this.#pending.delete(page);
    }
  }

  /** A row, which is loaded when it is not there. */
  async fetch(index) {
    if (this.row(index) === undefined) await this.load(Math.floor(index / this.cache.pageSize));
    return this.row(index);
  }

  end() { this.observer.disconnect(); }
}

/** How far a key moves in a list; undefined for other keys. @param {KeyboardEvent} event @param {RowWindow} window */
export function steps(event, window) {
  if (event.ctrlKey || event.metaKey || event.altKey) return undefined;
  const page = Math.max(1, Math.floor(window.visible) - 1);
  return { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity, G: Infinity }[event.key];
}
