// Runs once for each component, after handle_geometry.js and handle_layer.js. `props.value` is HandlesData of
// motion_handles.py; `props.stage` selects the stage of a canvas, see handle_layer.js.
const find = (selector) => element.querySelector(selector);
const error = find(".painter-error"), layer = makeLayer(find(".handles-layer"));
const COMMIT_MILLISECONDS = 300;
const HINTS = {
  paint: "Paint the object to move; then press Move.",
  move: "Drag the object; turn, scale, stretch and bend it by its handles. With the keyboard: Tab to a handle, then the arrow keys.",
  corners: "Drag each corner freely, for perspective.",
  given: "The painted object moves as below; press Edit, or Move to change it.",
  nothing: "Nothing is painted yet. Paint the object to move.",
  frames: "The object moves as in the two frames; press Drop this motion to use the handles again.",
};
let mode = "paint", motion = still(), past = [], drag = null, shownPicture = null, grid = [], commit = null;

const value = () => props.value ?? {};
const box = () => value().box;
const words = () => (value().frames?.length ? "" : wordsOf(motion));

// --- showing -------------------------------------------------------------------------------------------------------

function draw() {
  const { size, frames, arrows } = value(), ofFrames = Boolean(frames?.length);
  const isShown = mode !== "paint" && Boolean(box()) && value().picture === shownPicture;
  layer.element.hidden = !isShown;
  const hint = mode === "paint" ? (words() ? "given" : mode) : (box() ? mode : "nothing");
  find(".handles-hint").textContent = HINTS[ofFrames ? "frames" : hint];
  find(".handles-summary").hidden = !words();
  find(".handles-words").textContent = words();
  find("[data-action=undo]").disabled = !past.length;
  find("[data-action=reset]").disabled = !words();
  const isFresh = isShown && value().previewed === words() && !drag;
  layer.warped.hidden = !isFresh || !value().warped;
  layer.mask.hidden = !isFresh || !value().mask || !find(".handles-shows-mask").checked;
  find(".handles-legend").hidden = !isShown || !(words() || ofFrames);
  // CSS cannot bend: outline and arrows show a bend until the server's warp is there.
  layer.object.hidden = !isShown || !layer.warped.hidden || ofFrames || !words() || Boolean(motion.bend);
  layer.drawing.classList.toggle("handles-fixed", ofFrames);
  if (!isShown || !layer.isReady()) return;
  layer.setSize(size);
  const shownMotion = ofFrames ? still() : motion, move = moving(box(), shownMotion);
  layer.draw(box(), quadOf(box(), shownMotion), outlineOf(box(), shownMotion), shownMotion);
  if (!find(".handles-shows-arrows").checked) return layer.drawArrows([]);
  layer.drawArrows(ofFrames ? arrows.map(([x, y, right, down]) => [[x, y], [x + right, y + down]])
    : words() ? grid.map((point) => [point, move(point)]) : []);
}

// Follows a value from the server. One that answers an older request keeps the motion that the visitor has made since.
async function show() {
  const shown = value();
  if (shown.picture !== shownPicture) {
    if (shownPicture) setMode("paint");
    // An example, or an earlier visit, brings its motion.
    [shownPicture, motion, past] = [shown.picture, motionOf(shown.motion), []];
  }
  complain(shown.error || shown.frames_error || "");
  find(".handles").classList.remove("painter-busy");
  showFrames(shown);
  if (shown.saved_frames?.length && shown.size) return ask({ new_frames: shown.saved_frames, saved_frames: [] });
  const isActive = mode !== "paint";
  if (shown.motion !== words() || shown.is_active !== isActive) {
    props.value = { ...shown, motion: words(), is_active: isActive };
  }
  if (shown.cutout) {
    const [cutout] = await Promise.all([shown.cutout, shown.warped, shown.mask].map((file) => file && load(file.url)));
    if (value().cutout?.url !== shown.cutout.url) return;  // a newer answer arrived meanwhile
    const { object: canvas } = layer;
    [canvas.width, canvas.height] = [cutout.naturalWidth, cutout.naturalHeight];
    canvas.getContext("2d", { willReadFrequently: true }).drawImage(cutout, 0, 0);
    grid = gridOf(shown.box, canvas, shown.size, props.num_arrows);
    if (shown.warped) layer.warped.src = shown.warped.url;
    if (shown.mask) layer.mask.style.maskImage = `url("${encodeURI(shown.mask.url)}")`;
  }
  draw();
}

function complain(message) {
  error.textContent = message;
  error.hidden = !message;
}

function showFrames({ frames, times }) {
  const isClip = Boolean(times?.length);
  find(".handles-chosen").hidden = !frames?.length;
  element.querySelectorAll(".handles-time").forEach((label) => (label.hidden = !isClip));
  if (isClip) [find(".handles-from").value, find(".handles-to").value] = times;
}

// --- changes -------------------------------------------------------------------------------------------------------

// Sends the motion, for the preview of the server.
function send() {
  clearTimeout(commit);
  commit = null;
  props.value = { ...value(), motion: words(), is_active: mode !== "paint", error: "", frames_error: "" };
  complain("");
  trigger("input");
  draw();
}

function remember(changed) {
  past = [...past, motion].slice(-100);
  motion = changed;
}

