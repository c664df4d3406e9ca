// The list of rows: only those in sight are elements.

const ROW = 24;
const SIGNS = ["", "~", "→", "−", "+"];
const CHANGES = ["the same", "changed", "moved", "removed", "inserted"];

const list = {
  box: null, rows: null,

  start() {
    this.box = document.getElementById("list");
    this.rows = document.getElementById("rows");
    this.box.addEventListener("scroll", () => this.draw());
    // What stands above it gets its height later, and other ones.
    new ResizeObserver(() => this.draw()).observe(this.box);
    this.rows.addEventListener("click", (event) => {
      const row = event.target.closest(".row");
      if (row) choose(+row.dataset.row, {});
    });
  },

  draw() {
    const { box, rows } = this, count = app.shown.length;
    rows.style.height = `${count * ROW}px`;
    const first = Math.max(0, Math.floor(box.scrollTop / ROW) - 4);
    const last = Math.min(count, Math.ceil((box.scrollTop + box.clientHeight) / ROW) + 4);
    const made = [];
    for (let at = first; at < last; at++) made.push(this.row(app.shown[at], at));
    if (!count) made.push(element("div", "empty", app.onlyChanges && !app.tests ? "Nothing differs." : "Nothing fits the search."));
    rows.replaceChildren(...made);
    const active = this.rows.querySelector(".on");
    if (active) box.setAttribute("aria-activedescendant", active.id); else box.removeAttribute("aria-activedescendant");
  },

  row(row, at) {
    const made = element("div", `row ${app.diff ? `double c${app.change[row]}` : "single"}`);
    made.id = `row${row}`;
    made.dataset.row = row;
    made.style.top = `${at * ROW}px`;
    made.setAttribute("role", "option");
    made.setAttribute("aria-selected", row === app.chosen);
    made.setAttribute("aria-setsize", app.shown.length);
    made.setAttribute("aria-posinset", at + 1);
    if (row === app.chosen) made.classList.add("on");
    if (app.diff) {
      const sign = element("span", "sign", SIGNS[app.change[row]]);
      sign.title = CHANGES[app.change[row]];
      made.append(sign, this.half(app.tapes[0], app.rowA[row], "a"), this.half(app.tapes[1], app.rowB[row], "b"));
    } else {
      this.fill(made, app.tapes[0], app.rowA[row]);
    }
    return made;
  },

  half(tape, event, side) {
    const half = element("span", `half ${side}${event < 0 ? " none" : ""}`);
    if (event < 0) return half;
    this.cells(half, tape, event, true);
    return half;
  },

  cells(into, tape, event, whole) {
    const dot = element("i", "dot"), what = element("span", "what");
    dot.style.setProperty("--c", `var(--${FAMILIES[tape.family[event]].color})`);
    appendMarked(what, titleOf(tape, event));
    const leave = tape.leave[event];
    if (whole && leave >= 0) appendMarked(what, ` → ${cameOf(tape, leave)}`);
    for (const [word] of tape.marksOf.get(event) || []) what.append(element("span", `badge ${word}`, word));
    into.append(element("span", "no", String(tape.sequence[event])), element("span", "who", whoOf(tape, event)), dot, what);
  },

  fill(into, tape, event) {
    this.cells(into, tape, event, false);
    const leave = tape.leave[event], cause = tape.cause[event];
    const came = element("span", "came");
    if (leave >= 0) {
      const took = tape.time[leave] - tape.time[event];
      came.textContent = `→ ${cameOf(tape, leave)}${took > 0 ? `  ${duration(took)}` : ""}`;
      if (tape.flags[leave] & FAILED) into.classList.add("bad");
    }
    if (tape.flags[event] & FAILED) into.classList.add("bad", "leaf");
    if (cause >= 0 && tape.leave[cause] === event) into.classList.add("leave");
    into.append(came);
  },

  /** Scrolls so that a row is in sight. */
  reveal(row) {
    let low = 0, high = app.shown.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (app.shown[middle] < row) low = middle + 1; else high = middle;
    }
    if (app.shown[low] !== row) return;
    const top = low * ROW, { scrollTop, clientHeight } = this.box;
    if (top < scrollTop + ROW || top > scrollTop + clientHeight - 2 * ROW) this.box.scrollTop = top - clientHeight / 2;
  },
};

/** What a leave says came of its operation. */
function cameOf(tape, leave) {
  const title = titleOf(tape, leave), at = title.lastIndexOf(": ");
  return at < 0 ? title : title.slice(at + 2);
}
