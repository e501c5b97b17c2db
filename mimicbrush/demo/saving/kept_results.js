// Runs once for each tab: sends results to the browser's store, and shows those of former visits. `props.value` is
// KeptResults of saved_tabs.py.
const find = (selector) => element.querySelector(selector), list = find(".kept-list");
const isNew = new Set(), addresses = [];
let chosen = null;

async function saving() {
  while (!window.mimicbrushSaving) await new Promise((resolve) => setTimeout(resolve, 50));
  return window.mimicbrushSaving;
}

// The panel above shows the results of this visit, until another picture is chosen.
async function keep() {
  const results = props.value?.results ?? [];
  if (!results.length) isNew.clear();
  results.forEach(({ picture }) => isNew.add(picture.path));
  const { keepResult } = await saving();
  for (const result of results) {
    await keepResult(props.kind, result).catch((problem) => console.warn("A result could not be kept:", problem));
  }
  await show();
}

const addressOf = (blob) => addresses[addresses.push(URL.createObjectURL(blob)) - 1];

async function show() {
  const { resultsOf } = await saving(), results = await resultsOf(props.kind).catch(() => []);
  const earlier = results.filter(({ path }) => !isNew.has(path));
  addresses.splice(0).forEach((address) => URL.revokeObjectURL(address));
  find(".kept-results").hidden = !earlier.length;
  list.replaceChildren(...earlier.map(thumbnail));
  choose(earlier.find(({ path }) => path === chosen?.path) ?? null);
}

function thumbnail(result) {
  const button = document.createElement("button"), date = new Date(result.time).toLocaleString();
  const isClip = result.preview.type.startsWith("video/"), shown = document.createElement(isClip ? "video" : "img");
  Object.assign(button, { type: "button", className: "kept-thumbnail", title: date, result });
  button.setAttribute("aria-pressed", "false");
  Object.assign(shown, { src: addressOf(result.preview), ...(isClip ? { muted: true } : { alt: "" }) });
  button.append(shown, `${result.caption}`);
  button.addEventListener("click", () => choose(chosen?.path === result.path ? null : result));
  return button;
}

function choose(result) {
  chosen = result;
  for (const button of list.children) button.setAttribute("aria-pressed", String(button.result.path === result?.path));
  find(".kept-shown").hidden = !result;
  if (!result) return;
  const isClip = result.picture.type.startsWith("video/"), clip = find(".kept-clip"), picture = find(".kept-picture");
  const address = addressOf(result.picture);
  [clip.hidden, picture.hidden, find(".kept-use").hidden] = [!isClip, isClip, isClip];
  (isClip ? clip : picture).src = address;
  Object.assign(find(".kept-download"), { href: address, download: result.name });
}

find(".kept-remove").addEventListener("click", async () => {
  const { removeResult } = await saving();
  await removeResult(chosen.path);
  await show();
});

// As if the visitor had chosen the file.
find(".kept-use").addEventListener("click", () => {
  const input = [...document.querySelectorAll(".source .painter-change .painter-file")].find((each) => each.closest(".source").checkVisibility());
  const files = new DataTransfer();
  files.items.add(new File([chosen.picture], chosen.name, { type: chosen.picture.type }));
  input.files = files.files;
  input.dispatchEvent(new Event("change"));
  input.closest(".source").scrollIntoView({ behavior: "smooth", block: "nearest" });
});

watch("value", keep);
keep();
