// Values of controls as they are saved: without what the server makes again, and with the files apart.

const MADE_AGAIN = /_preview$|^new_|^selection$|^error$/;
const isFile = (value) => value?.meta?._type === "gradio.FileData" && Boolean(value.path);

// Changes each file within a value; `change` may be asynchronous.
async function withFiles(value, change) {
  if (isFile(value)) return change(value);
  if (Array.isArray(value)) return Promise.all(value.map((each) => withFiles(each, change)));
  if (!value || typeof value !== "object") return value;
  const entries = await Promise.all(Object.entries(value).map(async ([name, each]) => [name, await withFiles(each, change)]));
  return Object.fromEntries(entries);
}

// Copies a value, and adds its files to a list. Values of clips are proxies, which IndexedDB does not take.
function savable(value, files) {
  if (isFile(value)) {
    files.push(value);
    return { path: value.path, orig_name: value.orig_name, meta: { ...value.meta } };
  }
  if (Array.isArray(value)) return value.map((each) => savable(each, files));
  if (!value || typeof value !== "object") return value;
  if ("motion" in value) {  // of the handles, whose previews are made again, and the motion of two frames, too
    const { motion, picture, frames, times } = value;
    return { motion, picture: picture ?? "", times: [...(times ?? [])], saved_frames: savable(frames ?? [], files) };
  }
  const kept = Object.entries(value).filter(([name]) => !MADE_AGAIN.test(name));
  return Object.fromEntries(kept.map(([name, each]) => [name, savable(each, files)]));
}

// Whether two values are equal for a visitor; what was never set may be null, empty or false.
const isSame = (a, b) => JSON.stringify(essence(a)) === JSON.stringify(essence(b));

function essence(value) {
  if (isFile(value)) return value.path;
  if (!value || typeof value !== "object") return value === 0 ? 0 : value || undefined;
  const kept = Object.entries(value).map(([name, each]) => [name, essence(each)]).filter(([, each]) => each !== undefined);
  return kept.length ? kept : undefined;
}

// What is painted, in words that can be compared; empty if nothing is.
const paintingOf = (value) => value?.picture && (value.mask || value.strokes?.length)
  ? JSON.stringify([value.picture.path, value.mask?.path, value.strokes?.map(({ tool, size, points }) => [tool, size, points])]) : "";
