// The dialogs: columns, export and help.

import { call } from './api.js';
import { button, byId, element, openDialog } from './dom.js';
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

const removals = [
  ['share', 'Remove what is private: passwords, tokens, cookies, addresses of clients, bodies of scripts and images'],
  ['default', 'Remove passwords, tokens and cookies'], ['', 'Remove nothing: the file has everything as it was recorded, also passwords and cookies'],
];

/** @param {string} view the list @param {number} matched its flows @param {{name: string, summary: string, losses: boolean}[]} formats */
export function chooseExport(view, matched, formats) {
  const request = new AbortController();
  const choices = (name, texts, chosen) => texts.map(([value, text]) => element('label', {},
    element('input', { type: 'radio', name, value, checked: value === chosen }), ' ', value ? element('code', {}, value) : null, ` ${text}`));
  const rules = element('textarea', { name: 'rules', rows: 2, spellcheck: false, placeholder: 'header:X-Session\njson:$..iban=hash' });
  const report = element('p', { role: 'status' });
  const submit = element('button.main', { type: 'submit' }, `Export ${count(matched)} flows`);
  const write = async () => {
    const chosen = new FormData(form);
    const query = new URLSearchParams({ format: chosen.get('format') });
    for (const rule of [chosen.get('removal'), ...(rules.disabled ? [] : rules.value.split('\n'))]) if (rule.trim()) query.append('redact', rule.trim());
    // A rule with a mistake is reported here, and not stored as a file.
    const begun = new AbortController();
    const answer = await fetch(`api/1/views/${view}/export?${query}`, { signal: begun.signal });
    if (!answer.ok) throw new Error((await answer.json()).error);
    begun.abort();
    element('a', { href: answer.url, download: '' }).click();
    if (!formats.find(({ name }) => name === chosen.get('format')).losses) return byId('dialog').close();
    report.replaceChildren('The file is being stored. Looking for what its format cannot hold…');
    const { sentence } = await call(`views/${view}/loss?${query}`, { signal: request.signal });
    report.replaceChildren(sentence ?? 'The format holds all that the flows have.');
  };
  const form = element('form', {
    onsubmit: async (event) => {
      event.preventDefault();
      submit.disabled = true;
      report.className = 'note';
      report.replaceChildren('…');
      await write().catch((error) => {
        report.className = 'problem';
        report.replaceChildren(error.message);
      });
      submit.disabled = false;
    },
    onchange: () => { rules.disabled = form.elements.removal.value === ''; },
  },
  element('fieldset.formats', {}, element('legend', {}, 'Format'), ...choices('format', formats.map(({ name, summary }) => [name, summary]), 'mflow')),
  element('fieldset', {}, element('legend', {}, 'Redaction'), ...choices('removal', removals, 'share'), element('label', {}, 'More rules, one in a line:', rules)),
  submit, report);
  openDialog('Export', form).onclose = () => request.abort();
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
