// How values are written for people. Nothing here touches the page.

/** @param {number|null|undefined} bytes */
export function size(bytes) {
  if (bytes == null) return '';
  if (bytes < 1024) return `${bytes} B`;
  let value = bytes / 1024;
  let unit = 0;
  const units = ['KiB', 'MiB', 'GiB', 'TiB'];
  while (value >= 1023.95 && unit < units.length - 1) { value /= 1024; unit += 1; }
  return `${value.toFixed(1)} ${units[unit]}`;
}

/** @param {number|null|undefined} microseconds */
export function duration(microseconds) {
  if (microseconds == null) return '';
  if (microseconds < 1000) return `${microseconds} µs`;
  if (microseconds < 1e6) return `${(microseconds / 1000).toFixed(1)} ms`;
  if (microseconds < 60e6) return `${(microseconds / 1e6).toFixed(2)} s`;
  const seconds = Math.round(microseconds / 1e6);
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${seconds % 60} s`;
  return `${Math.floor(seconds / 3600)} h ${Math.floor(seconds % 3600 / 60)} min`;
}

const pad = (number, digits = 2) => String(number).padStart(digits, '0');

/** The local time of day. @param {number} microseconds since 1970 */
export function clock(microseconds) {
  const date = new Date(microseconds / 1000);
  return `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}.${pad(date.getMilliseconds(), 3)}`;
}

/** The local date and time. @param {number} microseconds since 1970 */
export function dateTime(microseconds) {
  const date = new Date(microseconds / 1000);
  return `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())} ${clock(microseconds)}`;
}

/** RFC 3339 with microseconds, for the filter language. @param {number} microseconds since 1970 */
export function rfc3339(microseconds) {
  const whole = Math.floor(microseconds / 1e6);
  return `${new Date(whole * 1000).toISOString().slice(0, 19)}.${pad(Math.floor(microseconds - whole * 1e6), 6)}Z`;
}

/** @param {number} number */
export const count = (number) => number.toLocaleString('en-US');

/** The class of a status, for colours and marks. @param {number|null} status */
export function statusClass(status) {
  if (!status) return 'none';
  return ['none', 'informational', 'success', 'redirection', 'client-error', 'server-error'][Math.min(5, Math.floor(status / 100))];
}

/**
 * Text in the colours of a terminal (ECMA-48), as pieces with the names of classes.
 * @param {string} text
 * @returns {{text: string, style: string}[]}
 */
export function coloured(text) {
  const styles = { 1: 'method', 2: 'muted', 31: 'bad', 32: 'good', 33: 'warn', 35: 'literal', 36: 'name' };
  const pieces = [];
  let style = '';
  let start = 0;
  for (const match of text.matchAll(/\u001b\[(\d*)m/g)) {
    if (match.index > start) pieces.push({ text: text.slice(start, match.index), style });
    style = styles[match[1]] ?? '';
    start = match.index + match[0].length;
  }
  if (start < text.length) pieces.push({ text: text.slice(start), style });
  return pieces;
}

/** Text without colours. @param {string} text */
export const plain = (text) => text.replace(/\u001b\[\d*m/g, '');

/** A value as an argument of the filter language. @param {string} text */
export function quoted(text) {
  if (/^[^\s()"'~!&|]+$/.test(text)) return text;
  return `"${text.replace(/(["\\])/g, '\\$1')}"`;
}

/** A text as a regular expression that matches it and nothing else. @param {string} text */
export const literal = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

/** Text without control characters and characters that turn the direction of text: they become escapes. @param {string} text */
export function visible(text) {
  return String(text).replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
    (character) => `\\u{${character.codePointAt(0).toString(16)}}`);
}

/** One of six colours for a text, always the same. @param {string} text */
export const hue = (text) => [...text].reduce((sum, character) => (sum * 31 + character.codePointAt(0)) % 6007, 7) % 6;

/** A list of facts whose values are there, for a table. @param {Record<string, any>} facts */
export const present = (facts) => Object.entries(facts).filter(([, value]) => value != null && value !== '' && value !== false);
