// Paints on a canvas by mouse, finger, pen and keyboard: calls `done` with each finished stroke.

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

const hasBox = (tool) => tool === "box" || tool === "object";

// tool, side: functions that give the tool and the brush's diameter in pixels; size: that of the picture; extend: called
// with the stroke in progress and the number of points that it had before; done: with a finished one, or null if it was
// cancelled; hover: with the cursor, or null; say: tells a screen reader.
function makeBrush(canvas, view, { tool, side, size, extend, done, hover, say }) {
  let stroke = null, place = null, pointer = null, isKeyed = false;

  // More precise than painting needs, and half as much to send as all digits.
  const hundredths = (point) => point.map((value) => Math.round(value * 100) / 100);
  const at = (event) => hundredths(view.at(event));

  function begin(point) {
    stroke = { tool: tool(), size: hasBox(tool()) ? 1 : side(), points: [point] };
    extend(stroke, 0);
  }

  function follow(points) {
    const before = stroke.points.length;
    stroke.points = hasBox(stroke.tool) ? [stroke.points[0], points.at(-1)] : [...stroke.points, ...points];
    extend(stroke, before);
  }

  function end(keep) {
    if (!stroke) return;
    const finished = stroke;
    stroke = pointer = null;
    done(keep && (finished.tool !== "box" || finished.points.length > 1) ? finished : null);
  }

  function cursor(point, isCrosshair) {
    isKeyed = isCrosshair;
    hover({ point, isCrosshair });
  }

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button > 0 || stroke) return;
    event.preventDefault();
    canvas.focus({ preventScroll: true });
    canvas.setPointerCapture(event.pointerId);
    pointer = event.pointerId;
    begin(at(event));
  });
  canvas.addEventListener("pointermove", (event) => {
    if (event.pointerType !== "touch") cursor(at(event), false);
    if (!stroke || event.pointerId !== pointer) return;
    const moves = event.getCoalescedEvents?.() ?? [];
    follow((moves.length ? moves : [event]).map(at));
  });
  canvas.addEventListener("pointerup", (event) => event.pointerId === pointer && end(true));
  canvas.addEventListener("pointercancel", (event) => event.pointerId === pointer && end(false));
  canvas.addEventListener("pointerleave", () => isKeyed || hover(null));

  // --- keyboard ----------------------------------------------------------------------------------------------------

  function shift(way, further) {
    const step = Math.max(1, Math.round((hasBox(tool()) ? 4 / view.scale() : side() / 4))) * (further ? 10 : 1);
    place = place.map((value, i) => Math.min(Math.max(value + way[i] * step, 0.5), size()[i] - 0.5));
    view.reveal(place);
    if (stroke) follow([hundredths(place)]);
    say(`${Math.floor(place[0])} to the right, ${Math.floor(place[1])} down${stroke ? ", painting" : ""}`);
  }

  function press() {
    if (stroke) end(true);
    else begin(hundredths(place));
    const began = hasBox(tool()) ? "First corner set" : "Painting";
    say(stroke ? `${began}; move with the arrow keys, then press Enter` : "Painted");
  }

  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || pointer !== null) return;
    const way = ARROWS[event.key];
    if (event.key === "Escape" && stroke) {
      event.preventDefault();
      end(false);
    } else if (way || event.key === "Enter") {
      event.preventDefault();
      place ??= size().map((length) => Math.floor(length / 2) + 0.5);
      if (way) shift(way, event.shiftKey);
      else press();
      cursor(place, true);
    }
  });
  canvas.addEventListener("focus", () => {
    if (canvas.matches(":focus-visible") && place) cursor(place, true);
  });
  canvas.addEventListener("blur", () => {
    if (pointer === null) end(false);
    hover(null);
  });
}

// Diameters of the brush in pixels of the picture for positions 0 to 100 of a slider: from 1 on, each step by the same
// factor.
const MAX_BRUSH = 0.4;  // of the picture's longer side
const sideAt = (position, size) => Math.max(1, Math.round(Math.exp(Math.log(MAX_BRUSH * Math.max(...size)) * position / 100)));
const positionOf = (side, size) => 100 * Math.log(side) / Math.log(Math.max(2, MAX_BRUSH * Math.max(...size)));
