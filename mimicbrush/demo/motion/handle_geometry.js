// Motions of an object in pixels of the picture, as the handles describe them, and their words, which are those of
// mimicbrush/flow/motion_words.py. A motion acts in this order: the corners of the object's box move by `corners`, the
// object is stretched, bent and turned around its middle, and moved by `shift`. Handles lie on the box without the bend.

const still = () => ({ corners: [[0, 0], [0, 0], [0, 0], [0, 0]], stretch: [1, 1], bend: 0, turn: 0, shift: [0, 0] });
const MIN_AREA = 4;  // of the triangles of a box, in square pixels
const STRETCHES = [0.05, 20], BENDS = [-360, 360];
const EDGE_POINTS = 12;  // of each side of a bent box

const add = ([x, y], [right, down]) => [x + right, y + down];
const subtract = ([x, y], [right, down]) => [x - right, y - down];
const times = ([x, y], factor) => [x * factor, y * factor];
const dot = ([x, y], [right, down]) => x * right + y * down;
const cross = ([x, y], [right, down]) => x * down - y * right;
const between = (a, b) => times(add(a, b), 0.5);
const within = (value, [least, most]) => Math.min(Math.max(value, least), most);
const rounded = (value, digits) => Number(value.toFixed(digits)) || 0;  // never -0

// The corners of a box (left, top, right, bottom) in turn: top left, top right, bottom right, bottom left.
const cornersOfBox = ([left, top, right, bottom]) => [[left, top], [right, top], [right, bottom], [left, bottom]];

// The crossing of the diagonals: where perspective takes the middle of a box.
function middleOf([a, b, c, d]) {
  const ac = subtract(c, a), bd = subtract(d, b);
  return add(a, times(ac, cross(subtract(b, a), bd) / cross(ac, bd)));
}

// Stretches and turns a vector; `undone` reverses that.
function turned([x, y], { stretch, turn }) {
  const cosine = Math.cos(turn * Math.PI / 180), sine = Math.sin(turn * Math.PI / 180);
  const [right, down] = [x * stretch[0], y * stretch[1]];
  return [cosine * right - sine * down, sine * right + cosine * down];
}

function undone([x, y], { stretch, turn }) {
  const [right, down] = turned([x, y], { stretch: [1, 1], turn: -turn });
  return [right / stretch[0], down / stretch[1]];
}

// The corners of the box after a motion, without its bend.
function quadOf(box, motion) {
  const corners = cornersOfBox(box).map((corner, i) => add(corner, motion.corners[i])), middle = middleOf(corners);
  return corners.map((corner) => add(add(turned(subtract(corner, middle), motion), middle), motion.shift));
}

const isConvex = (quad) => quad.every((corner, i) => {
  const next = quad[(i + 1) % 4], following = quad[(i + 2) % 4];
  return cross(subtract(next, corner), subtract(following, next)) > MIN_AREA;
});

// The motion with the same stretch and turn whose corners end at `quad`, and whose corner number `kept` moves by as
// much before it is stretched and turned; null if the quadrangle has a dent.
function withCornersAt(quad, box, motion, kept) {
  if (!isConvex(quad)) return null;
  const before = quad.map((corner) => undone(corner, motion)), corners = cornersOfBox(box), middle = middleOf(quad);
  const offset = subtract(add(corners[kept], motion.corners[kept]), before[kept]);
  const toTenths = (vector) => vector.map((value) => rounded(value, 1));
  return {
    ...motion,
    corners: corners.map((corner, i) => toTenths(subtract(add(before[i], offset), corner))),
    shift: toTenths(subtract(subtract(middle, undone(middle, motion)), offset)),
  };
}

// The perspective of the unit square onto `quad`, as rows of a matrix (Heckbert, 1989).
function perspective([[x0, y0], [x1, y1], [x2, y2], [x3, y3]]) {
  const [dx1, dx2, sx] = [x1 - x2, x3 - x2, x0 - x1 + x2 - x3], [dy1, dy2, sy] = [y1 - y2, y3 - y2, y0 - y1 + y2 - y3];
  const area = dx1 * dy2 - dx2 * dy1, g = (sx * dy2 - dx2 * sy) / area, h = (dx1 * sy - sx * dy1) / area;
  return [[x1 - x0 + g * x1, x3 - x0 + h * x3, x0], [y1 - y0 + g * y1, y3 - y0 + h * y3, y0], [g, h, 1]];
}

// A function that takes points of the box to where the corners at `quad` take them.
function mapping([left, top, right, bottom], quad) {
  const rows = perspective(quad);
  return ([x, y]) => {
    const point = [(x - left) / (right - left), (y - top) / (bottom - top), 1];
    const [across, down, depth] = rows.map((row) => row.reduce((sum, value, i) => sum + value * point[i], 0));
    return [across / depth, down / depth];
  };
}

const lengthOf = ([a, b, c, d]) => (Math.hypot(...subtract(b, a)) + Math.hypot(...subtract(c, d))) / 2;

