(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const frames = makeFrames(data, (text) => notice(text, "server"));
  const history = makeHistory(snapshot, restore);
  const record = history.record;
  const nameStore = makeNameStore({ data, rename: frames.rename });

  // The page shows one image: `seed`, shifted by shifts[i] units along each direction i.
  // `lead` is the direction that was moved last; `original` shows the unshifted image while a key or button is held.
  const state = {
    seed: 0, current: 0, lead: 0, shifts: data.directions.map(() => 0), playing: 0, onlyStarred: false, original: false,
  };

  // A message at the edge of the window. What the server says stays until it answers again; the rest can be closed.
  function notice(text, from = "page") {
    const box = byId("notice");
    if (!text && from !== box.dataset.from) return;
    box.dataset.from = from;
    box.firstElementChild.textContent = text;
    box.hidden = !text;
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

  function snapshot() {
    const { seed, lead, current, shifts } = state;
    const names = data.directions.map(({ name, starred }) => ({ name, starred }));
    return { seed, lead, current, shifts: [...shifts], names, psi: data.live?.psi, layers: data.live?.layers };
  }

  function restore({ psi, layers, names, ...shown }) {
    stop();
    Object.assign(state, shown);
    liveControls?.set(psi, layers);
    names.forEach((entry, place) => setName(place, entry));
    update();
  }

  function showOriginal(held) {
    if (state.original === held) return;
    state.original = held;
    update();
  }

  // The state as a link, and as the command that draws the same image.

  const seedNumber = (seed) => data.seeds[seed].number ?? Number(seedLabel(seed).replace(/^seed /, ""));
  const latentOf = (seed) => data.seeds[seed].latent; // the place of a code in the file of codes; undefined for seeds
  const shown = () => (state.original ? unshifted : frames.visible(state.lead, state.shifts));
  const moves = (shifts) => shifts.flatMap((shift, place) => (shift ? [[data.directions[place].index, shift]] : []));

  const setText = () => moves(shown()).map(([index, shift]) => `${index}=${signed(shift)}`).join(",");

  // The layers in the words of the command, empty for those that it takes by itself; it moves some of these at least.
  function layersText() {
    const { layers, ownLayers, numLayers } = data.live ?? {};
    if (!layers || layers.join() === ownLayers.join()) return "";
    return layers.length === numLayers ? "all" : layers.join(",");
  }
  const hasCommand = () => moves(shown()).length
    && (!data.live?.layers || data.live.layers.some((layer) => data.live.ownLayers.includes(layer)));

  function command() {
    const isSeed = latentOf(state.seed) === undefined;
    const psi = data.live && isSeed ? ` --truncation-psi ${plain(data.live.psi)}` : "";
    const layers = layersText() ? ` --layers ${layersText()}` : "";
    const codes = isSeed ? `--seeds ${seedNumber(state.seed)}` : `--latents ${data.live.latents}`;
    return `${data.command}${psi}${layers} ${codes} --set ${setText()}`;
  }

  function link() {
    const latent = latentOf(state.seed);
    const parts = new URLSearchParams(latent === undefined ? { seed: seedNumber(state.seed) } : { latent });
    moves(state.shifts).forEach(([index, shift]) => parts.append("set", `${index}=${plain(shift)}`));
    parts.set("lead", data.directions[state.lead].index);
    if (data.live) parts.set("psi", plain(data.live.psi));
    if (data.live?.layers) parts.set("layers", data.live.layers.join(","));
    return `${location.href.split("#")[0]}#${parts}`;
  }

  function followLink() {
    const parts = new URLSearchParams(location.hash.slice(1));
    const placeOf = (index) => data.directions.findIndex((direction) => direction.index === Number(index));
    if (/^\d{1,10}$/.test(parts.get("seed") ?? "")) {
      const number = Number(parts.get("seed"));
      const seed = data.seeds.findIndex((_, place) => latentOf(place) === undefined && seedNumber(place) === number);
      if (seed >= 0) state.seed = seed;
      else if (data.live && number < 2 ** 32) addSeed(number);
    }
    const own = data.seeds.findIndex((_, place) => String(latentOf(place)) === parts.get("latent"));
    if (own >= 0) state.seed = own;
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
    const layers = parts.get("layers")?.split(",").filter(Boolean).map(Number).filter((layer) => layer < data.live.numLayers);
    liveControls.set(psi >= 0 && psi <= 1 ? psi : data.live.psi, data.live.layers && layers ? layers : data.live.layers);
  }

  async function copy(text, more = "") {
    try {
      await navigator.clipboard.writeText(text);
      notice(`Copied: ${text}${more}`);
    } catch {
      notice(`Copy this: ${text}${more}`); // the browser allows no access to the clipboard
    }
  }

  // Saved pictures: the image, and the traversal of the selected direction. Both wait until what they show is drawn.

  async function drawn(canvases) {
    while (!canvases.every(frames.isShown)) await new Promise((done) => setTimeout(done, 20));
  }

  const seedName = () => (latentOf(state.seed) === undefined ? `seed_${seedNumber(state.seed)}` : seedLabel(state.seed));

  function settingsName() {
    const psi = data.live && latentOf(state.seed) === undefined ? `psi_${plain(data.live.psi)}` : "";
    const layers = data.live?.layers && !data.live.layers.length ? "none" : layersText();
    return [psi, layers && `layers_${layers}`];
  }

  async function saveImage() {
    await drawn([byId("view")]);
    const name = pictureName([seedName(), setText() && `set_${setText()}`, ...settingsName()]);
    saveFile(name, await toPng(byId("view")));
  }

  async function saveStrip() {
    const steps = film.filter((step) => !step.button.disabled);
    await drawn(steps.map((step) => step.canvas));
    const { index } = data.directions[state.current];
    const fixed = moves(frames.visible(state.current, state.shifts)).filter(([other]) => other !== index);
    const set = fixed.map(([other, shift]) => `${other}=${signed(shift)}`).join(",");
    const heading = [`${index}  ${markedName(data.directions[state.current])}`, seedLabel(state.seed), set && `with ${set}`].filter(Boolean).join("  ·  ");
    const strip = drawStrip(steps.map(({ canvas, value }) => ({ canvas, label: inUnits(value) })), heading);
    saveFile(pictureName([`direction_${index}`, seedName(), set && `set_${set}`, ...settingsName()]), await toPng(strip));
  }

  function togglePlay() {
    if (state.playing) {
      stop();
      update();
      return;
    }
    record("play");
    const stops = currentStops().filter((_, place) => place % frames.stride === 0);
    let place = Math.max(0, stops.findIndex((stop) => stop >= state.shifts[state.current]));
    let change = 1;
    state.playing = setInterval(() => {
      if (place + change < 0 || place + change >= stops.length) change = -change;
      place += change;
      moveTo(state.current, stops[place], { keepPlaying: true });
    }, matchMedia("(prefers-reduced-motion: reduce)").matches ? 1000 : Math.max(60, 1600 / stops.length));
    update();
  }

  function stop() {
    clearInterval(state.playing);
    state.playing = 0;
  }

  function setName(place, { name, starred }) {
    const direction = data.directions[place];
    if (direction.name === name && direction.starred === starred) return;
    Object.assign(direction, { name, starred });
    rows[place].name.value = name;
    nameStore.remember(direction);
  }

  function rename(place, change) {
    record(`name ${place}`);
    setName(place, { ...data.directions[place], ...change });
    update();
  }

  function saveNames() {
    const text = JSON.stringify(namesRecord(data), null, 2) + "\n";
    saveFile("names.json", new Blob([text], { type: "application/json" }));
  }

  async function loadNames(file) {
    try {
      const names = parseNames(await file.text(), data);
      const known = data.directions.flatMap(({ index }, place) => (names.has(index) ? [[place, names.get(index)]] : []));
      record("names");
      known.forEach(([place, entry]) => setName(place, entry));
      update();
      notice(`Names of ${known.length} direction${known.length === 1 ? "" : "s"} loaded; Undo takes them back.`);
    } catch (error) {
      notice(error.message);
    }
  }

  const toggleStar = (place) => rename(place, { starred: !data.directions[place].starred });

  const unsigned = (value) => Number(Math.abs(value).toPrecision(3));
  const inUnits = (value) => (value ? `${value < 0 ? "−" : "+"}${unsigned(value)} ${data.unit}`.trim() : "0");
  const unitWords = data.unit ? "standard deviations" : "units";
  const inWords = (value) => (value ? `${inUnits(value).replace(` ${data.unit}`, "")} ${unitWords}` : "0");
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
      make("span", { textContent: inUnits(shown()[direction]) }),
    ]);
    if (state.original) return [make("b", { textContent: "Original" }), " unshifted"];
    return moves.length ? moves : [make("b", { textContent: data.directions[state.current].name }), " unshifted"];
  }

  function update() {
    const view = byId("view");
    const want = { seed: state.seed, direction: state.current };
    frames.show(view, { ...want, shifts: shown() });
    byId("traversal-title").textContent = `Traversal of ${markedName(data.directions[state.current])}`;
    liveControls?.applies(latentOf(state.seed) === undefined);
    view.setAttribute("aria-label", description());
    view.textContent = description();
    if (!state.playing) byId("caption").replaceChildren(...caption());
    byId("hint").textContent = state.original ? "" : frames.hint(state.current, state.shifts, shown());
    byId("undo").disabled = !history.hasPast();
    byId("redo").disabled = !history.hasFuture();
    byId("copy-command").disabled = !hasCommand();
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
    row.element.setAttribute("aria-current", String(place === state.current));
    row.slider.value = shift;
    const filled = [0.5, (shift - low) / (high - low)].sort((a, b) => a - b);
    row.slider.style.setProperty("--low", filled[0]);
    row.slider.style.setProperty("--high", filled[1]);
    row.slider.setAttribute("aria-label", `Shift along ${direction.name}`);
    row.slider.setAttribute("aria-valuetext", shift ? inWords(shift) : "unshifted");
    row.output.value = plain(shift);
    row.output.setAttribute("aria-label", `Exact shift along ${direction.name}, ${unitWords}`);
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

  function focusNumber(number) {
    const place = data.directions.findIndex((direction) => direction.index === number);
    focusDirection(place);
    return place >= 0;
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

  function addSeed(number) {
    let seed = data.seeds.findIndex((known) => known.number === number);
    if (seed < 0) {
      seed = data.seeds.push({ label: `seed ${number}`, number }) - 1;
      seeds.push(elements.seed(`seed ${number}`, seed));
    }
    chooseSeed(seed);
  }

  nameStore.recall();
  document.documentElement.classList.toggle("transparent", Boolean(data.transparent));
  document.documentElement.classList.toggle("live", Boolean(data.live));
  const [width, height] = frames.size("view");
  Object.assign(byId("view"), { width, height, channel: "view" });
  const liveControls = data.live ? makeLiveControls({ data, record, addSeed, update }) : null;
  const elements = makeElements({ data, frames, page: {
    choose, chooseSeed, inUnits, moveTo, moveCurrentTo: (value) => moveTo(state.current, value), rename, toggleStar, update,
    shift: (direction) => state.shifts[direction],
  } });
  const rows = data.directions.map(elements.row);
  byId("directions").append(...rows.map((row) => row.element));
  const seeds = data.seeds.map((_, seed) => elements.seed(seedLabel(seed), seed));
  const film = frames.film.map(elements.step);
  byId("units").textContent = data.unit
    ? "Shifts are in standard deviations (σ) of the code's coordinate along the direction."
    : "Shifts are in units of the direction: a unit changes the images about equally along all of them.";
  byId("notes").querySelector("dl").append(...data.notes.map(([label, note]) =>
    make("div", {}, make("dt", { textContent: label }), make("dd", { textContent: note }))));
  byId("only-starred").addEventListener("change", (event) => {
    state.onlyStarred = event.target.checked;
    update();
  });
  byId("play").addEventListener("click", togglePlay);
  byId("reset").addEventListener("click", reset);
  byId("undo").addEventListener("click", history.undo);
  byId("redo").addEventListener("click", history.redo);
  byId("save-image").addEventListener("click", saveImage);
  byId("save-strip").addEventListener("click", saveStrip);
  byId("save-names").addEventListener("click", saveNames);
  byId("load-names").addEventListener("click", () => byId("names-file").click());
  byId("names-file").addEventListener("change", (event) => {
    if (event.target.files.length) loadNames(event.target.files[0]);
    event.target.value = ""; // the same file can be opened again
  });
  document.addEventListener("dragover", (event) => event.preventDefault());
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files.length) loadNames(event.dataTransfer.files[0]);
  });
  byId("copy-link").addEventListener("click", () => copy(link()));
  byId("copy-command").hidden = !data.command;
  byId("copy-command").addEventListener("click", () => copy(command(), data.commandNote ? ` (${data.commandNote})` : ""));
  byId("notice").lastElementChild.addEventListener("click", () => { byId("notice").hidden = true; });
  byId("original").addEventListener("pointerdown", () => showOriginal(true));
  ["pointerup", "pointerleave", "pointercancel"].forEach((kind) =>
    byId("original").addEventListener(kind, () => showOriginal(false)));
  document.documentElement.classList.toggle("small", Math.max(width, height) < 128);
  byId("keys").open = innerWidth > 640;
  setUpKeys({ keys, focusNumber, undo: history.undo, redo: history.redo, showOriginal });
  followLink();
  history.clear(); // nothing was changed by hand yet
  update();
})();
