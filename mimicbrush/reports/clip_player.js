// Plays clips. A clip is one picture that holds all frames in rows; a window shows one of them, the others are outside.
// Without this script, and on paper, all frames are visible as a strip.
"use strict";

const ICONS = Object.fromEntries(
  Object.entries({
    play: "M4 2v12l9-6z",
    pause: "M4 2h3v12H4zM9 2h3v12H9z",
    back: "M3 2h2v12H3zM13 2v12L6 8z",
    forward: "M11 2h2v12h-2zM3 2v12l7-6z",
  }).map(([name, path]) => [name, `<svg viewBox="0 0 16 16" aria-hidden="true"><path d="${path}"/></svg>`]),
);

// Shows a frame of a clip in its window; a shorter clip stays at its last frame.
function showFrame(clip, frame) {
  const shown = Math.min(frame, Number(clip.dataset.frames) - 1);
  const columns = Number(clip.style.getPropertyValue("--columns"));
  clip.style.setProperty("--column", shown % columns);
  clip.style.setProperty("--row", Math.floor(shown / columns));
}

// A bar of controls that drives all clips of an element together: play, single steps, and a slider.
class ClipPlayer {
  constructor(findClips) {
    this.findClips = findClips;
    this.frame = 0;
    this.timer = null;
    this.bar = document.createElement("div");
    this.bar.className = "player";
    this.bar.setAttribute("role", "group");
    this.bar.setAttribute("aria-label", "Player");
    this.bar.innerHTML = `
      <button type="button" class="play" aria-label="Play">${ICONS.play}</button>
      <button type="button" class="back" aria-label="Previous frame">${ICONS.back}</button>
      <button type="button" class="forward" aria-label="Next frame">${ICONS.forward}</button>
      <input type="range" min="0" value="0" aria-label="Frame">
      <output></output>`;
    this.slider = this.bar.querySelector("input");
    this.output = this.bar.querySelector("output");
    this.button = this.bar.querySelector(".play");
    this.button.addEventListener("click", () => this.toggle());
    this.bar.querySelector(".back").addEventListener("click", () => this.step(-1));
    this.bar.querySelector(".forward").addEventListener("click", () => this.step(1));
    this.slider.addEventListener("input", () => this.pause() || this.show(Number(this.slider.value)));
  }

  get count() {
    return Math.max(1, ...this.findClips().map((clip) => Number(clip.dataset.frames)));
  }

  show(frame) {
    const count = this.count;
    this.frame = ((frame % count) + count) % count;
    for (const clip of this.findClips()) showFrame(clip, this.frame);
    this.slider.max = count - 1;
    this.slider.value = this.frame;
    this.output.textContent = `${this.frame + 1} of ${count}`;
  }

  step(by) {
    this.pause();
    this.show(this.frame + by);
  }

  toggle() {
    if (this.timer) this.pause();
    else this.play();
  }

  play() {
    const [clip] = this.findClips();
    if (!clip || this.timer) return;
    this.timer = setInterval(() => this.show(this.frame + 1), 1000 / Number(clip.dataset.fps));
    this.button.innerHTML = ICONS.pause;
    this.button.setAttribute("aria-label", "Pause");
  }

  pause() {
    clearInterval(this.timer);
    this.timer = null;
    this.button.innerHTML = ICONS.play;
    this.button.setAttribute("aria-label", "Play");
  }
}

document.documentElement.classList.add("windowed");
for (const player of document.querySelectorAll(".plays")) {
  const clips = [...player.querySelectorAll(".clip")];
  const controls = new ClipPlayer(() => clips);
  const strips = document.createElement("button");
  strips.type = "button";
  strips.textContent = "All frames";
  strips.setAttribute("aria-pressed", "false");
  strips.addEventListener("click", () => {
    strips.setAttribute("aria-pressed", String(player.classList.toggle("strips")));
  });
  controls.bar.append(strips);
  player.querySelector(".clip").closest(".pictures, table").before(controls.bar);
  controls.show(0);
}
