// Shows a chosen picture at once, and how much of it has been sent. On a slow line, a smaller copy can be sent instead.

const SLOW = 15;  // seconds left, from which on a smaller copy is offered
const COPY_SIDE = 2048;  // longer side of such a copy, in pixels

function makeSending(painter) {
  const box = document.createElement("div");
  box.className = "painter-sending";
  box.hidden = true;
  box.innerHTML = `<img alt="The chosen picture"><div><progress max="1" aria-label="Sending"></progress> <output></output>
    <button type="button" class="painter-button" hidden>Send a smaller copy (${COPY_SIDE} pixels)</button>
    <button type="button" class="painter-button">Cancel</button></div>`;
  painter.querySelector(".painter-head").after(box);
  const [image, bar, said, smaller, cancel] = ["img", "progress", "output", "button", "button:last-child"].map((part) => box.querySelector(part));
  let request = null, started = 0;

  // Resolves to the file as the server knows it; null if the visitor cancels.
  async function send(file, isPicture) {
    image.hidden = true;
    image.onload = () => (image.hidden = false);
    image.src = isPicture ? URL.createObjectURL(file) : "";
    toggle(true);
    smaller.onclick = () => request.abort("smaller");
    try {
      const path = await post(file);
      if (path === "smaller") return send(await copyOf(image, file), isPicture);
      if (path === null) return null;
      said.textContent = "Sent; the server checks it.";
      smaller.hidden = true;
      window.mimicbrushSaving?.keepFile({ path, orig_name: file.name }, file);
      return { path, url: `${window.gradio_config.root}/gradio_api/file=${path}`, orig_name: file.name, meta: { _type: "gradio.FileData" } };
    } catch (problem) {
      hide();
      throw problem;
    }
  }

  // Resolves to the path on the server, or to the reason why the visitor stopped it: "smaller", or null.
  function post(file) {
    return new Promise((resolve, reject) => {
      const call = new XMLHttpRequest(), body = new FormData();
      const stop = (reason) => {
        call.abort();
        resolve(reason);
      };
      body.append("files", file);
      started = performance.now();
      request = { abort: stop };
      cancel.onclick = () => {
        stop(null);
        hide();
      };
      call.open("POST", `${window.gradio_config.root}/gradio_api/upload`);
      call.upload.onprogress = ({ loaded, total }) => tell(loaded / total, file.size);
      call.onload = () => call.status === 200 ? resolve(JSON.parse(call.responseText)[0]) : reject(new Error(`HTTP ${call.status}: ${call.responseText}`));
      call.onerror = () => reject(new Error("no connection"));
      tell(0, file.size);
      call.send(body);
    });
  }

  function tell(share, bytes) {
    const left = share > 0 ? (performance.now() - started) / 1000 * (1 - share) / share : 0;
    bar.value = share;
    said.textContent = `${Math.round(100 * share)} % of ${(bytes / 1e6).toFixed(1)} MB sent${left >= 1 ? `, about ${Math.round(left)} s left` : ""}`;
    smaller.hidden = left < SLOW || Math.max(image.naturalWidth, image.naturalHeight) <= COPY_SIDE;
  }

  function toggle(isShown) {
    box.hidden = !isShown;
    painter.classList.toggle("painter-sends", isShown);
  }

  function hide() {
    toggle(false);
    if (image.src.startsWith("blob:")) URL.revokeObjectURL(image.src);
  }

  return { send, hide };
}

// A copy with a longer side of COPY_SIDE, in a format that keeps transparency.
function copyOf(image, file) {
  const canvas = document.createElement("canvas"), scale = COPY_SIDE / Math.max(image.naturalWidth, image.naturalHeight);
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight].map((side) => Math.max(1, Math.round(side * scale)));
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  return new Promise((resolve) => canvas.toBlob((blob) =>
    resolve(new File([blob], `${file.name.replace(/\.\w+$/, "")}.${blob.type.split("/")[1]}`, { type: blob.type })), "image/webp", 0.92));
}
