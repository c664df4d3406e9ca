// What holds the parts together: choosing, searching, keys, light and dark.

function redraw() {
  if (redraw.asked) return;
  redraw.asked = requestAnimationFrame(() => {
    redraw.asked = 0;
    timeline.draw();
    heat.draw();
  });
}

/** Chooses a row, and brings it into sight. */
function choose(row, { scroll = true }) {
  if (row < 0 || row >= app.rowA.length) return;
  app.chosen = row;
  timeline.reveal(row);
  if (scroll) list.reveal(row);
  list.draw();
  panel.draw();
  panel.box.scrollTop = 0;
  redraw();
}

function showTip(row, x, y) {
  const tip = document.getElementById("tip");
  tip.hidden = row < 0;
  if (row < 0) return;
  const [tape, event] = app.rowA[row] >= 0 ? [app.tapes[0], app.rowA[row]] : [app.tapes[1], app.rowB[row]];
  const leave = tape.leave[event];
  tip.textContent = `#${tape.sequence[event]} ${whoOf(tape, event)}  ${titleOf(tape, event)}${leave >= 0 ? `\n→ ${cameOf(tape, leave)}` : ""}`;
  tip.style.left = `${Math.max(4, Math.min(x + 14, innerWidth - tip.offsetWidth - 8))}px`;
  tip.style.top = `${y + 18 + tip.offsetHeight > innerHeight ? y - tip.offsetHeight - 10 : y + 18}px`;
}

/** Searches, and shows what is left. Gives the milliseconds that the search took. */
function search() {
  const took = filterRows(document.getElementById("search").value);
  document.getElementById("found").value =
    `${grouped(app.shown.length)} of ${grouped(app.rowA.length)}${app.tests ? ` · ${took.toFixed(took < 10 ? 1 : 0)} ms` : ""}`;
  list.box.scrollTop = 0;
  if (app.chosen >= 0) list.reveal(app.chosen);
  list.draw();
  redraw();
  return took;
}

/** Goes to the next row in a direction that fits. */
function step(by, fits = () => true) {
  const { shown } = app;
  if (!shown.length) return;
  let at = shown.findIndex((row) => row >= app.chosen);
  if (at < 0) at = shown.length;
  at = app.chosen < 0 ? (by > 0 ? 0 : shown.length - 1) : shown[at] === app.chosen || by < 0 ? at + by : at;
  while (at >= 0 && at < shown.length && !fits(shown[at])) at += by;
  if (at >= 0 && at < shown.length) choose(shown[at], {});
}

function standsOut(row) {
  if (app.diff) return app.change[row] !== 0;
  return app.tapes[0].flags[app.rowA[row]] !== 0;
}

function follow(column) {
  if (app.chosen < 0) return;
  const side = app.rowA[app.chosen] >= 0 ? 0 : 1, tape = app.tapes[side];
  const to = tape[column][(side ? app.rowB : app.rowA)[app.chosen]];
  if (to >= 0) choose(app.rowOf[side][to], {});
}

function setAxis(axis) {
  app.axis = axis;
  app.view = { from: 0, to: 1 };
  document.getElementById("byOrder").setAttribute("aria-pressed", axis === "order");
  document.getElementById("byTime").setAttribute("aria-pressed", axis === "time");
  redraw();
}

function switchTheme() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  timeline.readColors();
  redraw();
}

function toggleHelp(open = document.getElementById("keys").hidden) {
  document.getElementById("keys").hidden = !open;
  document.getElementById("help").setAttribute("aria-expanded", open);
}

function facts() {
  const box = document.getElementById("facts");
  const fact = (number, word, className) => {
    const made = element("span", className || "");
    made.append(element("b", "", number), ` ${word}`);
    box.append(made);
  };
  const plural = (count, word) => fact(grouped(count), count === 1 ? word : `${word}s`);
  if (app.diff) {
    const { counts } = app.diff;
    for (const word of ["changed", "moved", "removed", "inserted", "same"]) if (counts[word]) fact(grouped(counts[word]), word, word === "same" ? "" : "bad");
    return;
  }
  const [tape] = app.tapes;
  plural(tape.length, "event");
  plural(new Set(tape.connection.filter((it) => it >= 0)).size, "connection");
  plural(new Set(tape.lane.filter((it) => it > 0)).size, "thread");
  const last = tape.time[tape.length - 1];
  if (last > 0) fact(duration(last), "");
  let failed = 0;
  for (const flags of tape.flags) failed += flags & FAILED;
  if (failed) fact(grouped(failed), "failed", "bad");
}

