// The arithmetic and the formats of the page, which touch no document.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';

const page = new URL('../../Sources/CViewPage/page/', import.meta.url);
const { PageCache, RowWindow, maximumHeight } = await import(new URL('rows.js', page));
const format = await import(new URL('format.js', page));
const { differences } = await import(new URL('compare.js', page));
const { groups } = await import(new URL('facets.js', page));

function list(count, height = 600) {
  const rows = new RowWindow(24);
  Object.assign(rows, { count, height });
  return rows;
}

test('every row of a million can be reached, and the last one is at the end of the scroll range', () => {
  const rows = list(1_000_000);
  assert.ok(rows.scrollHeight <= maximumHeight);
  rows.scrolled(rows.scrollHeight - rows.height);
  assert.equal(rows.range(0)[1], 1_000_000);
  assert.ok(rows.isAtEnd);
  rows.scrolled(0);
  assert.deepEqual(rows.range(0), [0, 25]);
  for (const row of [0, 1, 499_999, 559_186, 999_999]) {
    rows.reveal(row);
    const [from, to] = rows.range(0);
    assert.ok(from <= row && row < to);
  }
});

test('a step in a scaled list moves by rows exactly', () => {
  const rows = list(3_000_000);
  rows.moveTo(1_234_567);
  rows.moveTo(rows.top + 1);
  assert.equal(rows.top, 1_234_568);
});

test('a scroll position survives the way to the element and back', () => {
  for (const count of [0, 1, 24, 25, 26, 1000, 333_333, 333_334, 2_000_000]) {
    const rows = list(count);
    for (const share of [0, 0.25, 0.5, 1]) {
      rows.moveTo(rows.maximumTop * share);
      const top = rows.top;
      rows.scrolled(rows.scrollTop);
      assert.ok(Math.abs(rows.top - top) < 1e-6);
    }
  }
});

test('a short list does not scroll', () => {
  const rows = list(10);
  assert.equal(rows.scrollHeight, 240);
  assert.equal(rows.maximumTop, 0);
  rows.moveTo(7);
  assert.equal(rows.top, 0);
});

test('the cache keeps the pages that were used last, and asks for pages that have grown', () => {
  const cache = new PageCache(120);
  for (let page = 0; page < 60; page += 1) cache.put(page, Array.from({ length: 120 }, (_, index) => page * 120 + index));
  assert.equal(cache.row(0), undefined);
  assert.equal(cache.row(59 * 120 + 5), 59 * 120 + 5);
  cache.put(3, [1, 2]);
  assert.deepEqual(cache.missing(3 * 120, 3 * 120 + 5, 3 * 120 + 2), []);
  assert.deepEqual(cache.missing(3 * 120, 3 * 120 + 5, 3 * 120 + 3), [3]);
});

test('values are written for people', () => {
  assert.deepEqual([null, 0, 1023, 1024, 1048575, 5e9].map(format.size), ['', '0 B', '1023 B', '1.0 KiB', '1.0 MiB', '4.7 GiB']);
  assert.deepEqual([5, 1500, 2_500_000, 65_000_000, 3_720_000_000].map(format.duration), ['5 µs', '1.5 ms', '2.50 s', '1 min 5 s', '1 h 2 min']);
  assert.equal(format.rfc3339(1700000000123456), '2023-11-14T22:13:20.123456Z');
  assert.deepEqual([null, 101, 204, 302, 404, 599].map(format.statusClass),
    ['none', 'informational', 'success', 'redirection', 'client-error', 'server-error']);
});

test('colours become pieces, and characters that turn text around become escapes', () => {
  assert.deepEqual(format.coloured('a\u001b[32mb\u001b[0mc'), [{ text: 'a', style: '' }, { text: 'b', style: 'good' }, { text: 'c', style: '' }]);
  assert.equal(format.plain('\u001b[1mx\u001b[0m'), 'x');
  assert.equal(format.visible('a\u202eb\u061c\u0007\n'), 'a\\u{202e}b\\u{61c}\\u{7}\n');
});

test('values become arguments of the filter language that match them alone', () => {
  assert.equal(format.quoted('^a\\.example$'), '^a\\.example$');
  assert.equal(format.quoted('a b"c'), '"a b\\"c"');
  assert.equal(format.literal('a.b(c)'), 'a\\.b\\(c\\)');
});

test('two texts are compared line by line', () => {
  assert.deepEqual(differences(['a', 'b', 'c'], ['a', 'x', 'c']).filter(([x, y]) => x !== y), [['b', 'x']]);
  assert.deepEqual(differences(['a', 'b', 'c'], ['b', 'c', 'd', 'e']), [['a', null], ['b', 'b'], ['c', 'c'], [null, 'd'], [null, 'e']]);
  assert.deepEqual(differences(['a'], ['a']), [['a', 'a']]);
  assert.deepEqual(differences([], ['a']), [[null, 'a']]);
});

test('the page stays small: kilobytes of its sources, and of what a browser loads', () => {
  const files = readdirSync(page).filter((name) => name !== 'package.json').map((name) => readFileSync(new URL(name, page)));
  const kilobytes = (lengths) => lengths.reduce((sum, length) => sum + length, 0) / 1000;
  assert.ok(kilobytes(files.map((file) => file.length)) < 116);
  assert.ok(kilobytes(files.map((file) => gzipSync(file).length)) < 43);
});
