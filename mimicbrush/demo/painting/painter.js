// Runs once for each painter, after the other scripts of this folder. `props.value` is PainterData of painter.py; strokes
// are in the picture's pixels.
const find = (selector) => element.querySelector(selector);
const frame = find(".painter-frame"), picture = find(".painter-picture"), canvas = find(".painter-canvas");
const sizeInput = find(".painter-size input"), colourInput = find(".painter-colour input"), error = find(".painter-error");
const cropping = props.cropping, history = makeHistory(), locals = new Map(), images = new Map();
const sending = makeSending(find(".painter"));
const raster = makeMaskRaster(find(".painter-mask"));
const stage = find(".painter-stage"), view = makeView(frame, [picture, stage], showView);
const overlay = makeOverlay(canvas, view, raster, () => (hasBox(tool) ? 0 : side));
const CLICK = 4;  // pixels of the screen that a click may move
const FIRST_BRUSH = 0.08;  // of the picture's longer side
let tool = cropping ? "box" : "brush", side = 1, drawn = null, painted = null, shownPicture = null, newPicture = null, ownColour = null;
let isChosen = false;  // whether the visitor chose the picture that is shown next

// --- showing -------------------------------------------------------------------------------------------------------

// Follows a value from the server: a new picture, or a new mask.
function follow(value) {
  const state = stateOf(value);
  if (value?.error) [newPicture, isChosen] = [null, false];  // it was refused
  if (isSame(state, history.now())) return;
  if (newPicture && state.picture?.path !== history.now().picture?.path) {
    locals.set(state.picture?.path, newPicture);
    isChosen = true;
  }
  newPicture = null;
  history.remember(state);
}

// A picture can be painted on only after it has loaded.
async function show() {
  const value = props.value;
  complain(value?.error ?? "");
  const isChecked = !value?.new_picture && !value?.new_mask;
  setBusy(!isChecked || Boolean(value?.selection?.length));
  follow(value);
  const state = history.now(), isReady = Boolean(state.picture_preview);
  if (isReady) {
    const loading = Promise.all([pictureOf(state), state.mask && loadOnce(state.mask_preview.url)]);
    const [shown, mask] = await loading.catch(() => []);
    if (state !== history.now()) return;  // another picture arrived meanwhile
    if (!shown) return complain("The picture could not be fetched. Check that the page still runs.");
    if (picture.src !== shown.src) picture.src = shown.src;
    draw(state, shown, mask);
  }
  find(".painter-drop").hidden = isReady;
  for (const part of [frame, find(".painter-tools"), find(".painter-change")]) part.hidden = !isReady;
  showOther();
  if (isChecked) sending.hide();
  if (isReady && state.picture.path !== shownPicture) {
    shownPicture = state.picture.path;
    tellLarge(state.size);
    frame.style.aspectRatio = state.size.join(" / ");
    view.show(state.size);
    if (isChosen) find(".painter").scrollIntoView({ block: "nearest" });  // with its tools, which are below it
    isChosen = false;
  }
}

// Says how a large picture is edited.
function tellLarge([width, height]) {
  const note = find(".painter-large"), megapixels = width * height / 1e6;
  note.hidden = !props.megapixels || megapixels <= props.megapixels;
  note.textContent = `This picture has ${Math.round(megapixels)} megapixels. It is edited in ${props.megapixels}, and the result is put back into the full-size picture.`;
}

// The visitor's own file has all pixels, and need not be fetched; the server's preview shows what a browser cannot read.
async function pictureOf({ picture: { path }, picture_preview, size }) {
  const own = locals.has(path) && await loadOnce(locals.get(path)).catch(() => null);
  const isWhole = own && own.naturalWidth === size[0] && own.naturalHeight === size[1];
  return isWhole ? own : loadOnce(picture_preview.url);
}

function loadOnce(url) {
  if (!images.has(url)) {
    images.set(url, load(url));
    images.get(url).catch(() => images.delete(url));  // the next attempt may succeed
  }
  return images.get(url);
}

