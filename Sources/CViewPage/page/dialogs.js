// The dialogs: columns, export, help, and the comparison of a flow that was sent again.

import { call } from './api.js';
import { button, byId, element, openDialog, toast } from './dom.js';
import { count } from './format.js';
import { usualColumns } from './list.js';

/** @param {import('./list.js').FlowGrid} grid @param {string[]} names of all columns */
export function chooseColumns(grid, names) {
  const order = [...usualColumns, ...names.filter((name) => !usualColumns.includes(name))];
  const boxes = names.map((name) => element('label', {}, element('input', {
    type: 'checkbox', value: name, checked: grid.columns.includes(name), onchange: (event) => {
      const chosen = event.target.checked ? [...grid.columns, name] : grid.columns.filter((column) => column !== name);
      grid.setColumns(chosen.sort((a, b) => order.indexOf(a) - order.indexOf(b)));
    },
  }), ` ${name}`));
  openDialog('Columns', element('div.choices', {}, ...boxes), button('Usual columns', '', () => {
    grid.setColumns(usualColumns);
    byId('dialog').close();
  }));
}

const formats = {
  mflow: 'Flow file, for all tools of mitm', har: 'HAR, for browsers and other tools', json: 'JSON Lines, an object for each flow', curl: 'Commands of curl',
  http: 'Requests as text (.http)', mitmproxy: 'Flow file of mitmproxy',
};
const removals = {
  share: 'Remove what is private: passwords, tokens, cookies, addresses of clients, bodies of scripts and images',
  default: 'Remove passwords, tokens and cookies', '': 'Remove nothing: the file has everything as it was recorded, also passwords and cookies',
};

/** @param {string} view the list @param {number} matched its flows */
export function chooseExport(view, matched) {
  const choices = (name, texts) => Object.entries(texts).map(([value, text], index) => element('label', {},
    element('input', { type: 'radio', name, value, checked: index === 0 }), ' ', value ? element('code', {}, value) : null, ` ${text}`));
  const rules = element('textarea', { name: 'rules', rows: 2, spellcheck: false, placeholder: 'header:X-Session\njson:$..iban=hash' });
  const problem = element('p.problem', { role: 'alert', hidden: true });
  const form = element('form', {
    onsubmit: async (event) => {
      event.preventDefault();
      const chosen = new FormData(form);
      const query = new URLSearchParams({ format: chosen.get('format') });
      for (const rule of [chosen.get('removal'), ...(rules.disabled ? [] : rules.value.split('\n'))]) if (rule.trim()) query.append('redact', rule.trim());
      const path = `api/1/views/${view}/export?${query}`;
      // A rule with a mistake is reported here, and not stored as a file.
      const request = new AbortController();
      const answer = await fetch(path, { signal: request.signal });
      problem.hidden = answer.ok;
      if (!answer.ok) problem.textContent = (await answer.json()).error;
      request.abort();
      if (!answer.ok) return;
      element('a', { href: path, download: '' }).click();
      byId('dialog').close();
    },
    onchange: () => { rules.disabled = form.elements.removal.value === ''; },
  },
  element('fieldset', {}, element('legend', {}, 'Format'), ...choices('format', formats)),
  element('fieldset', {}, element('legend', {}, 'Redaction'), ...choices('removal', removals), element('label', {}, 'More rules, one in a line:', rules)),
  problem, element('button.main', { type: 'submit' }, `Export ${count(matched)} flows`));
  openDialog('Export', form);
}

/** Sends a flow again and shows what is different. @param {number} n @param {string} target */
export async function replay(n, target) {
  toast(`Sending it to ${target}`);
  try {
    const answer = await call(`flows/${n}/replay`, { body: {} });
    openDialog(`Sent again to ${target}`, element('pre', {}, JSON.stringify(answer, null, 2)));
  } catch (error) {
    toast(error.message);
  }
}

const keys = {
  'j k ↑ ↓ PageDown PageUp Home End': 'move in the list', Enter: 'show the flow', '/': 'filter; ↓ there shows named and earlier filters, Tab completes', Esc: 'close the details, or clear the filter',
  f: 'follow new flows', g: 'groups', d: 'details below or beside the list', v: 'next view of the content', '1 – 6': 'parts of the details', c: 'copy as a command of curl',
  C: 'the same without secrets', u: 'copy the URL', r: 'send again, if mitm-view allows it', m: 'compare with another flow', e: 'export', '?': 'this help',
};

/** @param {{name: string, form: string, help: string}[]} operators of the filter language */
export function help(operators) {
  openDialog('Keys and filter language',
    element('table', {}, element('tbody', {}, ...Object.entries(keys).map(([key, meaning]) => element('tr', {},
      element('th', { scope: 'row' }, ...key.split(' ').flatMap((one) => [one === '–' ? one : element('kbd', {}, one), ' '])), element('td', {}, meaning))))),
    element('h3', {}, 'Filter language'),
    element('p', {}, 'Join operators with & (and), | (or), ! (not) and parentheses. A text without an operator is a regular expression for the URL.'),
    element('dl.fields', {}, ...operators.flatMap(({ name, form, help: text }) => [element('dt', {}, name + form), element('dd', {}, text)])));
}
