// Groups beside the list: by status, host, type, kind, outcome, method and client. A click limits the list to a group.

import { call } from './api.js';
import { byId, element } from './dom.js';
import { Follower } from './follower.js';
import { count, duration, literal, quoted, size } from './format.js';

/** Each group, and the condition that limits the list to one of its values. */
const groups = [
  { by: 'status_class', title: 'Status', condition: (value) => (value ? `~c ${value}` : '!~s'), name: (value) => value || 'no response' },
  { by: 'host', title: 'Host', condition: (value) => `~d ${quoted(`^${literal(value)}$`)}`, hasTimes: true },
  { by: 'type', title: 'Type', condition: (value) => `~ts ${quoted(`^${literal(value)} *(;|$)`)}` },
  { by: 'state', title: 'Outcome', condition: (value) => ({ complete: '!~incomplete & !~e', incomplete: '~incomplete', failed: '~e & !~incomplete' })[value] },
  { by: 'method', title: 'Method', condition: (value) => `~m ${quoted(`^${literal(value)}$`)}` },
  { by: 'kind', title: 'Kind', condition: (value) => ({ http: '~http & !~websocket', websocket: '~websocket', tcp: '~tcp', tls: '!~http & !~tcp' })[value] },
  { by: 'client', title: 'Client', condition: (value) => `~src ${quoted(`^${literal(value)}:`)}` },
];

export class Facets extends Follower {
  /** @param {(title: string, condition: string) => void} limited @param {(condition: string) => boolean} isChosen */
  constructor(limited, isChosen) {
    super();
    this.limited = limited;
    this.isChosen = isChosen;
    this.pane = byId('facets');
  }

  async load(view) {
    const answers = await Promise.all(this.pane.hidden ? [] : groups.map((group) => call(`views/${view}/groups?by=${group.by}&limit=12`)));
    return () => {
      const focused = document.activeElement?.dataset.facet;
      this.pane.replaceChildren(...answers.map((answer, index) => this.#group(groups[index], answer)).filter(Boolean));
      if (focused) this.pane.querySelector(`[data-facet="${CSS.escape(focused)}"]`)?.focus();
    };
  }

  #group(group, answer) {
    const shown = answer.groups.filter((found) => found.value !== '' || group.by === 'status_class');
    if (shown.length === 0) return null;
    const highest = Math.max(...shown.map((found) => found.count));
    const rows = shown.map((found) => {
      const name = group.name ? group.name(found.value) : found.value;
      const condition = group.condition(found.value);
      const bar = element('span.share', { 'aria-hidden': 'true' });
      bar.style.width = `${found.count / highest * 100}%`;
      bar.style.setProperty('--failed', `${found.failures / found.count * 100}%`);
      const slow = group.hasTimes && found.p95 != null ? duration(found.p95) : null;
      return element('li', {}, element('button.facet', {
        type: 'button', 'data-facet': `${group.by} ${found.value}`, 'aria-pressed': this.isChosen(condition),
        title: `${name}: ${count(found.count)} flows, ${count(found.failures)} failed, ${size(found.bytes)}${slow ? `, 95 % within ${slow}` : ''}`,
        onclick: () => this.limited(`${group.title} ${name}`, condition),
      }, bar, element('span.value', {}, name), found.failures ? element('span.failures', {}, `${count(found.failures)} ✕`) : null,
      element('span.count', {}, count(found.count)), slow && element('span.slow', {}, slow)));
    });
    const rest = answer.count - answer.groups.length;
    if (rest > 0) rows.push(element('li.muted', {}, `${count(rest)} more`));
    return element('section', {}, element('h2', {}, group.title, group.hasTimes ? element('small', {}, 'flows, 95 % within') : null), element('ul', {}, ...rows));
  }
}
