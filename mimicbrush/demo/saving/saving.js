// Runs once for the page, after the other scripts of this folder; tabs, painters and results call `mimicbrushSaving`.
const KEEPS = "This browser keeps the last pictures, masks and settings of this page, and its results; where its storage is full, the oldest results go first.";
const KEEPS_NOTHING = "This browser keeps nothing of this page, for instance because its window is private: a reload loses picture, mask and results.";
const FORGET = "Forget all pictures, masks, settings and results that this browser keeps of this page? Its other open tabs begin anew, too.";
const FORMAT = 1;  // of saved tabs; others are not restored
const MAX_PAGES = 20;  // whose state is kept
const WAIT = 400;  // milliseconds after the last change
const banner = element.querySelector(".saving-banner"), bannerButton = banner.querySelector("button");
const store = makeStore((message) => say(message)), ready = new Set(), tabs = new Map(), timers = new Map();
const otherPages = new BroadcastChannel("mimicbrush");
let page = null, before = null, hiding = null, forgets = false;  // page: its name; before: the page whose state it begins with
let chosenPicture = null;  // the last one of any tab, which the others can take, too

function say(message, action = null, seconds = 0) {
  clearTimeout(hiding);
  banner.querySelector("span").textContent = message;
  banner.hidden = !message;
  bannerButton.hidden = !action;
  bannerButton.textContent = action ?? "";
  if (seconds) hiding = setTimeout(() => (banner.hidden = true), 1000 * seconds);
}
bannerButton.addEventListener("click", () => location.reload());

// What the browser remembers of this page, and where `isForAll`, for pages that are opened later; it may refuse both.
const REMEMBERED = ["mimicbrush-page", "mimicbrush-left", "mimicbrush-tab"], [NAME, LEFT, OPEN_TAB] = REMEMBERED;

function remembered(key) {
  try {
    return sessionStorage.getItem(key) ?? localStorage.getItem(key);
  } catch {
    return null;
  }
}

function remember(key, value, isForAll = false) {
  try {
    sessionStorage.setItem(key, value);
    if (isForAll) localStorage.setItem(key, value);
  } catch (problem) {
    console.warn("Not remembered:", problem);
  }
}

// A random name that a page keeps when it is reloaded, and that no other page has: a page that was duplicated takes
// another one, and begins with the state of the first.
async function namePage() {
  const made = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  before = remembered(NAME);
  const isFree = before && (remembered(LEFT) === before || (await isUnlocked(before)));
  page = isFree ? before : made;
  remember(NAME, page);
  remember(LEFT, "");
  navigator.locks?.request(page, () => new Promise(() => {}));
}

// Open pages hold a lock of their name, which tells a duplicate from a page that the browser had ended.
async function isUnlocked(name) {
  const { held } = (await navigator.locks?.query()) ?? { held: null };
  return held !== null && !held.some((lock) => lock.name === name);
}

addEventListener("pagehide", () => page && remember(LEFT, page));
addEventListener("pageshow", ({ persisted }) => persisted && remember(LEFT, ""));

document.addEventListener("click", ({ target }) => {
  const tab = target.closest?.("[role=tab][data-tab-id]");
  if (tab) remember(OPEN_TAB, tab.dataset.tabId, true);
});

function openTab() {
  const name = remembered(OPEN_TAB), tabs = [...document.querySelectorAll("[role=tab][data-tab-id]")];
  tabs.find((tab) => tab.dataset.tabId === name)?.click();
}

// --- tabs ----------------------------------------------------------------------------------------------------------

// kind: of the edits on a tab; values: of its controls, in the order of their names.
function saveTab(kind, names, values) {
  const tab = { used: "", ...tabs.get(kind), values: Object.fromEntries(names.map((name, i) => [name, values[i]])) };
  tabs.set(kind, tab);
  chosenPicture = tab.values.source?.picture ?? chosenPicture;
  dispatchEvent(new Event("picturechange"));
  clearTimeout(timers.get(kind));
  if (ready.has(kind) && !forgets) timers.set(kind, setTimeout(() => write(kind).catch(refuse), WAIT));
}

async function write(kind) {
  const { values, used } = tabs.get(kind), files = [];
  const record = { key: `${kind} ${page}`, kind, page, format: FORMAT, time: Date.now(), used, values: savable(values, files) };
  for (const file of files) await keepFile(file, () => fetchBlob(file.url));
  await store.put("tabs", record);
  await removeUnneeded();
}

async function keepFile({ path, orig_name }, blob) {
  if (!(await store.has("files", path))) await store.put("files", { path, orig_name, blob: await blob() });
}

async function fetchBlob(url) {
  const answer = await fetch(url, { priority: "low" });
  if (!answer.ok) throw new Error(`${url}: status ${answer.status}`);
  return answer.blob();
}

