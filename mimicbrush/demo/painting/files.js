// Takes pictures and masks that a visitor chooses, drops or pastes, and sends them to the server.

function takeFiles(painter, { maxMegabytes, complain, setBusy, send, isMeant, taken }) {
  async function take(file, name) {
    complain("");
    if (!file) return;
    if (file.size > maxMegabytes * 1e6) {
      complain(`${file.name} is larger than ${maxMegabytes} MB; scale it down.`);
      return;
    }
    setBusy(true);
    try {
      const sent = await send(file, name === "new_picture");
      if (sent) taken(name, sent, URL.createObjectURL(file));
      else setBusy(false);
    } catch (problem) {
      const [, reason] = /^HTTP \d+: (.+)/s.exec(problem?.message) ?? [null, "Check that the page still runs."];
      complain(`${file.name} could not be uploaded. ${reason}`);
      setBusy(false);
    }
  }

  function listen(input, name) {
    input?.addEventListener("change", () => {
      take(input.files[0], name);
      input.value = "";
    });
  }

  painter.querySelectorAll(".painter-file").forEach((input) => listen(input, "new_picture"));
  listen(painter.querySelector(".painter-mask-file"), "new_mask");
  painter.addEventListener("dragover", (event) => event.preventDefault());
  painter.addEventListener("drop", (event) => {
    event.preventDefault();
    take(event.dataTransfer.files[0], "new_picture");
  });

  document.addEventListener("paste", (event) => {
    const file = [...event.clipboardData.files].find(({ type }) => type.startsWith("image/"));
    // Office programs copy a text together with its picture.
    const isText = event.clipboardData.types.includes("text/plain") && event.target.closest?.("input, textarea");
    if (file && !isText && isMeant()) take(file, "new_picture");
  });
}
