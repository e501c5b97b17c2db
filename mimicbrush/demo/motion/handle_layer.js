// Draws the handles, arrows and previews over a canvas. All it needs of the canvas is its `stage`: an element that
// covers the shown picture exactly and is positioned (not `static`). The layer becomes its last child and follows its
// size; a canvas that zooms by a CSS transform dispatches the event `viewchange` on the stage after it did.

const SVG = "http://www.w3.org/2000/svg";
const GRIP = 7, TOUCH = 16, TURN_DISTANCE = 30, EDGE = 10;  // in pixels of the screen
const FROM_MIDDLE = { stretch: 32, scale: 44, corner: 44 };  // at least, so that a small object can be grasped

function makeLayer(layer) {
  const find = (selector) => layer.querySelector(selector);
  const drawing = find(".handles-drawing"), object = find(".handles-object"), body = find(".handles-body");
  const warped = find(".handles-warped"), mask = find(".handles-mask"), grips = find(".handles-grips");
  let stage = null, size = [1, 1];
  const resized = new ResizeObserver(() => layer.dispatchEvent(new Event("viewchange")));

  function attach(canvasStage) {
    if (stage === canvasStage && layer.parentNode === stage) return;
    resized.disconnect();
    stage = canvasStage;
    stage.append(layer);
    resized.observe(stage);
    stage.addEventListener("viewchange", () => layer.dispatchEvent(new Event("viewchange")));
  }

  // Pixels of the picture for each pixel of the screen.
  const unit = () => size[0] / (stage.getBoundingClientRect().width || 1);

  function at(event) {
    const box = stage.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width * size[0], (event.clientY - box.top) / box.height * size[1]];
  }

  function makeGrip(handle) {
    const group = document.createElementNS(SVG, "g");
    for (const name of ["handles-reach", "handles-grip"]) {
      const circle = document.createElementNS(SVG, "circle");
      circle.setAttribute("class", name);
      group.append(circle);
    }
    group.setAttribute("class", `handles-${handle.kind}`);
    prepare(group, handle);
    grips.append(group);
  }

  function prepare(node, handle) {
    const attributes = { tabindex: 0, role: "slider", "aria-label": handle.name, "data-index": handle.index };
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.handle = handle;
  }

  prepare(body, { kind: "shift", index: 0, name: "Move" });

  // Replaces the grips by those of a mode; the body stays.
  function showGrips(handles) {
    grips.querySelectorAll("g").forEach((grip) => grip.remove());
    handles.forEach(makeGrip);
  }

  const inside = (point) => point.map((value, i) => within(value, [EDGE * unit(), size[i] - EDGE * unit()]));

  function placeOf(quad, handle, further = 0) {
    const middle = middleOf(quad), out = subtract(gripOf(quad, handle), middle), distance = Math.hypot(...out);
    const shown = Math.max(distance, FROM_MIDDLE[handle.kind] * unit()) + further * unit();
    return add(middle, times(out, shown / distance));
  }

  // Beyond the handle of a side: the first where it lies in the picture is for turning, another one for bending.
  function placesBeyond(quad) {
    const places = SIDES.map((_, index) => placeOf(quad, { kind: "stretch", index }, TURN_DISTANCE));
    const isInside = (place) => inside(place).every((value, i) => value === place[i]);
    const turn = places.find(isInside) ?? places[0], others = places.filter((place) => place !== turn);
    return { turn, bend: [2, 1, 3, 0].map((i) => places[i]).find((place) => place !== turn && isInside(place)) ?? others[1] };
  }

  // quad: the box that holds the handles; outline: points around the moved object.
  function draw(box, quad, outline, motion) {
    const points = (corners) => corners.map((corner) => corner.join()).join(" ");
    drawing.setAttribute("viewBox", `0 0 ${size.join(" ")}`);
    find(".handles-start").setAttribute("points", points(cornersOfBox(box)));
    body.setAttribute("points", points(outline));
    const beyond = placesBeyond(quad);
    for (const grip of grips.querySelectorAll("[tabindex]")) {
      describe(grip, motion);
      if (grip === body) continue;
      const place = inside(beyond[grip.handle.kind] ?? placeOf(quad, grip.handle));
      grip.querySelectorAll("circle").forEach((circle, i) => {
        circle.setAttribute("r", [TOUCH, GRIP][i] * unit());
        ["cx", "cy"].forEach((name, axis) => circle.setAttribute(name, place[axis]));
      });
    }
    const [width, height] = [stage.clientWidth, stage.clientHeight], shown = width / size[0];
    Object.assign(object.style, { width: `${width}px`, height: `${height}px` });
    const onStage = cornersOfBox([0, 0, ...size]).map(mapping(box, quad)).map((point) => times(point, shown));
    object.style.transform = isConvex(onStage) ? matrix3d(onStage, width, height) : "";
  }

  // Arrows from and to points of the picture.
  function drawArrows(arrows) {
    const tip = 5 * unit();
    find(".handles-arrows").setAttribute("d", arrows.map(([from, to]) => {
      const way = subtract(to, from), length = Math.hypot(...way);
      if (length < tip / 2) return "";
      const back = times(way, -Math.min(tip, length / 2) / length), side = times([-back[1], back[0]], 0.7);
      const barbs = [add(add(to, back), side), add(subtract(to, side), back)];
      return `M${from}L${to}M${barbs[0]}L${to}L${barbs[1]}`;
    }).join(""));
  }

  return {
    element: layer, drawing, warped, mask, object, attach, at, showGrips, draw, drawArrows,
    setSize: (shown) => (size = shown),
    isReady: () => Boolean(stage?.clientWidth),
  };
}

