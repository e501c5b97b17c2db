// Buttons that copy a table as CSV or LaTeX, or save it as a file, and buttons that copy preformatted text.
"use strict";
{
  const copy = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      // Browsers without clipboard access for local files still copy a selection.
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      const copied = document.execCommand("copy");
      area.remove();
      if (!copied) throw new Error("the browser does not copy");
    }
  };
  const save = (text, name) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/plain;charset=utf-8" }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  };
  for (const bar of document.querySelectorAll(".export")) {
    const output = bar.querySelector("output");
    const report = (words) => {
      output.textContent = words;
      setTimeout(() => (output.textContent = ""), 2500);
    };
    bar.hidden = false;
    bar.addEventListener("click", (event) => {
      const { copy: copied, save: saved } = event.target.dataset;
      const suffix = copied ?? saved;
      if (!suffix) return;
      const text = bar.querySelector(`.${suffix}`)?.value ?? bar.nextElementSibling.textContent;
      if (saved) save(text, `${bar.dataset.name}.${suffix}`);
      else copy(text).then(() => report("copied"), () => report("not copied: the browser forbids it"));
    });
  }
}
