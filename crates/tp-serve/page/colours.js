// Colors of the markers, and of the color words in descriptions.

/**
 * The colors of questions, by turns. Bright, because they stand on photographs and under dark numbers:
 * every one of them has a contrast of more than 7 with `INK`.
 */
const MARKERS = [
  "#ff8a5c",
  "#4cc2ff",
  "#ffd23f",
  "#4fdc86",
  "#ff8fd0",
  "#c3a6ff",
  "#35e0d0",
  "#d8c4a8",
];

/** The color of the numbers on the markers. */
export const INK = "#14110f";

/** The color of question `number`, counted from 1. */
export function markerColour(number) {
  return MARKERS[(number - 1) % MARKERS.length];
}

/** The color words of the model, as samples beside the words. */
const SAMPLES = new Map([
  ["black", "#161616"],
  ["dark gray", "#4a4a4a"],
  ["gray", "#868686"],
  ["light gray", "#c4c4c4"],
  ["white", "#fbfbfb"],
  ["red", "#c8281f"],
  ["orange", "#ee8322"],
  ["brown", "#8a5a35"],
  ["dark brown", "#4a2f1c"],
  ["beige", "#dcc8a4"],
  ["yellow", "#f0cf2c"],
  ["green", "#4b9a3f"],
  ["dark green", "#1f4f29"],
  ["blue", "#2f6fc4"],
  ["purple", "#7d4ba6"],
  ["pink", "#ee96b4"],
]);

/** A sample of a color word, or null if it is unknown. */
export function sampleOf(word) {
  return SAMPLES.get(word.toLowerCase()) ?? null;
}
