// The page: connects the filter box, the list, the overview, the groups and the details.

import { Live, begin, call } from './api.js';
import { compareFlows } from './compare.js';
import { Details } from './details.js';
import { announce, byId, element, openDialog, settings, toast } from './dom.js';
import { Facets } from './facets.js';
import { FilterBox } from './filter.js';
import { count, size } from './format.js';
import { FlowGrid, usualColumns } from './list.js';
import { Overview } from './overview.js';

let view = null;
let counts = null;
let sort = null;
let timeRange = null;
let language = null;
let compared = null;
let refreshed = 0;
let refreshTimer = null;

const grid = new FlowGrid({
  opened: (row) => open(row.n),
  sorted: (order) => { sort = order; filter.submit(false); },
  gone: () => filter.submit(false),
});
const details = new Details({
  closed: () => { grid.select(null); grid.focus(); },
  compare: (n) => compare(n),
});
const overview = new Overview((condition) => { timeRange = condition; filter.submit(false); });
const facets = new Facets((condition) => filter.add(condition));
const filter = new FilterBox(apply);
const live = new Live((changed) => { if (changed.view === view) update(changed); }, (isOpen) => {
  document.body.classList.toggle('offline', !isOpen);
  if (!isOpen && view) toast('The connection to mitm-view is lost; trying again');
});

/** Shows the flows that an expression matches. @param {string} expression */
async function apply(expression) {
  const parts = [expression, timeRange].filter(Boolean);
  const whole = parts.length === 2 ? `(${expression}) & ${timeRange}` : parts[0] ?? '';
  const answer = await call('views', { body: { filter: whole, sort: sort ?? undefined, replaces: view ?? undefined } });
  view = answer.view;
  counts = answer;
  live.watch(view);
  grid.show(view, answer);
  showCounts();
  refreshAround(true);
}

function update(changed) {
  const had = counts;
  counts = changed;
  grid.update(changed);
  showCounts();
  if (changed.done !== had?.done || changed.matched !== had?.matched) refreshAround(changed.done);
  details.refresh();
}

/** The overview and the groups cost more than the list, so they follow it at a distance. */
function refreshAround(isNow) {
  clearTimeout(refreshTimer);
  const wait = isNow ? 30 : Math.max(0, refreshed + 700 - performance.now());
  refreshTimer = setTimeout(() => {
    refreshed = performance.now();
    overview.show(view);
    facets.show(view);
  }, wait);
}

function showCounts() {
  const share = counts.total > 0 ? Math.floor(counts.scanned / counts.total * 100) : 100;
  const text = counts.matched === counts.total ? `${count(counts.total)} flows` : `${count(counts.matched)} of ${count(counts.total)}`;
  const searched = counts.done ? '' : `, ${share} % searched`;
  byId('counts').textContent = text + searched;
  byId('counts').classList.toggle('busy', !counts.done);
  if (counts.done) announce(text);
  const empty = byId('empty');
  empty.hidden = counts.matched > 0;
  if (counts.matched === 0) {
    const why = !counts.done ? 'Searching…'
      : counts.total === 0 ? 'There are no flows yet. They appear here as they are recorded.'
        : timeRange ? 'No flow matches the filter in this time range.' : 'No flow matches the filter.';
    empty.replaceChildren(why);
    if (counts.done && counts.total > 0) {
      empty.append(' ', element('button', { type: 'button', onclick: () => { if (timeRange) overview.reset(); else filter.set(''); } },
        timeRange ? 'Show all times' : 'Clear the filter'));
    }
  }
  if (counts.failure) toast(`The filter failed on a flow: ${counts.failure}`);
}

function open(n) {
  grid.select(n);
  if (compared != null && compared !== n) {
    const first = compared;
    compared = null;
    document.body.classList.remove('comparing');
    compareFlows(first, n);
    return;
  }
  details.show(n);
}

function compare(n) {
  compared = n;
  document.body.classList.add('comparing');
  toast('Choose the flow to compare with');
  grid.focus();
}

// Dialogs

function chooseColumns() {
  const chosen = new Set(grid.columns);
  const boxes = language.columns.map((name) => {
    const box = element('input', { type: 'checkbox', checked: chosen.has(name), value: name });
    box.addEventListener('change', () => {
      const columns = grid.columns.filter((column) => column !== name);
      if (box.checked) columns.push(name);
      columns.sort((a, b) => order(a) - order(b));
      grid.setColumns(columns);
    });
    return element('label', {}, box, ` ${name}`);
  });
  const order = (name) => {
    const usual = usualColumns.indexOf(name);
    return usual >= 0 ? usual : 100 + language.columns.indexOf(name);
  };
  const reset = element('button', { type: 'button', onclick: () => { grid.setColumns(usualColumns); byId('dialog').close(); } }, 'Usual columns');
  openDialog('Columns', element('div.choices', {}, ...boxes), reset);
}

function chooseExport() {
  const formats = [
    ['mflow', 'Flow file: everything, for mitm-dump, mitm-filter, mitm-serve'], ['har', 'HAR: for browsers and other tools'],
    ['json', 'JSON Lines: an object for each flow'], ['mitmproxy', 'Flow file of mitmproxy'], ['curl', 'Commands of curl'],
    ['http', 'Requests as text (.http)'],
  ];
  const links = formats.map(([format, text]) => element('li', {},
    element('a.button', { href: `api/1/views/${view}/export?format=${format}`, download: '' }, format), ' ', text));
  openDialog(`Store ${count(counts.matched)} flows`, element('p', {}, 'The file has everything that was recorded, also passwords and cookies. mitm-filter --redact share removes them.'),
    element('ul.plain', {}, ...links));
}

