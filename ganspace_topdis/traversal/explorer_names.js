// Names and stars of directions. A live page saves them in the run folder, other pages in this browser; a button saves
// them as a file, which any page of these directions opens again.

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

// Where names are kept between visits. `rename(direction)` stores one on the server, if there is a server.
function makeNameStore({ data, rename }) {
  const storageKey = `topdis-gan names ${data.storageKey}`;

  function remember(direction) {
    if (rename) {
      rename({ ...direction, name: typedName(direction.name, direction, data.directions) });
      return;
    }
    try {
      localStorage.setItem(storageKey, JSON.stringify(namesRecord(data)));
    } catch { /* private windows refuse; the file still works */ }
  }

  function recall() {
    if (rename) return;
    try {
      const names = parseNames(localStorage.getItem(storageKey), data);
      data.directions.forEach((direction) => Object.assign(direction, names.get(direction.index)));
    } catch { /* nothing stored */ }
  }

  return { remember, recall };
}