// A function that takes points of the box to where a motion with its bend takes them.
function moving(box, motion) {
  if (!motion.bend) return mapping(box, quadOf(box, motion));
  const quad = quadOf(box, { ...motion, turn: 0, shift: [0, 0] }), move = mapping(box, quad), middle = middleOf(quad);
  const radius = lengthOf(quad) / (motion.bend * Math.PI / 180);
  return (point) => {
    const [along, beside] = subtract(move(point), middle), angle = along / radius, distance = radius + beside;
    const bent = [distance * Math.sin(angle), distance * Math.cos(angle) - radius];
    return add(add(turned(bent, { ...motion, stretch: [1, 1] }), middle), motion.shift);
  };
}

// Points of the outline of the box after a motion.
function outlineOf(box, motion) {
  const corners = cornersOfBox(box), move = moving(box, motion), count = motion.bend ? EDGE_POINTS : 1;
  return corners.flatMap((corner, i) => Array.from({ length: count }, (_, step) =>
    move(add(corner, times(subtract(corners[(i + 1) % 4], corner), step / count)))));
}

// CSS that shows an element of this size, in the upper left corner of its parent, at `quad`, in pixels of the parent.
function matrix3d(quad, width, height) {
  const [[a, b, c], [d, e, f], [g, h, i]] = perspective(quad);
  const columns = [a / width, d / width, 0, g / width, b / height, e / height, 0, h / height, 0, 0, 1, 0, c, f, 0, i];
  return `matrix3d(${columns.join()})`;
}

function wordsOf({ corners, stretch: [across, down], bend, turn, shift }) {
  const isSimilar = across === down;
  return [
    corners.flat().some(Boolean) && `homography ${corners.flat().join(" ")}`,
    isSimilar && across !== 1 && `scale ${across}`,
    !isSimilar && `stretch ${across} ${down}`,
    bend && `bend ${bend}`,
    turn && `rotate ${turn}`,
    shift.some(Boolean) && `translate ${shift.join(" ")}`,
  ].filter(Boolean).join("; ");
}

// The motion of these words; words that the handles do not make leave the object where it is.
function motionOf(text) {
  const motion = still();
  for (const step of (text ?? "").split("; ").filter(Boolean)) {
    const [word, ...rest] = step.split(" "), numbers = rest.map(Number);
    if (!numbers.every(Number.isFinite)) return still();
    if (word === "homography") motion.corners = [0, 2, 4, 6].map((i) => numbers.slice(i, i + 2));
    else if (word === "scale") motion.stretch = [numbers[0], numbers[0]];
    else if (word === "stretch") motion.stretch = numbers;
    else if (word === "bend") [motion.bend] = numbers;
    else if (word === "rotate") [motion.turn] = numbers;
    else if (word === "translate") motion.shift = numbers;
    else return still();
  }
  return motion;
}

// --- handles -------------------------------------------------------------------------------------------------------

const PLACES = ["top left", "top right", "bottom right", "bottom left"], SIDES = ["top", "right", "bottom", "left"];
const HANDLES = {
  move: [
    ...SIDES.map((side, index) => ({ kind: "stretch", index, name: `Stretch at the ${side}` })),
    ...PLACES.map((place, index) => ({ kind: "scale", index, name: `Scale at the ${place}` })),
    { kind: "turn", index: 0, name: "Turn" },
    { kind: "bend", index: 0, name: "Bend" },
  ],
  corners: PLACES.map((place, index) => ({ kind: "corner", index, name: `Corner at the ${place}` })),
};

// Where a handle is on the box: side i lies between the corners i and i + 1.
function gripOf(quad, { kind, index }) {
  return kind === "stretch" ? between(quad[index], quad[(index + 1) % 4]) : quad[index];
}

// The motion after a handle was pulled by a vector, given the motion before; null where it cannot be.
function pulled(motion, handle, vector, box) {
  if (handle.kind === "shift") return { ...motion, shift: add(motion.shift, vector).map(Math.round) };
  const quad = quadOf(box, motion);
  if (handle.kind === "bend") {
    const up = -turned(vector, { stretch: [1, 1], turn: -motion.turn })[1];
    // A slight bend lifts the ends by an eighth of its length for each radian.
    return bentBy(motion, 8 * up / lengthOf(quad) * 180 / Math.PI);
  }
  if (handle.kind === "corner") {
    const moved = quad.map((corner, i) => (i === handle.index ? add(corner, vector) : corner));
    return withCornersAt(moved, box, motion, (handle.index + 2) % 4);
  }
  const opposite = { ...handle, index: (handle.index + 2) % 4 }, anchor = gripOf(quad, opposite);
  const reach = subtract(gripOf(quad, handle), anchor);
  const factor = dot(add(reach, vector), reach) / dot(reach, reach);
  const isAcross = handle.kind === "scale" || handle.index % 2, isDown = handle.kind === "scale" || !(handle.index % 2);
  const stretch = [isAcross, isDown].map((changes, i) =>
    rounded(within(motion.stretch[i] * (changes ? factor : 1), STRETCHES), 3));
  const moved = gripOf(quadOf(box, { ...motion, stretch }), opposite);
  const shift = add(motion.shift, subtract(anchor, moved)).map((value) => rounded(value, 1));
  return { ...motion, stretch, shift };
}

function turnedBy(motion, degrees, step) {
  const turn = Math.round((motion.turn + degrees) / step) * step;
  return { ...motion, turn: rounded(turn - 360 * Math.round(turn / 360), 1) };
}

function bentBy(motion, degrees) {
  return { ...motion, bend: rounded(within(motion.bend + degrees, BENDS), 0) };
}
