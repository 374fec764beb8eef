// The filter box: the filter language of all tools, with completion of operators, named filters and earlier expressions.

import { byId, element, settings } from './dom.js';

const maximumHistory = 30;

export class FilterBox {
  #operators = [];
  #named = [];
  #choices = [];
  #chosen = -1;
  #timer = null;
  #history = settings.get('history', []);

  /** @param {(expression: string) => Promise<void>} apply throws an error with the offset of a mistake */
  constructor(apply) {
    this.apply = apply;
    this.input = byId('filter');
    this.error = byId('filter-error');
    this.input.addEventListener('input', () => {
      clearTimeout(this.#timer);
      this.#timer = setTimeout(() => this.submit(false), 250);
      this.#complete();
    });
    this.input.addEventListener('keydown', (event) => this.#key(event));
    this.input.addEventListener('blur', () => setTimeout(() => this.#offer([]), 150));
    byId('filter-form').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#offer([]);
      this.submit(true);
    });
    byId('clear').addEventListener('click', () => this.set(''));
  }

  get value() { return this.input.value.trim(); }

  setLanguage({ operators, named }) {
    this.#operators = operators.map(({ name, form, help }) => ({ text: name, form, help }));
    this.#named = named.map(({ name, filter }) => ({ text: `~view ${name}`, help: filter }));
  }

  focus() {
    this.input.focus();
    this.input.select();
  }

  /** Replaces the expression. */
  set(expression) {
    this.input.value = expression;
    this.submit(true);
  }

  async submit(isFinal) {
    clearTimeout(this.#timer);
    const expression = this.value;
    const error = await this.apply(expression).then(() => null, (failure) => failure);
    if (expression !== this.value) return;
    this.error.hidden = !error;
    this.input.ariaInvalid = error != null;
    if (error) {
      this.error.replaceChildren(element('span', {}, error.message));
      if (error.at != null && expression) {
        this.error.append(element('code', {}, expression.slice(0, error.at),
          element('mark', {}, expression.slice(error.at, error.at + 1) || ' '), expression.slice(error.at + 1)));
      }
    } else if (isFinal && expression) {
      this.#history = [expression, ...this.#history.filter((known) => known !== expression)].slice(0, maximumHistory);
      settings.set('history', this.#history);
    }
  }

  // Completion

  /** The operator that stands before the caret, as far as it is typed. */
  #beginning() { return /(?:^|[\s(!&|])(~[a-z]*)$/.exec(this.input.value.slice(0, this.input.selectionStart))?.[1] ?? null; }

  get #earlier() { return this.#history.map((text) => ({ text, help: 'used before', isWhole: true })); }

  #complete() {
    const beginning = this.#beginning();
    const typed = this.value;
    this.#offer(beginning == null
      ? this.#earlier.filter(({ text }) => typed && text !== typed && text.startsWith(typed)).slice(0, 8)
      : [...this.#operators, ...this.#named].filter(({ text }) => text.startsWith(beginning)));
  }

  #offer(choices) {
    this.#choices = choices;
    this.#choose(-1);
  }

  #choose(chosen) {
    this.#chosen = chosen;
    const isOpen = this.#choices.length > 0;
    const list = byId('completion');
    list.hidden = !isOpen;
    this.input.ariaExpanded = isOpen;
    list.replaceChildren(...this.#choices.map(({ text, form, help }, index) => {
      const item = element('li', { role: 'option', id: `choice-${index}`, 'aria-selected': index === chosen },
        element('code', {}, text + (form ?? '')), element('span.muted', {}, help));
      item.addEventListener('pointerdown', (event) => {
        event.preventDefault();
        this.#take(index);
      });
      return item;
    }));
    if (chosen < 0) return this.input.removeAttribute('aria-activedescendant');
    this.input.setAttribute('aria-activedescendant', `choice-${chosen}`);
    byId(`choice-${chosen}`).scrollIntoView({ block: 'nearest' });
  }

  #take(index) {
    const { text, form, isWhole } = this.#choices[index];
    const caret = this.input.selectionStart;
    if (isWhole) this.input.value = text;
    else this.input.setRangeText(text + (form?.startsWith('[') ? '[' : form ? ' ' : ''), caret - (this.#beginning() ?? '').length, caret, 'end');
    this.#offer([]);
    this.input.focus();
    this.submit(false);
  }

  #key(event) {
    const { length } = this.#choices;
    const take = event.key === 'Tab' && this.#beginning() ? Math.max(0, this.#chosen) : this.#chosen;
    if (event.key === 'ArrowDown' && length === 0) {
      if (this.value) this.#complete();
      if (this.#choices.length === 0) this.#offer([...this.#named, ...this.#earlier]);
    } else if (event.key === 'ArrowDown') this.#choose((this.#chosen + 1) % length);
    else if (event.key === 'ArrowUp' && length > 0) this.#choose((Math.max(0, this.#chosen) + length - 1) % length);
    else if ((event.key === 'Enter' || event.key === 'Tab') && length > 0 && take >= 0) this.#take(take);
    else if (event.key === 'Escape') {
      event.stopPropagation();
      if (length > 0) this.#offer([]);
      else if (this.value) this.set('');
      else byId('grid').focus();
    } else return;
    event.preventDefault();
  }
}
