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
    if (/^(aria-|data-|role$|for$|tabindex$|colspan$|sandbox$)/.test(key)) made.setAttribute(key, value);
    else made[key] = key === 'title' ? visible(value) : value;
  }
  made.append(...children.filter((child) => child != null).map((child) => (child instanceof Node ? child : visible(child))));
  return made;
}

/** @param {string} id */
export const byId = (id) => document.getElementById(id);

/** Says something to people who listen, at most once a second. */
export const announce = (() => {
  let pending = null;
  let timer = null;
  const say = () => {
    timer = null;
    if (pending == null) return;
    byId('announcer').textContent = pending;
    pending = null;
    timer = setTimeout(say, 1000);
  };
  return (text) => {
    pending = text;
    if (!timer) say();
  };
})();

/** Copies text. @param {string} text @param {string} what */
export async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    toast(`${what} copied`);
  } catch {
    const field = element('textarea', { value: text, 'aria-hidden': 'true' });
    field.className = 'sr';
    document.body.append(field);
    field.select();
    const isCopied = document.execCommand('copy');
    field.remove();
    toast(isCopied ? `${what} copied` : 'The browser does not allow copying');
  }
}

let toastTimer = null;
/** Shows a sentence for a moment. @param {string} text */
export function toast(text) {
  const notice = byId('notice');
  notice.textContent = text;
  notice.hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { notice.hidden = true; }, 3000);
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

/** Opens the dialog. @param {string} title @param {...Node} children */
export function openDialog(title, ...children) {
  const dialog = byId('dialog');
  dialog.replaceChildren(
    element('h2', { id: 'dialog-title' }, title),
    ...children,
    element('form', { method: 'dialog' }, element('button', {}, 'Close')));
  if (!dialog.open) dialog.showModal();
  return dialog;
}
