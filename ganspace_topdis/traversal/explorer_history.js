// Undo and redo: the states before each change. Changes of one control in quick succession count as one.
// `snapshot()` returns the current state, `restore(state)` shows an earlier one.
function makeHistory(snapshot, restore) {
  const MERGE_MS = 800;
  const past = [];
  const future = [];
  let last = { what: "", time: 0 };

  // Keep the state before a change; `what` is the control that makes the change.
  function record(what) {
    const time = performance.now();
    const merges = past.length > 0 && !future.length && what === last.what && time - last.time < MERGE_MS;
    last = { what, time };
    if (merges) return;
    past.push(snapshot());
    future.length = 0;
  }

  function travel(from, to) {
    if (!from.length) return;
    to.push(snapshot());
    last = { what: "", time: 0 };
    restore(from.pop());
  }

  return {
    record,
    undo: () => travel(past, future),
    redo: () => travel(future, past),
    clear() { past.length = future.length = 0; },
    hasPast: () => past.length > 0,
    hasFuture: () => future.length > 0,
  };
}