function setMode(chosen) {
  mode = chosen;
  element.querySelectorAll("[data-mode]").forEach((button) =>
    button.setAttribute("aria-pressed", button.dataset.mode === mode));
  if (mode === "paint") return;
  layer.attach(document.querySelector(props.stage));
  layer.showGrips(HANDLES[mode]);
}

element.querySelectorAll("[data-mode]").forEach((button) => button.addEventListener("click", () => {
  setMode(button.dataset.mode);
  // The handles are above these buttons, and may be out of sight.
  document.querySelector(props.stage)?.closest(".painter-frame").scrollIntoView({ block: "nearest" });
  send();
}));
// Whoever chooses a brush wants to paint.
document.addEventListener("click", ({ target }) => {
  const painter = target.closest?.("[data-tool]")?.closest(".painter");
  if (mode === "paint" || !painter?.contains(document.querySelector(props.stage))) return;
  setMode("paint");
  send();
});
element.querySelectorAll("[type=checkbox]").forEach((box) => box.addEventListener("change", draw));
find("[data-action=undo]").addEventListener("click", () => {
  motion = past.pop() ?? motion;
  send();
});
find("[data-action=reset]").addEventListener("click", () => {
  remember(still());
  send();
});

// --- mouse, touch and keyboard -------------------------------------------------------------------------------------

const handleOf = (event) => event.target.closest("[tabindex]")?.handle;
const angleOf = ([x, y]) => Math.atan2(y, x) * 180 / Math.PI;

layer.drawing.addEventListener("pointerdown", (event) => {
  const handle = handleOf(event);
  if (event.button > 0 || !handle || drag) return;
  event.preventDefault();
  event.target.closest("[tabindex]").focus();
  layer.drawing.setPointerCapture(event.pointerId);
  drag = { handle, pointer: event.pointerId, from: layer.at(event), start: motion, changed: null };
});
layer.drawing.addEventListener("pointermove", (event) => {
  if (event.pointerId !== drag?.pointer) return;
  const { handle, from, start } = drag, to = layer.at(event);
  if (handle.kind === "turn") {
    const middle = middleOf(quadOf(box(), start));
    const degrees = angleOf(subtract(to, middle)) - angleOf(subtract(from, middle));
    motion = turnedBy(start, degrees, event.shiftKey ? 15 : 0.1);
  } else motion = pulled(start, handle, subtract(to, from), box()) ?? motion;
  drag.changed = motion;
  draw();
});

function drop(keep) {
  if (!drag) return;
  const { start, changed } = drag;
  drag = null;
  motion = start;
  if (!keep || !changed || wordsOf(changed) === wordsOf(start)) return draw();
  remember(changed);
  send();
}

layer.drawing.addEventListener("pointerup", () => drop(true));
layer.drawing.addEventListener("pointercancel", () => drop(false));
layer.element.addEventListener("viewchange", draw);

const ARROW_KEYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

layer.drawing.addEventListener("keydown", (event) => {
  if (event.key === "Escape") return drop(false);
  const way = ARROW_KEYS[event.key], handle = handleOf(event);
  if (!way || !handle || drag) return;
  event.preventDefault();
  const degrees = event.shiftKey ? 15 : 1;
  const changed = handle.kind === "turn" ? turnedBy(motion, (way[0] + way[1]) * degrees, 0.1)
    : handle.kind === "bend" ? bentBy(motion, (way[0] - way[1]) * degrees) : pulled(motion, handle, times(way, event.shiftKey ? 10 : 1), box());
  if (!changed) return;
  if (commit === null) remember(changed);
  else motion = changed;
  clearTimeout(commit);
  commit = setTimeout(send, COMMIT_MILLISECONDS);  // several presses make one request, and one step of the history
  props.value = { ...value(), motion: words() };
  draw();
});

// --- motion from two frames ----------------------------------------------------------------------------------------

function ask(changes) {
  find(".handles").classList.add("painter-busy");
  complain("");
  props.value = { ...value(), error: "", frames_error: "", ...changes };
  trigger("upload");
}

async function take(files) {
  if (!files.length) return;
  const large = files.find((file) => file.size > props.upload_mb * 1e6);
  if (large) return complain(`${large.name} is larger than ${props.upload_mb} MB; scale it down.`);
  find(".handles").classList.add("painter-busy");
  try {
    const sent = [];
    for (const file of files) sent.push({ ...await upload(file), orig_name: file.name, meta: { _type: "gradio.FileData" } });
    ask({ new_frames: sent, times: [] });
  } catch (problem) {
    // Gradio gives the status and the sentence of the server in one text.
    const [, reason] = /^HTTP \d+: (.+)/s.exec(problem?.message) ?? [null, "Check that the page still runs."];
    complain(`${files[0].name} could not be uploaded. ${reason}`);
    find(".handles").classList.remove("painter-busy");
  }
}

find(".handles-file").addEventListener("change", (event) => {
  take([...event.target.files]);
  event.target.value = "";
});
for (const name of [".handles-from", ".handles-to"]) {
  find(name).addEventListener("change", () =>
    ask({ new_frames: value().frames, times: [find(".handles-from"), find(".handles-to")].map((field) => Number(field.value)) }));
}
find("[data-action=first]").addEventListener("click", () => ask({ new_frames: value().frames, replaces_picture: true }));
find("[data-action=drop]").addEventListener("click", () => {
  props.value = { ...value(), frames: [], times: [], arrows: [] };
  send();
});

watch("value", show);
show();
