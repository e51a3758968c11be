"use strict";
// Frames inside the page: walks along one direction, and mixes of several directions with fewer steps each.
function makeFrames(data) {
  const { values, strips, numMixed, mixedValues, mixed } = data.held;
  const decoded = new Map();

  const nearest = (stops, value) =>
    stops.reduce((best, stop) => (Math.abs(stop - value) < Math.abs(best - value) ? stop : best));
  const stopsOf = (numMoved) => (numMoved < 2 ? values : mixedValues[Math.min(numMoved, 3) - 1]);
  const mixes = (direction) => direction < numMixed;

  // The directions that stay shifted while `direction` is moved.
  const companions = (direction, shifts) => shifts.flatMap((shift, other) =>
    (shift && other !== direction && mixes(direction) && mixes(other) ? [other] : []));

  function strip(uri) {
    if (!decoded.has(uri)) {
      const image = new Image();
      const entry = { image, ready: false, waiting: new Set() };
      decoded.set(uri, entry);
      image.src = uri;
      image.decode().then(() => {
        entry.ready = true;
        entry.waiting.forEach((canvas) => canvas.frame.uri === uri && paint(canvas));
        entry.waiting.clear();
      });
    }
    return decoded.get(uri);
  }

  function paint(canvas) {
    const { uri, place } = canvas.frame;
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, data.width, data.height);
    context.drawImage(strip(uri).image, place * data.width, 0, data.width, data.height, 0, 0, data.width, data.height);
    canvas.dataset.place = place;
    canvas.classList.remove("pending");
  }

  // Walks share their unshifted frame. It is always taken from the first, so that selecting a direction changes nothing,
  // not even by the losses of compression.
  function frameFor({ seed, shifts }) {
    const moved = shifts.flatMap((shift, place) => (shift ? [place] : []));
    if (moved.length < 2) {
      const shown = moved[0] ?? 0;
      return { uri: strips[shown][seed], place: values.indexOf(shifts[shown]) };
    }
    const steps = stopsOf(moved.length).filter((value) => value !== 0);
    const place = moved.reduce((sum, direction) => sum * steps.length + steps.indexOf(shifts[direction]), 0);
    return { uri: mixed[moved.join(",")][seed], place };
  }

  return {
    stride: 1,
    size: () => [data.width, data.height],

    // The shifts that `direction` can have beside those that stay.
    stops: (direction, shifts) => stopsOf(companions(direction, shifts).length + 1),
    film: values,
    ends: () => [values[0], values[values.length - 1]],

    // All shifts after `direction` is moved to `value`. Those that mix with it move to the nearest steps of that mix;
    // all others keep their values, see `visible`.
    settle(direction, value, shifts) {
      const others = companions(direction, shifts);
      const own = nearest(stopsOf(others.length + 1), value);
      const stops = stopsOf(others.length + (own ? 1 : 0)).filter((stop) => stop !== 0);
      return shifts.map((shift, other) =>
        (other === direction ? own : others.includes(other) ? nearest(stops, shift) : shift));
    },

    // The shifts of the image: those that have frames together with the direction that was moved last, `lead`. The
    // others wait until it is back at 0.
    visible(lead, shifts) {
      const moved = shifts.flatMap((shift, place) => (shift ? [place] : []));
      if (moved.length < 2) return shifts;
      const first = shifts[lead] ? lead : moved.find(mixes) ?? moved[0];
      return shifts.map((shift, other) => (other === first || (mixes(first) && mixes(other)) ? shift : 0));
    },

    hint(direction, shifts, shown) {
      if (shifts.some((shift, place) => shift !== shown[place])) {
        return "No such mix on this page: shifts in brackets are kept, not shown.";
      }
      const numMoved = shown.filter((shift) => shift !== 0).length;
      if (numMoved < 2) return !numMixed || mixes(direction) ? "" : "This page has no mixes with this direction.";
      const steps = stopsOf(numMoved).filter((value) => value > 0).map((value) => `±${Number(value.toPrecision(3))}`);
      return `Mixes on this page have the steps 0 and ${`${steps.join(", ")} ${data.unit}`.trim()}.`;
    },

    show(canvas, want) {
      canvas.frame = frameFor(want);
      const entry = strip(canvas.frame.uri);
      canvas.classList.add("pending");
      if (entry.ready) paint(canvas);
      else entry.waiting.add(canvas);
    },
    isShown: (canvas) => strip(canvas.frame.uri).ready,
  };
}
