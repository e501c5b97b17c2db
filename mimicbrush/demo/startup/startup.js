// Starts Gradio from the bundle of startup_bundle.py. An import map gives each file of it to whoever imports the file's
// address, so that files outside the bundle share its modules.
(async ({ nonce, dataset }) => {
  const assets = new URL("assets/", document.baseURI).href, addressOf = (name) => assets + name;
  const add = (tag, properties) => document.head.append(Object.assign(document.createElement(tag), properties));
  // As Gradio names it, which then does not fetch it once more.
  const { root, theme_hash } = window.gradio_config;
  add("link", { rel: "stylesheet", href: `${root}/theme.css?v=${theme_hash}` });
  try {
    const { scripts, styles, components, versions } = await (await fetch(dataset.bundle)).json(), imports = {};
    window.mimicbrushScripts = components;
    for (const [name, code] of Object.entries(scripts)) {
      // A blob has no folder to which addresses could be relative.
      const absolute = code
        .replace(/(["`])\.\/([\w.-]+\.(?:js|css))\1/g, (_, quote, other) => quote + addressOf(other) + quote)
        .replaceAll("import.meta.url", JSON.stringify(addressOf(name)));
      imports[addressOf(name)] = URL.createObjectURL(new Blob([absolute], { type: "text/javascript" }));
      add("link", { rel: "bundled", href: `./assets/${name}` });  // Gradio fetches no file that a link names
    }
    for (const [name, version] of Object.entries(versions)) {
      imports[addressOf(name)] = `${addressOf(name)}?v=${version}`;  // another address for another content
      add("link", { rel: "versioned", href: `./assets/${name}` });
    }
    for (const [name, rules] of Object.entries(styles)) {
      add("style", { textContent: rules });
      add("link", { rel: "stylesheet", disabled: true, href: `./assets/${name}` });
    }
    add("script", { type: "importmap", nonce, textContent: JSON.stringify({ imports }) });
  } catch (problem) {
    console.warn("The files of the page are fetched one by one:", problem);
  }
  await import(addressOf(dataset.entry));
})(document.currentScript);
