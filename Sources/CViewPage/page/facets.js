// Groups beside the list: by host, status, kind, client and outcome. A click limits the list to a group.

import { call } from './api.js';
import { byId, element } from './dom.js';
import { count, duration, literal, quoted, size } from './format.js';

/** Each group, and the condition that limits the list to one of its values. */
const groups = [
  { by: 'status_class', title: 'Status', condition: (value) => (value ? `~c ${value}` : '!~s'), name: (value) => value || 'no response' },
  { by: 'host', title: 'Host', condition: (value) => `~d ${quoted(`^${literal(value)}$`)}`, details: true },
  { by: 'kind', title: 'Kind', condition: (value) => ({ http: '~http & !~websocket', websocket: '~websocket', tcp: '~tcp', tls: '!~http & !~tcp' })[value] },
  { by: 'state', title: 'Outcome', condition: (value) => ({ complete: '!~incomplete & !~e', incomplete: '~incomplete', failed: '~e & !~incomplete' })[value] },
  { by: 'method', title: 'Method', condition: (value) => `~m ${quoted(`^${literal(value)}$`)}` },
  { by: 'client', title: 'Client', condition: (value) => `~src ${quoted(`^${literal(value)}:`)}` },
];

export class Facets {
  #view = null;
  #isLoading = false;
  #mustLoad = false;

  /** @param {(condition: string) => void} limited */
  constructor(limited) {
    this.limited = limited;
    this.pane = byId('facets');
  }

  get isShown() { return !this.pane.hidden; }

  async show(view) {
    this.#view = view;
    if (!this.isShown) return;
    if (this.#isLoading) { this.#mustLoad = true; return; }
    this.#isLoading = true;
    try {
      const answers = await Promise.all(groups.map((group) => call(`views/${view}/groups?by=${group.by}&limit=12`)));
      if (view === this.#view) {
        const focused = document.activeElement?.dataset?.facet;
        this.pane.replaceChildren(...groups.map((group, index) => this.#group(group, answers[index])).filter(Boolean));
        if (focused) this.pane.querySelector(`[data-facet="${CSS.escape(focused)}"]`)?.focus();
      }
    } catch { /* the list was closed */ } finally {
      this.#isLoading = false;
      if (this.#mustLoad) {
        this.#mustLoad = false;
        this.show(this.#view);
      }
    }
  }

  #group(group, answer) {
    const shown = answer.groups.filter((found) => found.value !== '' || group.by === 'status_class');
    if (shown.length === 0) return null;
    const highest = Math.max(...shown.map((found) => found.count));
    const rows = shown.map((found) => {
      const name = group.name ? group.name(found.value) : found.value;
      const bar = element('span.share', { 'aria-hidden': 'true' });
      bar.style.width = `${found.count / highest * 100}%`;
      const slow = found.p95 != null && group.details ? `, 95 % within ${duration(found.p95)}` : '';
      const failures = found.failures ? `, ${count(found.failures)} failed` : '';
      const button = element('button.facet', {
        type: 'button', 'data-facet': `${group.by} ${found.value}`,
        title: `${name}: ${count(found.count)} flows${failures}, ${size(found.bytes)}${slow}`,
        onclick: () => { const condition = group.condition(found.value); if (condition) this.limited(condition); },
      }, bar, element('span.value', {}, name), element('span.count', {}, count(found.count)));
      if (group.details && found.p95 != null) button.append(element('span.slow', {}, duration(found.p95)));
      if (found.failures) button.classList.add('failing');
      return element('li', {}, button);
    });
    const rest = answer.count - answer.groups.length;
    if (rest > 0) rows.push(element('li.rest', {}, `${count(rest)} more`));
    const hint = group.details ? element('small', {}, ' flows, 95 % within') : null;
    return element('section', {}, element('h2', {}, group.title, hint), element('ul', {}, ...rows));
  }
}
