// Runs once for each painter. `props.value` is PainterData of painter.py; strokes are in the picture's pixels.
const find = (selector) => element.querySelector(selector);
const stage = find(".painter-stage"), picture = find(".painter-picture"), canvas = find(".painter-canvas");
const cursor = find(".painter-cursor"), sizeInput = find(".painter-size input"), error = find(".painter-error");
const context = canvas.getContext("2d");
const cropping = props.cropping;
let tool = cropping ? "box" : "brush", current = null;

// --- history -------------------------------------------------------------------------------------------------------

// Strokes, and new starts between them: an uploaded mask `{ mask, mask_preview }`, or a cleared canvas `{}`.
// Undo removes the last step of any kind.
let steps = [], shownPicture = null;

const lastStart = () => steps.findLast((step) => !step.points);

// The mask and strokes of `props.value` that result from the steps.
function painted() {
  const start = lastStart(), strokes = steps.slice(steps.lastIndexOf(start) + 1);
  return {
    mask: start?.mask ?? null,
    mask_preview: start?.mask_preview ?? null,
    strokes: cropping ? strokes.slice(-1) : strokes,
  };
}

const fingerprint = ({ mask, strokes }) => JSON.stringify([mask?.path, (strokes ?? []).map(({ tool, points }) => [tool, points])]);

// Follows a value from the server: an uploaded mask is a further step, and a new picture starts a new history.
function follow(value) {
  const samePicture = value?.picture?.path === shownPicture;
  if (samePicture && fingerprint(value ?? {}) === fingerprint(painted())) return;
  const start = value?.mask ? [{ mask: value.mask, mask_preview: value.mask_preview }] : [];
  const isNewMask = samePicture && value?.mask && !value.strokes.length;
  steps = [...(isNewMask ? steps : []), ...start, ...(value?.strokes ?? [])];
  shownPicture = value?.picture?.path;
}

// --- drawing -------------------------------------------------------------------------------------------------------

const scale = () => canvas.width / props.value.size[0];

function draw() {
  context.globalCompositeOperation = "source-over";
  context.clearRect(0, 0, canvas.width, canvas.height);
  const { strokes } = painted(), all = current ? [...strokes, current] : strokes, mask = lastStart()?.image;
  if (cropping) {
    drawCrop(all.at(-1));
    return;
  }
  const colour = getComputedStyle(canvas).color;
  context.fillStyle = context.strokeStyle = colour;
  context.lineCap = context.lineJoin = "round";
  if (mask) {
    context.drawImage(mask, 0, 0, canvas.width, canvas.height);
    context.globalCompositeOperation = "source-in";
    context.fillRect(0, 0, canvas.width, canvas.height);
  }
  all.forEach(drawStroke);
}

function drawStroke(stroke) {
  const points = stroke.points.map(([x, y]) => [x * scale(), y * scale()]);
  context.globalCompositeOperation = stroke.tool === "eraser" ? "destination-out" : "source-over";
  if (stroke.tool === "box") {
    context.fillRect(...rectangle(points[0], points.at(-1)));
    return;
  }
  context.lineWidth = stroke.size * scale();
  context.beginPath();
  context.moveTo(...points[0]);
  points.forEach((point) => context.lineTo(...point));
  context.stroke();
}

function drawCrop(stroke) {
  if (!stroke) return;
  const corners = stroke.points.map(([x, y]) => [x * scale(), y * scale()]);
  context.fillStyle = "#000";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.clearRect(...rectangle(corners[0], corners.at(-1)));
}

const rectangle = ([x0, y0], [x1, y1]) => [Math.min(x0, x1), Math.min(y0, y1), Math.abs(x1 - x0), Math.abs(y1 - y0)];

// A picture can be painted on only after it has loaded.
async function show() {
  const value = props.value, ready = Boolean(value?.picture_preview);
  complain(value?.error ?? "");
  setBusy(Boolean(value?.new_picture || value?.new_mask));
  follow(value);
  if (ready) {
    const shown = await load(value.picture_preview.url), start = lastStart();
    if (start?.mask) start.image ??= await load(start.mask_preview.url);
    if (value.picture.path !== shownPicture) return;  // another picture arrived meanwhile
    picture.src = shown.src;
    canvas.width = shown.naturalWidth;
    canvas.height = shown.naturalHeight;
    draw();
  }
  find(".painter-drop").hidden = ready;
  for (const part of [stage, find(".painter-tools"), find(".painter-change")]) part.hidden = !ready;
}

