"use strict";
// Frames requested from the server that the page came from. Canvases belong to channels: the large image, the film, the
// ends of the sliders, the seeds. A channel requests all frames of its canvases at once. The large image waits for an
// answer before it requests the newest state; the other channels abort the request that is in progress.
function makeFrames(data, tell) {
  const { extent, sizes, maxStates } = data.live;
  const page = Math.random().toString(36).slice(2);
  const delays = { view: 0, film: 120, ends: 250, seeds: 60 };
  const channels = {};
  const stops = Array.from({ length: 121 }, (_, step) => (step - 60) / 60 * extent);
  const film = Array.from({ length: 9 }, (_, step) => stops[step * 15]);
  const RETRY_MS = 2000;
  let number = 0;
  let saving = Promise.resolve();

  const codeOf = ({ number, latent }) => (latent === undefined ? { seed: number } : { latent });
  const channelOf = (name) => (channels[name] ??= { name, wanted: new Map(), timer: 0, request: null });

  function show(canvas, { seed, shifts }) {
    const state = {
      ...codeOf(data.seeds[seed]),
      shifts: Object.fromEntries(shifts.flatMap((shift, place) => (shift ? [[data.directions[place].index, shift]] : []))),
    };
    const key = JSON.stringify([state, data.live.psi, data.live.layers]);
    if (canvas.wanted === key) return;
    canvas.wanted = key;
    canvas.classList.add("pending");
    const channel = channelOf(canvas.channel);
    channel.wanted.set(canvas, { state, key });
    if (channel.name === "view" && channel.request) return;
    clearTimeout(channel.timer);
    channel.timer = setTimeout(() => ask(channel), delays[channel.name]);
  }

  async function ask(channel) {
    channel.request?.abort();
    const batch = [...channel.wanted].slice(0, maxStates);
    if (!batch.length) return;
    const request = channel.request = new AbortController();
    const start = performance.now();
    try {
      const strip = await fetchStrip(channel.name, batch.map(([, want]) => want.state), request.signal);
      batch.forEach(([canvas, want], place) => paint(canvas, want, strip, place, batch.length));
      strip?.close();
      if (channel.name === "view") calmFilm(performance.now() - start);
      tell("");
    } catch (error) {
      if (error.name === "AbortError" || channel.request !== request) return;
      tell(error instanceof TypeError ? "The server does not answer. Is topdis-gan explore still running?" : error.message);
      channel.request = null;
      clearTimeout(channel.timer);
      channel.timer = setTimeout(() => ask(channel), RETRY_MS);
      return;
    }
    if (channel.request !== request) return;
    channel.request = null;
    batch.forEach(([canvas, want]) => { if (channel.wanted.get(canvas) === want) channel.wanted.delete(canvas); });
    ask(channel);
  }

  // Small images wait until the slider has rested for longer than the large image takes, because a slow generator has
  // no time for them while the slider is dragged.
  function calmFilm(viewMs) {
    delays.film = Math.max(120, Math.min(3000, 2 * viewMs));
    delays.ends = Math.max(250, delays.film);
  }

  async function fetchStrip(channel, states, signal) {
    const body = { page, channel, number: ++number, psi: data.live.psi, layers: data.live.layers, states };
    const answer = await post("frames", body, signal);
    return answer.status === 204 ? null : createImageBitmap(await answer.blob());
  }

  async function post(path, body, signal) {
    const answer = await fetch(path, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body), signal,
    });
    if (!answer.ok) throw new Error(await answer.text());
    return answer;
  }

  function paint(canvas, want, strip, place, count) {
    if (!strip) return;
    const width = strip.width / count;
    const context = canvas.getContext("2d");
    context.clearRect(0, 0, canvas.width, canvas.height);
    context.drawImage(strip, place * width, 0, width, strip.height, 0, 0, canvas.width, canvas.height);
    canvas.dataset.shown = want.key;
    canvas.classList.toggle("pending", canvas.wanted !== want.key);
  }

  return {
    stride: 5,
    size: (channel) => sizes[channel],
    stops: () => stops,
    film,
    ends: () => [stops[0], stops[stops.length - 1]],
    settle: (direction, value, shifts, exact = false) => shifts.map((shift, other) => {
      if (other !== direction) return shift;
      if (exact) return Math.max(-extent, Math.min(extent, value));
      return stops.reduce((best, stop) => (Math.abs(stop - value) < Math.abs(best - value) ? stop : best));
    }),
    visible: (lead, shifts) => shifts,
    hint: () => "",
    show,
    isShown: (canvas) => canvas.dataset.shown === canvas.wanted,
    rename({ index, name, starred }) { // one after the other, so that the last change is saved last
      saving = saving.then(() => post("names", { index, name, starred }))
        .then(() => tell(""))
        .catch((error) => tell(error instanceof TypeError ? "The server does not answer: this name is not saved." : error.message));
    },
  };
}
