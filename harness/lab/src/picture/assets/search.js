// The search: words over texts that are stored once, so that each is looked at once however many events
// share it.

/** What a query asks for: a list of tests of (tape, event), all of which must hold. */
function testsOf(query) {
  const tests = [], words = [];
  const hex = /(-?)hex:((?:[0-9a-f]{2}\s*)+)/gi;
  query = query.replace(hex, (_, not, digits) => {
    tests.push(negated(not, bytesTest(digits.replace(/\s+/g, ""))));
    return " ";
  });
  for (let word of query.toLowerCase().split(/\s+/)) {
    if (!word || word === "-") continue;
    const not = word[0] === "-" ? "-" : "";
    if (not) word = word.slice(1);
    const [, key, value] = word.match(/^(kind|lane|conn|connection|sel|selector|process):(.+)$/) || [];
    if (key) tests.push(negated(not, keyTest(key, value)));
    else if (/^#\d+$/.test(word)) tests.push(negated(not, (tape, event) => tape.sequence[event] === +word.slice(1)));
    else if (word === "failed") tests.push(negated(not, (tape, event) => tape.flags[event] !== 0));
    else {
      if (!not) words.push(word);
      tests.push(negated(not, wordTest(word)));
    }
  }
  return { tests, words };
}

const negated = (not, test) => (not ? (tape, event) => !test(tape, event) : test);

function keyTest(key, value) {
  if (key === "kind") return (tape, event) => tape.kinds[tape.kind[event]].startsWith(value);
  const column = { lane: "lane", conn: "connection", connection: "connection", sel: "selector", selector: "selector", process: "process" }[key];
  const wanted = Number(value.replace(/^[cl]/, ""));
  return (tape, event) => tape[column][event] === wanted;
}

/** Texts that hold the word, found once; then numbers are compared. */
function wordTest(word) {
  const hits = new Uint8Array(app.lower.length);
  for (let at = 0; at < hits.length; at++) if (app.lower[at].includes(word)) hits[at] = 1;
  return (tape, event) => {
    if (hits[tape.title[event]]) return true;
    const end = tape.fieldFrom[event + 1] * 4;
    for (let at = tape.fieldFrom[event] * 4; at < end; at += 4) {
      if (hits[tape.fields[at + 1]] || hits[tape.fields[at]]) return true;
    }
    return tape.kinds[tape.kind[event]] === word;
  };
}

function bytesTest(digits) {
  const wanted = Uint8Array.from(digits.match(/../g), (pair) => parseInt(pair, 16));
  const count = app.payloads.length / 3, hits = new Uint8Array(count);
  for (let at = 0; at < count; at++) hits[at] = holds(payload(at).bytes, wanted) ? 1 : 0;
  return (tape, event) => {
    const end = tape.fieldFrom[event + 1] * 4;
    for (let at = tape.fieldFrom[event] * 4; at < end; at += 4) {
      if (tape.fields[at + 2] >= 0 && hits[tape.fields[at + 2]]) return true;
    }
    return false;
  };
}

function holds(bytes, wanted) {
  for (let from = bytes.indexOf(wanted[0]); from >= 0; from = bytes.indexOf(wanted[0], from + 1)) {
    let same = 1;
    while (same < wanted.length && bytes[from + same] === wanted[same]) same++;
    if (same === wanted.length) return true;
  }
  return false;
}

/** Applies the search and the kinds: fills `app.shown`, and gives the milliseconds that it took. */
function filterRows(query) {
  const start = performance.now();
  const { tests, words } = testsOf(query);
  app.words = words;
  const [a, b] = app.tapes, rows = app.rowA.length;
  const shown = new Int32Array(rows);
  let count = 0;
  const fits = (tape, event) => {
    if (app.hidden.has(tape.family[event])) return false;
    for (const test of tests) if (!test(tape, event)) return false;
    return true;
  };
  // With two tapes an operation is one row, with what it returned.
  const fitsRow = (tape, event) => {
    if (event < 0) return false;
    if (fits(tape, event)) return true;
    const leave = app.diff ? tape.leave[event] : -1;
    return leave >= 0 && fits(tape, leave);
  };
  for (let row = 0; row < rows; row++) {
    if (app.onlyChanges && app.change[row] === 0) continue;
    if (fitsRow(a, app.rowA[row]) || (b && fitsRow(b, app.rowB[row]))) shown[count++] = row;
  }
  app.shown = shown.subarray(0, count);
  app.tests = tests.length;
  const taken = performance.now() - start;
  app.searchTook = taken;
  return taken;
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
