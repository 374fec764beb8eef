// What is different between two flows, or between a flow and the answer to it when it is sent again.

import { call } from './api.js';
import { element, openDialog, table, toast } from './dom.js';
import { count, plain, size } from './format.js';

const maximumLines = 2000;

/** Lines of both that belong together, by their longest common subsequence. @param {string[]} a @param {string[]} b */
export function differences(a, b) {
  // Equal beginnings and ends need no table.
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start += 1;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a.at(-1 - end) === b.at(-1 - end)) end += 1;
  const [x, y] = [a.slice(start, a.length - end), b.slice(start, b.length - end)];
  const rows = a.slice(0, start).map((line) => [line, line]);
  const width = y.length + 1;
  // What was removed and what stands there instead are side by side.
  let [removed, added] = [[], []];
  const change = () => {
    for (let index = 0; index < Math.max(removed.length, added.length); index += 1) rows.push([removed[index] ?? null, added[index] ?? null]);
    [removed, added] = [[], []];
  };
  const lengths = new Uint32Array((x.length + 1) * width);
  for (let i = x.length - 1; i >= 0; i -= 1) {
    for (let j = y.length - 1; j >= 0; j -= 1) {
      lengths[i * width + j] = x[i] === y[j] ? lengths[(i + 1) * width + j + 1] + 1 : Math.max(lengths[(i + 1) * width + j], lengths[i * width + j + 1]);
    }
  }
  let [i, j] = [0, 0];
  while (i < x.length || j < y.length) {
    if (i < x.length && j < y.length && x[i] === y[j]) {
      change();
      rows.push([x[i++], y[j++]]);
    } else if (j >= y.length || (i < x.length && lengths[(i + 1) * width + j] >= lengths[i * width + j + 1])) removed.push(x[i++]);
    else added.push(y[j++]);
  }
  change();
  return rows.concat(a.slice(a.length - end).map((line) => [line, line]));
}

/** What mitm-replay finds different. @param {string[]} sides @param {{differences?: any[], more_differences?: number}} found */
function differenceTable(sides, { differences = [], more_differences: more }) {
  const value = (text, bytes) => element('code', {}, text === undefined ? (bytes == null ? '' : size(bytes)) : typeof text === 'string' ? text : JSON.stringify(text));
  const rows = differences.map(({ path, reason, recorded, now, recorded_size: before, now_size: after }) => [
    reason ? `${path}: ${reason}` : path, value(recorded, before), value(now, after)]);
  return rows.length ? [table(['Part', ...sides], rows), more && element('p.muted', {}, `${count(more)} more differences`)] : [];
}

/** Shows two flows: what is different in their answers, and then their heads and contents side by side. @param {number} first @param {number} second */
export async function compareFlows(first, second) {
  const [found, ...both] = await Promise.all([call(`flows/${first}/compare/${second}`).catch((error) => error), ...[first, second].map(text)]);
  const answers = differenceTable(['First', 'Second'], found);
  const parts = Object.keys({ ...both[0], ...both[1] }).map((part) => {
    const rows = differences(both[0][part] ?? [], both[1][part] ?? []);
    const changes = rows.filter(([x, y]) => x !== y).length;
    const cell = (line, other, kind) => element(line === other || line == null ? 'td' : `td.${kind}`, {}, line ?? '');
    return element('section', {}, element('h3', {}, `${part}: ${changes === 0 ? 'equal' : `${changes} ${changes === 1 ? 'line differs' : 'lines differ'}`}`),
      element('table.difference', {}, element('tbody', {}, ...rows.map(([x, y]) => element('tr', {}, cell(x, y, 'removed'), cell(y, x, 'added'))))));
  });
  openDialog('Two flows', element('section', { id: 'answers' }, element('h3', {}, 'Answers'),
    ...answers.length ? answers : [element('p', {}, found instanceof Error ? found.message : 'The answers are equal.')]), ...parts);
}

/** Sends a flow again and shows what is different. @param {number} n @param {string} target */
export async function replay(n, target) {
  toast(`Sending it to ${target}`);
  const { result } = await call(`flows/${n}/replay`, { method: 'POST' });
  const summary = [result.result.replace('_', ' '), result.status && `status ${result.status}`, result.ms != null && `${result.ms.toFixed(1)} ms`, result.reason];
  openDialog(`Sent again to ${target}`, element('p', {}, summary.filter(Boolean).join(', ')), ...differenceTable(['Recorded', 'Now'], result));
}

async function text(n) {
  const { heads, flow } = await call(`flows/${n}`);
  const parts = {};
  for (const side of ['request', 'response']) {
    if (heads[side]) parts[side] = heads[side].trimEnd().split(/\r?\n/);
    if (!(flow[side]?.body?.size > 0)) continue;
    const answer = await call(`flows/${n}/content/${side}?lines=${maximumLines}`);
    parts[`${side} content`] = answer.lines.map(plain);
    if (answer.total > maximumLines) parts[`${side} content`].push(`(${answer.total - maximumLines} more lines are not compared)`);
  }
  return parts;
}
