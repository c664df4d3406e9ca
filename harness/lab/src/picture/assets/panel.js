// What is known of the chosen row: fields, bytes, and what it belongs to.

/** Bytes on a line: as many as fit. */
let LINE = 16;
const LINES = 64;

/** The name of a field as the head of its row, which breaks behind points and underscores where it is too long. */
function nameCell(name) {
  const cell = element("th", name.startsWith("  ") ? "deep" : "");
  cell.scope = "row";
  for (const part of name.trim().split(/(?<=[._])/)) cell.append(part, document.createElement("wbr"));
  return cell;
}

const panel = {
  box: null,

  start() { this.box = document.getElementById("panel"); },

  draw() {
    this.box.replaceChildren();
    LINE = this.box.clientWidth >= 590 ? 16 : 8;
    if (app.chosen < 0) return this.overview();
    const a = app.rowA[app.chosen], b = app.diff ? app.rowB[app.chosen] : -1;
    if (!app.diff) return this.event(app.tapes[0], a);
    this.pair(a, b);
  },

  head(tape, event, change) {
    const head = element("h2", "");
    appendMarked(head, titleOf(tape, event));
    this.box.append(head);
    const pills = element("div", "");
    const pill = (text, className, color) => {
      const made = element("span", `pill ${className || ""}`);
      if (color) { const dot = element("i", ""); dot.style.setProperty("--c", `var(--${color})`); made.append(dot); }
      made.append(text);
      pills.append(made);
    };
    if (change !== undefined) pill(CHANGES[change]);
    pill(tape.kinds[tape.kind[event]], "", FAMILIES[tape.family[event]].color);
    pill(`#${tape.sequence[event]}`);
    pill(tape.lane[event] ? `thread ${tape.lane[event]}` : "device");
    if (tape.connection[event] >= 0) pill(`connection ${tape.connection[event]}`);
    if (tape.time[event] > 0) pill(`at ${duration(tape.time[event])}`);
    const leave = tape.leave[event];
    if (leave >= 0 && tape.time[leave] > tape.time[event]) pill(`took ${duration(tape.time[leave] - tape.time[event])}`);
    if ((tape.flags[event] | (leave >= 0 ? tape.flags[leave] : 0)) & FAILED) pill("failed", "bad");
    for (const at of [event, leave]) for (const [word, text] of tape.marksOf.get(at) || []) pill(text, word === "fault" ? "fault" : "bad");
    this.box.append(pills);
  },

  event(tape, event) {
    this.head(tape, event);
    const cause = tape.cause[event], isLeave = cause >= 0 && tape.leave[cause] === event;
    const enter = isLeave ? cause : event, leave = tape.leave[enter];
    this.fields(tape, enter, leave >= 0 ? "Handed in" : "Fields");
    if (leave >= 0) this.fields(tape, leave, "Came of it");
    this.links(tape, event);
    for (const at of leave >= 0 ? [enter, leave] : [enter]) {
      const earlier = tape.before[at];
      for (const field of fieldsOf(tape, at)) {
        if (field.payload < 0) continue;
        const was = earlier >= 0 ? fieldsOf(tape, earlier).find((it) => it.name === field.name && it.payload >= 0) : null;
        this.hex(field, was, was ? `changed since #${tape.sequence[earlier]}` : "", "");
      }
    }
  },

  fields(tape, event, title) {
    const fields = fieldsOf(tape, event);
    if (!fields.length) return;
    const table = element("table", "fields");
    for (const { name, text } of fields) {
      const line = element("tr"), key = nameCell(name), value = element("td");
      appendMarked(value, text);
      line.append(key, value);
      table.append(line);
    }
    const card = element("div", "card");
    card.append(table);
    this.box.append(element("h3", "", title), card);
  },

  links(tape, event) {
    const box = element("div", "links"), side = app.tapes.indexOf(tape);
    const link = (label, to) => {
      const button = element("button", "", `${label} #${tape.sequence[to]}`);
      button.type = "button";
      button.title = titleOf(tape, to);
      button.addEventListener("click", () => choose(app.rowOf[side][to], { scroll: true }));
      box.append(button);
    };
    const cause = tape.cause[event], leave = tape.leave[event];
    if (cause >= 0) link(tape.leave[cause] === event ? "its call" : "comes of", cause);
    if (leave >= 0 && !app.diff) link("its return", leave);
    const from = cause >= 0 && tape.leave[cause] === event ? cause : event;
    const effects = tape.effects.get(from) || [];
    for (const effect of effects.slice(0, 12)) link(tape.kinds[tape.kind[effect]], effect);
    if (effects.length > 12) box.append(element("span", "quiet", `and ${grouped(effects.length - 12)} more`));
    if (tape.before[event] >= 0) link("the one before", tape.before[event]);
    if (box.childNodes.length) this.box.append(element("h3", "", "Belongs to"), box);
  },

  /** Bytes in hex and as text; those that differ from `was` stand out. */
  hex(field, was, note, side) {
    const { bytes, length } = payload(field.payload), old = was ? payload(was.payload).bytes : null;
    const same = was && was.payload === field.payload;
    const head = element("div", "hexhead");
    head.append(element("span", "", `${field.name}, ${grouped(length)} bytes`));
    if (note) head.append(element("span", "", same ? "the same bytes as before" : note));
    const view = element("pre", `hex ${side}`);
    view.tabIndex = 0;
    // Begins where something differs, so that it is in sight.
    let from = 0;
    if (old && !same) {
      let first = 0;
      while (first < bytes.length && bytes[first] === old[first]) first++;
      if (first < bytes.length) from = Math.max(0, Math.floor(first / LINE) - 2);
      if (from < LINES / 2) from = 0;
    }
    const lines = Math.ceil(bytes.length / LINE);
    const put = (begin, end) => {
      for (let line = begin; line < Math.min(end, lines); line++) view.append(this.line(bytes, old, line, field.first));
    };
    put(from, from + LINES);
    const card = element("div", "card");
    card.append(head, view);
    let next = from + LINES;
    if (next < lines || from > 0) {
      const more = element("button", "more", from > 0 ? "all of it" : "more");
      more.type = "button";
      more.addEventListener("click", () => {
        if (from > 0) { view.replaceChildren(); put(0, next = Math.min(lines, 1024)); from = 0; more.textContent = "more"; }
        else { put(next, next + 256); next += 256; }
        if (next >= lines) more.remove();
      });
      card.append(more);
    }
    if (bytes.length < length) card.append(element("div", "quiet", `${grouped(length - bytes.length)} bytes are not in this page`));
    this.box.append(element("h3", "", "Bytes"), card);
  },

  line(bytes, old, line, first) {
    const made = element("div");
    const from = line * LINE;
    made.append(element("span", "o", `${(first + from).toString(16).padStart(6, "0")}  `));
    let text = "", run = "", mode = "";
    const flush = () => { if (run) made.append(mode ? element("span", mode, run) : run); run = ""; };
    for (let at = from; at < from + LINE; at++) {
      if (at >= bytes.length) { flush(); mode = ""; run += at % 8 === 7 || at % 8 === 3 ? "    " : "   "; continue; }
      const byte = bytes[at], now = old && byte !== old[at] ? "d" : byte === 0 ? "z" : "";
      if (now !== mode) { flush(); mode = now; }
      run += byte.toString(16).padStart(2, "0");
      // The blank stands between marked bytes, not behind them.
      if (mode === "d" && !(old && at + 1 < bytes.length && at + 1 < from + LINE && bytes[at + 1] !== old[at + 1])) { flush(); mode = ""; }
      run += at % 8 === 7 || at % 8 === 3 ? "  " : " ";
      text += byte >= 32 && byte < 127 ? String.fromCharCode(byte) : "·";
    }
    flush();
    made.append(element("span", "t", ` ${text}`));
    return made;
  },

  /** Two tapes: what differs between the sides of a row. */
  pair(a, b) {
    const change = app.change[app.chosen], [tape, event] = b >= 0 ? [app.tapes[1], b] : [app.tapes[0], a];
    this.head(tape, event, change);
    if (a >= 0 && b >= 0) this.box.append(element("p", "sub", `#${app.tapes[0].sequence[a]} of ${app.tapes[0].name}, #${tape.sequence[b]} of ${tape.name}`));
    const from = app.diff.from[app.chosen], to = app.diff.from[app.chosen + 1];
    if (to > from) {
      const table = element("table", "fields two");
      for (let at = from; at < to; at++) {
        const [name, was, is] = app.diff.fields.subarray(at * 3, at * 3 + 3), line = element("tr"), key = nameCell(app.texts[name]);
        line.append(key, element("td", "was", app.texts[was]), element("td", "is", app.texts[is]));
        table.append(line);
      }
      const card = element("div", "card");
      card.append(table);
      this.box.append(element("h3", "", "What differs"), card);
    }
    this.links(tape, event);
    const places = (tape, event) => (event < 0 ? [] : [event, tape.leave[event]].filter((at) => at >= 0));
    const bytes = (tape, event) => places(tape, event).flatMap((at) => fieldsOf(tape, at).filter((field) => field.payload >= 0));
    const ours = bytes(app.tapes[0], a), theirs = bytes(app.tapes[1], b);
    for (const field of ours) {
      const other = theirs.find((it) => it.name === field.name);
      if (other && other.payload === field.payload) continue;
      this.hex({ ...field, name: `A: ${field.name}` }, other, "", "a");
      if (other) this.hex({ ...other, name: `B: ${other.name}` }, field, "", "b");
    }
    for (const field of theirs) {
      const other = ours.find((it) => it.name === field.name);
      if (!other || other.payload === field.payload) this.hex({ ...field, name: other ? `both: ${field.name}` : `B: ${field.name}` }, null, "", "b");
    }
    for (const at of places(tape, event)) this.fields(tape, at, at === event ? "Fields" : "Came of it");
  },

  overview() {
    const section = (title, lines) => {
      if (!lines.length) return;
      const table = element("table", "fields"), card = element("div", "card");
      for (const [name, value] of lines) {
        const line = element("tr"), key = nameCell(name);
        line.append(key, element("td", "", value));
        table.append(line);
      }
      card.append(table);
      this.box.append(element("h3", "", title), card);
    };
    if (app.diff) {
      const { counts, volatile, header } = app.diff;
      this.box.append(element("h2", "", "Two tapes side by side"), element("p", "sub", "Choose a row to see what differs."));
      section("Operations", Object.entries(counts).map(([name, count]) => [name, grouped(count)]));
      section("Headers differ in", header.map(({ name, a, b }) => [name, `${a ?? "nothing"} → ${b ?? "nothing"}`]));
      section("Folded away", volatile.map((it) => [`${it.field} of selector ${it.selector}`, `${it.class}, differs in ${it.differs} of ${it.compared}`]));
    } else {
      this.box.append(element("h2", "", app.tapes[0].name), element("p", "sub", "Choose an event to see its fields and bytes."));
    }
    for (const tape of app.tapes) {
      section(app.diff ? `Header of ${tape.name}` : "Recorded", tape.header);
      const box = element("div", "links"), side = app.tapes.indexOf(tape);
      const [marked, failures] = [[...tape.marksOf.keys()], []];
      for (let event = 0; event < tape.length && failures.length < 24; event++) if (tape.flags[event] & FAILED) failures.push(event);
      for (const event of [...new Set([...marked, ...failures])].sort((one, other) => one - other).slice(0, 24)) {
        const button = element("button", "", `#${tape.sequence[event]} ${titleOf(tape, event)}`);
        button.type = "button";
        button.addEventListener("click", () => choose(app.rowOf[side][event], { scroll: true }));
        box.append(button);
      }
      if (box.childNodes.length && !app.diff) this.box.append(element("h3", "", "Failures, gaps and marks"), box);
    }
  },
};
