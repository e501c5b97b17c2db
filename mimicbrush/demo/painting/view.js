// Which part of a picture is seen in its frame, and how the visitor changes it.

const ZOOM = { most: 32, step: 1.25, wheel: 0.002, pinch: 0.01 };
const SCROLLING = 400;  // milliseconds within which turns of the wheel are one movement

// sheets: elements that cover the picture. Points are in pixels of the picture, those on the screen in CSS pixels from
// the frame's upper left corner. changed: called after each change.
function makeView(frame, sheets, changed) {
  let size = [1, 1], scale = 1, offset = [0, 0], isFitted = true;

  const room = () => [frame.clientWidth, frame.clientHeight];
  const fitting = () => Math.min(...room().map((side, i) => side / size[i]));
  const actual = () => 1 / devicePixelRatio;
  const limited = (wanted) => Math.min(Math.max(wanted, Math.min(fitting(), actual())), Math.max(fitting(), ZOOM.most));

  // A picture that is smaller than the frame lies in its middle; a larger one is seen at least in a half of it.
  function place() {
    if (Math.min(...room()) <= 0) return;  // on a hidden tab
    room().forEach((side, i) => {
      const shown = size[i] * scale;
      offset[i] = shown <= side ? (side - shown) / 2 : Math.min(Math.max(offset[i], side / 2 - shown), side / 2);
    });
    const [left, top, width, height] = [...offset, ...size.map((side) => side * scale)].map((value) => `${value}px`);
    for (const sheet of sheets) Object.assign(sheet.style, { left, top, width, height });
    changed();
  }

  function fit() {
    isFitted = true;
    scale = fitting();
    place();
  }

  // Zooms so that the point of the picture at `fixed` on the screen stays there.
  function zoomTo(wanted, fixed = room().map((side) => side / 2)) {
    const next = limited(wanted);
    offset = offset.map((start, i) => fixed[i] - (fixed[i] - start) / scale * next);
    scale = next;
    isFitted = scale === fitting();
    if (isFitted) fit(); else place();
  }

  function pan(right, down) {
    offset = [offset[0] + right, offset[1] + down];
    place();
  }

  function onScreen({ clientX, clientY }) {
    const box = frame.getBoundingClientRect();
    return [clientX - box.left, clientY - box.top];
  }

  // Pans so that a point is seen.
  function reveal(point) {
    const missing = point.map((value, i) => {
      const seen = value * scale + offset[i];
      return Math.min(Math.max(seen, 0), room()[i]) - seen;
    });
    if (missing.some(Boolean)) pan(...missing);
  }

  new ResizeObserver(() => (isFitted ? fit() : place())).observe(frame);

  return {
    fit, zoomTo, pan, onScreen, reveal,
    show: (pictureSize) => {
      size = pictureSize;
      fit();
    },
    at: (event) => onScreen(event).map((value, i) => (value - offset[i]) / scale),
    zoomBy: (factor, fixed) => zoomTo(scale * factor, fixed),
    showActual: () => zoomTo(actual()),
    isFitted: () => isFitted,
    scale: () => scale,
    offset: () => offset,
    percent: () => Math.round(100 * scale / actual()),
  };
}

// Zooms by wheel and pinch; pans by two fingers, the middle button, or the left one while the space bar is held. These
// events do not reach what lies in the frame.
function followGestures(frame, view) {
  const fingers = new Map();
  let grip = null, isSpaceDown = false, isPinching = false, lastScroll = -Infinity;

  // A wheel that scrolls the page goes on doing so when the canvas comes under the pointer.
  document.addEventListener("wheel", (event) => {
    if (!frame.contains(event.target)) lastScroll = event.timeStamp;
  }, { passive: true });
  frame.addEventListener("wheel", (event) => {
    const scrolls = event.timeStamp - lastScroll < SCROLLING || (event.deltaY > 0 && view.isFitted());
    if (scrolls && !event.ctrlKey) {
      lastScroll = event.timeStamp;
      return;
    }
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? 1 : 20;
    view.zoomBy(Math.exp(-event.deltaY * lines * (event.ctrlKey ? ZOOM.pinch : ZOOM.wheel)), view.onScreen(event));
  }, { passive: false });

  const types = (target) => target.closest("input, textarea, select, button, summary, a, [contenteditable]");
  document.addEventListener("keydown", (event) => {
    if (event.key !== " " || types(event.target)) return;
    if (!frame.matches(":hover") && !frame.contains(document.activeElement)) return;
    event.preventDefault();
    setSpace(true);
  });
  document.addEventListener("keyup", (event) => event.key === " " && setSpace(false));
  window.addEventListener("blur", () => setSpace(false));

  function setSpace(down) {
    isSpaceDown = down;
    frame.classList.toggle("painter-pans", down);
  }

  const consume = (event) => {
    event.stopPropagation();
    event.preventDefault();
  };

  function press(event) {
    if (event.pointerType === "touch") {
      if (event.isPrimary) forgetFingers();
      fingers.set(event.pointerId, { target: event.target, place: view.onScreen(event) });
      if (fingers.size === 2) startPinch();
      if (isPinching) consume(event);
    } else if (event.button === 1 || (event.button === 0 && isSpaceDown)) {
      consume(event);
      frame.setPointerCapture(event.pointerId);
      grip = { pointer: event.pointerId, place: view.onScreen(event) };
    }
  }

  // When a first finger comes, all others have left, even if the browser did not say so.
  function forgetFingers() {
    fingers.clear();
    isPinching = false;
  }

  // Ends the stroke or drag that the first finger began.
  function startPinch() {
    isPinching = true;
    for (const [pointerId, { target }] of fingers) {
      target.dispatchEvent(new PointerEvent("pointercancel", { pointerId, bubbles: true }));
    }
  }

  function move(event) {
    const finger = fingers.get(event.pointerId);
    if (event.pointerId === grip?.pointer) {
      consume(event);
      const place = view.onScreen(event);
      view.pan(place[0] - grip.place[0], place[1] - grip.place[1]);
      grip.place = place;
    } else if (finger) {
      const before = fingers.size === 2 && spread();
      finger.place = view.onScreen(event);
      if (isPinching) consume(event);
      if (!before) return;
      const after = spread();
      view.pan(after.middle[0] - before.middle[0], after.middle[1] - before.middle[1]);
      view.zoomBy(after.distance / before.distance, after.middle);
    }
  }

  function spread() {
    const [[x0, y0], [x1, y1]] = [...fingers.values()].map(({ place }) => place);
    return { middle: [(x0 + x1) / 2, (y0 + y1) / 2], distance: Math.max(1, Math.hypot(x1 - x0, y1 - y0)) };
  }

  function release(event) {
    if (!event.isTrusted) return;  // of startPinch
    if (event.pointerId === grip?.pointer) {
      consume(event);
      grip = null;
    }
    if (!fingers.delete(event.pointerId) || !isPinching) return;
    consume(event);
    isPinching = fingers.size > 0;
  }

  const handlers = { pointerdown: press, pointermove: move, pointerup: release, pointercancel: release };
  for (const [name, handler] of Object.entries(handlers)) frame.addEventListener(name, handler, { capture: true });
}
