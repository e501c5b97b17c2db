// Values of controls as they are saved: without what the server makes again, and with the files apart.

const MADE_AGAIN = /_preview$|^new_|^selection$|^error$|^restored$/;
const isFile = (value) => value?.meta?._type === "gradio.FileData" && Boolean(value.path);

// Changes each file within a value; `change` may be asynchronous.
async function withFiles(value, change) {
  if (isFile(value)) return change(value);
  if (Array.isArray(value)) return Promise.all(value.map((each) => withFiles(each, change)));
  if (!value || typeof value !== "object") return value;
  const entries = await Promise.all(Object.entries(value).map(async ([name, each]) => [name, await withFiles(each, change)]));
  return Object.fromEntries(entries);
}

// Copies a value, and adds its files to a list.
function savable(value, files) {
  if (isFile(value)) {
    files.push(value);
    return { path: value.path, orig_name: value.orig_name, meta: value.meta };
  }
  if (Array.isArray(value)) return value.map((each) => savable(each, files));
  if (!value || typeof value !== "object") return value;
  if ("previewed" in value) return { motion: value.motion };  // of the handles, whose files are made again
  const kept = Object.entries(value).filter(([name]) => !MADE_AGAIN.test(name));
  return Object.fromEntries(kept.map(([name, each]) => [name, savable(each, files)]));
}

// What is painted, in words that can be compared; empty if nothing is.
const paintingOf = (value) => value?.picture && (value.mask || value.strokes?.length)
  ? JSON.stringify([value.picture.path, value.mask?.path, value.strokes?.map(({ tool, size, points }) => [tool, size, points])]) : "";