function draw(state, shown, mask) {
  if (state.picture.path !== shownPicture) {
    raster.setSize(state.size);
    setColour(ownColour ?? contrastingColour(shown));
    setSide(Math.round(FIRST_BRUSH * Math.max(...state.size)));
    drawn = null;
  }
  if (!continues(state, drawn)) raster.draw(mask, cropping ? state.strokes.slice(-1) : state.strokes);
  else if (state.strokes.at(-1) !== painted) raster.add(state.strokes.at(-1));
  drawn = state;
  const box = cropping ? state.strokes.at(-1)?.points : null;
  overlay.show({ size: state.size, feather: props.feathers && state.feather, cropping, crop: box && [box[0], box.at(-1)], box: null });
  find("[data-action=undo]").disabled = !history.canUndo();
  find("[data-action=redo]").disabled = !history.canRedo();
}

// Whether a state is what is drawn, with one more stroke.
function continues({ mask, strokes }, before) {
  return !cropping && before && mask === before.mask && strokes.length === before.strokes.length + 1 &&
    before.strokes.every((stroke, i) => stroke === strokes[i]);
}

function showView() {
  overlay.show({});
  find(".painter-zoom").textContent = `${view.percent()} %`;
  picture.classList.toggle("painter-pixels", view.scale() > 2);
  stage.dispatchEvent(new Event("viewchange"));
}

function complain(message) {
  const isNew = message && message !== error.textContent;
  error.textContent = message;
  error.hidden = !message;
  if (isNew) error.scrollIntoView({ block: "nearest" });
}

function setBusy(busy) {
  find(".painter").classList.toggle("painter-busy", busy);
}

const say = (text) => (find(".painter-said").textContent = text);

// --- changes -------------------------------------------------------------------------------------------------------

function send(isUndone) {
  const state = history.now();
  props.value = { ...props.value, ...state, new_picture: null, new_mask: null, selection: [], error: "" };
  complain("");
  trigger("input");
  show();
  if (isUndone) say("Undone");
}

function remember(changes) {
  history.remember({ ...history.now(), ...changes });
  send();
}

const addStroke = (stroke) => remember({ strokes: cropping ? [stroke] : [...history.now().strokes, stroke] });

// Asks the server for the thing at a click, or in a box.
function selectObject(points) {
  const corners = [points[0], points.at(-1)], way = corners[0].map((value, i) => corners[1][i] - value);
  const isClick = Math.hypot(...way) * view.scale() < CLICK;
  if (isClick && !props.clicks) return complain("Drag a box around the thing to paint.");
  setBusy(true);
  props.value = { ...props.value, selection: isClick ? corners.slice(0, 1) : corners, error: "" };
  complain("");
  trigger("select");
}

makeBrush(canvas, view, {
  tool: () => tool, side: () => side, size: () => history.now().size, say,
  extend(stroke, before) {
    if (hasBox(stroke.tool)) overlay.show({ box: [stroke.points[0], stroke.points.at(-1)] });
    else {
      raster.add(stroke, before);
      painted = stroke;
    }
    overlay.show({});
  },
  done(stroke) {
    overlay.show({ box: null });
    if (stroke?.tool === "object") selectObject(stroke.points);
    else if (stroke) addStroke(stroke);
    else {
      drawn = null;
      show();
    }
  },
  hover: (cursor) => overlay.show({ cursor }),
});
followGestures(frame, view);

// --- tools ---------------------------------------------------------------------------------------------------------

const radiusOfChange = () => Math.max(1, Math.round(Math.max(...history.now().size) / 200));
const changeMask = (name, radius = 1) => addStroke({ tool: name, size: radius, points: [[0, 0]] });

