// Controls of the live page: any seed, truncation, layers. `page` has `data`, `record(what)`, `addSeed(number)` and
// `update()`.
function makeLiveControls({ data, record, addSeed, update }) {
  const live = data.live;
  const truncation = byId("truncation");

  function chooseLayers(layers) {
    const chips = [...byId("layers").children];
    live.layers = chips.flatMap((_, layer) => (layers.includes(layer) ? [layer] : []));
    chips.forEach((chip, layer) => chip.setAttribute("aria-pressed", String(live.layers.includes(layer))));
  }

  function set(psi, layers) {
    live.psi = psi;
    truncation.value = psi;
    truncation.nextElementSibling.value = psi.toFixed(2);
    if (layers) chooseLayers(layers);
  }

  function change(what, psi, layers) {
    record(what);
    set(psi, layers);
    update();
  }

  function makeLayers() {
    const toggled = (layer) =>
      (live.layers.includes(layer) ? live.layers.filter((other) => other !== layer) : [...live.layers, layer]);
    const button = (textContent, layers) => {
      const made = Object.assign(document.createElement("button"), { type: "button", textContent });
      made.addEventListener("click", () => change("layers", live.psi, layers()));
      return made;
    };
    const chips = Array.from({ length: live.numLayers }, (_, layer) => button(layer, () => toggled(layer)));
    chips.forEach((chip, layer) => chip.setAttribute("aria-label", `Layer ${layer}`));
    byId("layers").append(...chips);
    byId("layer-ranges").append(...live.layerRanges.map(([name, layers]) => button(name, () => layers)));
  }

  const number = byId("seed-number");
  number.addEventListener("change", () => {
    if (number.value !== "" && number.checkValidity()) addSeed(Number(number.value));
  });
  byId("seed-random").addEventListener("click", () => addSeed(Math.floor(Math.random() * 100000)));
  truncation.addEventListener("input", () => change("truncation", Number(truncation.value), live.layers));
  byId("layers-setting").hidden = !live.layers;
  if (live.layers) makeLayers();
  set(live.psi, live.layers);
  byId("live").hidden = false;

  return {
    set,
    // Truncation applies to the codes of seeds, not to those of a file.
    applies(truncates) {
      truncation.disabled = !truncates;
      truncation.title = truncates ? "" : "Codes of a file are not truncated";
    },
  };
}
