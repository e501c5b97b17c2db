// Runs before painter.js and handles.js.

// Fetches a picture; the promise is rejected where the server has none.
function load(url) {
  return new Promise((resolve, reject) => {
    const image = new Image();
    image.onload = () => resolve(image);
    image.onerror = reject;
    image.src = url;
  });
}