const actions = {
  undo: () => history.undo() && send(true),
  redo: () => history.redo() && send(),
  clear: () => (history.now().strokes.length || history.now().mask) && remember({ strokes: [], mask: null, mask_preview: null }),
  remove: () => remember(EMPTY),
  invert: () => changeMask("invert"),
  grow: () => changeMask("grow", radiusOfChange()),
  shrink: () => changeMask("shrink", radiusOfChange()),
  fit: () => view.fit(),
  actual: () => view.showActual(),
  full: () => toggleFullScreen(),
};
element.querySelectorAll("[data-action]").forEach((button) =>
  button.addEventListener("click", () => actions[button.dataset.action]?.()));
element.querySelectorAll("[data-tool]").forEach((button) => button.addEventListener("click", () => {
  tool = button.dataset.tool;
  element.querySelectorAll("[data-tool]").forEach((other) => other.setAttribute("aria-pressed", other === button));
}));

// The whole tab, so that Edit and the result stay in reach.
function toggleFullScreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else (element.closest(".columns") ?? element).requestFullscreen();
}
document.addEventListener("fullscreenchange", () => {
  const button = find("[data-action=full]");
  if (button) button.textContent = document.fullscreenElement ? "Leave full screen" : "Full screen";
});

function setSide(pixels) {
  const { size } = history.now();
  side = Math.min(Math.max(1, pixels), sideAt(100, size));
  overlay.show({});
  if (!sizeInput) return;
  sizeInput.value = positionOf(side, size);
  find(".painter-size output").textContent = `${side} px`;
  sizeInput.setAttribute("aria-valuetext", `${side} pixels`);
}

sizeInput?.addEventListener("input", () => setSide(sideAt(Number(sizeInput.value), history.now().size)));

function setColour(colour) {
  if (cropping) return;
  colourInput.value = colour;
  raster.tint(colour);
  overlay.show({ colour });
}

colourInput?.addEventListener("input", () => {
  ownColour = colourInput.value;
  setColour(ownColour);
});

const KEYS = {
  "[": () => setSide(Math.min(side - 1, Math.round(side / 1.2))),
  "]": () => setSide(Math.max(side + 1, Math.round(side * 1.2))),
  "+": () => view.zoomBy(ZOOM.step),
  "=": () => view.zoomBy(ZOOM.step),
  "-": () => view.zoomBy(1 / ZOOM.step),
  "0": actions.fit,
  "1": actions.actual,
};

// Keys and pasted pictures are meant for the painter that has the focus, otherwise for the picture to edit.
function isMeant() {
  const focused = document.activeElement?.closest(".painter");
  return (element.checkVisibility?.() ?? true) && (focused ? element.contains(focused) : !cropping);
}

const TYPING = "input:not([type=range]), textarea, select, [contenteditable], .handles-layer";
document.addEventListener("keydown", (event) => {
  if (!drawn || event.altKey || event.target.closest?.(TYPING) || !isMeant()) return;
  const isCommand = event.ctrlKey || event.metaKey, key = event.key.toLowerCase();
  const command = { z: event.shiftKey ? "redo" : "undo", y: "redo" }[key];
  const act = isCommand ? actions[command] : KEYS[key];
  if (!act) return;
  event.preventDefault();
  act();
});

takeFiles(find(".painter"), {
  maxMegabytes: props.upload_mb, complain, setBusy, send: sending.send, isMeant,
  taken(name, data, url) {
    if (name === "new_picture") newPicture = url;
    props.value = { ...props.value, [name]: data, error: "" };
    trigger("upload");
  },
});

// Offers the picture that another tab edits, see saving.js.
function showOther() {
  const isOffered = !cropping && !history.now().picture && find(".painter-sending").hidden && window.mimicbrushSaving?.chosenPicture();
  find(".painter-other").hidden = !isOffered;
}
addEventListener("picturechange", showOther);
find(".painter-other").addEventListener("click", () => {
  isChosen = true;
  props.value = { ...props.value, new_picture: window.mimicbrushSaving.chosenPicture(), error: "" };
  trigger("upload");
});

// A result lies over the mask, which is seen again where the result is hidden.
stage.addEventListener("resultchange", ({ detail }) => overlay.show({ isCovered: detail }));

watch("value", show);
show();
