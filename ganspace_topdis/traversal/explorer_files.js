// Files that the page saves, images and names, and the names file that it opens.

const plain = (value) => String(Number(value.toPrecision(6)));
const signed = (value) => `${value > 0 ? "+" : ""}${plain(value)}`;

function saveFile(name, blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

// A file name that says what an image shows; the names of edits have the same form.
function pictureName(parts) {
  const name = parts.filter(Boolean).join("_").replace(/[^\p{L}\p{N}_.,=+-]+/gu, "-");
  return `${[...name].slice(0, 150).join("")}.png`;
}

const toPng = (canvas) => new Promise((done) => canvas.toBlob(done, "image/png"));

// The frames of a traversal side by side, under a heading and above their shifts; `steps` are {canvas, label}. Small
// frames are enlarged without smoothing.
function drawStrip(steps, heading) {
  const [gap, margin, line] = [6, 12, 22];
  const { width, height } = steps[0].canvas;
  const scale = Math.max(1, Math.ceil(96 / Math.max(width, height)));
  const strip = document.createElement("canvas");
  strip.width = steps.length * (width * scale + gap) - gap + 2 * margin;
  strip.height = height * scale + 2 * line + 2 * margin;
  const context = strip.getContext("2d");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, strip.width, strip.height);
  context.fillStyle = "#111";
  context.imageSmoothingEnabled = false;
  context.font = "600 14px system-ui, sans-serif";
  context.fillText(heading, margin, margin + 14, strip.width - 2 * margin);
  context.font = "13px system-ui, sans-serif";
  context.textAlign = "center";
  steps.forEach(({ canvas, label }, place) => {
    const left = margin + place * (width * scale + gap);
    context.drawImage(canvas, left, margin + line, width * scale, height * scale);
    context.fillText(label, left + width * scale / 2, strip.height - margin);
  });
  return strip;
}

const markedName = ({ name, marks }) => (marks.length ? `${name} (${marks.join(", ")})` : name);

// The name that a user typed; empty for an automatic one. Earlier pages saved these too, with the marks of that time.
function typedName(name, { automaticName }, directions) {
  const bare = (mark) => mark.replace(/\?+$/, "");
  const known = new Set(["chance level", ...directions.flatMap(({ marks }) => marks.map(bare))]);
  const [head, tail] = [`${automaticName} (`, ")"];
  const isMarked = name.startsWith(head) && name.endsWith(tail)
    && name.slice(head.length, -tail.length).split(", ").every((mark) => known.has(bare(mark)));
  return isMarked || name === automaticName ? "" : name;
}

function namesRecord({ namesFormat, source, directions }) {
  const entries = directions.map((direction) =>
    [direction.index, { name: typedName(direction.name, direction, directions), starred: direction.starred }]);
  return { format: namesFormat, source, directions: Object.fromEntries(entries) };
}

// The names in a names file, by the number of their direction. Throws an Error that says what is wrong.
function parseNames(text, { namesFormat, source, directions }) {
  let content;
  try {
    content = JSON.parse(text);
  } catch {
    throw new Error("This file is not a names file: it is not JSON.");
  }
  if (content?.format !== namesFormat || typeof content.directions !== "object" || content.directions === null) {
    throw new Error("This file is not a names file: no page saved it.");
  }
  if (content.source && source && content.source !== source) {
    throw new Error("These names were saved for other directions; open the file that was saved from this run.");
  }
  return new Map(directions.flatMap((direction) => {
    const entry = content.directions[direction.index];
    if (typeof entry?.name !== "string") return [];
    const name = typedName([...entry.name.replace(/\s+/g, " ").trim()].slice(0, 200).join(""), direction, directions);
    return [[direction.index, { name: name || direction.automaticName, starred: entry.starred === true }]];
  }));
}
