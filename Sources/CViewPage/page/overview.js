// The strip over the list: how many flows started at each time, by class of their status. A part of it that is chosen limits the list.

import { call } from './api.js';
import { byId, drag } from './dom.js';
import { clock, count, dateTime, rfc3339 } from './format.js';
import { Follower } from './follower.js';

export class Overview extends Follower {
  #timeline = null;
  /** Shares of the width that are chosen, before they limit the list. */
  #range = null;

  /** @param {(title: string, condition: string) => void} limited */
  constructor(limited) {
    super();
    this.limited = limited;
    this.canvas = byId('strip');
    this.canvas.addEventListener('pointerdown', (event) => this.#drag(event));
    this.canvas.addEventListener('keydown', (event) => this.#key(event));
    this.canvas.addEventListener('blur', () => this.#choose(null));
    new ResizeObserver(() => this.#draw()).observe(this.canvas);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#draw());
  }

  async load(view) {
    const timeline = await call(`views/${view}/timeline?buckets=${Math.max(50, Math.min(1200, Math.round(this.canvas.clientWidth / 3)))}`);
    return () => {
      this.#timeline = timeline.counts ? timeline : null;
      this.#draw();
    };
  }

  #draw() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    const scale = devicePixelRatio || 1;
    Object.assign(this.canvas, { width: Math.round(width * scale), height: Math.round(height * scale) });
    const context = this.canvas.getContext('2d');
    context.scale(scale, scale);
    const timeline = this.#timeline;
    this.canvas.setAttribute('aria-label', timeline ? `Flows over time, ${dateTime(timeline.from)} to ${dateTime(timeline.to)}; arrow keys choose a part` : 'No flows');
    if (!timeline) return;
    const style = getComputedStyle(document.documentElement);
    const colours = timeline.classes.map((name) => style.getPropertyValue(`--c-${name}`));
    const sums = timeline.counts.map((counts) => counts.reduce((sum, value) => sum + value, 0));
    const highest = Math.max(1, ...sums);
    const bar = width / sums.length;
    timeline.counts.forEach((counts, index) => {
      let bottom = height;
      counts.forEach((value, kind) => {
        if (!value) return;
        // A rare failure among many flows stays visible.
        const tall = Math.max(kind >= 4 ? 3 : 1, value / highest * (height - 13));
        context.fillStyle = colours[kind];
        context.fillRect(index * bar, bottom - tall, Math.max(1, bar - 0.5), tall);
        bottom -= tall;
      });
    });
    context.fillStyle = style.getPropertyValue('--muted');
    context.font = '10px system-ui';
    context.textBaseline = 'top';
    const labels = Math.min(5, Math.floor(width / 110));
    for (let share = 0; share <= 1; share += 1 / Math.max(1, labels - 1)) {
      context.textAlign = { 0: 'left', 1: 'right' }[share] ?? 'center';
      context.fillText(clock(this.#time(share)), share * width, 0);
    }
    this.canvas.title = `${count(sums.reduce((sum, value) => sum + value, 0))} flows, ${dateTime(timeline.from)} – ${dateTime(timeline.to)}; drag to choose a time range`;
  }

  #time(share) { return this.#timeline.from + share * (this.#timeline.to - this.#timeline.from + 1); }

  /** Marks a part. @param {[number, number]|null} range */
  #choose(range) {
    this.#range = range;
    const brush = byId('brush');
    brush.hidden = !range;
    if (!range) return;
    const [from, to] = range.toSorted((a, b) => a - b);
    brush.style.left = `${from * 100}%`;
    brush.style.width = `${(to - from) * 100}%`;
    this.canvas.ariaValueNow = Math.round(to * 100);
    this.canvas.ariaValueText = `${clock(this.#time(from))} to ${clock(this.#time(to))}`;
  }

  #limit() {
    const [from, to] = this.#range.toSorted((a, b) => a - b).map((share) => this.#time(share));
    this.#choose(null);
    this.limited(`${clock(from)} – ${clock(to)}`, `~since ${rfc3339(from)} & ~until ${rfc3339(to)}`);
  }

  #drag(event) {
    if (!this.#timeline || event.button !== 0) return;
    const box = this.canvas.getBoundingClientRect();
    const position = (at) => Math.min(1, Math.max(0, (at.clientX - box.left) / box.width));
    const from = position(event);
    drag(event, (moved) => this.#choose([from, position(moved)]), (ended) => {
      if (Math.abs(position(ended) - from) * box.width < 4) this.#choose(null);
      else this.#limit();
    });
  }

  #key(event) {
    if (!this.#timeline) return;
    const step = { ArrowLeft: -0.02, ArrowRight: 0.02 }[event.key];
    if (step) {
      const [from, to] = this.#range ?? [0.45, 0.55];
      const moved = (share) => Math.min(1, Math.max(0, share + step));
      this.#choose([event.shiftKey ? from : moved(from), moved(to)]);
    } else if (event.key === 'Enter' && this.#range) this.#limit();
    else if (event.key === 'Escape' && this.#range) this.#choose(null);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}
