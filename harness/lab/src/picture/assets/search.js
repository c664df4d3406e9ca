// The search: each word of a query marks the events that fit it, in loops over columns of numbers. Words are
// looked for in texts that are stored once, bytes in payloads that are, however many events share them.

/** What a query asks for: tests that all must hold, and the words that are marked in what is found. A test
    gives of a tape's events those that fit, as a column of 0 and 1. */
function testsOf(query) {
  const tests = [], words = [];
  const add = (not, mark) => tests.push({ not: not ? 1 : 0, mark });
  const hex = /(-?)hex:((?:[0-9a-f]{2}\s*)+)/gi;
  query = query.replace(hex, (_, not, digits) => {
    add(not, bytesTest(Uint8Array.from(digits.replace(/\s+/g, "").match(/../g), (pair) => parseInt(pair, 16))));
    return " ";
  });
  for (let word of query.toLowerCase().split(/\s+/)) {
    if (!word || word === "-") continue;
    const not = word[0] === "-";
    if (not) word = word.slice(1);
    const [, key, value] = word.match(/^(kind|lane|conn|connection|sel|selector|process):(.+)$/) || [];
    if (key) add(not, keyTest(key, value));
    else if (/^#\d+$/.test(word)) add(not, (tape) => marked(tape.sequence, (it) => it === +word.slice(1)));
    else if (word === "failed") add(not, (tape) => marked(tape.flags, (it) => it !== 0));
    else {
      if (!not) words.push(word);
      add(not, wordTest(word));
    }
  }
  return { tests, words };
}

/** 1 for each number of a column that fits. */
function marked(column, fits) {
  const marks = new Uint8Array(column.length);
  for (let at = 0; at < marks.length; at++) if (fits(column[at])) marks[at] = 1;
  return marks;
}

function keyTest(key, value) {
  if (key === "kind") {
    return (tape) => {
      const wanted = tape.kinds.map((kind) => kind.startsWith(value));
      return marked(tape.kind, (kind) => wanted[kind]);
    };
  }
  const column = { lane: "lane", conn: "connection", connection: "connection", sel: "selector", selector: "selector", process: "process" }[key];
  const wanted = Number(value.replace(/^[cl]/, ""));
  return (tape) => marked(tape[column], (it) => it === wanted);
}

/** Marks what has a field in one of these columns (0 name, 1 text, 2 payload) with a number that is hit. */
function markFields(tape, marks, hits, ...columns) {
  const { fields, fieldFrom } = tape;
  if (hits.indexOf(1) < 0) return marks;
  for (const column of columns) {
    for (let event = 0; event < marks.length; event++) {
      if (marks[event]) continue;
      const end = fieldFrom[event + 1] * 4;
      for (let at = fieldFrom[event] * 4 + column; at < end; at += 4) {
        // Of no payload, -1, there is no hit.
        if (hits[fields[at]]) { marks[event] = 1; break; }
      }
    }
  }
  return marks;
}

function wordTest(word) {
  const hits = textsWith(word);
  return (tape) => {
    const titles = marked(tape.title, (title) => hits[title] === 1), kind = tape.kinds.indexOf(word);
    if (kind >= 0) for (let event = 0; event < titles.length; event++) if (tape.kind[event] === kind) titles[event] = 1;
    return markFields(tape, titles, hits, 0, 1);
  };
}

/** The texts that hold a word, which has no line feed in it: those of all texts are one string, in which a browser
    finds things faster than in many. It stops at each place where the first character is, so that what is looked for
    begins with the word's rarest: in numbers zeros are everywhere. */
function textsWith(word) {
  const { lower, lowerFrom } = app, hits = new Uint8Array(lowerFrom.length - 1), skipped = rarestIn(word), rest = word.slice(skipped);
  for (let found = lower.indexOf(rest); found >= 0;) {
    if (!lower.startsWith(word, found - skipped)) {
      found = lower.indexOf(rest, found + 1);
      continue;
    }
    let low = 0, high = hits.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (lowerFrom[middle] <= found) low = middle; else high = middle - 1;
    }
    hits[low] = 1;
    found = lower.indexOf(rest, lowerFrom[low + 1]);
  }
  return hits;
}

/** Where in a word the character is that is the rarest in a sample of the texts. */
function rarestIn(word) {
  const sample = app.lower.slice(0, 1 << 16), count = (at) => sample.split(word[at]).length;
  let rarest = 0, least = Infinity;
  // A whole page may have been pasted.
  for (let at = 0; at < Math.min(word.length, 32); at++) {
    const times = count(at);
    if (times < least) [rarest, least] = [at, times];
  }
  return rarest;
}

