// The layers of a description: which words are the object, the part, the color, and the place.

/** Words that say where, as the Descriptor writes them. */
const WHERE =
  "very|far|upper|lower|top|bottom|left|right|left-hand|right-hand|middle|center|centre|corner|edge|end|side|half|area";
/** "in the upper middle of the horse", "on the left of the image", "in the center". */
const PLACE = new RegExp(
  `\\b(?:in|on|at|near|towards?)\\s+(?:the|its)\\s+(?:(?:${WHERE})\\b[\\s-]*)+(?:of\\s+(?:the\\s+|its\\s+)?[\\p{L}-]+)?`,
  "giu",
);

/**
 * Cuts a description into pieces `{ text, layer, isPlace }`: `layer` is "object", "part", "colour" or null.
 * The layers come from the model's names, `{ object, part, colour }`, or are null where it gave none.
 */
export function pieces(description, name) {
  const layers = new Array(description.length).fill(null);
  // The object last, because it wins where two layers have the same word.
  for (const layer of ["colour", "part", "object"]) {
    const word = name?.[layer];
    if (!word) continue;
    for (const { index, 0: text } of description.matchAll(wholeWord(word)))
      layers.fill(layer, index, index + text.length);
  }
  const places = new Array(description.length).fill(false);
  for (const { index, 0: text } of description.matchAll(PLACE)) {
    let end = index + text.trimEnd().length;
    while (layers[end] && layers[end] === layers[end - 1]) end += 1; // "of the computer" goes on with "mouse"
    places.fill(true, index, end);
  }

  const result = [];
  for (let index = 0; index < description.length; index += 1) {
    const last = result.at(-1);
    if (last && last.layer === layers[index] && last.isPlace === places[index])
      last.text += description[index];
    else result.push({ text: description[index], layer: layers[index], isPlace: places[index] });
  }
  return result;
}

/** A word, or several, not inside of other words; its plural counts. */
function wholeWord(word) {
  const escaped = word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  return new RegExp(`(?<![\\p{L}\\p{N}])${escaped}(?:e?s)?(?![\\p{L}\\p{N}])`, "giu");
}
