// A heat-map of the Localizer as a picture: a grid of probabilities over the photograph's area becomes a
// canvas that is laid over it.

/** Cells are refined by this factor, so that the grid does not show. */
const REFINEMENT = 8;
/** The color at relative probabilities from 0 to 1: red, green, blue, and opacity. */
const RAMP = [
  { at: 0.0, rgba: [18, 10, 46, 0.62] },
  { at: 0.15, rgba: [74, 16, 110, 0.62] },
  { at: 0.4, rgba: [190, 40, 90, 0.62] },
  { at: 0.7, rgba: [250, 130, 30, 0.6] },
  { at: 1.0, rgba: [255, 240, 150, 0.55] },
];

/**
 * The picture of a heat-map `{ width, height, values }`, its largest value the brightest.
 * Returns null if the map has no cells, or another number of values than it says.
 */
export function heatPicture({ width, height, values }) {
  const isWhole = width > 0 && height > 0 && values?.length === width * height;
  if (!isWhole || width * height > 1_000_000) return null;
  const largest = values.reduce((one, other) => Math.max(one, other), 0);

  const canvas = document.createElement("canvas");
  canvas.width = width * REFINEMENT;
  canvas.height = height * REFINEMENT;
  const context = canvas.getContext("2d");
  const picture = context.createImageData(canvas.width, canvas.height);
  for (let row = 0; row < canvas.height; row += 1) {
    for (let column = 0; column < canvas.width; column += 1) {
      // Centers of cells are half a cell from the edge.
      const x = (column + 0.5) / REFINEMENT - 0.5;
      const y = (row + 0.5) / REFINEMENT - 0.5;
      const value = largest > 0 ? interpolated(values, width, height, x, y) / largest : 0;
      const [red, green, blue, opacity] = colourOf(value);
      picture.data.set([red, green, blue, 255 * opacity], 4 * (row * canvas.width + column));
    }
  }
  context.putImageData(picture, 0, 0);
  return canvas;
}

/** The bilinear value between the cells around (x, y), in cells; the edge's own beyond the edge. */
function interpolated(values, width, height, x, y) {
  const column = Math.floor(x);
  const row = Math.floor(y);
  const cell = (dx, dy) => {
    const inside = (index, size) => Math.min(Math.max(index, 0), size - 1);
    return values[inside(row + dy, height) * width + inside(column + dx, width)];
  };
  const [right, down] = [x - column, y - row];
  const above = cell(0, 0) * (1 - right) + cell(1, 0) * right;
  const below = cell(0, 1) * (1 - right) + cell(1, 1) * right;
  return above * (1 - down) + below * down;
}

/** The ramp's color at a value from 0 to 1. */
function colourOf(value) {
  const end = Math.max(
    1,
    RAMP.findIndex(({ at }) => at >= value),
  );
  const [from, to] = [RAMP[end - 1], RAMP[end]];
  const share = (value - from.at) / (to.at - from.at);
  return from.rgba.map((channel, index) => channel + (to.rgba[index] - channel) * share);
}
