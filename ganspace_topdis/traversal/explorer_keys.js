// The keyboard. `page` has `keys`, an action per key, `focusNumber(number)`, which tells whether there is such a
// direction, `undo()`, `redo()` and `showOriginal(held)`.
function setUpKeys(page) {
  const box = byId("character-keys");

  function onKeyDown(event) {
    const target = event.target;
    if ((event.ctrlKey || event.metaKey) && "zy".includes(event.key.toLowerCase()) && !target.matches(".name, input[type=number]")) {
      event.preventDefault();
      (event.key.toLowerCase() === "y" || event.shiftKey ? page.redo : page.undo)();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || target.matches(".name, input[type=number], #live input")) return;
    if (event.key === " " && target.matches("button, summary, input:not([type=range])")) return;
    if (event.key.startsWith("Arrow") && target.type === "radio") return;
    if (/^[^ ]$/.test(event.key) && !box.checked) return;
    if (/^[0-9]$/.test(event.key)) {
      if (page.focusNumber(Number(event.key))) event.preventDefault();
    } else if (Object.hasOwn(page.keys, event.key)) {
      event.preventDefault();
      page.keys[event.key]();
    }
  }

  // Keys of one letter or digit can be turned off, for speech input and switches; this browser remembers that.
  function setUpCharacterKeys() {
    const storageKey = "topdis-gan keys";
    try {
      box.checked = localStorage.getItem(storageKey) !== "off";
    } catch { /* private windows refuse; the keys are on */ }
    box.addEventListener("change", () => {
      try {
        localStorage.setItem(storageKey, box.checked ? "on" : "off");
      } catch { /* it holds until the page is closed */ }
    });
  }

  document.addEventListener("keydown", onKeyDown);
  document.addEventListener("keyup", (event) => { if (event.key === "o") page.showOriginal(false); });
  addEventListener("blur", () => page.showOriginal(false));
  setUpCharacterKeys();
}
