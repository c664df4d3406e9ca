// Mapping activity as a heat map: offsets up and down, the timeline's axis along.

const heat = {
  canvas: null, memory: 0, choices: [],

  start() {
    this.canvas = document.getElementById("heat");
    app.tapes.forEach((tape, side) => {
      tape.accessesOf = tape.memories.map(() => []);
      for (let at = 0; at < tape.accesses.length; at += 5) tape.accessesOf[tape.accesses[at + 1]].push(at);
      tape.memories.forEach(([name, length], memory) => {
        const count = tape.accessesOf[memory].length;
        if (count) this.choices.push({ tape, side, memory, name, length, count });
      });
    });
    if (!this.choices.length) return;
    document.getElementById("heatBox").hidden = false;
    document.getElementById("memoryLabel").hidden = false;
    const select = document.getElementById("memory");
    this.choices.forEach(({ name, count, side }, at) => {
      const option = element("option", "", `${app.diff ? (side ? "B " : "A ") : ""}${name} (${grouped(count)})`);
      option.value = at;
      select.append(option);
    });
    // The memory with the most to see.
    this.memory = this.choices.reduce((best, choice, at) => (choice.count > this.choices[best].count ? at : best), 0);
    select.value = this.memory;
    select.addEventListener("change", () => { this.memory = +select.value; redraw(); });
    this.canvas.addEventListener("pointermove", (event) => {
      const box = this.canvas.getBoundingClientRect();
      showTip(this.rowAt(event.clientX - box.left, event.clientY - box.top), event.clientX, event.clientY);
    });
    this.canvas.addEventListener("pointerleave", () => showTip(-1));
    this.canvas.addEventListener("click", (event) => {
      const box = this.canvas.getBoundingClientRect();
      const row = this.rowAt(event.clientX - box.left, event.clientY - box.top);
      if (row >= 0) choose(row, { scroll: true });
    });
  },

  /** The offsets that are shown: those that anything touches. */
  range({ tape, memory }) {
    let low = Infinity, high = 0;
    for (const at of tape.accessesOf[memory]) {
      low = Math.min(low, tape.accesses[at + 2]);
      high = Math.max(high, tape.accesses[at + 2] + tape.accesses[at + 3]);
    }
    return [low, Math.max(high, low + 1)];
  },

  draw() {
    if (!this.choices.length) return;
    const height = 116, choice = this.choices[this.memory], { tape, memory } = choice;
    const [context, width] = timeline.fit(this.canvas, height);
    const [low, high] = choice.range || (choice.range = this.range(choice));
    const top = 8, rows = Math.min(40, Math.max(1, Math.ceil((high - low) / 4))), tall = (height - top - 8) / rows;
    const columns = Math.floor((width - GUTTER) / 3), { colors } = timeline;
    const cells = new Float32Array(columns * rows * 2);
    let most = 1;
    for (const at of tape.accessesOf[memory]) {
      const event = tape.accesses[at], x = Math.floor((timeline.x(timeline.at(tape, event)) - GUTTER) / 3);
      if (x < 0 || x >= columns) continue;
      const who = tape.accesses[at + 4] === 1 ? 1 : 0;
      const first = Math.floor(((tape.accesses[at + 2] - low) / (high - low)) * rows);
      const last = Math.ceil(((tape.accesses[at + 2] + tape.accesses[at + 3] - low) / (high - low)) * rows);
      for (let row = first; row < Math.max(last, first + 1) && row < rows; row++) {
        most = Math.max(most, ++cells[(x * rows + row) * 2 + who]);
      }
    }
    context.fillStyle = colors.sunken;
    context.fillRect(GUTTER, top, width - GUTTER, rows * tall);
    for (let x = 0; x < columns; x++) {
      for (let row = 0; row < rows; row++) {
        const cell = (x * rows + row) * 2;
        for (const who of [0, 1]) {
          const count = cells[cell + who];
          if (!count) continue;
          // Logarithms: one write among a thousand polls is worth seeing.
          context.globalAlpha = 0.4 + 0.6 * (Math.log1p(count) / Math.log1p(most));
          context.fillStyle = who ? colors.completion : colors.memory;
          const half = cells[cell + 1 - who] ? tall / 2 : tall;
          context.fillRect(GUTTER + x * 3, top + row * tall + (who && half < tall ? half : 0), 3, Math.max(1.5, half - 0.4));
        }
      }
    }
    context.globalAlpha = 1;
    context.font = "11px ui-monospace, Menlo, 'DejaVu Sans Mono', monospace";
    context.textBaseline = "middle";
    context.fillStyle = colors["ink-3"];
    context.fillText(`0x${low.toString(16)}`, 14, top + 6);
    context.fillText(`0x${high.toString(16)}`, 14, height - 14);
    context.fillStyle = colors.memory;
    context.fillRect(14, height / 2 - 12, 8, 8);
    context.fillStyle = colors.completion;
    context.fillRect(14, height / 2 + 3, 8, 8);
    context.fillStyle = colors["ink-2"];
    context.fillText("client", 27, height / 2 - 7);
    context.fillText("changed", 27, height / 2 + 8);
    if (app.chosen >= 0) {
      const event = (choice.side ? app.rowB : app.rowA)[app.chosen];
      if (event < 0) return;
      const x = Math.round(timeline.x(timeline.at(tape, event))) + 0.5;
      if (x < GUTTER) return;
      context.strokeStyle = colors.accent;
      context.beginPath();
      context.moveTo(x, top);
      context.lineTo(x, height - 8);
      context.stroke();
    }
  },

  rowAt(x, y) {
    const choice = this.choices[this.memory], { tape, memory, side } = choice;
    const [low, high] = choice.range || this.range(choice), offset = low + ((y - 8) / 100) * (high - low);
    let best = -1, distance = 8;
    for (const at of tape.accessesOf[memory]) {
      const away = Math.abs(timeline.x(timeline.at(tape, tape.accesses[at])) - x);
      const slack = (high - low) / 30;
      const inside = offset >= tape.accesses[at + 2] - slack && offset <= tape.accesses[at + 2] + tape.accesses[at + 3] + slack;
      if (inside && away < distance) [best, distance] = [tape.accesses[at], away];
    }
    return best < 0 ? -1 : app.rowOf[side][best];
  },
};
