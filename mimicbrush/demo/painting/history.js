// Undo and redo: the earlier states of a canvas. A state is the part of PainterData that a visitor makes.

const MAX_STATES = 200;
const EMPTY = { picture: null, picture_preview: null, size: null, feather: 0, mask: null, mask_preview: null, strokes: [] };

const stateOf = (value) => Object.fromEntries(Object.keys(EMPTY).map((name) => [name, value?.[name] ?? EMPTY[name]]));

const isSame = (a, b) => fingerprint(a) === fingerprint(b);
const fingerprint = ({ picture, mask, strokes }) =>
  JSON.stringify([picture?.path, mask?.path, strokes.map(({ tool, size, points }) => [tool, size, points])]);

function makeHistory() {
  let past = [], now = EMPTY, future = [];

  function remember(state) {
    if (now.picture) past = [...past, now].slice(-MAX_STATES);
    [now, future] = [state, []];
  }

  function undo() {
    if (!past.length) return false;
    future.push(now);
    now = past.pop();
    return true;
  }

  function redo() {
    if (!future.length) return false;
    past.push(now);
    now = future.pop();
    return true;
  }

  return { remember, undo, redo, now: () => now, canUndo: () => past.length > 0, canRedo: () => future.length > 0 };
}
