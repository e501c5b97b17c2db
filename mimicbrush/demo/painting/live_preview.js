// Shows what an edit changes in its place on the canvas of the same tab. `props.value` is a text of live_preview.py.

const canvasOf = () => element.closest(".columns").querySelector(".source");
const image = document.createElement("img"), button = document.createElement("button");
image.className = "live-picture";
image.alt = "The edit so far, in its place";
button.type = "button";
button.className = "painter-button live-toggle";
let isShown = true, shown = null, followed = null;

function draw() {
  const stage = canvasOf()?.querySelector(".painter-stage");
  if (!stage) return;
  const frame = stage.parentElement;
  if (followed !== frame) follow(frame);
  image.hidden = !shown || !isShown;
  button.hidden = !shown?.is_result;
  button.textContent = isShown ? "Hide result" : "Show result";
  stage.dispatchEvent(new CustomEvent("resultchange", { detail: Boolean(shown?.is_result && isShown) }));
  stage.prepend(image);  // below the handles of a motion
  frame.append(button);
}

// What a visitor paints has to be seen, and another picture has no result.
function follow(frame) {
  followed = frame;
  const hide = (event) => {
    if (!shown || !isShown || button.contains(event.target)) return;
    const isHandle = event.target.closest(".handles-layer");
    if (event.type === "keydown" && !(event.key === "Enter" || (isHandle && event.key.startsWith("Arrow")))) return;
    isShown = false;
    draw();
  };
  for (const kind of ["pointerdown", "keydown"]) frame.addEventListener(kind, hide, { capture: true });
  const forget = () => {
    shown = null;
    draw();
  };
  new MutationObserver(forget).observe(frame.querySelector(".painter-picture"), { attributeFilter: ["src"] });
}

function show() {
  const before = shown;
  shown = props.value ? JSON.parse(props.value) : null;
  // On a phone, Edit is pressed from everywhere.
  if (shown && !before && innerWidth <= 640) canvasOf()?.scrollIntoView({ block: "start" });  // at once: layout changes end smooth scrolling
  isShown = true;
  if (shown) {
    const [left, top, width, height] = shown.box.map((share) => `${100 * share}%`);
    Object.assign(image.style, { left, top, width, height });
    image.src = shown.picture;
  }
  draw();
}

button.addEventListener("click", () => {
  isShown = !isShown;
  draw();
});
watch("value", show);
show();
