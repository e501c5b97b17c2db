// Enlarges pictures. A click, Enter or Space on a picture opens it in a dialog that fills the window; the arrow keys and a
// swipe go through its group. A picture of a sample is compared with the others of its size: by a wipe, or by flicker.
"use strict";
{
  const GROUPS = ".card, .glance tr, .gallery, .strip, table, .blocks";
  const FLICKER_MILLISECONDS = 600; // below three flashes a second, for photosensitive readers
  const PIXELATED_FROM = 3; // magnification from which pixels are shown as squares
  const SWIPE = 50; // least way of a swipe in CSS pixels

  // Pictures that stand on the page a second time are stored once.
  for (const copy of document.querySelectorAll("img[data-shown-again]")) {
    copy.src = document.getElementById(copy.dataset.shownAgain).src;
  }

  const dialog = document.createElement("dialog");
  dialog.className = "viewer";
  dialog.innerHTML = `
    <header><strong></strong><span class="place"></span><button type="button" class="close" aria-label="Close">✕</button></header>
    <div class="stage">
      <button type="button" class="previous" aria-label="Previous picture">‹</button>
      <div class="shown"><div class="base layer"></div><div class="other layer" hidden></div>
        <div class="edge" hidden></div><span class="tag left" hidden></span><span class="tag right" hidden></span></div>
      <button type="button" class="next" aria-label="Next picture">›</button>
    </div>
    <footer>
      <div class="compare"><label>compare with <select></select></label>
        <span role="group" aria-label="Comparison">
          <button type="button" data-mode="wipe" aria-pressed="true">Wipe</button>
          <button type="button" data-mode="flicker" aria-pressed="false">Flicker</button></span>
        <input type="range" class="wipe" min="0" max="100" value="50" aria-label="Share of the picture it is compared with"></div>
      <small class="keys">← → other pictures · W wipe · F flicker · Space play · , . single frames · Esc close</small>
    </footer>`;
  document.body.append(dialog);
  const find = (name) => dialog.querySelector(name);
  const shown = find(".shown"), base = find(".base"), other = find(".other"), edge = find(".edge");
  const select = find("select"), wipe = find(".wipe"), compare = find(".compare"), stage = find(".stage");
  const [left, right] = [find(".left"), find(".right")];
  const player = new ClipPlayer(() => [...dialog.querySelectorAll(".layer.clip:not([hidden])")]);
  find("footer").prepend(player.bar);

  let group = [], current = null, mode = "wipe", against = "", flicker = null;

  const name = (button) => button.dataset.caption ?? button.querySelector("img").alt;
  const shape = (button) => `${button.dataset.width}x${button.dataset.height}`;

  function layer(element, button) {
    element.className = `${element.classList[0]} layer${button.classList.contains("clip") ? " clip" : ""}`;
    for (const property of ["--columns", "--rows"]) element.style.setProperty(property, button.style.getPropertyValue(property));
    element.dataset.frames = button.dataset.frames ?? 1;
    element.dataset.fps = button.dataset.fps ?? 1;
    const image = new Image();
    image.src = button.querySelector("img").src;
    image.alt = button.querySelector("img").alt;
    element.replaceChildren(image);
  }

  function stopFlicker() {
    clearInterval(flicker);
    flicker = null;
  }

  // Draws the comparison: the picture it is compared with lies above the current one and is cut at the wipe's edge.
  function draw() {
    stopFlicker();
    const target = group.find((button) => button !== current && name(button) === against && shape(button) === shape(current));
    other.hidden = left.hidden = right.hidden = !target;
    edge.hidden = !target || mode !== "wipe";
    wipe.hidden = edge.hidden;
    for (const button of dialog.querySelectorAll("[data-mode]")) {
      button.disabled = !target;
      button.setAttribute("aria-pressed", String(Boolean(target) && button.dataset.mode === mode));
    }
    shown.classList.toggle("wiped", !edge.hidden);
    if (!target) return;
    layer(other, target);
    other.hidden = false;
    left.textContent = name(target);
    right.textContent = name(current);
    right.hidden = mode === "flicker";
    other.style.clipPath = "";
    if (mode === "wipe") cut();
    else {
      flicker = setInterval(() => {
        other.hidden = !other.hidden;
        left.textContent = name(other.hidden ? current : target);
        player.show(player.frame);
      }, FLICKER_MILLISECONDS);
    }
  }

  function cut() {
    other.style.clipPath = `inset(0 ${100 - wipe.value}% 0 0)`;
    edge.style.left = `${wipe.value}%`;
  }

  function show(button) {
    current = button;
    find("strong").textContent = name(button);
    find(".place").textContent = group.length > 1 ? `${group.indexOf(button) + 1} of ${group.length}` : "";
    for (const step of [".previous", ".next"]) find(step).hidden = group.length < 2;
    const { width, height } = button.dataset;
    shown.style.setProperty("--ratio", width / height);
    layer(base, button);
    const targets = button.dataset.role
      ? group.filter((one) => one !== button && one.dataset.role && shape(one) === shape(button))
      : [];
    const order = ["source", "truth"]; // the last comes first
    targets.sort((a, b) => order.indexOf(b.dataset.role) - order.indexOf(a.dataset.role));
    const options = ["", ...targets.map(name)].map((text) => new Option(text || "nothing", text));
    select.replaceChildren(...options);
    select.value = targets.some((one) => name(one) === against) ? against : "";
    compare.hidden = !targets.length;
    draw();
    const size = shown.getBoundingClientRect();
    dialog.classList.toggle("pixelated", size.width / width >= PIXELATED_FROM);
    player.bar.hidden = !button.classList.contains("clip");
    if (player.bar.hidden) player.pause();
    else player.show(player.frame);
  }

  function open(button) {
    const visible = (one) => one.offsetParent !== null;
    const members = button.closest(GROUPS) ?? document.body;
    group = [...members.querySelectorAll(".enlarge")].filter(visible);
    dialog.showModal();
    document.documentElement.classList.add("viewing");
    show(button);
    find(".close").focus();
  }

  function step(by) {
    show(group[(group.indexOf(current) + by + group.length) % group.length]);
  }

  function choose(chosen) {
    if (!select.value && select.options.length > 1) select.value = select.options[1].value;
    against = select.value;
    mode = chosen;
    draw();
    if (!player.bar.hidden) player.show(player.frame);
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.(".enlarge");
    if (button) open(button);
  });
  find(".close").addEventListener("click", () => dialog.close());
  find(".previous").addEventListener("click", () => step(-1));
  find(".next").addEventListener("click", () => step(1));
  select.addEventListener("change", () => {
    against = select.value;
    draw();
    if (!player.bar.hidden) player.show(player.frame);
  });
  for (const button of dialog.querySelectorAll("[data-mode]")) button.addEventListener("click", () => choose(button.dataset.mode));
  wipe.addEventListener("input", cut);
  dialog.addEventListener("close", () => {
    stopFlicker();
    player.pause();
    document.documentElement.classList.remove("viewing");
    current.focus();
  });
  addEventListener("resize", () => dialog.open && show(current));

  // A drag on a wiped picture moves the edge; on any other, a swipe shows the next picture, and a click closes.
  let start = null;
  const follow = (event) => {
    const { left: begin, width } = shown.getBoundingClientRect();
    wipe.value = (100 * (event.clientX - begin)) / width;
    cut();
  };
  stage.addEventListener("pointerdown", (event) => {
    if (event.target.closest("button")) return;
    start = event.clientX;
    stage.setPointerCapture(event.pointerId);
    if (!edge.hidden) follow(event);
  });
  stage.addEventListener("pointermove", (event) => start !== null && !edge.hidden && follow(event));
  stage.addEventListener("pointercancel", () => (start = null));
  stage.addEventListener("pointerup", (event) => {
    if (start === null) return;
    const way = event.clientX - start;
    start = null;
    if (!edge.hidden) return;
    if (Math.abs(way) > SWIPE && group.length > 1) step(way < 0 ? 1 : -1);
    else if (!flicker) dialog.close();
  });

  dialog.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const onField = event.target.matches("input, select");
    const keys = {
      ArrowLeft: () => step(-1),
      ArrowRight: () => step(1),
      w: () => choose("wipe"),
      f: () => choose("flicker"),
      ",": () => player.step(-1),
      ".": () => player.step(1),
      " ": () => player.toggle(),
    };
    const run = keys[event.key];
    if (!run || (onField && event.key.startsWith("Arrow"))) return;
    if (event.key === " " && (player.bar.hidden || event.target.matches("button:not(.close), select"))) return;
    if ((event.key === "w" || event.key === "f") && compare.hidden) return;
    if ((event.key === "," || event.key === ".") && player.bar.hidden) return;
    event.preventDefault();
    run();
  });
}
