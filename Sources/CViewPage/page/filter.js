// The filter box: the filter language of all tools, with completion of operators, named filters and earlier expressions.

import { byId, element, settings } from './dom.js';

const maximumHistory = 30;

export class FilterBox {
  #operators = [];
  #named = [];
  #choices = [];
  #chosen = -1;
  #timer = null;

  /** @param {(expression: string) => Promise<void>} apply throws an error with the offset of a mistake */
  constructor(apply) {
    this.apply = apply;
    this.input = byId('filter');
    this.list = byId('completion');
    this.error = byId('filter-error');
    this.history = settings.get('history', []);
    this.input.addEventListener('input', () => this.#typed());
    this.input.addEventListener('keydown', (event) => this.#key(event));
    this.input.addEventListener('blur', () => setTimeout(() => this.#close(), 150));
    byId('filter-form').addEventListener('submit', (event) => {
      event.preventDefault();
      this.#close();
      this.submit(true);
    });
    byId('clear').addEventListener('click', () => this.set(''));
  }

  get value() { return this.input.value.trim(); }

  setLanguage(language) {
    this.#operators = language.operators;
    this.#named = language.named;
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

  /** Adds a condition to the expression. @param {string} condition */
  add(condition) {
    const value = this.value;
    if (value.includes(condition)) return;
    const needsParentheses = /[|]|\bor\b/.test(value);
    this.set(value ? `${needsParentheses ? `(${value})` : value} & ${condition}` : condition);
  }

  async submit(isFinal) {
    clearTimeout(this.#timer);
    const expression = this.value;
    try {
      await this.apply(expression);
      if (expression !== this.value) return;
      this.error.hidden = true;
      this.input.removeAttribute('aria-invalid');
      if (isFinal && expression) this.#remember(expression);
    } catch (error) {
      if (expression !== this.value) return;
      this.input.setAttribute('aria-invalid', 'true');
      this.error.replaceChildren(element('span', {}, error.message));
      if (error.at != null && expression) {
        const marked = element('code', {}, expression.slice(0, error.at),
          element('mark', {}, expression.slice(error.at, error.at + 1) || ' '), expression.slice(error.at + 1));
        this.error.append(' ', marked);
      }
      this.error.hidden = false;
    }
  }

  #remember(expression) {
    this.history = [expression, ...this.history.filter((known) => known !== expression)].slice(0, maximumHistory);
    settings.set('history', this.history);
  }

  #typed() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.submit(false), 250);
    this.#complete();
  }

  // Completion

  /** What stands before the caret, from the last operator or word on. */
  #beginning() {
    const before = this.input.value.slice(0, this.input.selectionStart);
    return /(^|[\s(!&|])(~[a-z]*)$/.exec(before)?.[2] ?? null;
  }

  #complete() {
    const beginning = this.#beginning();
    if (beginning == null) {
      const typed = this.value;
      this.#choices = this.history.filter((known) => typed && known !== typed && known.startsWith(typed))
        .slice(0, 8).map((text) => ({ text, help: 'used before', whole: true }));
    } else {
      const seen = new Set();
      this.#choices = this.#operators.filter((operator) => operator.name.startsWith(beginning))
        .filter((operator) => !seen.has(operator.name + operator.form) && seen.add(operator.name + operator.form))
        .map((operator) => ({ text: operator.name, form: operator.form, help: operator.help }));
      if ('~view'.startsWith(beginning)) {
        this.#choices.push(...this.#named.map((view) => ({ text: `~view ${view.name}`, help: view.filter })));
      }
    }
    this.#chosen = -1;
    this.#draw();
  }

  #showHistory() {
    this.#choices = this.history.map((text) => ({ text, help: 'used before', whole: true }));
    this.#chosen = -1;
    this.#draw();
  }

  #draw() {
    const isOpen = this.#choices.length > 0;
    this.list.hidden = !isOpen;
    this.input.setAttribute('aria-expanded', isOpen);
    this.list.replaceChildren(...this.#choices.map((choice, index) => {
      const item = element('li', { role: 'option', id: `choice-${index}`, 'aria-selected': index === this.#chosen },
        element('code', {}, choice.text + (choice.form ?? '')), ' ', element('span', {}, choice.help));
      item.addEventListener('pointerdown', (event) => {
        event.preventDefault();
        this.#take(index);
      });
      return item;
    }));
    if (this.#chosen >= 0) {
      this.input.setAttribute('aria-activedescendant', `choice-${this.#chosen}`);
      byId(`choice-${this.#chosen}`).scrollIntoView({ block: 'nearest' });
    } else {
      this.input.removeAttribute('aria-activedescendant');
    }
  }

  #take(index) {
    const choice = this.#choices[index];
    if (choice.whole) {
      this.input.value = choice.text;
    } else {
      const caret = this.input.selectionStart;
      const start = caret - (this.#beginning() ?? '').length;
      const opens = choice.form?.startsWith('[') ? '[' : choice.form ? ' ' : '';
      this.input.setRangeText(choice.text + opens, start, caret, 'end');
    }
    this.#close();
    this.input.focus();
    this.submit(false);
  }

  #close() {
    this.#choices = [];
    this.#draw();
  }

  #key(event) {
    const isOpen = this.#choices.length > 0;
    if (event.key === 'ArrowDown') {
      event.preventDefault();
      if (!isOpen) {
        if (this.value) this.#complete();
        if (!this.#choices.length) this.#showHistory();
      } else {
        this.#chosen = (this.#chosen + 1) % this.#choices.length;
        this.#draw();
      }
    } else if (event.key === 'ArrowUp' && isOpen) {
      event.preventDefault();
      this.#chosen = (this.#chosen + this.#choices.length - 1) % this.#choices.length;
      this.#draw();
    } else if ((event.key === 'Enter' || event.key === 'Tab') && isOpen && this.#chosen >= 0) {
      event.preventDefault();
      this.#take(this.#chosen);
    } else if (event.key === 'Tab' && isOpen && this.#beginning()) {
      event.preventDefault();
      this.#take(0);
    } else if (event.key === 'Escape') {
      event.stopPropagation();
      if (isOpen) this.#close();
      else if (this.value) this.set('');
      else byId('grid').focus();
    }
  }
}