function help() {
  const keys = [
    ['j k ↑ ↓', 'next and previous flow'], ['Enter', 'show the flow'], ['/', 'filter'], ['Esc', 'close the details, or clear the filter'],
    ['f', 'follow new flows'], ['g', 'groups'], ['d', 'details below or beside the list'], ['1 – 5', 'parts of the details'],
    ['c', 'copy as a command of curl'], ['u', 'copy the URL'], ['m', 'compare with another flow'], ['Home End', 'first and last flow'],
    ['?', 'this help'],
  ];
  const operators = element('dl.operators', {}, ...language.operators.flatMap((operator) => [
    element('dt', {}, element('code', {}, operator.name + operator.form)), element('dd', {}, operator.help)]));
  openDialog('Keys and filter language',
    element('table', {}, element('tbody', {}, ...keys.map(([key, meaning]) => element('tr', {},
      element('th', { scope: 'row' }, ...key.split(' ').flatMap((one) => [element('kbd', {}, one), ' '])), element('td', {}, meaning))))),
    element('h3', {}, 'Filter language'),
    element('p', {}, 'Join operators with & (and), | (or), ! (not) and parentheses. A text without an operator is a regular expression for the URL.'),
    operators);
}

// Keys that work everywhere

function toggleFollow() {
  grid.follows = !grid.follows;
  byId('follow').setAttribute('aria-pressed', grid.follows);
  if (grid.follows) grid.moveTo(grid.count - 1);
}

function toggleFacets() {
  const pane = byId('facets');
  pane.hidden = !pane.hidden;
  byId('facets-toggle').setAttribute('aria-pressed', !pane.hidden);
  settings.set('facets', !pane.hidden);
  if (!pane.hidden && view) facets.show(view);
}

function isTyping(target) { return target.matches('input, textarea, select') || target.isContentEditable; }

addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || byId('dialog').open) return;
  if (isTyping(event.target)) return;
  const tab = Number(event.key);
  const actions = {
    '/': () => filter.focus(), f: toggleFollow, g: toggleFacets, d: () => details.toggleSide(), '?': help,
    c: () => (details.isShown ? details.copyAs('curl') : grid.activeRow && copyRow(grid.activeRow.n)), u: () => details.copyURL(),
    m: () => { const n = details.n ?? grid.activeRow?.n; if (n != null) compare(n); },
    Escape: () => { if (compared != null) { compared = null; document.body.classList.remove('comparing'); } else if (details.isShown) details.close(); },
  };
  const action = actions[event.key];
  if (action) {
    event.preventDefault();
    action();
  } else if (tab >= 1 && tab <= 5 && details.isShown) {
    document.querySelectorAll('[role=tab]')[tab - 1]?.click();
  } else if ((event.key === 'j' || event.key === 'k') && !event.target.closest('#grid, .messages-list')) {
    grid.move(event.key === 'j' ? 1 : -1);
  }
});

async function copyRow(n) {
  const { copy } = await import('./dom.js');
  try { copy(await call(`flows/${n}/curl`), 'Command'); } catch (error) { toast(error.message); }
}

byId('follow').addEventListener('click', toggleFollow);
byId('facets-toggle').addEventListener('click', toggleFacets);
byId('columns').addEventListener('click', chooseColumns);
byId('export').addEventListener('click', chooseExport);
byId('help').addEventListener('click', help);

/** Tells what is wrong with the files. */
async function showStatus() {
  const status = await call('status');
  const wrong = status.files.flatMap((file) => [...(file.damage ?? []), ...(file.failure ? [file.failure] : [])]);
  const bytes = status.files.reduce((sum, file) => sum + (file.bytes ?? file.read), 0);
  document.title = `${status.files.map((file) => file.path.split('/').pop()).slice(0, 3).join(', ') || 'mitm-view'}`;
  byId('counts').title = `${status.files.map((file) => file.path).slice(0, 20).join('\n')}\n${size(bytes)}`;
  if (wrong.length > 0 && !byId('damage')) {
    byId('counts').after(element('button.damage', { id: 'damage', type: 'button', onclick: () => openDialog('Damage in the recordings',
      element('ul', {}, ...wrong.map((sentence) => element('li', {}, sentence)))) }, `⚠ ${count(wrong.length)} damaged`));
  }
  if (!status.following) {
    byId('follow').hidden = true;
    grid.follows = false;
  }
  setTimeout(() => showStatus().catch(() => {}), 3000);
}

async function start() {
  if (!settings.get('facets', true) || innerWidth < 900) toggleFacets();
  await begin();
  try {
    language = await call('language');
  } catch (error) {
    if (error.status !== 401) throw error;
    byId('main').replaceChildren(element('p.problem', { role: 'alert' },
      'This address needs its secret: open the whole address that mitm-view has printed, with what follows the #.'));
    return;
  }
  filter.setLanguage(language);
  grid.setSortable(language.sortable);
  grid.follows = false;
  byId('follow').setAttribute('aria-pressed', 'false');
  await showStatus();
  await filter.submit(false);
  grid.focus();
}

start().catch((error) => toast(error.message));
