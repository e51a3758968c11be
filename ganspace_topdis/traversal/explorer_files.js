// Files that the page saves.

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
