(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const storageKey = "topdis-gan names " + data.storageKey;
  const byId = (id) => document.getElementById(id);
  const frames = makeFrames(data, notice);

  // The page shows one image: `seed`, shifted by shifts[i] standard deviations along each direction i.
  // `lead` is the direction that was moved last; `original` shows the unshifted image while a key or button is held.
  const state = {
    seed: 0, current: 0, lead: 0, shifts: data.directions.map(() => 0), playing: 0, onlyStarred: false, original: false,
  };

  function notice(text) {
    byId("notice").textContent = text;
    byId("notice").hidden = !text;
  }

  const movedDirections = () => shown().flatMap((shift, direction) => (shift ? [direction] : []));
  const currentStops = () => frames.stops(state.current, state.shifts);
  const isVisible = (direction) => !state.onlyStarred || data.directions[direction].starred;

  function moveTo(direction, value, { keepPlaying = false, exact = false } = {}) {
    if (!keepPlaying) {
      stop();
      record(`shift ${direction}`);
    }
    state.current = state.lead = direction;
    state.shifts = frames.settle(direction, value, state.shifts, exact);
    update();
  }

  function nudge(change) {
    const stops = currentStops();
    const distances = stops.map((stop) => Math.abs(stop - state.shifts[state.current]));
    const place = distances.indexOf(Math.min(...distances)) + change * frames.stride;
    moveTo(state.current, stops[Math.max(0, Math.min(stops.length - 1, place))]);
  }

  // Selecting a direction changes no image.
  function choose(direction) {
    if (!data.directions[direction] || direction === state.current) return;
    stop();
    state.current = direction;
    update();
    rows[direction].element.scrollIntoView({ block: "nearest" });
  }

  function chooseSeed(seed) {
    record("seed");
    state.seed = (seed + data.seeds.length) % data.seeds.length;
    update();
  }

  function reset() {
    stop();
    record("reset");
    state.shifts = state.shifts.map(() => 0);
    update();
  }

  // Undo and redo: the states before each change. Changes of one control in quick succession count as one.

  const past = [];
  const future = [];
  let changed = { what: "", time: 0 };
  const MERGE_MS = 800;

  function snapshot() {
    const { seed, lead, current, shifts } = state;
    return { seed, lead, current, shifts: [...shifts], psi: data.live?.psi, layers: data.live?.layers };
  }

  function record(what) {
    const time = performance.now();
    const merges = past.length > 0 && !future.length && what === changed.what && time - changed.time < MERGE_MS;
    changed = { what, time };
    if (merges) return;
    past.push(snapshot());
    future.length = 0;
  }

  function travel(from, to) {
    if (!from.length) return;
    stop();
    to.push(snapshot());
    const { psi, layers, ...shown } = from.pop();
    Object.assign(state, shown);
    if (data.live) setLive(psi, layers);
    changed = { what: "", time: 0 };
    update();
  }

  const undo = () => travel(past, future);
  const redo = () => travel(future, past);

  function showOriginal(held) {
    if (state.original === held) return;
    state.original = held;
    update();
  }

  // The state as a link, and as the command that draws the same image.

  const seedNumber = (seed) => data.seeds[seed].number ?? Number(seedLabel(seed).replace(/^seed /, ""));
  const shown = () => (state.original ? unshifted : frames.visible(state.lead, state.shifts));
  const moves = (shifts) => shifts.flatMap((shift, place) => (shift ? [[data.directions[place].index, shift]] : []));
  const plain = (value) => String(Number(value.toPrecision(6)));

  function command() {
    const set = moves(shown()).map(([index, shift]) => `${index}=${shift > 0 ? "+" : ""}${plain(shift)}`).join(",");
    const live = data.live ? ` --truncation-psi ${plain(data.live.psi)}` : "";
    const layers = data.live?.layers && data.live.layers.length < data.live.numLayers
      ? ` --layers ${data.live.layers.join(",")}` : "";
    return `${data.command}${live}${layers} --seeds ${seedNumber(state.seed)} --set ${set}`;
  }

  function link() {
    const parts = new URLSearchParams({ seed: seedNumber(state.seed) });
    moves(state.shifts).forEach(([index, shift]) => parts.append("set", `${index}=${plain(shift)}`));
    if (state.lead !== 0) parts.set("lead", data.directions[state.lead].index);
    if (data.live) parts.set("psi", plain(data.live.psi));
    if (data.live?.layers) parts.set("layers", data.live.layers.join(","));
    return `${location.href.split("#")[0]}#${parts}`;
  }

  function followLink() {
    const parts = new URLSearchParams(location.hash.slice(1));
    const placeOf = (index) => data.directions.findIndex((direction) => direction.index === Number(index));
    if (/^\d{1,10}$/.test(parts.get("seed") ?? "")) {
      const number = Number(parts.get("seed"));
      const seed = data.seeds.findIndex((_, place) => seedNumber(place) === number);
      if (seed >= 0) state.seed = seed;
      else if (data.live && number < 2 ** 32) addSeed(number);
    }
    parts.getAll("set").forEach((part) => {
      const [index, shift] = part.split("=");
      const place = placeOf(index);
      if (place < 0 || !Number.isFinite(Number(shift))) return;
      state.shifts = frames.settle(place, Number(shift), state.shifts, true);
      state.lead = state.current = place;
    });
    if (placeOf(parts.get("lead") ?? -1) >= 0) state.lead = state.current = placeOf(parts.get("lead"));
    if (!data.live) return;
    const psi = Number(parts.get("psi") ?? data.live.psi);
    const layers = parts.get("layers")?.split(",").map(Number).filter((layer) => layer < data.live.numLayers);
    setLive(psi >= 0 && psi <= 1 ? psi : data.live.psi, data.live.layers && layers ? layers : data.live.layers);
  }

  async function copy(text) {
    try {
      await navigator.clipboard.writeText(text);
      notice(`Copied: ${text}`);
    } catch {
      notice(`Copy this: ${text}`); // the browser allows no access to the clipboard
    }
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
      moveTo(state.current, stops[place], { keepPlaying: true });
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
    const output = make("input", { className: "value", type: "number", step: "any", min: low, max: high });
    const ends = [makeCanvas("ends"), makeCanvas("ends")];
    const scores = direction.scores.map(([label, number, note]) =>
      make("div", { title: note }, make("dt", { textContent: label }), make("dd", { textContent: number })));
    const element = make("div", { className: "direction" },
      make("div", { className: "words" },
        make("div", { className: "title" }, make("span", { className: "number", textContent: direction.index }), name, star),
        make("dl", { className: "scores" }, ...scores)),
      make("div", { className: "control" }, ends[0], slider, ends[1],
        make("label", { className: "amount" }, output, make("span", { textContent: "σ" }))));
    output.addEventListener("change", () => {
      if (output.value !== "" && Number.isFinite(Number(output.value))) moveTo(place, Number(output.value), { exact: true });
      else update();
    });
    output.addEventListener("focus", () => choose(place));
    output.addEventListener("keydown", (event) => {
      if (event.key === "Escape") output.value = plain(state.shifts[place]);
      if (event.key === "Enter" || event.key === "Escape") slider.focus();
    });
    name.setAttribute("aria-label", `Name of direction ${direction.index}`);
    name.addEventListener("change", () => {
      direction.name = name.value.trim() || `Direction ${direction.index}`;
      name.value = direction.name;
      remember(direction);
      update();
    });
    name.addEventListener("keydown", (event) => {
      if (event.key === "Escape") name.value = direction.name;
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
      (direction) => `${inWords(shown()[direction])} along ${data.directions[direction].name}`);
    const seed = seedLabel(state.seed);
    return moves.length ? `Image of ${seed}, moved ${moves.join(" and ")}` : `Unshifted image of ${seed}`;
  }

  function caption() {
    const moves = movedDirections().flatMap((direction, place) => [
      place ? ", " : "",
      make("b", { textContent: data.directions[direction].name }),
      " ",
      make("span", { textContent: inSigma(shown()[direction]) }),
    ]);
    if (state.original) return [make("b", { textContent: "Original" }), " unshifted"];
    return moves.length ? moves : [make("b", { textContent: data.directions[state.current].name }), " unshifted"];
  }

  function update() {
    const view = byId("view");
    const want = { seed: state.seed, direction: state.current };
    frames.show(view, { ...want, shifts: shown() });
    view.setAttribute("aria-label", description());
    view.textContent = description();
    if (!state.playing) byId("caption").replaceChildren(...caption());
    byId("hint").textContent = state.original ? "" : frames.hint(state.current, state.shifts, shown());
    byId("undo").disabled = !past.length;
    byId("redo").disabled = !future.length;
    byId("copy-command").disabled = !moves(shown()).length;
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
      const shifts = frames.settle(state.current, step.value, state.shifts);
      frames.show(step.canvas, { ...want, shifts: frames.visible(state.current, shifts) });
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
    row.output.value = plain(shift);
    row.output.setAttribute("aria-label", `Exact shift along ${direction.name}, standard deviations`);
    row.element.classList.toggle("aside", !state.original && shown()[place] !== shift);
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
    o: () => showOriginal(true),
    " ": togglePlay,
  };

  document.addEventListener("keydown", (event) => {
    const target = event.target;
    if ((event.ctrlKey || event.metaKey) && "zy".includes(event.key.toLowerCase()) && !target.matches(".name, input[type=number]")) {
      event.preventDefault();
      (event.key.toLowerCase() === "y" || event.shiftKey ? redo : undo)();
      return;
    }
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

  document.addEventListener("keyup", (event) => { if (event.key === "o") showOriginal(false); });
  addEventListener("blur", () => showOriginal(false));

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
    truncation.addEventListener("input", () => {
      record("truncation");
      setLive(Number(truncation.value), live.layers);
      update();
    });
    byId("layers-setting").hidden = !live.layers;
    if (live.layers) setUpLayers(live);
    setLive(live.psi, live.layers);
  }

  function setLive(psi, layers) {
    data.live.psi = psi;
    byId("truncation").value = psi;
    byId("truncation").nextElementSibling.value = psi.toFixed(2);
    if (layers) chooseLayers(layers);
  }

  function chooseLayers(layers) {
    const chips = [...byId("layers").children];
    data.live.layers = chips.flatMap((_, layer) => (layers.includes(layer) ? [layer] : []));
    chips.forEach((chip, layer) => chip.setAttribute("aria-pressed", String(data.live.layers.includes(layer))));
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
    const set = (layers) => { record("layers"); chooseLayers(layers); };
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
  byId("undo").addEventListener("click", undo);
  byId("redo").addEventListener("click", redo);
  byId("copy-link").addEventListener("click", () => copy(link()));
  byId("copy-command").hidden = !data.command;
  byId("copy-command").addEventListener("click", () => copy(command()));
  byId("original").addEventListener("pointerdown", () => showOriginal(true));
  ["pointerup", "pointerleave", "pointercancel"].forEach((kind) =>
    byId("original").addEventListener(kind, () => showOriginal(false)));
  document.documentElement.classList.toggle("small", Math.max(width, height) < 128);
  if (data.live) setUpLive();
  followLink();
  past.length = 0; // nothing was changed by hand yet
  update();
})();