function complain(message) {
  error.textContent = message;
  error.hidden = !message;
}

function setBusy(busy) {
  find(".painter").classList.toggle("painter-busy", busy);
}

// --- files ---------------------------------------------------------------------------------------------------------

async function take(file, name) {
  complain("");
  if (!file) return;
  if (file.size > props.upload_mb * 1e6) {
    complain(`${file.name} is larger than ${props.upload_mb} MB; scale it down.`);
    return;
  }
  setBusy(true);
  try {
    const { path, url } = await upload(file);
    const data = { path, url, orig_name: file.name, meta: { _type: "gradio.FileData" } };
    props.value = { ...props.value, [name]: data, error: "" };
    trigger("upload");
  } catch (problem) {
    // Gradio gives the status and the sentence of the server in one text.
    const [, reason] = /^HTTP \d+: (.+)/s.exec(problem?.message) ?? [null, "Check that the page still runs."];
    complain(`${file.name} could not be uploaded. ${reason}`);
    setBusy(false);
  }
}

function listen(input, name) {
  input.addEventListener("change", () => {
    take(input.files[0], name);
    input.value = "";
  });
}

element.querySelectorAll(".painter-file").forEach((input) => listen(input, "new_picture"));
if (!cropping) listen(find(".painter-mask-file"), "new_mask");
element.addEventListener("dragover", (event) => event.preventDefault());
element.addEventListener("drop", (event) => {
  event.preventDefault();
  take(event.dataTransfer.files[0], "new_picture");
});

// --- tools ---------------------------------------------------------------------------------------------------------

function remember(changed) {
  steps = changed;
  props.value = { ...props.value, ...painted(), error: "" };
  complain("");
  trigger("input");
  draw();
}

element.querySelectorAll("[data-tool]").forEach((button) => button.addEventListener("click", () => {
  tool = button.dataset.tool;
  element.querySelectorAll("[data-tool]").forEach((other) => other.setAttribute("aria-pressed", other === button));
}));
find("[data-action=undo]").addEventListener("click", () => remember(steps.slice(0, -1)));
find("[data-action=clear]").addEventListener("click", () => {
  const last = steps.at(-1);
  if (last?.points || last?.mask) remember([...steps, {}]);
});
find("[data-action=remove]")?.addEventListener("click", () => {
  props.value = { strokes: [] };
  trigger("input");
  show();
});

function at(event) {
  const box = canvas.getBoundingClientRect(), [width, height] = props.value.size;
  return [hundredths((event.clientX - box.left) / box.width * width), hundredths((event.clientY - box.top) / box.height * height)];
}

// More precise than painting needs, and half as much to send as all digits.
const hundredths = (value) => Math.round(value * 100) / 100;

const brushSize = () => Math.max(1, (sizeInput.value / 100) * Math.max(...props.value.size));

canvas.addEventListener("pointerdown", (event) => {
  if (event.button > 0) return;
  event.preventDefault();
  canvas.setPointerCapture(event.pointerId);
  const size = tool === "box" ? 1 : brushSize();
  current = { tool, size, points: [at(event)] };
  draw();
});
canvas.addEventListener("pointermove", (event) => {
  moveCursor(event);
  if (!current) return;
  const moves = event.getCoalescedEvents?.() ?? [];
  const points = (moves.length ? moves : [event]).map(at);
  current.points = tool === "box" ? [current.points[0], points.at(-1)] : [...current.points, ...points];
  draw();
});
canvas.addEventListener("pointerup", () => {
  if (!current) return;
  const done = current, isBox = tool === "box";
  current = null;
  if (isBox && done.points.length < 2) draw();
  else remember([...steps, done]);
});
canvas.addEventListener("pointercancel", () => {
  current = null;
  draw();
});
canvas.addEventListener("pointerleave", () => (cursor.hidden = true));

function moveCursor(event) {
  cursor.hidden = tool === "box" || event.pointerType === "touch";
  if (cursor.hidden) return;
  const box = canvas.getBoundingClientRect(), side = brushSize() * (box.width / props.value.size[0]);
  Object.assign(cursor.style, {
    width: `${side}px`,
    height: `${side}px`,
    left: `${event.clientX - box.left - side / 2}px`,
    top: `${event.clientY - box.top - side / 2}px`,
  });
}

watch("value", show);
show();
