// Draws what lies over the picture: the mask with its feather, or the chosen part; the stroke in progress, and the cursor.

const MASK_OPACITY = 0.45, FEATHER_OPACITY = 0.35;

// brushSide: gives the diameter of the brush in pixels of the picture, 0 for a tool that has none.
function makeOverlay(canvas, view, raster, brushSide) {
  const context = canvas.getContext("2d");
  let scene = {}, isAsked = false;

  // isCovered: whether a result is shown instead of the mask; size,
  // feather (standard deviation in pixels) of the picture; colour; box: corners of the box in progress; crop:
  // corners of the chosen part; cursor: { point, isCrosshair } or none.
  function show(changes) {
    scene = { ...scene, ...changes };
    if (isAsked) return;
    isAsked = true;
    requestAnimationFrame(() => {
      isAsked = false;
      draw();
    });
  }

  const ratio = () => devicePixelRatio;
  const onScreen = (point) => point.map((value, i) => value * view.scale() + view.offset()[i]);

  function draw() {
    const { size, crop, cropping, box, cursor, isCovered } = scene;
    [canvas.width, canvas.height] = [canvas.clientWidth, canvas.clientHeight].map((side) => Math.round(side * ratio()));
    if (!size || !canvas.width) return;
    const [left, top] = view.offset(), scale = view.scale();
    context.setTransform(ratio(), 0, 0, ratio(), 0, 0);
    const whole = [left, top, size[0] * scale, size[1] * scale];
    const chosen = box ?? crop;
    if (!cropping) isCovered || drawMask(whole);
    else if (chosen) darkenAround(whole, rectangle(...chosen.map(onScreen)));
    if (box) outline((path) => path.rect(...rectangle(...box.map(onScreen))));
    if (cursor) drawCursor(cursor);
  }

  function drawMask(whole) {
    const { feather, colour } = scene, far = 2 * canvas.width;
    context.imageSmoothingEnabled = view.scale() * ratio() < 2;
    context.globalAlpha = MASK_OPACITY;
    context.drawImage(raster.canvas, ...whole);
    if (feather) {
      // Only the shadow is seen: what casts it lies beside the canvas.
      Object.assign(context, { globalAlpha: FEATHER_OPACITY, shadowColor: colour, shadowOffsetX: far * ratio() });
      context.shadowBlur = 2 * feather * view.scale() * ratio();
      const [left, ...rest] = whole;
      context.drawImage(raster.canvas, left - far, ...rest);
      Object.assign(context, { shadowColor: "transparent", shadowOffsetX: 0, shadowBlur: 0 });
    }
    context.globalAlpha = 1;
  }

  function darkenAround(whole, kept) {
    context.fillStyle = "#000a";
    context.beginPath();
    context.rect(...whole);
    context.rect(...kept);
    context.fill("evenodd");
  }

  function drawCursor({ point, isCrosshair }) {
    const [x, y] = onScreen(point), side = brushSide(), radius = Math.max(1.5, side / 2 * view.scale());
    if (side) outline((path) => path.arc(x, y, radius, 0, 2 * Math.PI));
    if (isCrosshair) {
      outline((path) => [[-14, 0, -5, 0], [5, 0, 14, 0], [0, -14, 0, -5], [0, 5, 0, 14]].forEach(([x0, y0, x1, y1]) => {
        path.moveTo(x + x0, y + y0);
        path.lineTo(x + x1, y + y1);
      }));
    }
  }

  // In white on black, which is seen on any picture.
  function outline(trace) {
    const path = new Path2D();
    trace(path);
    for (const [style, width] of [["#000", 3], ["#fff", 1.25]]) {
      Object.assign(context, { strokeStyle: style, lineWidth: width });
      context.stroke(path);
    }
  }

  return { show };
}
