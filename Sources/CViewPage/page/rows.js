// The arithmetic of a long list: which rows are shown at a scroll position. A browser limits the height of an element, so the position of a
// very long list is scaled; single steps stay exact. Nothing here touches the page.

/** Browsers show taller elements wrongly. */
export const maximumHeight = 8_000_000;

export class RowWindow {
  /** The first row, with a fraction. */
  top = 0;
  count = 0;
  /** Pixels. */
  height = 0;

  /** @param {number} rowHeight pixels */
  constructor(rowHeight) { this.rowHeight = rowHeight; }

  /** Rows that fit. */
  get visible() { return this.height / this.rowHeight; }
  get maximumTop() { return Math.max(0, this.count - this.visible); }
  get isScaled() { return this.count * this.rowHeight > maximumHeight; }
  /** The height of the scrolled element. */
  get scrollHeight() { return Math.min(this.count * this.rowHeight, maximumHeight); }
  get #range() { return Math.max(0, this.scrollHeight - this.height); }

  /** The scroll position that stands for the first row. */
  get scrollTop() { return this.maximumTop > 0 ? this.#range * (this.top / this.maximumTop) : 0; }

  /** Takes over a scroll position of the user's. @param {number} scrollTop */
  scrolled(scrollTop) { this.moveTo(this.#range > 0 ? this.maximumTop * (scrollTop / this.#range) : 0); }

  /** @param {number} top */
  moveTo(top) { this.top = Math.min(Math.max(0, top), this.maximumTop); }

  /** Moves as little as possible so that a row is visible. @param {number} row */
  reveal(row) {
    if (row < this.top) this.moveTo(row);
    else if (row + 1 > this.top + this.visible) this.moveTo(row + 1 - this.visible);
  }

  /** Rows from the first to the one after the last that are shown, and some around them. @param {number} around */
  range(around) {
    return [Math.max(0, Math.floor(this.top) - around), Math.min(this.count, Math.ceil(this.top + this.visible) + around)];
  }

  get isAtEnd() { return this.top >= this.maximumTop - 0.5; }
}

/** Pages of rows, of which the last used are kept. */
export class PageCache {
  static kept = 50;
  #pages = new Map();

  /** @param {number} pageSize rows */
  constructor(pageSize) { this.pageSize = pageSize; }

  clear() { this.#pages.clear(); }

  /** @param {number} row */
  row(row) {
    return this.#pages.get(Math.floor(row / this.pageSize))?.[row % this.pageSize];
  }

  /** @param {number} number @param {any[]} rows */
  put(number, rows) {
    this.#pages.delete(number);
    this.#pages.set(number, rows);
    if (this.#pages.size > PageCache.kept) this.#pages.delete(this.#pages.keys().next().value);
  }

  /** The pages of a range that are missing, or have fewer rows than there are now. The others are used. */
  missing(from, to, count) {
    const numbers = [];
    for (let number = Math.floor(from / this.pageSize); number * this.pageSize < to; number += 1) {
      const page = this.#pages.get(number);
      if (page) this.put(number, page);
      if (!page || page.length < Math.min(this.pageSize, count - number * this.pageSize)) numbers.push(number);
    }
    return numbers;
  }
}
