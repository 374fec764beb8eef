// The page: connects the filter box, the list, the overview, the groups and the details.

import { Live, begin, call } from './api.js';
import { compareFlows, replay } from './compare.js';
import { Details } from './details.js';
import { chooseColumns, chooseExport, help } from './dialogs.js';
import { announce, button, byId, element, openDialog, settings, toast } from './dom.js';
import { Facets } from './facets.js';
import { FilterBox } from './filter.js';
import { count, size, visible } from './format.js';
import { FlowGrid } from './list.js';
import { Overview } from './overview.js';

/** What limits the list besides the filter, in the order in which it was chosen: a time range, groups. */
let narrowings = [];
/** The lists on the server: that of the filter, and one within the one before for each narrowing. The last one is shown. */
let chain = [];
let counts = null;
let language = null;
let compared = null;
let applied = 0;
let mayGrow = true;
let refreshed = 0;
let refreshing = null;

const isNarrow = () => innerWidth < 800;
const shown = () => chain.at(-1)?.view;
const grid = new FlowGrid({ opened: (row) => open(row.n), sorted: () => filter.submit(false), gone: () => { chain = []; filter.submit(false); } });
const details = new Details({
  closed: () => { grid.select(null); grid.focus(); },
  compare, replay: (n) => replay(n, details.replayTarget).catch((error) => toast(error.message)),
});
const overview = new Overview((title, condition) => narrow(title, condition, true));
const facets = new Facets(narrow, (condition) => narrowings.some((one) => one.condition === condition));
const filter = new FilterBox(apply);
const live = new Live((changed) => { if (changed.view === shown()) update(changed); }, (isOpen) => {
  document.body.classList.toggle('offline', !isOpen);
  if (!isOpen) toast('The connection to mitm-view is lost; trying again');
});

// The list

/** Shows the flows that an expression and the narrowings match. @param {string} expression */
async function apply(expression) {
  applied += 1;
  const serial = applied;
  const conditions = [expression, ...narrowings.map((one) => one.condition)];
  const order = grid.sort ?? undefined;
  let kept = chain.findIndex((list, index) => list.condition !== conditions[index]);
  if (kept < 0) kept = chain.length;
  if (kept === conditions.length && chain[kept - 1].order !== order) kept -= 1;
  const lists = chain.slice(0, kept);
  let answer = null;
  for (const condition of conditions.slice(kept)) {
    answer = await call('views', { body: { filter: condition, sort: order, base: lists.at(-1)?.view, replaces: chain[lists.length]?.view } });
    lists.push({ view: answer.view, condition, order });
  }
  answer ??= await call(`views/${lists.at(-1).view}/rows?count=0`);
  if (serial !== applied) return;
  chain = lists;
  counts = answer;
  live.watch(shown());
  grid.show(shown(), answer);
  showCounts();
  refreshAround(true);
}

/** Adds a narrowing, or takes it away. @param {boolean} [isTime] there is one time range */
function narrow(title, condition, isTime = false) {
  const others = narrowings.filter((one) => one.condition !== condition);
  narrowings = others.length < narrowings.length ? others : [...others.filter((one) => !isTime || !one.isTime), { title, condition, isTime }];
  showNarrowings();
  filter.submit(false);
}

function showNarrowings() {
  byId('narrowings').replaceChildren(...narrowings.map(({ title, condition }) => button(`${title} ×`, `Do not limit the list to this any more: ${condition}`, () => narrow(title, condition))));
}

function update(changed) {
  const hasChanged = changed.done !== counts.done || changed.matched !== counts.matched;
  counts = changed;
  grid.update(changed);
  showCounts();
  if (hasChanged) refreshAround(changed.done);
  details.refresh();
}

/** The overview and the groups cost more than the list, so they follow it at a distance. */
function refreshAround(isNow) {
  clearTimeout(refreshing);
  refreshing = setTimeout(() => {
    refreshed = performance.now();
    overview.show(shown());
    facets.show(shown());
  }, isNow ? 30 : Math.max(0, refreshed + 700 - performance.now()));
}

function showCounts() {
  const { matched, total, scanned, done, failure } = counts;
  const text = matched === total ? `${count(total)} flows` : `${count(matched)} of ${count(total)}`;
  byId('counts').textContent = text + (done ? '' : `, ${total > 0 ? Math.floor(scanned / total * 100) : 100} % searched`);
  byId('counts').classList.toggle('busy', !done);
  if (done) announce(text);
  if (failure) toast(`The filter failed on a flow: ${failure}`);
  const empty = byId('empty');
  empty.hidden = matched > 0;
  if (matched > 0) return;
  if (!done) return empty.replaceChildren('Searching…');
  if (total === 0) return empty.replaceChildren(mayGrow ? 'There are no flows yet. They appear here as they are recorded.' : 'There are no flows in the recordings.');
  // The control that was used last has emptied the list: before it there were flows.
  const last = narrowings.at(-1);
  const within = [filter.value && `the filter ${filter.value}`, ...narrowings.slice(0, -1).map((one) => one.title)].filter(Boolean).join(', ');
  if (last) empty.replaceChildren(`No flow matches ${last.title}${within ? ` within ${within}` : ''}. `, button(`Do not limit to ${last.title}`, '', () => narrow(last.title, last.condition)));
  else empty.replaceChildren('No flow matches the filter ', element('code', {}, filter.value || 'of the command line'), '. ', filter.value ? button('Clear the filter', '', () => filter.set('')) : '');
}

