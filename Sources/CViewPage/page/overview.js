// The strip over the list: how many flows started at each time, by class of their status. Dragging over it limits the list to a time range.

import { call } from './api.js';
import { byId } from './dom.js';
import { count, dateTime, rfc3339 } from './format.js';

export class Overview {
  #timeline = null;
  #view = null;
  #isLoading = false;
  #mustLoad = false;

  /** @param {(condition: string|null) => void} limited */
  constructor(limited) {
    this.limited = limited;
    this.canvas = byId('strip');
    this.brush = byId('brush');
    this.clear = byId('brush-clear');
    this.canvas.addEventListener('pointerdown', (event) => this.#drag(event));
    this.clear.addEventListener('click', () => this.reset());
    new ResizeObserver(() => this.#draw()).observe(this.canvas);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#draw());
  }

  /** Shows another list, or the same one after it has changed. */
  async show(view) {
    this.#view = view;
    if (this.#isLoading) { this.#mustLoad = true; return; }
    this.#isLoading = true;
    try {
      const buckets = Math.max(50, Math.min(1200, Math.round(this.canvas.clientWidth / 3)));
      const timeline = await call(`views/${view}/timeline?buckets=${buckets}`);
      if (view === this.#view) {
        this.#timeline = timeline;
        this.#draw();
      }
    } catch { /* the list was closed */ } finally {
      this.#isLoading = false;
      if (this.#mustLoad) {
        this.#mustLoad = false;
        this.show(this.#view);
      }
    }
  }

  reset() {
    this.brush.hidden = true;
    this.clear.hidden = true;
    this.limited(null);
  }

  #draw() {
    const scale = devicePixelRatio || 1;
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (this.canvas.width !== Math.round(width * scale)) this.canvas.width = Math.round(width * scale);
    if (this.canvas.height !== Math.round(height * scale)) this.canvas.height = Math.round(height * scale);
    const context = this.canvas.getContext('2d');
    context.setTransform(scale, 0, 0, scale, 0, 0);
    context.clearRect(0, 0, width, height);
    const timeline = this.#timeline;
    if (!timeline?.counts) {
      this.canvas.setAttribute('aria-label', 'No flows');
      return;
    }
    const style = getComputedStyle(document.documentElement);
    const colours = timeline.classes.map((name) => style.getPropertyValue(`--c-${name}`).trim() || '#888');
    const sums = timeline.counts.map((counts) => counts.reduce((sum, value) => sum + value, 0));
    const highest = Math.max(1, ...sums);
    const bar = width / timeline.counts.length;
    timeline.counts.forEach((counts, index) => {
      let bottom = height;
      counts.forEach((value, kind) => {
        if (!value) return;
        // A rare failure among many flows stays visible.
        const tall = Math.max(kind >= 4 ? 3 : 1, value / highest * (height - 2));
        context.fillStyle = colours[kind];
        context.fillRect(index * bar, bottom - tall, Math.max(1, bar - 0.5), tall);
        bottom -= tall;
      });
    });
    const total = sums.reduce((sum, value) => sum + value, 0);
    this.canvas.setAttribute('aria-label',
      `${count(total)} flows from ${dateTime(timeline.from)} to ${dateTime(timeline.to)}`);
    this.canvas.title = `${dateTime(timeline.from)} – ${dateTime(timeline.to)}; drag to choose a time range`;
  }

  #drag(event) {
    const timeline = this.#timeline;
    if (!timeline?.counts || event.button !== 0) return;
    const box = this.canvas.getBoundingClientRect();
    const position = (at) => Math.min(1, Math.max(0, (at.clientX - box.left) / box.width));
    const from = position(event);
    const span = timeline.to - timeline.from + 1;
    const move = (moved) => {
      const to = position(moved);
      this.brush.hidden = false;
      this.brush.style.left = `${Math.min(from, to) * 100}%`;
      this.brush.style.width = `${Math.abs(to - from) * 100}%`;
    };
    const end = (ended) => {
      removeEventListener('pointermove', move);
      const to = position(ended);
      if (Math.abs(to - from) * box.width < 4) {
        this.brush.hidden = true;
        return;
      }
      this.brush.hidden = true;
      this.clear.hidden = false;
      const [first, last] = [Math.min(from, to), Math.max(from, to)].map((share) => rfc3339(timeline.from + share * span));
      this.limited(`~since ${first} & ~until ${last}`);
    };
    addEventListener('pointermove', move);
    addEventListener('pointerup', end, { once: true });
  }
}
