// Two flows side by side: their start-lines, fields and contents, with the differences marked.

import { call } from './api.js';
import { element, openDialog } from './dom.js';
import { plain } from './format.js';

const maximumLines = 2000;

/** Lines of both that belong together, by their longest common subsequence. @param {string[]} a @param {string[]} b */
export function differences(a, b) {
  // Equal beginnings and ends need no table.
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start += 1;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end += 1;
  const [x, y] = [a.slice(start, a.length - end), b.slice(start, b.length - end)];
  const rows = a.slice(0, start).map((line) => [line, line]);
  if (x.length * y.length > 4_000_000) {
    for (let i = 0; i < Math.max(x.length, y.length); i += 1) rows.push([x[i] ?? null, y[i] ?? null]);
  } else {
    const width = y.length + 1;
    const lengths = new Uint32Array((x.length + 1) * width);
    for (let i = x.length - 1; i >= 0; i -= 1) {
      for (let j = y.length - 1; j >= 0; j -= 1) {
        lengths[i * width + j] = x[i] === y[j] ? lengths[(i + 1) * width + j + 1] + 1
          : Math.max(lengths[(i + 1) * width + j], lengths[i * width + j + 1]);
      }
    }
    let [i, j] = [0, 0];
    while (i < x.length || j < y.length) {
      if (i < x.length && j < y.length && x[i] === y[j]) rows.push([x[i++], y[j++]]);
      else if (j >= y.length || (i < x.length && lengths[(i + 1) * width + j] >= lengths[i * width + j + 1])) rows.push([x[i++], null]);
      else rows.push([null, y[j++]]);
    }
  }
  for (let i = end; i > 0; i -= 1) rows.push([a[a.length - i], b[b.length - i]]);
  return rows;
}

/** @param {number} first @param {number} second */
export async function compareFlows(first, second) {
  const both = await Promise.all([first, second].map(text));
  const parts = ['request', 'request content', 'response', 'response content'].map((part) => {
    const [a, b] = both.map((flow) => flow[part] ?? []);
    if (a.length === 0 && b.length === 0) return null;
    const rows = differences(a, b);
    const changes = rows.filter(([x, y]) => x !== y).length;
    const table = element('table.difference', {}, element('tbody', {}, ...rows.map(([x, y]) => element(x === y ? 'tr' : 'tr.changed', {},
      element(x === y ? 'td' : 'td.removed', {}, x ?? ''), element(x === y ? 'td' : 'td.added', {}, y ?? '')))));
    return element('section', {}, element('h3', {}, `${part}: ${changes === 0 ? 'equal' : `${changes} lines differ`}`), table);
  });
  openDialog('Two flows', ...parts.filter(Boolean));
}

async function text(n) {
  const { heads, flow } = await call(`flows/${n}`);
  const parts = {};
  for (const side of ['request', 'response']) {
    if (!heads[side]) continue;
    parts[side] = heads[side].trimEnd().split(/\r?\n/);
    if (flow[side]?.body?.size > 0) {
      const answer = await call(`flows/${n}/content/${side}?lines=${maximumLines}`);
      parts[`${side} content`] = answer.lines.map(plain);
      if (answer.total > maximumLines) parts[`${side} content`].push(`(${answer.total - maximumLines} more lines are not compared)`);
    }
  }
  return parts;
}
