// A mask as pixels: opaque where it is painted, one pixel for each pixel of the picture.

const MAX_PIXELS = 16e6;  // the largest canvas of some phones; the mask of a larger picture is drawn smaller

function makeMaskRaster(canvas) {
  const context = canvas.getContext("2d");
  let size = [1, 1], colour = "#000";

  function setSize(pictureSize) {
    size = pictureSize;
    const scale = Math.min(1, Math.sqrt(MAX_PIXELS / (size[0] * size[1])));
    [canvas.width, canvas.height] = size.map((side) => Math.max(1, Math.round(side * scale)));
  }

  const scale = () => canvas.width / size[0];

  function tint(chosen) {
    colour = chosen;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.globalCompositeOperation = "source-in";
    fill();
  }

  function fill() {
    context.fillStyle = colour;
    context.fillRect(0, 0, canvas.width, canvas.height);
  }

  // image: an uploaded mask, or none.
  function draw(image, strokes) {
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.globalCompositeOperation = "source-over";
    context.clearRect(0, 0, canvas.width, canvas.height);
    if (image) {
      context.imageSmoothingEnabled = image.naturalWidth < canvas.width;
      context.drawImage(image, 0, 0, canvas.width, canvas.height);
      tint(colour);
    }
    strokes.forEach((stroke) => add(stroke));
  }

  // Draws a stroke, or a part of it that begins at a point.
  function add({ tool, size: side, points }, first = 0) {
    context.setTransform(scale(), 0, 0, scale(), 0, 0);
    context.globalCompositeOperation = { eraser: "destination-out", invert: "xor" }[tool] ?? "source-over";
    context.fillStyle = context.strokeStyle = colour;
    if (tool === "box") context.fillRect(...wholeBox(points[0], points.at(-1)));
    else if (tool === "invert") context.fillRect(0, 0, ...size);
    else if (tool === "grow" || tool === "shrink") change(tool, side * scale());
    else if (side < 2 && scale() === 1) {
      pixelsOf(points.slice(Math.max(0, first - 1))).forEach(([x, y]) => context.fillRect(x, y, 1, 1));
    } else drawLine(points, side, first);
  }

  // Piece by piece, so that a stroke has the same pixels whether it is drawn while it is painted or at once.
  function drawLine(points, side, first) {
    context.lineCap = "round";
    context.lineWidth = side;
    for (let i = first; i < points.length; i++) {
      context.beginPath();
      context.moveTo(...points[Math.max(0, i - 1)]);
      context.lineTo(...points[i]);
      context.stroke();
    }
  }

  function change(tool, radius) {
    const { width, height } = canvas, picture = context.getImageData(0, 0, width, height), { data } = picture;
    const isGrowing = tool === "grow", isSet = new Uint8Array(width * height);
    for (let i = 0; i < isSet.length; i++) isSet[i] = (data[4 * i + 3] > 127) === isGrowing;
    const wide = grown(isSet, width, height, radius);
    for (let i = 0; i < isSet.length; i++) data[4 * i + 3] = Boolean(wide[i]) === isGrowing ? 255 : 0;
    context.putImageData(picture, 0, 0);
    tint(colour);
  }

  return { canvas, setSize, tint, draw, add };
}

const rectangle = ([x0, y0], [x1, y1]) => [Math.min(x0, x1), Math.min(y0, y1), Math.abs(x1 - x0), Math.abs(y1 - y0)];

// As the server rounds it.
const wholeBox = (from, to) => rectangle(from.map(Math.round), to.map(Math.round));

// The pixels on a line of a pixel's width, without steps that join at their corners twice.
function pixelsOf(points) {
  const cells = points.map((point) => point.map(Math.floor)), pixels = [cells[0]];
  cells.slice(1).forEach(([x1, y1], i) => {
    const [x0, y0] = cells[i], steps = Math.max(Math.abs(x1 - x0), Math.abs(y1 - y0));
    for (let step = 1; step <= steps; step++) {
      pixels.push([Math.round(x0 + (x1 - x0) * step / steps), Math.round(y0 + (y1 - y0) * step / steps)]);
    }
  });
  return pixels;
}

// Sets all pixels within a radius of one that is set, by disc: first the distance along each column, then the reach
// along each row. isSet: 0 or 1 for each pixel, row by row.
function grown(isSet, width, height, radius) {
  const reach = Math.floor(radius), away = new Uint16Array(isSet.length);
  for (let i = 0; i < isSet.length; i++) away[i] = isSet[i] ? 0 : Math.min(reach, i < width ? reach : away[i - width]) + 1;
  for (let i = isSet.length - width - 1; i >= 0; i--) away[i] = Math.min(away[i], away[i + width] + 1);
  const spread = Array.from({ length: reach + 1 }, (_, distance) => Math.floor(Math.sqrt(radius ** 2 - distance ** 2)));
  const wide = new Uint8Array(isSet.length), starts = new Int32Array(width + 1);
  for (let row = 0; row < height; row++) {
    starts.fill(0);
    for (let x = 0; x < width; x++) {
      const distance = away[row * width + x];
      if (distance > reach) continue;
      starts[Math.max(0, x - spread[distance])]++;
      starts[Math.min(width, x + spread[distance] + 1)]--;
    }
    for (let x = 0, open = 0; x < width; x++) {
      open += starts[x];
      wide[row * width + x] = open > 0;
    }
  }
  return wide;
}