function bytesTest(wanted) {
  const hits = payloadsWith(wanted);
  return (tape) => markFields(tape, new Uint8Array(tape.length), hits, 2);
}

/** The payloads that hold these bytes. Takes time in proportion to all bytes, whatever they are. */
function payloadsWith(wanted) {
  const { bytes, payloads, byteCounts } = app, length = wanted.length;
  const hits = new Uint8Array(payloads.length / 3);
  const begin = (number) => payloads[number * 3], end = (number) => begin(number) + payloads[number * 3 + 1];
  let rare = 0;
  for (let at = 1; at < length; at++) if (byteCounts[wanted[at]] < byteCounts[wanted[rare]]) rare = at;
  const guard = wanted[rare], count = byteCounts[guard];
  if (count === 0 || length > app.longest) return hits;
  if (count * Math.max(64, length) <= bytes.length) {
    // So rare a byte leads to few places, which the browser finds fastest; what stands around it is compared there.
    for (let at = bytes.indexOf(guard), number = 0; at >= 0; at = bytes.indexOf(guard, at + 1)) {
      while (at >= end(number)) number++;
      if (at - rare < begin(number) || at - rare + length > end(number)) continue;
      let same = 0;
      while (same < length && bytes[at - rare + same] === wanted[same]) same++;
      if (same === length) { hits[number] = 1; at = end(number) - 1; }
    }
    return hits;
  }
  const next = automaton(wanted);
  for (let number = 0; number < hits.length; number++) {
    const last = end(number);
    for (let at = begin(number), state = 0; at < last; at++) {
      state = next[(state << 8) | bytes[at]];
      if (state === length) { hits[number] = 1; break; }
    }
  }
  return hits;
}

/** By how many of the wanted bytes were seen last and the byte that comes, how many are seen then (Knuth, Morris
    and Pratt). */
function automaton(wanted) {
  const next = new Int32Array((wanted.length + 1) << 8);
  next[wanted[0]] = 1;
  for (let state = 1, border = 0; state <= wanted.length; state++) {
    // What a mismatch leaves over is what the border, the longest end that is a beginning, leads to.
    next.copyWithin(state << 8, border << 8, (border + 1) << 8);
    if (state === wanted.length) break;
    const byte = wanted[state], leads = next[(border << 8) | byte];
    next[(state << 8) | byte] = state + 1;
    border = leads;
  }
  return next;
}

/** Applies the search and the kinds: fills `app.shown`, and gives the milliseconds that it took. */
function filterRows(query) {
  const start = performance.now();
  const { tests, words } = testsOf(query);
  app.words = words;
  const fitting = app.tapes.map((tape) => {
    const shown = FAMILIES.map((_, family) => (app.hidden.has(family) ? 0 : 1));
    const fits = marked(tape.family, (family) => shown[family] === 1);
    for (const { not, mark } of tests) {
      const marks = mark(tape);
      for (let event = 0; event < fits.length; event++) fits[event] &= marks[event] ^ not;
    }
    // With two tapes an operation is one row, with what it returned.
    if (app.diff) {
      for (let event = 0; event < fits.length; event++) {
        const leave = tape.leave[event];
        if (leave >= 0 && fits[leave]) fits[event] = 1;
      }
    }
    return fits;
  });
  const { rowA, rowB } = app, [a, b] = fitting, rows = rowA.length;
  const shown = new Int32Array(rows), isShown = new Uint8Array(rows);
  let count = 0;
  for (let row = 0; row < rows; row++) {
    if (app.onlyChanges && app.change[row] === 0) continue;
    if ((rowA[row] >= 0 && a[rowA[row]]) || (b && rowB[row] >= 0 && b[rowB[row]])) {
      shown[count++] = row;
      isShown[row] = 1;
    }
  }
  app.shown = shown.subarray(0, count);
  app.isShown = isShown;
  app.tests = tests.length;
  return performance.now() - start;
}

/** Appends a text with the words that were searched for marked. */
function appendMarked(parent, text) {
  if (app.words.length === 0) return parent.append(text);
  const lower = text.toLowerCase();
  let at = 0;
  // Lower case may be longer than the text: then nothing is marked rather than the wrong thing.
  while (lower.length === text.length) {
    let next = -1, length = 0;
    for (const word of app.words) {
      const found = lower.indexOf(word, at);
      if (found >= 0 && (next < 0 || found < next)) [next, length] = [found, word.length];
    }
    if (next < 0) break;
    parent.append(text.slice(at, next), element("mark", "", text.slice(next, next + length)));
    at = next + length;
  }
  parent.append(text.slice(at));
}
