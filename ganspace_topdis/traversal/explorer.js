"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const middle = (data.values.length - 1) / 2;
  const storageKey = "topdis-gan names " + data.storageKey;
  const byId = (id) => document.getElementById(id);

  // The page shows one image: `seed`, shifted by steps[i] - middle along each direction i (at most two of them).
  const state = { seed: 0, current: 0, steps: data.directions.map(() => middle), mixing: false, playing: 0, partner: -1 };

  // Strips are decoded once, when first needed.

  const strips = new Map();

  function strip(uri) {
    if (!strips.has(uri)) {
      const image = new Image();
      const entry = { image, ready: false, waiting: new Set() };
      strips.set(uri, entry);
      image.src = uri;
      image.decode().then(() => {
        entry.ready = true;
        entry.waiting.forEach((canvas) => canvas.frame && canvas.frame.uri === uri && paint(canvas));
        entry.waiting.clear();
      });
    }
    return strips.get(uri);
  }

  function show(canvas, frame) {
    canvas.frame = frame;
    const entry = strip(frame.uri);
    if (entry.ready) paint(canvas);
    else entry.waiting.add(canvas);
  }

  function paint(canvas) {
    const { uri, place } = canvas.frame;
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, data.width, data.height);
    context.drawImage(strip(uri).image, place * data.width, 0, data.width, data.height, 0, 0, data.width, data.height);
    canvas.dataset.place = place;
  }

  function frameOf(seed, direction, step) {
    return { uri: data.strips[direction][seed], place: step };
  }

  function frameFor(steps) {
    const moved = movedDirections(steps);
    if (moved.length < 2) {
      const direction = moved.length ? moved[0] : state.current;
      return frameOf(state.seed, direction, steps[direction]);
    }
    const [first, second] = moved;
    const shifts = data.mix.steps.filter((step) => step !== middle);
    const place = shifts.indexOf(steps[first]) * shifts.length + shifts.indexOf(steps[second]);
    return { uri: data.mix.strips[first + "," + second][state.seed], place };
  }

  const movedDirections = (steps = state.steps) =>
    steps.flatMap((step, direction) => (step === middle ? [] : [direction]));
  const allowedSteps = () => (state.mixing ? data.mix.steps : data.values.map((_, step) => step));

  // The steps once `direction` is at `step`: of the others, only the partner in a mix stays shifted.
  function stepsWith(direction, step) {
    const others = movedDirections().filter((other) => other !== direction);
    const partner = state.mixing ? (others.includes(state.partner) ? state.partner : others[0]) : -1;
    return state.steps.map((old, other) => (other === direction ? step : other === partner ? old : middle));
  }

  function moveTo(direction, step, keepPlaying = false) {
    if (!keepPlaying) stop();
    state.current = direction;
    state.steps = stepsWith(direction, step);
    update();
  }

  function nudge(change) {
    const steps = allowedSteps();
    const place = steps.indexOf(state.steps[state.current]) + change;
    moveTo(state.current, steps[Math.max(0, Math.min(steps.length - 1, place))]);
  }

  function choose(direction) {
    if (!data.directions[direction]) return;
    stop();
    if (direction !== state.current) {
      if (state.steps[state.current] !== middle) state.partner = state.current;
      if (!state.mixing) state.steps = state.steps.map(() => middle);
    }
    state.current = direction;
    update();
    rows[direction].element.scrollIntoView({ block: "nearest" });
  }

  function chooseSeed(seed) {
    state.seed = (seed + data.seeds.length) % data.seeds.length;
    update();
  }

  function reset() {
    stop();
    state.steps = state.steps.map(() => middle);
    update();
  }

  function setMixing(on) {
    if (!data.mix) return;
    stop();
    state.mixing = on;
    state.steps = state.steps.map(() => middle);
    byId("mix").checked = on;
    rows.forEach((row) => { row.slider.max = allowedSteps().length - 1; });
    update();
  }

  function togglePlay() {
    if (state.playing) {
      stop();
      update();
      return;
    }
    const steps = allowedSteps();
    let place = steps.indexOf(state.steps[state.current]);
    let change = 1;
    state.playing = setInterval(() => {
      if (place + change < 0 || place + change >= steps.length) change = -change;
      place += change;
      moveTo(state.current, steps[place], true);
    }, 1600 / steps.length);
    update();
  }

  function stop() {
    clearInterval(state.playing);
    state.playing = 0;
  }

  // Names and stars are kept in this browser, and in a file where the user saves one.

  function remember() {
    try {
      localStorage.setItem(storageKey, JSON.stringify(namesRecord()));
    } catch { /* private windows refuse; the file still works */ }
  }

  function recall() {
    try {
      const stored = JSON.parse(localStorage.getItem(storageKey)).directions;
      data.directions.forEach((direction) => {
        const entry = stored[direction.index];
        if (entry) Object.assign(direction, { name: String(entry.name), starred: Boolean(entry.starred) });
      });
    } catch { /* nothing stored */ }
  }

  function namesRecord() {
    const directions = {};
    data.directions.forEach(({ index, name, starred }) => { directions[index] = { name, starred }; });
    return { format: data.namesFormat, source: data.source, directions };
  }

  function saveNames() {
    const file = new Blob([JSON.stringify(namesRecord(), null, 2) + "\n"], { type: "application/json" });
    const link = document.createElement("a");
    link.href = URL.createObjectURL(file);
    link.download = "names.json";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }

  function make(tag, properties = {}, ...children) {
    const element = Object.assign(document.createElement(tag), properties);
    element.append(...children);
    return element;
  }

  const makeCanvas = () => {
    const canvas = make("canvas", { width: data.width, height: data.height });
    canvas.setAttribute("aria-hidden", "true");
    return canvas;
  };

  function makeRow(direction, place) {
    const name = make("input", { className: "name", value: direction.name, maxLength: 80, spellcheck: false });
    const star = make("button", { className: "star", type: "button", title: "Star this direction" });
    const slider = make("input", { type: "range", min: 0, max: data.values.length - 1, step: 1, value: middle });
    const output = make("output");
    const ends = [makeCanvas(), makeCanvas()];
    const scores = direction.scores.map(([label, number, note]) =>
      make("div", { title: note }, make("dt", { textContent: label }), make("dd", { textContent: number })));
    const element = make("div", { className: "direction" },
      make("div", {},
        make("div", { className: "title" }, make("span", { className: "number", textContent: direction.index }), name, star),
        make("dl", { className: "scores" }, ...scores)),
      make("div", { className: "control" }, ends[0], slider, ends[1], output));
    name.setAttribute("aria-label", `Name of direction ${direction.index}`);
    name.addEventListener("change", () => {
      direction.name = name.value.trim() || `Direction ${direction.index}`;
      name.value = direction.name;
      remember();
      update();
    });
    name.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === "Escape") name.blur(); });
    star.addEventListener("click", () => toggleStar(place));
    slider.addEventListener("focus", () => choose(place));
    slider.addEventListener("input", () => moveTo(place, allowedSteps()[slider.value]));
    element.addEventListener("click", (event) => { if (event.target.tagName !== "INPUT") choose(place); });
    return { element, name, star, slider, output, ends };
  }

  function toggleStar(place) {
    data.directions[place].starred = !data.directions[place].starred;
    remember();
    update();
  }

  function makeSeed(label, seed) {
    const radio = make("input", { type: "radio", name: "seed" });
    radio.setAttribute("aria-label", label);
    radio.addEventListener("change", () => chooseSeed(seed));
    const canvas = makeCanvas();
    show(canvas, frameOf(seed, 0, middle));
    byId("seeds").append(make("label", {}, radio, canvas, label.replace(/^seed /, "")));
    return radio;
  }

  function makeStep(value, step) {
    const button = make("button", { type: "button", className: value === 0 ? "zero" : "", title: data.shifts[step] });
    const canvas = makeCanvas();
    button.append(canvas);
    button.setAttribute("aria-label", data.shifts[step]);
    button.addEventListener("click", () => moveTo(state.current, step));
    byId("film").append(button);
    return { button, canvas };
  }

  const inWords = (step) => data.shifts[step].replace("σ", "standard deviations");

  function description() {
    const moves = movedDirections().map(
      (direction) => `${inWords(state.steps[direction])} along ${data.directions[direction].name}`);
    const seed = data.seeds[state.seed];
    return moves.length ? `Image of ${seed}, moved ${moves.join(" and ")}` : `Unshifted image of ${seed}`;
  }

  function caption() {
    const moves = movedDirections().flatMap((direction, place) => [
      place ? " and " : "",
      make("b", { textContent: data.directions[direction].name }),
      " " + data.shifts[state.steps[direction]],
    ]);
    return moves.length ? moves : [make("b", { textContent: data.directions[state.current].name }), " unshifted"];
  }

  function update() {
    const view = byId("view");
    show(view, frameFor(state.steps));
    view.setAttribute("aria-label", description());
    view.textContent = description();
    if (!state.playing) byId("caption").replaceChildren(...caption());
    byId("play").setAttribute("aria-pressed", String(Boolean(state.playing)));
    byId("play").setAttribute("aria-label", state.playing ? "Stop" : "Play there and back");
    seeds.forEach((radio, seed) => { radio.checked = seed === state.seed; });
    film.forEach(({ button, canvas }, step) => {
      button.hidden = !allowedSteps().includes(step);
      if (!button.hidden) show(canvas, frameFor(stepsWith(state.current, step)));
      button.setAttribute("aria-current", String(step === state.steps[state.current]));
    });
    rows.forEach(updateRow);
  }

  function updateRow(row, place) {
    const direction = data.directions[place];
    const step = state.steps[place];
    row.element.classList.toggle("current", place === state.current);
    row.slider.value = allowedSteps().indexOf(step);
    const filled = [0.5, row.slider.value / row.slider.max].sort();
    row.slider.style.setProperty("--low", filled[0]);
    row.slider.style.setProperty("--high", filled[1]);
    row.slider.setAttribute("aria-label", `Shift along ${direction.name}`);
    row.slider.setAttribute("aria-valuetext", step === middle ? "unshifted" : inWords(step));
    row.output.textContent = data.shifts[step];
    row.output.classList.toggle("zero", step === middle);
    row.star.setAttribute("aria-pressed", String(direction.starred));
    row.star.setAttribute("aria-label", `Star ${direction.name}`);
    show(row.ends[0], frameOf(state.seed, place, 0));
    show(row.ends[1], frameOf(state.seed, place, data.values.length - 1));
  }

  const keys = {
    ArrowLeft: () => nudge(-1),
    ArrowRight: () => nudge(1),
    ArrowUp: () => focusDirection(state.current - 1),
    ArrowDown: () => focusDirection(state.current + 1),
    Home: () => moveTo(state.current, 0),
    End: () => moveTo(state.current, data.values.length - 1),
    n: () => chooseSeed(state.seed + 1),
    p: () => chooseSeed(state.seed - 1),
    s: () => toggleStar(state.current),
    r: reset,
    m: () => setMixing(!state.mixing),
    " ": togglePlay,
  };

  function focusDirection(direction) {
    if (data.directions[direction]) rows[direction].slider.focus();
  }

  document.addEventListener("keydown", (event) => {
    const target = event.target;
    if (event.ctrlKey || event.metaKey || event.altKey || target.classList.contains("name")) return;
    if (event.key === " " && target.matches("button, summary, input:not([type=range])")) return;
    if (event.key.startsWith("Arrow") && target.type === "radio") return;
    const numbered = /^[0-9]$/.test(event.key)
      ? data.directions.findIndex((direction) => direction.index === Number(event.key)) : -1;
    const action = numbered >= 0 ? () => focusDirection(numbered) : keys[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });

  recall();
  document.documentElement.classList.toggle("transparent", data.transparent);
  Object.assign(byId("view"), { width: data.width, height: data.height });
  const rows = data.directions.map(makeRow);
  byId("directions").append(...rows.map((row) => row.element));
  const seeds = data.seeds.map(makeSeed);
  const film = data.values.map(makeStep);
  byId("notes").querySelector("dl").append(...data.notes.map(([label, note]) =>
    make("div", {}, make("dt", { textContent: label }), make("dd", { textContent: note }))));
  byId("mix-tool").hidden = byId("mix-key").hidden = !data.mix;
  byId("mix").addEventListener("change", (event) => setMixing(event.target.checked));
  byId("play").addEventListener("click", togglePlay);
  byId("reset").addEventListener("click", reset);
  byId("save").addEventListener("click", saveNames);
  update();
})();