function kinds() {
  const box = document.getElementById("kinds");
  const counts = FAMILIES.map(() => 0);
  for (const tape of app.tapes) for (const family of tape.family) counts[family]++;
  FAMILIES.forEach((family, at) => {
    if (!counts[at]) return;
    const button = element("button"), dot = element("i");
    button.type = "button";
    dot.style.setProperty("--c", `var(--${family.color})`);
    button.append(dot, family.name, element("span", "", grouped(counts[at])));
    button.setAttribute("aria-pressed", "true");
    button.addEventListener("click", () => {
      if (app.hidden.has(at)) app.hidden.delete(at); else app.hidden.add(at);
      button.setAttribute("aria-pressed", !app.hidden.has(at));
      search();
    });
    box.append(button);
  });
  if (!app.diff) return;
  const button = element("button", "", "only what differs");
  button.type = "button";
  button.id = "only";
  button.setAttribute("aria-pressed", "false");
  button.addEventListener("click", onlyChanges);
  box.append(element("div", "sep"), button);
}

function onlyChanges() {
  if (!app.diff) return;
  app.onlyChanges = !app.onlyChanges;
  document.getElementById("only").setAttribute("aria-pressed", app.onlyChanges);
  search();
}

const KEYS = {
  "/": () => document.getElementById("search").select(),
  j: () => step(1), ArrowDown: () => step(1), k: () => step(-1), ArrowUp: () => step(-1),
  PageDown: () => step(Math.max(1, Math.floor(list.box.clientHeight / ROW) - 2)),
  n: () => step(1, standsOut), p: () => step(-1, standsOut),
  c: () => follow("cause"), l: () => follow("leave"),
  "+": () => timeline.zoom(0.6), "=": () => timeline.zoom(0.6), "-": () => timeline.zoom(1 / 0.6), 0: () => timeline.move(0, 1),
  ArrowLeft: () => timeline.move(app.view.from - (app.view.to - app.view.from) / 8),
  ArrowRight: () => timeline.move(app.view.from + (app.view.to - app.view.from) / 8),
  Home: () => app.shown.length && choose(app.shown[0], {}), End: () => app.shown.length && choose(app.shown[app.shown.length - 1], {}),
  o: () => setAxis(app.axis === "order" ? "time" : "order"),
  d: onlyChanges, t: switchTheme, "?": () => toggleHelp(),
};

function listen() {
  const on = (id, event, act) => document.getElementById(id).addEventListener(event, act);
  on("search", "input", search);
  on("theme", "click", switchTheme);
  on("help", "click", () => toggleHelp());
  on("byOrder", "click", () => setAxis("order"));
  on("byTime", "click", () => setAxis("time"));
  on("zoomIn", "click", KEYS["+"]);
  on("zoomOut", "click", KEYS["-"]);
  on("zoomFit", "click", KEYS[0]);
  document.addEventListener("keydown", (event) => {
    const field = document.getElementById("search");
    if (event.key === "Escape") {
      toggleHelp(false);
      if (document.activeElement === field) { field.value = ""; search(); list.box.focus(); }
      return;
    }
    if (document.activeElement === field) {
      // From the search straight into what it found.
      if (event.key === "Enter" || event.key === "ArrowDown") { event.preventDefault(); list.box.focus(); step(1); }
      return;
    }
    const inControl = event.target.closest && event.target.closest("select, button, .hex");
    const act = KEYS[event.key];
    if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
    if (inControl && (event.key.startsWith("Arrow") || event.key === "Home" || event.key === "End" || event.key === "PageDown")) return;
    event.preventDefault();
    act();
  });
  addEventListener("resize", () => { list.draw(); redraw(); });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { timeline.readColors(); redraw(); });
}

async function begin() {
  const start = performance.now();
  try {
    await load();
  } catch (error) {
    const trouble = document.getElementById("trouble");
    trouble.hidden = false;
    trouble.textContent = `failed to show the tape: ${error.message}`;
    return;
  }
  const names = app.tapes.map((tape) => tape.name);
  document.title = `${names.join(" / ")} – dextape`;
  document.getElementById("name").textContent = names.join("  ↔  ");
  facts();
  kinds();
  timeline.start();
  timeline.readColors();
  heat.start();
  list.start();
  panel.start();
  listen();
  // Real time says more than order; virtual time often stands still.
  const [tape] = app.tapes;
  if (tape.header.some(([key, value]) => key === "time" && value === "free") && tape.time[tape.length - 1] > 0) setAxis("time");
  if (app.diff && app.diff.counts.same > 40 && app.diff.counts.same < app.rowA.length) onlyChanges();
  search();
  panel.draw();
  const wanted = /^#(\d+)$/.exec(location.hash);
  if (wanted) {
    const event = app.tapes[0].sequence.indexOf(+wanted[1]);
    if (event >= 0) choose(app.rowOf[0][event], {});
  }
  list.box.focus({ preventScroll: true });
  document.documentElement.dataset.ready = (performance.now() - start).toFixed(0);
}

begin();