function open(n) {
  grid.select(n);
  if (isNarrow() && !byId('facets').hidden) toggleFacets();
  if (compared == null || compared === n) return details.show(n);
  compareFlows(compared, n).catch((error) => toast(error.message));
  setCompared(null);
}

function setCompared(n) {
  compared = n;
  document.body.classList.toggle('comparing', n != null);
  byId('notice').hidden = true;
}

function compare(n) {
  setCompared(n);
  toast('Choose the flow to compare with');
  grid.focus();
}

// Keys and buttons

function toggleFollow() {
  grid.follows = !grid.follows;
  byId('follow').ariaPressed = grid.follows;
  if (grid.follows) grid.moveTo(grid.count - 1);
}

function toggleFacets() {
  const pane = byId('facets');
  pane.hidden = !pane.hidden;
  byId('facets-toggle').ariaPressed = !pane.hidden;
  // In a narrow window the groups cover the list, until they are closed again.
  if (!isNarrow()) settings.set('facets', !pane.hidden);
  if (shown()) facets.show(shown());
}

async function copyCurl(isRedacted) {
  details.n ??= grid.activeRow?.n;
  if (details.n != null) await details.copyAs('curl', isRedacted);
  if (!details.isShown) details.n = null;
}

const openExport = () => chooseExport(shown(), counts.matched, language.exports);
const actions = {
  '/': () => filter.focus(), f: toggleFollow, g: toggleFacets, d: () => details.toggleSide(), '?': () => help(language.operators), e: openExport,
  c: () => copyCurl(false), C: () => copyCurl(true), u: () => details.copyURL(), v: () => details.nextView(),
  r: () => byId('replay')?.click(),
  m: () => { const n = details.n ?? grid.activeRow?.n; if (n != null) compare(n); },
  j: () => grid.move(1), k: () => grid.move(-1),
  Escape: () => { if (compared != null) setCompared(null); else if (details.isShown) details.close(); },
};

addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || byId('dialog').open || event.target.matches('input, textarea, select')) return;
  const tab = document.querySelectorAll('[role=tab]')[event.key - 1];
  const action = actions[event.key] ?? (tab && details.isShown ? () => tab.click() : null);
  if (!action) return;
  event.preventDefault();
  action();
});

for (const [id, action] of Object.entries({
  follow: toggleFollow, 'facets-toggle': toggleFacets, columns: () => chooseColumns(grid, language.columns), export: openExport, help: actions['?'],
})) byId(id).addEventListener('click', action);

/** Shows the names of the files and what is wrong with them, now and then. */
async function showStatus() {
  const { files, following, replay: target } = await call('status');
  const wrong = files.flatMap(({ damage = [], failure }) => (failure ? [...damage, failure] : damage));
  document.title = visible(files.map(({ path }) => path.split('/').pop()).slice(0, 3).join(', ')) || 'mitm-view';
  byId('counts').title = `${visible(files.map(({ path }) => path).slice(0, 20).join('\n'))}\n${size(files.reduce((sum, { bytes, read }) => sum + (bytes ?? read), 0))}`;
  byId('damage').hidden = wrong.length === 0;
  byId('damage').textContent = `⚠ ${count(wrong.length)} damaged`;
  byId('damage').onclick = () => openDialog('Damage in the recordings', element('ul', {}, ...wrong.map((sentence) => element('li', {}, sentence))));
  byId('follow').hidden = !following;
  mayGrow = following && files.some(({ growing }) => growing);
  details.replayTarget = target;
  setTimeout(() => showStatus().catch(() => {}), 3000);
}

async function start() {
  if (isNarrow() || !settings.get('facets', true)) toggleFacets();
  await begin();
  try {
    language = await call('language');
  } catch (error) {
    if (error.status !== 401) throw error;
    return document.body.replaceChildren(element('main.alone', {}, element('h1', {}, 'mitm-view'), element('p.problem', { role: 'alert' },
      'This address needs its secret. Open the whole address that mitm-view has printed, with the part after #.')));
  }
  live.connect();
  filter.setLanguage(language);
  grid.setSortable(language.sortable);
  await showStatus();
  await filter.submit(false);
  grid.focus();
}

start().catch((error) => toast(error.message));
