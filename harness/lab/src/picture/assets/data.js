// What the page shows: columns of numbers, texts and bytes, unpacked from the text in the page.

/** How families of kinds are called and coloured. */
const FAMILIES = [
  { name: "calls", color: "call", kinds: ["call", "return", "other_call", "other_return"] },
  { name: "async calls", color: "async", kinds: ["async_call"] },
  { name: "completions", color: "completion", kinds: ["posted", "delivered"] },
  { name: "waits", color: "wait", kinds: ["wait", "woke"] },
  { name: "memory", color: "memory", kinds: ["map", "mapped", "unmap", "unmapped", "write", "update", "patch"] },
  { name: "registry", color: "registry", kinds: ["matched", "property", "watch", "notice"] },
  { name: "life", color: "life", kinds: [] },
];
const FAILED = 1, FAULT = 2, DIVERGED = 4;
const LIFE = FAMILIES.length - 1;

async function unpacked() {
  if (typeof DecompressionStream !== "function") {
    throw new Error("this browser is too old to unpack the page: it has no DecompressionStream");
  }
  const text = atob(document.getElementById("data").textContent);
  const packed = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) packed[at] = text.charCodeAt(at);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const buffer = await new Response(stream).arrayBuffer();
  const length = new DataView(buffer).getUint32(0, true);
  const told = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const base = 4 + length;
  const types = { i32: Int32Array, f64: Float64Array, u8: Uint8Array };
  const columns = {};
  for (const [name, [type, from, count]] of Object.entries(told.columns)) {
    columns[name] = new types[type](buffer, base + from, count);
  }
  return { told, columns };
}

/** A tape: its columns by their names, and what hangs on them. */
function tapeOf(told, columns) {
  const tape = { ...told, column: {} };
  for (const [name, column] of Object.entries(columns)) {
    if (name.startsWith(told.prefix)) tape[name.slice(told.prefix.length)] = column;
  }
  tape.length = tape.kind.length;
  tape.familyOfKind = told.kinds.map((kind) => {
    const at = FAMILIES.findIndex((family) => family.kinds.includes(kind));
    return at < 0 ? LIFE : at;
  });
  tape.family = new Uint8Array(tape.length);
  for (let event = 0; event < tape.length; event++) {
    let family = tape.familyOfKind[tape.kind[event]];
    // What an asynchronous call returned belongs to it.
    const cause = tape.cause[event];
    if (cause >= 0 && tape.leave[cause] === event) family = tape.family[cause];
    tape.family[event] = family;
  }
  // Further completions of a call, and what was delivered of one, by what brought them about.
  tape.effects = new Map();
  for (let event = 0; event < tape.length; event++) {
    const cause = tape.cause[event];
    if (cause < 0 || tape.leave[cause] === event) continue;
    if (tape.family[event] !== 2) continue;
    const known = tape.effects.get(cause);
    if (known) known.push(event); else tape.effects.set(cause, [event]);
  }
  tape.marksOf = new Map();
  for (const [event, word, text] of told.marks) {
    const known = tape.marksOf.get(event);
    if (known) known.push([word, text]); else tape.marksOf.set(event, [[word, text]]);
  }
  return tape;
}

const app = {
  tapes: [], texts: [], bytes: null, payloads: null, diff: null,
  lower: "", lowerFrom: null, byteCounts: null, longest: 0, // what is searched: all texts in a row, how often each byte comes
  rowA: null, rowB: null, change: null, // a row: an event of each tape, -1 for none
  shown: null, isShown: null, // rows that the search and the kinds leave; of each row whether it is one
  chosen: -1, // a row
  hidden: new Set(), onlyChanges: false, words: [],
  axis: "order", view: { from: 0, to: 1 },
};

async function load() {
  const { told, columns } = await unpacked();
  app.texts = told.texts;
  const lower = told.texts.map((text) => text.toLowerCase());
  app.lowerFrom = new Int32Array(lower.length + 1);
  for (let at = 0; at < lower.length; at++) app.lowerFrom[at + 1] = app.lowerFrom[at] + lower[at].length + 1;
  app.lower = lower.join("\n");
  app.bytes = columns.bytes;
  app.payloads = columns.payloads;
  app.byteCounts = new Int32Array(256);
  for (let at = 0; at < app.bytes.length; at++) app.byteCounts[app.bytes[at]]++;
  app.longest = 0;
  for (let at = 1; at < app.payloads.length; at += 3) app.longest = Math.max(app.longest, app.payloads[at]);
  app.tapes = told.tapes.map((tape) => tapeOf(tape, columns));
  if (told.diff) {
    const entries = columns["diff.entries"], count = entries.length / 3;
    app.diff = { ...told.diff, from: columns["diff.fieldFrom"], fields: columns["diff.fields"] };
    app.change = new Uint8Array(count);
    app.rowA = new Int32Array(count);
    app.rowB = new Int32Array(count);
    for (let row = 0; row < count; row++) {
      app.change[row] = entries[row * 3];
      app.rowA[row] = entries[row * 3 + 1];
      app.rowB[row] = entries[row * 3 + 2];
    }
  } else {
    app.rowA = Int32Array.from({ length: app.tapes[0].length }, (_, event) => event);
  }
  app.rowOf = app.tapes.map((tape, side) => {
    const rows = new Int32Array(tape.length).fill(-1);
    const column = side ? app.rowB : app.rowA;
    for (let row = 0; row < column.length; row++) {
      const event = column[row];
      if (event < 0) continue;
      rows[event] = row;
      const leave = tape.leave[event];
      if (app.diff && leave >= 0) rows[leave] = row;
    }
    return rows;
  });
}

/** The bytes of a payload that the page has, and how many there were. */
function payload(number) {
  const from = app.payloads[number * 3], kept = app.payloads[number * 3 + 1];
  return { bytes: app.bytes.subarray(from, from + kept), length: app.payloads[number * 3 + 2] };
}

/** The fields of an event: name, text, payload (-1 for none) and first byte. */
function fieldsOf(tape, event) {
  const fields = [];
  for (let at = tape.fieldFrom[event]; at < tape.fieldFrom[event + 1]; at++) {
    const [name, text, bytes, first] = tape.fields.subarray(at * 4, at * 4 + 4);
    fields.push({ name: app.texts[name], text: app.texts[text], payload: bytes, first });
  }
  return fields;
}

const titleOf = (tape, event) => app.texts[tape.title[event]];

function whoOf(tape, event) {
  const process = tape.process[event] === 1 ? "" : `P${tape.process[event]} `;
  const connection = tape.connection[event];
  return `${process}L${tape.lane[event]}${connection >= 0 ? ` c${connection}` : ""}`;
}

/** Nanoseconds as people read them. */
function duration(ns) {
  if (ns < 1e3) return `${ns} ns`;
  if (ns < 1e6) return `${+(ns / 1e3).toPrecision(3)} µs`;
  if (ns < 1e9) return `${+(ns / 1e6).toPrecision(3)} ms`;
  return `${+(ns / 1e9).toPrecision(4)} s`;
}

const grouped = (number) => number.toLocaleString("en-US");

/** An element with a class and a text. Texts are text nodes always. */
function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}
