// Colours of the mask, one of which contrasts with any picture.

const MASK_COLOURS = ["#e5298b", "#00c853", "#00b8d4", "#ffd600", "#2962ff", "#ff3d00"];
const SAMPLE = 32;  // side of the picture from which the colour is chosen

// The colour farthest from those of the picture, except for a fiftieth of its pixels: what is painted over may be small.
function contrastingColour(picture) {
  const canvas = document.createElement("canvas"), context = canvas.getContext("2d", { willReadFrequently: true });
  canvas.width = canvas.height = SAMPLE;
  context.drawImage(picture, 0, 0, SAMPLE, SAMPLE);
  const { data } = context.getImageData(0, 0, SAMPLE, SAMPLE);
  const contrast = (colour) => {
    const levels = [1, 3, 5].map((start) => parseInt(colour.slice(start, start + 2), 16)), distances = [];
    for (let i = 0; i < data.length; i += 4) {
      distances.push(Math.hypot(...levels.map((level, channel) => level - data[i + channel])));
    }
    return distances.sort((a, b) => a - b)[Math.floor(distances.length / 50)];
  };
  return MASK_COLOURS.map((colour) => [contrast(colour), colour]).sort((a, b) => b[0] - a[0])[0][1];
}