async function removeUnneeded() {
  const records = (await store.all("tabs")).sort((a, b) => b.time - a.time);
  const pages = [...new Set(records.map((record) => record.page))].slice(0, MAX_PAGES), needed = [];
  for (const record of records) {
    if (!pages.includes(record.page)) await store.remove("tabs", record.key);
    else savable(record.values, needed);
  }
  const paths = new Set(needed.map(({ path }) => path));
  for (const { path } of await store.all("files")) if (!paths.has(path)) await store.remove("files", path);
}

// The saved state of a tab as the server takes it: that of this page or the one that it duplicates, otherwise the last one.
async function keptTab(kind) {
  try {
    const records = (await store.all("tabs")).filter((record) => record.kind === kind && record.format === FORMAT);
    records.sort((a, b) => (b.page === before) - (a.page === before) || b.time - a.time);
    if (!records.length) return { page, values: {} };
    tabs.set(kind, { used: records[0].used, ...tabs.get(kind) });
    return { page, values: await withFiles(records[0].values, present) };
  } catch (problem) {
    refuse(problem);
    return { page, values: {} };
  }
}

// Values for the controls from a kept state that the server has checked, which may take seconds on a slow line; undefined
// leaves a control as it is, such as one that the visitor has changed since the page was opened. initial: as it was opened.
function restoreTab(kind, initial, kept, values) {
  ready.add(kind);
  return Object.entries(initial).map(([name, value], i) => (isSame(values[i], value) ? kept?.values[name] : undefined));
}

// A file that the server no longer has is sent once more.
async function present(file) {
  const root = window.gradio_config.root, address = (path) => `${root}/gradio_api/file=${path}`;
  const isThere = await fetch(address(file.path), { method: "HEAD" }).then(({ ok }) => ok, () => false);
  if (isThere) return { ...file, url: address(file.path) };
  const kept = await store.get("files", file.path);
  if (!kept) return null;
  const { path, url } = await upload(new File([kept.blob], kept.orig_name ?? "picture.png", { type: kept.blob.type }));
  await store.put("files", { ...kept, path });
  return { ...file, path, url };
}

function markUsed(kind) {
  const tab = tabs.get(kind);
  if (!tab?.values) return;
  tab.used = paintingOf(tab.values.source);
  saveTab(kind, Object.keys(tab.values), Object.values(tab.values));
}

addEventListener("beforeunload", (event) => {
  const isUnused = ({ values, used }) => paintingOf(values?.source) && paintingOf(values.source) !== used;
  if (!forgets && [...tabs.values()].some(isUnused)) event.preventDefault();
});

// --- results, and forgetting ---------------------------------------------------------------------------------------

async function keepResult(kind, { picture, preview, caption }) {
  if (await store.has("results", picture.path)) return;
  const result = { path: picture.path, kind, time: Date.now(), caption, name: picture.orig_name, preview: await fetchBlob(preview.url) };
  await store.put("results", { ...result, picture: await fetchBlob(picture.url) });
}

const resultsOf = async (kind) => (await store.all("results")).filter((result) => result.kind === kind).sort((a, b) => b.time - a.time);

function refuse(problem) {
  console.warn("This page could not be saved:", problem);
  element.querySelector(".saving-about").textContent = KEEPS_NOTHING;
  element.querySelector(".saving-forget").hidden = true;
}

// Other open tabs of this page forget, too: they show what is to be forgotten, and would keep it again.
element.querySelector(".saving-forget").addEventListener("click", async () => {
  if (!confirm(FORGET)) return;
  keepNothing();
  otherPages.postMessage("keep nothing");
  await store.clear();
  otherPages.postMessage("begin anew");
  beginAnew();
});

otherPages.addEventListener("message", ({ data }) => (data === "begin anew" ? beginAnew() : keepNothing()));

function keepNothing() {
  forgets = true;
  store.close();
}

function beginAnew() {
  keepNothing();
  for (const storage of [sessionStorage, localStorage]) REMEMBERED.forEach((key) => storage.removeItem(key));
  page = null;
  location.reload();
}

// Trimming needs FFmpeg, which is fetched only then.
addEventListener("ffmpegwanted", () => say("Trimming fetches FFmpeg (32 MB), which this browser then keeps. The clip is trimmed once it is here."));
addEventListener("ffmpegready", () => say(""));

element.querySelector(".saving-about").textContent = KEEPS;
store.open().catch(refuse);
watchConnection(say);
openTab();
namePage().then(() => (window.mimicbrushSaving = {
  page, chosenPicture: () => chosenPicture, saveTab, keptTab, restoreTab, markUsed, keepResult, resultsOf,
  keepFile: (file, blob) => keepFile(file, async () => blob).catch(refuse),
  removeResult: (path) => store.remove("results", path),
}));
