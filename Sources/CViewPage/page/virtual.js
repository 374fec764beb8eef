// A box of rows of one height, of which only the visible ones exist. Rows are asked for in pages as they come into view.

import { element } from './dom.js';
import { PageCache, RowWindow } from './rows.js';

/** Rows around the visible ones that are asked for before they are needed. */
const ahead = 60;

export class VirtualRows {
  #generation = 0;
  #pending = new Map();
  #isOwnScroll = false;
  #isDrawing = false;
  #isStale = false;
  /** The elements in the order of the rows; the first one is that of row `#from`. They are used again for other rows. */
  #elements = [];
  #from = 0;

  /**
   * @param {HTMLElement} box scrolls
   * @param {object} source
   * @param {number} source.height of a row, in pixels
   * @param {number} source.pageSize
   * @param {(from: number, count: number) => Promise<any[]>} source.load
   * @param {() => HTMLElement} source.make makes an element for any row
   * @param {(made: HTMLElement, index: number, row: any) => void} source.fill shows a row, which is undefined until it is loaded
   * @param {() => number} [source.kept] the row that is kept in view
   * @param {(visible: HTMLElement[]) => void} [source.drawn] receives the elements that are in view; `row` of each is what it shows
   * @param {(error: Error) => void} source.failed
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
    this.observer = new ResizeObserver(() => this.#resized());
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
    this.window.top = 0;
    this.setCount(count);
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

  /** A row that is kept in view stays there when the box becomes smaller. */
  #resized() {
    const kept = this.source.kept?.();
    const isKept = kept >= this.window.top && kept + 1 <= this.window.top + this.window.visible;
    this.window.height = this.box.clientHeight;
    this.window.moveTo(this.window.top);
    if (isKept) this.window.reveal(kept);
    this.layout();
  }

  /** Moves the box to where the rows are, with the next frame. */
  layout() {
    this.#isOwnScroll = true;
    this.draw();
  }

  #scrolled() {
    // A position that the page has set, or is about to set, is no movement of the user's.
    if (this.#isOwnScroll || Math.abs(this.box.scrollTop - this.window.scrollTop) < 1) return;
    this.window.scrolled(this.box.scrollTop);
    this.draw();
  }

  #wheel(event) {
    // In a scaled list a pixel stands for many rows.
    if (!this.window.isScaled || event.ctrlKey || event.deltaY === 0) return;
    event.preventDefault();
    this.window.moveTo(this.window.top + (event.deltaMode === 1 ? event.deltaY : event.deltaY / this.window.rowHeight));
    this.layout();
  }

  /** Draws with the next frame. @param {boolean} [isStale] rows look different, although they are the same */
  draw(isStale = false) {
    this.#isStale ||= isStale;
    if (this.#isDrawing) return;
    this.#isDrawing = true;
    requestAnimationFrame(() => {
      this.#isDrawing = false;
      this.#draw();
    });
  }

  /** Makes all elements again: rows have other parts. */
  remake() {
    this.#elements = [];
    this.layer.replaceChildren();
    this.draw();
  }

  #draw() {
    const { rowHeight, top, visible, scrollHeight, scrollTop } = this.window;
    const [from, to] = this.window.range(1);
    if (this.spacer.height !== scrollHeight) this.spacer.style.height = `${this.spacer.height = scrollHeight}px`;
    if (this.#isOwnScroll) this.box.scrollTop = scrollTop;
    this.#isOwnScroll = false;
    this.#recycle(from, to - from);
    this.layer.style.transform = `translateY(${(from - top) * rowHeight}px)`;
    this.#elements.forEach((made, offset) => {
      const index = from + offset;
      const row = this.row(index);
      if (!this.#isStale && made.index === index && made.row === row) return;
      Object.assign(made, { index, row });
      this.source.fill(made, index, row);
    });
    this.#isStale = false;
    const hidden = Math.max(0, Math.floor(top) - from);
    this.source.drawn?.(this.#elements.slice(hidden, hidden + Math.ceil(visible) + 1));
    for (const page of this.cache.missing(...this.window.range(ahead), this.count)) this.load(page);
  }

  /** Elements that have left the range at one end become those that enter it at the other one. */
  #recycle(from, count) {
    const elements = this.#elements;
    const shift = from - this.#from;
    this.#from = from;
    if (shift > 0 && shift < elements.length) {
      elements.push(...elements.splice(0, shift));
      this.layer.append(...elements.slice(-shift));
    } else if (shift < 0 && -shift < elements.length) {
      elements.unshift(...elements.splice(shift));
      this.layer.prepend(...elements.slice(0, -shift));
    }
    for (const made of elements.splice(count)) made.remove();
    while (elements.length < count) {
      elements.push(this.source.make());
      this.layer.append(elements.at(-1));
    }
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
      this.source.failed(error);
    } finally {
      if (generation === this.#generation) this.#pending.delete(page);
    }
  }

  /** A row, which is loaded when it is not there, and again when all rows were forgotten meanwhile. */
  async fetch(index) {
    let generation;
    do {
      generation = this.#generation;
      if (this.row(index) === undefined) await this.load(Math.floor(index / this.cache.pageSize));
    } while (generation !== this.#generation && index < this.count);
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
