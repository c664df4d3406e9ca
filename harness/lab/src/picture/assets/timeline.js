// Lanes by thread and connection: operations as bars, completions as arrows from their submission.

const TRACK = 22, HEAD = 20, GUTTER = 128, GAP = 10;

/** The tracks of a tape: one for each connection that a thread uses, the device's side last. */
function tracksOf(tape) {
  const keys = new Map();
  for (let event = 0; event < tape.length; event++) {
    const key = [tape.process[event], tape.lane[event] || 1e9, tape.connection[event]].join();
    if (!keys.has(key)) keys.set(key, [tape.process[event], tape.lane[event], tape.connection[event], []]);
    keys.get(key)[3].push(event);
  }
  const order = (one, other) => one[0] - other[0] || (one[1] || 1e9) - (other[1] || 1e9) || one[2] - other[2];
  const tracks = [...keys.values()].sort(order).map(([process, lane, connection, events]) => ({ process, lane, connection, events }));
  tape.trackOf = new Int32Array(tape.length);
  tracks.forEach((track, at) => { for (const event of track.events) tape.trackOf[event] = at; });
  return tracks;
}

const timeline = {
  canvas: null, box: null, tapes: [], height: 0, colors: {}, extents: {},

  start() {
    this.canvas = document.getElementById("timeline");
    this.box = document.getElementById("timelineBox");
    this.tapes = app.tapes.map((tape) => ({ tape, tracks: tracksOf(tape), top: 0 }));
    let top = 0;
    for (const shown of this.tapes) {
      shown.top = top + (app.diff ? HEAD : 0);
      top = shown.top + shown.tracks.length * TRACK + GAP;
    }
    this.height = top + HEAD;
    this.listen();
  },

  /** The largest number along the axis. */
  extent() {
    const { extents } = this;
    return extents[app.axis] || (extents[app.axis] = Math.max(1, ...app.tapes.map((tape) => (app.axis === "time" ? tape.time[tape.length - 1] || 1 : tape.length))));
  },
  at(tape, event) { return app.axis === "time" ? tape.time[event] : event + 0.5; },
  x(value) { return GUTTER + ((value / this.extent() - app.view.from) / (app.view.to - app.view.from)) * (this.width - GUTTER); },
  value(x) { return (app.view.from + ((x - GUTTER) / (this.width - GUTTER)) * (app.view.to - app.view.from)) * this.extent(); },

  readColors() {
    const style = getComputedStyle(document.documentElement);
    const read = (name) => style.getPropertyValue(`--${name}`).trim();
    for (const name of ["call", "async", "completion", "wait", "memory", "life", "registry", "bad", "fault", "ink", "ink-2", "ink-3", "line", "line-soft", "surface", "sunken", "accent", "select"]) this.colors[name] = read(name);
  },

  fit(canvas, height) {
    const width = canvas.parentElement.clientWidth, ratio = devicePixelRatio || 1;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
      canvas.style.height = `${height}px`;
    }
    const context = canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    return [context, width];
  },

  draw() {
    const [context, width] = this.fit(this.canvas, this.height);
    this.width = width;
    context.font = "11px ui-monospace, Menlo, 'DejaVu Sans Mono', monospace";
    context.textBaseline = "middle";
    this.axis(context);
    for (const shown of this.tapes) this.drawTape(context, shown);
    this.overview();
  },

  axis(context) {
    const span = (app.view.to - app.view.from) * this.extent();
    const rough = span / Math.max(2, (this.width - GUTTER) / 110);
    let step = 10 ** Math.floor(Math.log10(rough));
    step *= rough / step > 5 ? 10 : rough / step > 2 ? 5 : rough / step > 1 ? 2 : 1;
    if (app.axis === "order") step = Math.max(1, step);
    context.strokeStyle = this.colors["line-soft"];
    context.fillStyle = this.colors["ink-3"];
    context.lineWidth = 1;
    const y = this.height - HEAD / 2;
    const [tape] = app.tapes;
    for (let value = Math.ceil((app.view.from * this.extent()) / step) * step; value <= app.view.to * this.extent(); value += step) {
      const x = Math.round(this.x(app.axis === "order" ? value + 0.5 : value)) + 0.5;
      if (x < GUTTER) continue;
      context.beginPath();
      context.moveTo(x, 0);
      context.lineTo(x, this.height - HEAD);
      context.stroke();
      const label = app.axis === "time" ? duration(value) : value < tape.length ? grouped(tape.sequence[value]) : "";
      if (x + 40 < this.width) context.fillText(label, x + 3, y);
    }
  },

  /** First event of a track at or after a value, less those that began before and last into it. */
  first(tape, events, value) {
    let low = 0, high = events.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.at(tape, events[middle]) < value) low = middle + 1; else high = middle;
    }
    return Math.max(0, low - 2);
  },

  drawTape(context, { tape, tracks, top }) {
    const { colors } = this, side = app.tapes.indexOf(tape);
    if (app.diff) {
      context.fillStyle = colors["ink-2"];
      context.fillText(`${side ? "B" : "A"}  ${tape.name}`, 14, top - HEAD / 2);
    }
    const from = this.value(GUTTER), to = this.value(this.width);
    tracks.forEach((track, index) => {
      const y = top + index * TRACK;
      const before = tracks[index - 1];
      const begins = !before || before.lane !== track.lane || before.process !== track.process;
      context.fillStyle = colors["line-soft"];
      if (begins && index) context.fillRect(14, y, this.width - 14, 1);
      if (begins) {
        context.fillStyle = colors.ink;
        const process = track.process === 1 ? "" : `P${track.process} `;
        context.fillText(track.lane ? `${process}thread ${track.lane}` : `${process}device`, 14, y + TRACK / 2);
      }
      context.fillStyle = colors["ink-3"];
      context.fillText(track.connection >= 0 ? `c${track.connection}` : "–", GUTTER - 26, y + TRACK / 2);
      context.save();
      context.beginPath();
      context.rect(GUTTER, y, this.width - GUTTER, TRACK);
      context.clip();
      this.drawTrack(context, tape, track, side, y, from, to);
      context.restore();
    });
    context.save();
    context.beginPath();
    context.rect(GUTTER, top - HEAD, this.width - GUTTER, tracks.length * TRACK + HEAD + GAP);
    context.clip();
    this.arrows(context, tape, top, from, to);
    this.chosen(context, tape, side, top, tracks.length);
    context.restore();
  },

  drawTrack(context, tape, track, side, y, from, to) {
    const { colors } = this, { events } = track;
    const rows = app.rowOf[side], filtered = app.tests > 0;
    const label = (app.view.to - app.view.from) * tape.length < (this.width - GUTTER) / 40;
    // Where many events share a pixel, one of a family and one that failed are drawn.
    let lastPixel = -1, drawn = 0;
    for (let at = this.first(tape, events, from); at < events.length; at++) {
      const event = events[at], start = this.at(tape, event);
      if (start > to) break;
      const cause = tape.cause[event];
      // A leave is the end of a bar; that of an open has a track of its own.
      if (cause >= 0 && tape.leave[cause] === event && tape.trackOf[cause] === tape.trackOf[event]) continue;
      const family = tape.family[event];
      if (app.hidden.has(family)) continue;
      const leave = tape.leave[event], x = this.x(start);
      const end = leave >= 0 ? Math.max(this.x(this.at(tape, leave)), x + 2) : x + 3;
      const failed = tape.flags[event] | (leave >= 0 ? tape.flags[leave] : 0);
      const match = !filtered || app.isShown[rows[event]] === 1;
      const bit = 1 << (family + (failed ? 8 : 0) + (match ? 16 : 0)), pixel = Math.round(x);
      if (end - x < 4) {
        if (pixel !== lastPixel) [lastPixel, drawn] = [pixel, 0];
        if (drawn & bit) continue;
        drawn |= bit;
      }
      const differs = app.diff && rows[event] >= 0 ? app.change[rows[event]] : 0;
      context.globalAlpha = match ? (app.diff && !differs && !failed ? 0.45 : 1) : 0.13;
      context.fillStyle = colors[FAMILIES[family].color];
      if (leave >= 0) {
        const width = end - x;
        context.fillRect(x, y + 5, width, TRACK - 9);
        if (failed) {
          context.fillStyle = colors.bad;
          context.fillRect(x, y + TRACK - 5, width, 3);
        }
        if (label && width > 26) {
          context.fillStyle = colors.surface;
          context.save();
          context.beginPath();
          context.rect(x, y, width - 2, TRACK);
          context.clip();
          context.fillText(tape.selector[event] >= 0 ? titleOf(tape, event).replace(/^(async )?call /, "") : titleOf(tape, event), Math.max(x, GUTTER) + 4, y + TRACK / 2 + 0.5);
          context.restore();
        }
      } else if (family === 2) {
        context.beginPath();
        context.moveTo(x, y + 4);
        context.lineTo(x + 5, y + TRACK / 2);
        context.lineTo(x, y + TRACK - 4);
        context.lineTo(x - 5, y + TRACK / 2);
        context.fill();
        if (failed) { context.strokeStyle = colors.bad; context.lineWidth = 1.5; context.stroke(); }
      } else {
        context.fillRect(x, y + 7, 3, TRACK - 13);
        if (failed) { context.fillStyle = colors.bad; context.fillRect(x, y + TRACK - 5, 3, 3); }
      }
      if (failed & (FAULT | DIVERGED)) {
        context.fillStyle = failed & DIVERGED ? colors.bad : colors.fault;
        context.beginPath();
        context.moveTo(x - 4, y);
        context.lineTo(x + 6, y);
        context.lineTo(x + 1, y + 6);
        context.fill();
      }
      if (differs) {
        context.fillStyle = [0, "#d99a00", "#1592ad", colors.bad, "#1d9a48"][differs];
        context.fillRect(x, y + 1, Math.max(3, end - x), 3);
      }
    }
    context.globalAlpha = 1;
  },

  /** Completions from their submission: all where there is room, else those of what is chosen. */
  arrows(context, tape, top, from, to) {
    const { colors } = this, side = app.tapes.indexOf(tape);
    if (app.hidden.has(2)) return;
    const chosen = this.chosenEvents(tape, side);
    const y = (event) => top + tape.trackOf[event] * TRACK + TRACK / 2;
    const ties = [];
    for (const [cause, effects] of tape.effects) {
      for (const event of effects) {
        const one = this.at(tape, cause), other = this.at(tape, event);
        if (other < from || one > to) continue;
        ties.push([cause, event, chosen.has(cause) || chosen.has(event)]);
      }
    }
    const crowded = ties.length > 400;
    for (const [cause, event, on] of ties) {
      if (crowded && !on) continue;
      const x1 = this.x(this.at(tape, cause)), y1 = y(cause), x2 = this.x(this.at(tape, event)), y2 = y(event);
      context.strokeStyle = context.fillStyle = on ? colors.accent : colors.completion;
      context.globalAlpha = on ? 1 : 0.5;
      context.lineWidth = on ? 2 : 1;
      const bend = Math.min(60, Math.max(12, Math.abs(x2 - x1) / 2));
      context.beginPath();
      context.moveTo(x1, y1);
      context.bezierCurveTo(x1 + bend, y1, x2 - bend, y2, x2 - 5, y2);
      context.stroke();
      context.beginPath();
      context.moveTo(x2 - 3, y2);
      context.lineTo(x2 - 9, y2 - 3.5);
      context.lineTo(x2 - 9, y2 + 3.5);
      context.fill();
    }
    context.globalAlpha = 1;
  },

  /** The chosen event with all that it brought about and comes from. */
  chosenEvents(tape, side) {
    const events = new Set();
    if (app.chosen < 0) return events;
    let event = (side ? app.rowB : app.rowA)[app.chosen];
    if (event < 0) return events;
    while (tape.cause[event] >= 0 && (tape.family[event] === 2 || tape.leave[tape.cause[event]] === event)) event = tape.cause[event];
    const add = (event) => {
      events.add(event);
      for (const effect of tape.effects.get(event) || []) add(effect);
    };
    add(event);
    return events;
  },

  chosen(context, tape, side, top, tracks) {
    if (app.chosen < 0) return;
    const event = (side ? app.rowB : app.rowA)[app.chosen];
    if (event < 0) return;
    const x = this.x(this.at(tape, event)), y = top + tape.trackOf[event] * TRACK;
    context.strokeStyle = this.colors.accent;
    context.globalAlpha = 0.35;
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(Math.round(x) + 0.5, top);
    context.lineTo(Math.round(x) + 0.5, top + tracks * TRACK);
    context.stroke();
    context.globalAlpha = 1;
    const leave = tape.leave[event];
    const end = leave >= 0 ? Math.max(this.x(this.at(tape, leave)), x + 3) : x + 3;
    context.lineWidth = 2;
    context.strokeRect(x - 2, y + 3, end - x + 4, TRACK - 5);
  },

  overview() {
    const span = (app.view.to - app.view.from) * this.extent();
    const all = app.view.to - app.view.from > 0.999;
    document.getElementById("span").textContent = app.axis === "time"
      ? (all ? duration(this.extent()) : `${duration(Math.round(span))} of ${duration(this.extent())}`)
      : (all ? `${grouped(this.extent())} events` : `${grouped(Math.round(span))} of ${grouped(this.extent())} events`);
  },

  /** The row of what is drawn nearest to a point. */
  rowAt(x, y) {
    if (x < GUTTER) return -1;
    for (const { tape, tracks, top } of this.tapes) {
      const track = tracks[Math.floor((y - top) / TRACK)];
      if (y < top || !track) continue;
      const side = app.tapes.indexOf(tape), value = this.value(x);
      let best = -1, distance = 12;
      for (let at = this.first(tape, track.events, this.value(x - 12)); at < track.events.length; at++) {
        const event = track.events[at], start = this.at(tape, event);
        if (start > this.value(x + 12)) break;
        if (app.hidden.has(tape.family[event])) continue;
        const cause = tape.cause[event];
        if (cause >= 0 && tape.leave[cause] === event && tape.trackOf[cause] === tape.trackOf[event]) continue;
        const leave = tape.leave[event], end = leave >= 0 ? this.at(tape, leave) : start;
        const away = value >= start && value <= end ? 0 : Math.min(Math.abs(this.x(start) - x), Math.abs(this.x(end) - x));
        if (away <= distance) [best, distance] = [event, away];
      }
      return best < 0 ? -1 : app.rowOf[side][best];
    }
    return -1;
  },

  /** Around a place of the view, from 0 to 1; if none is given, around what is chosen, or the middle. */
  zoom(factor, around = this.placeOfChosen()) {
    const { from, to } = app.view, centre = from + (to - from) * around;
    const least = Math.min(1, 8 / this.extent());
    const width = Math.min(1, Math.max(app.axis === "time" ? 1e-7 : least, (to - from) * factor));
    this.move(centre - width * around, width);
  },
  placeOfChosen() {
    if (app.chosen < 0) return 0.5;
    const [tape, event] = app.rowA[app.chosen] >= 0 ? [app.tapes[0], app.rowA[app.chosen]] : [app.tapes[1], app.rowB[app.chosen]];
    const { from, to } = app.view, place = (this.at(tape, event) / this.extent() - from) / (to - from);
    return place >= 0 && place <= 1 ? place : 0.5;
  },
  move(from, width = app.view.to - app.view.from) {
    from = Math.min(Math.max(0, from), 1 - width);
    app.view = { from, to: from + width };
    redraw();
  },
  /** Brings a row into view. */
  reveal(row) {
    app.tapes.forEach((tape, side) => {
      const event = (side ? app.rowB : app.rowA)[row];
      if (event < 0) return;
      const place = this.at(tape, event) / this.extent(), { from, to } = app.view, margin = (to - from) * 0.04;
      if (place < from + margin || place > to - margin) app.view = this.within(place - (to - from) / 2, to - from);
      const shown = this.tapes[side], y = shown.top + tape.trackOf[event] * TRACK;
      if (y < this.box.scrollTop || y + TRACK > this.box.scrollTop + this.box.clientHeight) this.box.scrollTop = y - this.box.clientHeight / 2;
    });
  },
  within(from, width) {
    from = Math.min(Math.max(0, from), 1 - width);
    return { from, to: from + width };
  },

  listen() {
    const { canvas } = this;
    const place = (event) => { const box = canvas.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; };
    let drag = null;
    canvas.addEventListener("wheel", (event) => {
      const sideways = Math.abs(event.deltaX) > Math.abs(event.deltaY), width = app.view.to - app.view.from;
      if (event.shiftKey && !sideways) return; // scrolls the lanes
      event.preventDefault();
      const [x] = place(event);
      if (sideways) this.move(app.view.from + (event.deltaX / this.width) * width);
      else this.zoom(Math.exp(event.deltaY * 0.0016), Math.min(1, Math.max(0, (x - GUTTER) / (this.width - GUTTER))));
    }, { passive: false });
    canvas.addEventListener("pointerdown", (event) => {
      drag = { x: event.clientX, from: app.view.from, moved: false };
      canvas.setPointerCapture(event.pointerId);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (drag) {
        const away = event.clientX - drag.x;
        if (Math.abs(away) > 3) drag.moved = true;
        if (!drag.moved) return;
        canvas.classList.add("dragging");
        return this.move(drag.from - (away / (this.width - GUTTER)) * (app.view.to - app.view.from));
      }
      const row = this.rowAt(...place(event));
      showTip(row, event.clientX, event.clientY);
      canvas.style.cursor = row >= 0 ? "pointer" : "";
    });
    canvas.addEventListener("pointerup", (event) => {
      canvas.classList.remove("dragging");
      if (drag && !drag.moved) {
        const row = this.rowAt(...place(event));
        if (row >= 0) choose(row, { scroll: true });
      }
      drag = null;
    });
    canvas.addEventListener("pointerleave", () => showTip(-1));
  },
};
