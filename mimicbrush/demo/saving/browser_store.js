// What this browser keeps in IndexedDB: the state of each tab, files by their path on the server, and results.

const STORES = { tabs: "key", files: "path", results: "path" };
const STORE_VERSION = 1;  // a later version adds stores, and leaves what is there

function makeStore(say) {
  let opened = null, isClosed = false;

  function open() {
    opened ??= new Promise((resolve, reject) => {
      const request = indexedDB.open("mimicbrush", STORE_VERSION);
      request.onupgradeneeded = () => Object.entries(STORES).forEach(([name, keyPath]) => {
        if (!request.result.objectStoreNames.contains(name)) request.result.createObjectStore(name, { keyPath });
      });
      request.onsuccess = () => {
        request.result.onversionchange = () => request.result.close();  // a newer version of the page
        resolve(request.result);
      };
      request.onerror = () => reject(request.error);
    });
    return opened;
  }

  // Runs `act` on a store; resolves to the result of its request once everything is written.
  async function run(name, mode, act) {
    const transaction = (await open()).transaction(name, mode), request = act(transaction.objectStore(name));
    return new Promise((resolve, reject) => {
      transaction.oncomplete = () => resolve(request.result);
      transaction.onabort = transaction.onerror = () => reject(transaction.error ?? request.error);
    });
  }

  const all = (name) => run(name, "readonly", (store) => store.getAll());
  const get = (name, key) => run(name, "readonly", (store) => store.get(key));
  const has = async (name, key) => Boolean(await run(name, "readonly", (store) => store.getKey(key)));
  const remove = (name, key) => run(name, "readwrite", (store) => store.delete(key));

  // Where the browser's storage is full, the oldest results go first. A closed store takes nothing.
  async function put(name, value) {
    while (!isClosed) {
      try {
        return await run(name, "readwrite", (store) => store.put(value));
      } catch (problem) {
        const [oldest] = (await all("results")).filter(({ path }) => path !== value.path).sort((a, b) => a.time - b.time);
        if (problem?.name !== "QuotaExceededError" || !oldest) throw problem;
        await remove("results", oldest.path);
        say("The browser's storage is full, so the oldest results were removed from it. Download those that you need.");
      }
    }
  }

  // Before `clear`, so that what is still fetched does not outlive it.
  const close = () => (isClosed = true);
  const clear = () => Promise.all(Object.keys(STORES).map((name) => run(name, "readwrite", (store) => store.clear())));

  return { open, all, get, has, put, remove, close, clear };
}
