// The elements of the page: a row per direction, the seeds, and the steps of the traversal.

const byId = (id) => document.getElementById(id);

function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

// `page` has `moveTo(direction, value, options)`, `moveCurrentTo(value)`, `choose(direction)`, `chooseSeed(seed)`, `rename(direction, change)`,
// `toggleStar(direction)`, `update()`, `shift(direction)`, which is the current one, and `inUnits(value)`.
function makeElements({ data, frames, page }) {
  function canvas(channel) {
    const [width, height] = frames.size(channel);
    const made = make("canvas", { width, height, channel });
    made.setAttribute("aria-hidden", "true");
    return made;
  }

  function row(direction, place) {
    const star = make("button", { className: "star", type: "button", title: "Star this direction" });
    const [low, high] = frames.ends(place);
    const slider = make("input", { type: "range", min: low, max: high, step: "any", value: 0 });
    const name = nameBox(direction, place, slider);
    const output = amountBox(place, slider);
    const ends = [canvas("ends"), canvas("ends")];
    const scores = direction.scores.map(([label, number, note]) =>
      make("div", { title: note }, make("dt", { textContent: label }), make("dd", { textContent: number })));
    const element = make("div", { className: "direction" },
      make("div", { className: "words" },
        make("div", { className: "title" }, make("span", { className: "number", textContent: direction.index }), name, star),
        make("div", { className: "marks", textContent: direction.marks.join(", "), hidden: !direction.marks.length }),
        make("dl", { className: "scores" }, ...scores)),
      make("div", { className: "control" }, ends[0], slider, ends[1],
        make("label", { className: "amount" }, output, make("span", { textContent: data.unit }))));
    star.addEventListener("click", () => page.toggleStar(place));
    slider.addEventListener("focus", () => page.choose(place));
    slider.addEventListener("input", () => page.moveTo(place, Number(slider.value)));
    slider.addEventListener("dblclick", () => page.moveTo(place, 0));
    ends.forEach((end, side) => end.addEventListener("click", () => page.moveTo(place, [low, high][side])));
    element.addEventListener("click", (event) => { if (event.target.tagName !== "INPUT") page.choose(place); });
    return { element, name, star, slider, output, ends };
  }

  // Enter keeps what was typed, Escape drops it; both return to the slider.
  function leaveByKey(box, slider, before) {
    box.addEventListener("keydown", (event) => {
      if (event.key === "Escape") box.value = before();
      if (event.key === "Enter" || event.key === "Escape") slider.focus();
    });
  }

  function nameBox(direction, place, slider) {
    const box = make("input", { className: "name", value: direction.name, maxLength: 80, spellcheck: false });
    box.setAttribute("aria-label", `Name of direction ${direction.index}`);
    box.addEventListener("change", () => {
      const given = box.value.trim() || direction.automaticName;
      if (given !== direction.name) page.rename(place, { name: given });
      box.value = given;
    });
    leaveByKey(box, slider, () => direction.name);
    return box;
  }

  function amountBox(place, slider) {
    const { min, max } = slider;
    const box = make("input", { className: "value", type: "number", step: "any", min, max });
    box.addEventListener("change", () => {
      if (box.value !== "" && Number.isFinite(Number(box.value))) page.moveTo(place, Number(box.value), { exact: true });
      else page.update();
    });
    box.addEventListener("focus", () => page.choose(place));
    leaveByKey(box, slider, () => plain(page.shift(place)));
    return box;
  }

  function seed(label, place) {
    const radio = make("input", { type: "radio", name: "seed" });
    radio.setAttribute("aria-label", label);
    radio.addEventListener("change", () => page.chooseSeed(place));
    const image = canvas("seeds");
    byId("seeds").append(make("label", {}, radio, image, label.replace(/^seed /, "")));
    return { radio, canvas: image };
  }

  function step(value) {
    const words = page.inUnits(value);
    const button = make("button", { type: "button", title: words, className: value ? "" : "zero" });
    const image = canvas("film");
    button.setAttribute("aria-label", words);
    button.append(image, make("span", { textContent: words.replace(" σ", "") }));
    button.addEventListener("click", () => page.moveCurrentTo(value));
    byId("film").append(button);
    return { button, canvas: image, value };
  }

  return { row, seed, step };
}
