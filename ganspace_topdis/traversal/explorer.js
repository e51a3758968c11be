(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const storageKey = "topdis-gan names " + data.storageKey;
  const byId = (id) => document.getElementById(id);
  const frames = makeFrames(data, notice);

  // The page shows one image: `seed`, shifted by shifts[i] standard deviations along each direction i.
  const state = { seed: 0, current: 0, shifts: data.directions.map(() => 0), playing: 0, onlyStarred: false };

  function notice(text) {
    byId("notice").textContent = text;
    byId("notice").hidden = !text;
  }

  const movedDirections = () => state.shifts.flatMap((shift, direction) => (shift ? [direction] : []));
  const currentStops = () => frames.stops(state.current, state.shifts);
  const isVisible = (direction) => !state.onlyStarred || data.directions[direction].starred;

  function moveTo(direction, value, keepPlaying = false) {
    if (!keepPlaying) stop();
    state.current = direction;
    state.shifts = frames.settle(direction, value, state.shifts);
    update();
  }

  function nudge(change) {
    const stops = currentStops();
    const here = stops.indexOf(state.shifts[state.current]);
    const place = (here < 0 ? (stops.length - 1) / 2 : here) + change * frames.stride;
    moveTo(state.current, stops[Math.max(0, Math.min(stops.length - 1, place))]);
  }

  function choose(direction) {
    if (!data.directions[direction] || direction === state.current) return;
    moveTo(direction, state.shifts[direction]);
    rows[direction].element.scrollIntoView({ block: "nearest" });
  }

  function chooseSeed(seed) {
    state.seed = (seed + data.seeds.length) % data.seeds.length;
    update();
  }

  function reset() {
    stop();
    state.shifts = state.shifts.map(() => 0);
    update();
  }

  function togglePlay() {
    if (state.playing) {
      stop();
      update();
      return;
    }
    const stops = currentStops().filter((_, place) => place % frames.stride === 0);
    let place = Math.max(0, stops.findIndex((stop) => stop >= state.shifts[state.current]));
    let change = 1;
    state.playing = setInterval(() => {
      if (place + change < 0 || place + change >= stops.length) change = -change;
      place += change;
      moveTo(state.current, stops[place], true);
    }, Math.max(60, 1600 / stops.length));
    update();
  }

  function stop() {
    clearInterval(state.playing);
    state.playing = 0;
  }

  // A live page saves names and stars in the run folder, other pages in this browser; the button saves them as a file.

  function remember(direction) {
    if (frames.rename) {
      frames.rename(direction);
      return;
    }
    try {
      localStorage.setItem(storageKey, JSON.stringify(namesRecord()));
    } catch { /* private windows refuse; the file still works */ }
  }

  function recall() {
    if (frames.rename) return;
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

  function makeCanvas(channel) {
    const [width, height] = frames.size(channel);
    const canvas = make("canvas", { width, height, channel });
    canvas.setAttribute("aria-hidden", "true");
    return canvas;
  }

  function makeRow(direction, place) {
    const name = make("input", { className: "name", value: direction.name, maxLength: 80, spellcheck: false });
    const star = make("button", { className: "star", type: "button", title: "Star this direction" });
    const [low, high] = frames.ends(place);
    const slider = make("input", { type: "range", min: low, max: high, step: "any", value: 0 });
    const output = make("output");
    const ends = [makeCanvas("ends"), makeCanvas("ends")];
    const scores = direction.scores.map(([label, number, note]) =>
      make("div", { title: note }, make("dt", { textContent: label }), make("dd", { textContent: number })));
    const element = make("div", { className: "direction" },
      make("div", { className: "words" },
        make("div", { className: "title" }, make("span", { className: "number", textContent: direction.index }), name, star),
        make("dl", { className: "scores" }, ...scores)),
      make("div", { className: "control" }, ends[0], slider, ends[1], output));
    name.setAttribute("aria-label", `Name of direction ${direction.index}`);
    name.addEventListener("change", () => {
      direction.name = name.value.trim() || `Direction ${direction.index}`;
      name.value = direction.name;
      remember(direction);
      update();
    });
    name.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === "Escape") slider.focus();
    });
    star.addEventListener("click", () => toggleStar(place));
    slider.addEventListener("focus", () => choose(place));
    slider.addEventListener("input", () => moveTo(place, Number(slider.value)));
    slider.addEventListener("dblclick", () => moveTo(place, 0));
    ends.forEach((canvas, side) => canvas.addEventListener("click", () => moveTo(place, [low, high][side])));
    element.addEventListener("click", (event) => { if (event.target.tagName !== "INPUT") choose(place); });
    return { element, name, star, slider, output, ends };
  }

  function toggleStar(place) {
    const direction = data.directions[place];
    direction.starred = !direction.starred;
    remember(direction);
    update();
  }

  function makeSeed(label, seed) {
    const radio = make("input", { type: "radio", name: "seed" });
    radio.setAttribute("aria-label", label);
    radio.addEventListener("change", () => chooseSeed(seed));
    const canvas = makeCanvas("seeds");
    byId("seeds").append(make("label", {}, radio, canvas, label.replace(/^seed /, "")));
    return { radio, canvas };
  }

  function makeStep(value) {
    const button = make("button", { type: "button", title: inSigma(value), className: value ? "" : "zero" });
    const canvas = makeCanvas("film");
    button.setAttribute("aria-label", inSigma(value));
    button.append(canvas);
    button.addEventListener("click", () => moveTo(state.current, value));
    byId("film").append(button);
    return { button, canvas, value };
  }

  const inSigma = (value) =>
    (value ? `${value < 0 ? "−" : "+"}${Number(Math.abs(value).toPrecision(3))} σ` : "0");
  const inWords = (value) => inSigma(value).replace("σ", "standard deviations");
  const seedLabel = (seed) => data.seeds[seed].label ?? data.seeds[seed];

  function description() {
    const moves = movedDirections().map(
      (direction) => `${inWords(state.shifts[direction])} along ${data.directions[direction].name}`);
    const seed = seedLabel(state.seed);
    return moves.length ? `Image of ${seed}, moved ${moves.join(" and ")}` : `Unshifted image of ${seed}`;
  }

  function caption() {
    const moves = movedDirections().flatMap((direction, place) => [
      place ? ", " : "",
      make("b", { textContent: data.directions[direction].name }),
      " ",
      make("span", { textContent: inSigma(state.shifts[direction]) }),
    ]);
    return moves.length ? moves : [make("b", { textContent: data.directions[state.current].name }), " unshifted"];
  }

  function update() {
    const view = byId("view");
    const want = { seed: state.seed, direction: state.current };
    frames.show(view, { ...want, shifts: state.shifts });
    view.setAttribute("aria-label", description());
    view.textContent = description();
    if (!state.playing) byId("caption").replaceChildren(...caption());
    byId("hint").textContent = frames.hint(state.current, state.shifts);
    byId("play").setAttribute("aria-pressed", String(Boolean(state.playing)));
    byId("play").setAttribute("aria-label", state.playing ? "Stop" : "Play the traversal");
    seeds.forEach(({ radio, canvas }, seed) => {
      radio.checked = seed === state.seed;
      frames.show(canvas, { seed, direction: 0, shifts: unshifted });
    });
    updateFilm(want);
    rows.forEach((row, place) => updateRow(row, place));
  }

  const unshifted = data.directions.map(() => 0);
  const alone = (direction, value) => unshifted.map((_, other) => (other === direction ? value : 0));

  function updateFilm(want) {
    const stops = currentStops();
    const shown = state.shifts[state.current];
    const distances = film.map((step) => Math.abs(step.value - shown));
    const nearest = distances.indexOf(Math.min(...distances));
    film.forEach((step, place) => {
      step.button.disabled = !stops.includes(step.value);
      step.button.setAttribute("aria-current", String(place === nearest));
      if (step.button.disabled) return;
      frames.show(step.canvas, { ...want, shifts: frames.settle(state.current, step.value, state.shifts) });
    });
  }

  function updateRow(row, place) {
    const direction = data.directions[place];
    const shift = state.shifts[place];
    const [low, high] = frames.ends(place);
    row.element.hidden = !isVisible(place);
    row.element.classList.toggle("current", place === state.current);
    row.slider.value = shift;
    const filled = [0.5, (shift - low) / (high - low)].sort();
    row.slider.style.setProperty("--low", filled[0]);
    row.slider.style.setProperty("--high", filled[1]);
    row.slider.setAttribute("aria-label", `Shift along ${direction.name}`);
    row.slider.setAttribute("aria-valuetext", shift ? inWords(shift) : "unshifted");
    row.output.textContent = inSigma(shift);
    row.output.classList.toggle("zero", !shift);
    row.star.setAttribute("aria-pressed", String(direction.starred));
    row.star.setAttribute("aria-label", `Star ${direction.name}`);
    [low, high].forEach((value, side) =>
      frames.show(row.ends[side], { seed: state.seed, direction: place, shifts: alone(place, value) }));
  }

  function focusDirection(direction) {
    if (rows[direction]) rows[direction].slider.focus();
  }

  function step(change) {
    let next = state.current + change;
    while (rows[next] && !isVisible(next)) next += change;
    focusDirection(next);
  }

  const keys = {
    ArrowLeft: () => nudge(-1),
    ArrowRight: () => nudge(1),
    ArrowUp: () => step(-1),
    ArrowDown: () => step(1),
    Home: () => moveTo(state.current, currentStops()[0]),
    End: () => moveTo(state.current, currentStops().at(-1)),
    Delete: () => moveTo(state.current, 0),
    Backspace: () => moveTo(state.current, 0),
    n: () => chooseSeed(state.seed + 1),
    p: () => chooseSeed(state.seed - 1),
    s: () => toggleStar(state.current),
    e: () => rows[state.current].name.select(),
    r: reset,
    " ": togglePlay,
  };

  document.addEventListener("keydown", (event) => {
    const target = event.target;
    if (event.ctrlKey || event.metaKey || event.altKey || target.matches(".name, input[type=number], #live input")) return;
    if (event.key === " " && target.matches("button, summary, input:not([type=range])")) return;
    if (event.key.startsWith("Arrow") && target.type === "radio") return;
    const numbered = /^[0-9]$/.test(event.key)
      ? data.directions.findIndex((direction) => direction.index === Number(event.key)) : -1;
    const action = numbered >= 0 ? () => focusDirection(numbered) : keys[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });

  // Controls of the live page: any seed, truncation, layers.

  function setUpLive() {
    const live = data.live;
    byId("live").hidden = false;
    const number = byId("seed-number");
    number.addEventListener("change", () => {
      if (number.value !== "" && number.checkValidity()) addSeed(Number(number.value));
    });
    byId("seed-random").addEventListener("click", () => addSeed(Math.floor(Math.random() * 100000)));
    const truncation = byId("truncation");
    const tellTruncation = () => { truncation.nextElementSibling.value = Number(truncation.value).toFixed(2); };
    truncation.value = live.psi;
    tellTruncation();
    truncation.addEventListener("input", () => { live.psi = Number(truncation.value); tellTruncation(); update(); });
    byId("layers-setting").hidden = !live.layers;
    if (live.layers) setUpLayers(live);
  }

  function addSeed(number) {
    let seed = data.seeds.findIndex((known) => known.number === number);
    if (seed < 0) {
      seed = data.seeds.push({ label: `seed ${number}`, number }) - 1;
      seeds.push(makeSeed(`seed ${number}`, seed));
    }
    chooseSeed(seed);
  }

  function setUpLayers(live) {
    const all = Array.from({ length: live.numLayers }, (_, layer) => layer);
    const chips = all.map((layer) => make("button", { type: "button", textContent: layer }));
    const set = (layers) => {
      live.layers = all.filter((layer) => layers.includes(layer));
      chips.forEach((chip, layer) => chip.setAttribute("aria-pressed", String(live.layers.includes(layer))));
    };
    chips.forEach((chip, layer) => {
      chip.setAttribute("aria-label", `Layer ${layer}`);
      chip.addEventListener("click", () => {
        set(live.layers.includes(layer) ? live.layers.filter((other) => other !== layer) : [...live.layers, layer]);
        update();
      });
    });
    byId("layers").append(...chips);
    byId("layer-ranges").append(...live.layerRanges.map(([name, layers]) => {
      const button = make("button", { type: "button", textContent: name });
      button.addEventListener("click", () => { set(layers); update(); });
      return button;
    }));
    set(live.layers);
  }

  recall();
  document.documentElement.classList.toggle("transparent", Boolean(data.transparent));
  document.documentElement.classList.toggle("live", Boolean(data.live));
  const [width, height] = frames.size("view");
  Object.assign(byId("view"), { width, height, channel: "view" });
  const rows = data.directions.map(makeRow);
  byId("directions").append(...rows.map((row) => row.element));
  const seeds = data.seeds.map((_, seed) => makeSeed(seedLabel(seed), seed));
  const film = frames.film.map(makeStep);
  byId("notes").querySelector("dl").append(...data.notes.map(([label, note]) =>
    make("div", {}, make("dt", { textContent: label }), make("dd", { textContent: note }))));
  byId("only-starred").addEventListener("change", (event) => {
    state.onlyStarred = event.target.checked;
    update();
  });
  byId("play").addEventListener("click", togglePlay);
  byId("reset").addEventListener("click", reset);
  byId("save").addEventListener("click", saveNames);
  if (data.live) setUpLive();
  update();
})();
