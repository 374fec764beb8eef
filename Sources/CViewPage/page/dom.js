// Elements. Text of recordings only ever becomes text, without characters that change how it is read.

import { visible } from './format.js';

/**
 * @param {string} name of the element, with classes: `div.head.open`
 * @param {object} [properties] properties, `on…` handlers, and `aria-…`, `data-…` and `role` attributes
 * @param {...(Node|string|null|undefined)} children
 */
export function element(name, properties = {}, ...children) {
  const [tag, ...classes] = name.split('.');
  const made = document.createElement(tag);
  if (classes.length) made.className = classes.join(' ');
  for (const [key, value] of Object.entries(properties)) {
    if (value == null) continue;
    if (/^(aria-|data-|(role|for|tabindex|sandbox)$)/.test(key)) made.setAttribute(key, value);
    else made[key] = key === 'title' ? visible(value) : value;
  }
  made.append(...children.filter((child) => child != null).map((child) => (child instanceof Node ? child : visible(child))));
  return made;
}

/** @param {string} label @param {string} title @param {(event: Event) => void} [onclick] @param {object} [properties] */
export const button = (label, title, onclick, properties) => element('button', { type: 'button', title, onclick, ...properties }, label);

/** A button with two states, which the browser keeps. @param {(isOn: boolean) => void} changed */
export function toggle(label, title, setting, changed) {
  const made = button(label, title, () => {
    const isOn = made.ariaPressed !== 'true';
    made.ariaPressed = isOn;
    settings.set(setting, isOn);
    changed(isOn);
  }, { 'aria-pressed': settings.get(setting, false) });
  return made;
}

/** @param {string} id */
export const byId = (id) => document.getElementById(id);

/** Follows the pointer until it is released. @param {PointerEvent} event @param {(event: PointerEvent) => void} move */
export function drag(event, move, end = () => {}) {
  event.preventDefault();
  addEventListener('pointermove', move);
  addEventListener('pointerup', (ended) => {
    removeEventListener('pointermove', move);
    end(ended);
  }, { once: true });
}

let announced = null;
let announcing = null;
/** Says something to people who listen, at most once a second. @param {string} text */
export function announce(text) {
  announced = text;
  if (announcing) return;
  const speak = () => {
    announcing = announced == null ? null : setTimeout(speak, 1000);
    if (announced != null) byId('announcer').textContent = announced;
    announced = null;
  };
  speak();
}

/** Copies text. @param {string} text @param {string} what */
export async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    toast(`${what} copied`);
  } catch {
    const field = element('textarea.sr', { value: text, 'aria-hidden': 'true' });
    document.body.append(field);
    field.select();
    const isCopied = document.execCommand('copy');
    field.remove();
    toast(isCopied ? `${what} copied` : 'The browser does not allow copying');
  }
}

let toasting = null;
/** Shows a sentence for a moment. @param {string} text */
export function toast(text) {
  const notice = byId('notice');
  notice.textContent = visible(text);
  notice.hidden = false;
  clearTimeout(toasting);
  toasting = setTimeout(() => { notice.hidden = true; }, 3000);
}

/** Settings that the browser keeps for this page. */
export const settings = {
  get(name, otherwise) {
    try { return JSON.parse(localStorage.getItem(`mitm-view.${name}`)) ?? otherwise; } catch { return otherwise; }
  },
  set(name, value) {
    try { localStorage.setItem(`mitm-view.${name}`, JSON.stringify(value)); } catch { /* private window */ }
  },
};

/** A table with a head. @param {string[]} heads `#` before the title of a column of numbers @param {(Node|string)[][]} rows @param {string} name its classes */
export function table(heads, rows, name = 'facts') {
  const isNumber = heads.map((title) => title.startsWith('#'));
  const cell = (kind, content, index, properties) => element(isNumber[index] ? `${kind}.number` : kind, properties, content);
  return element(`table.${name}`, {},
    element('thead', {}, element('tr', {}, ...heads.map((title, index) => cell('th', title.replace('#', ''), index, { scope: 'col' })))),
    element('tbody', {}, ...rows.map((cells) => element('tr', {}, ...cells.map((content, index) => cell('td', content, index))))));
}

/** Opens the dialog. @param {string} title @param {...(Node|string)} children */
export function openDialog(title, ...children) {
  const dialog = byId('dialog');
  dialog.replaceChildren(element('form.title', { method: 'dialog' }, element('h2', { id: 'dialog-title' }, title), element('button', { 'aria-label': 'Close', title: 'Close (Esc)' }, '×')),
    ...children);
  if (!dialog.open) dialog.showModal();
  return dialog;
}
