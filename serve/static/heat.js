// Heat maps over images: the maps of /v1/explain.

// The color map viridis at equal steps: its lightness grows evenly, so it is read without color
// vision, too (Stéfan van der Walt and Nathaniel Smith 2015, CC0).
const viridis = [
  [68, 1, 84], [72, 24, 106], [71, 45, 123], [66, 64, 134], [59, 82, 139], [51, 99, 141], [44, 114, 142], [38, 130, 142], [33, 145, 140],
  [31, 160, 136], [40, 174, 128], [63, 188, 115], [94, 201, 98], [132, 212, 75], [173, 220, 48], [216, 226, 25], [253, 231, 37],
];
const heat = 0.65; // share of the color; the rest is the image in gray
const longer = 320; // longer side of the canvas in pixels

export const gradient = `linear-gradient(to right, ${viridis.map((c) => `rgb(${c.join()})`).join()})`;

function colorOf(value) {
  const at = Math.min(Math.max(value, 0), 1) * (viridis.length - 1);
  const first = Math.min(Math.floor(at), viridis.length - 2);
  return viridis[first].map((v, i) => v + (at - first) * (viridis[first + 1][i] - v));
}

// between returns the neighbors of a position among ascending ones, and how far along it is.
function between(positions, at) {
  let second = positions.findIndex((p) => p >= at);
  if (second < 0) second = positions.length - 1;
  const first = Math.max(second - 1, 0), gap = positions[second] - positions[first];
  return [first, second, gap > 0 ? Math.min(Math.max((at - positions[first]) / gap, 0), 1) : 0];
}

// drawHeat draws the image of a file in gray on a canvas, with the values of a map as colors from 0
// to limit, and a white line around the values above half of that.
export async function drawHeat(canvas, file, map, limit) {
  const picture = await createImageBitmap(file);
  const scale = longer / Math.max(picture.width, picture.height);
  const width = (canvas.width = Math.max(1, Math.round(picture.width * scale)));
  const height = (canvas.height = Math.max(1, Math.round(picture.height * scale)));
  const paper = canvas.getContext("2d", { willReadFrequently: true });
  paper.fillStyle = "#fff";
  paper.fillRect(0, 0, width, height);
  paper.drawImage(picture, 0, 0, width, height);
  picture.close();
  const xs = Array.from({ length: width }, (_, x) => ((x + 0.5) * map.image_width) / width);
  const ys = Array.from({ length: height }, (_, y) => ((y + 0.5) * map.image_height) / height);
  const columns = xs.map((x) => between(map.x, x)), rows = ys.map((y) => between(map.y, y));
  const values = new Float64Array(width * height).fill(NaN); // NaN: the network does not see it
  for (let y = 0; y < height; y++) {
    if (ys[y] < map.area.top || ys[y] > map.area.bottom) continue;
    const [above, below, down] = rows[y];
    for (let x = 0; x < width; x++) {
      if (xs[x] < map.area.left || xs[x] > map.area.right) continue;
      const [left, right, along] = columns[x];
      const at = (row) => (1 - along) * map.values[row * map.width + left] + along * map.values[row * map.width + right];
      values[y * width + x] = (1 - down) * at(above) + down * at(below);
    }
  }
  const inside = (x, y) => x >= 0 && y >= 0 && x < width && y < height && values[y * width + x] > limit / 2;
  const image = paper.getImageData(0, 0, width, height), pixels = image.data;
  for (let i = 0; i < values.length; i++) {
    const x = i % width, y = Math.floor(i / width);
    const gray = 20 + 0.65 * (0.299 * pixels[4 * i] + 0.587 * pixels[4 * i + 1] + 0.114 * pixels[4 * i + 2]);
    const onLine = inside(x, y) && !(inside(x - 2, y) && inside(x + 2, y) && inside(x, y - 2) && inside(x, y + 2));
    const color = Number.isNaN(values[i]) ? [255, 255, 255] : colorOf(values[i] / limit);
    for (let k = 0; k < 3; k++) pixels[4 * i + k] = onLine ? 255 : heat * color[k] + (1 - heat) * gray;
  }
  paper.putImageData(image, 0, 0);
}