// What a screen reader says about a handle.
function describe(grip, { corners, stretch, bend, turn, shift }) {
  const { kind, index } = grip.handle;
  const percent = stretch.map((factor) => Math.round(100 * factor));
  const [now, text] = {
    shift: () => [shift[0], `${shift[0]} pixels to the right, ${shift[1]} down`],
    turn: () => [turn, `${turn} degrees`],
    bend: () => [bend, bend ? `${Math.abs(bend)} degrees, ends ${bend > 0 ? "up" : "down"}` : "straight"],
    scale: () => [percent[0], `${percent[0]} percent wide, ${percent[1]} percent high`],
    stretch: () => (index % 2 ? [percent[0], `${percent[0]} percent wide`] : [percent[1], `${percent[1]} percent high`]),
    corner: () => [corners[index][0], `${corners[index][0]} pixels to the right, ${corners[index][1]} down`],
  }[kind]();
  const range = { turn: [-180, 180], bend: BENDS, scale: [0, 2000], stretch: [0, 2000] }[kind] ?? [-100000, 100000];
  const attributes = { "aria-valuenow": now, "aria-valuetext": text, "aria-valuemin": range[0], "aria-valuemax": range[1] };
  for (const [name, value] of Object.entries(attributes)) grip.setAttribute(name, value);
}

// Points of an object that is opaque in its picture `alpha` (a canvas of the whole picture), about evenly spread: about
// `count` along its longer side.
function gridOf(box, alpha, size, count) {
  const [left, top, right, bottom] = box, step = Math.max(right - left, bottom - top) / count;
  const { data } = alpha.getContext("2d", { willReadFrequently: true }).getImageData(0, 0, alpha.width, alpha.height);
  const points = [];
  for (let y = top + step / 2; y < bottom; y += step) {
    for (let x = left + step / 2; x < right; x += step) {
      const column = Math.floor(x / size[0] * alpha.width), row = Math.floor(y / size[1] * alpha.height);
      if (data[4 * (row * alpha.width + column) + 3] > 127) points.push([x, y]);
    }
  }
  return points;
}
