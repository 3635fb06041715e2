// What the page says about answers and problems, in plain sentences. Everything here is text, never HTML.

/** A problem's sentence, its way out included, and whether asking again may help. */
export function sentenceOf(problem) {
  switch (problem.kind) {
    case "unreachable":
      return again(
        "The server does not answer. Start it again with “talking-points serve”, then try again.",
      );
    case "broken-off":
      return again("The connection ended in the middle of the answer. Try again.");
    case "busy":
      return again("The server is busy with other questions. Try again in a moment.");
    case "timeout":
      return again("The server needed longer than it may. Try again, or use a smaller photograph.");
    case "shutting-down":
      return again(
        "The server is shutting down. Start it again with “talking-points serve”, then try again.",
      );
    case "image-not-cached":
      return again("The server has forgotten the photograph. Try again.");
    case "not-an-image":
    case "unsupported-media-type":
      return final(
        "The server cannot read this file as an image. Open a JPEG, a PNG or a WebP file.",
      );
    case "too-large":
      return final("This photograph is larger than the server accepts. Open a smaller copy of it.");
    case "point-outside":
      return final("This point is outside of the photograph. Click inside of it.");
    case "too-many-points":
      return final("These are more points than the server answers at once. Ask about fewer.");
    case "text-too-long":
      return final("These words are too many for the model. Use a shorter sentence.");
    case "empty-text":
      return final("There are no words to find. Type a few.");
    case "unknown-model":
      return final(
        "The server has no model of this name any more. Reload the page, and choose another one.",
      );
    case "size-differs":
      return final(
        "The server sees this photograph in another size than the browser does. Save it as a PNG, and open that.",
      );
    default:
      return again(
        "The server could not answer. Try again; if that does not help, look at what it prints.",
      );
  }
}

const again = (sentence) => ({ sentence, mayRetry: true });
const final = (sentence) => ({ sentence, mayRetry: false });

/** "28 px", "0.4 px", "1,204 px". */
export function pixels(distance) {
  const digits = distance < 10 ? 1 : 0;
  return `${distance.toLocaleString("en", { maximumFractionDigits: digits })} px`;
}

/** "61 %"; what is between is not rounded to certainty. */
export function percent(probability) {
  if (probability > 0 && probability < 0.01) return "< 1 %";
  if (probability < 1 && probability > 0.99) return "> 99 %";
  return `${Math.round(100 * probability)} %`;
}

/** "312, 140": column and row. */
export function place(point) {
  return `${Math.round(point.x)}, ${Math.round(point.y)}`;
}

/** "4 % of the longer side": how far that is on this photograph. */
export function shareOfSide(distance, size) {
  const share = (100 * distance) / Math.max(size.width, size.height);
  return `${share < 1 ? "less than 1" : Math.round(share)} % of the longer side`;
}

/** Where words were found: "Found at 312, 140", or "Perhaps at …" if the model does not believe it itself. */
export function foundAt({ found, confidence }) {
  const isSure = confidence == null || confidence >= 0.5;
  return `${isSure ? "Found" : "Perhaps"} at ${place(found)}`;
}

/** What a screen reader says when a question is answered. */
export function spoken(question) {
  const confidence =
    question.confidence == null ? "" : ` Confidence ${percent(question.confidence)}.`;
  if (question.kind === "words") {
    const found = question.found
      ? `${foundAt(question)}.${confidence}`
      : "Not found in this image.";
    return `${question.number}: “${question.words}”: ${found}`;
  }
  const found = question.found
    ? `Found again ${pixels(question.distance).replace("px", "pixels")} away.${confidence}`
    : "Not found again from these words.";
  return `Point ${question.number}: ${question.text} ${found}`;
}

/** What the page says about the model and the photographs. */
export function about(model, hostname) {
  const isHere =
    hostname === "localhost" ||
    hostname === "[::1]" ||
    /^127\./.test(hostname) ||
    hostname.endsWith(".localhost");
  const photographs = isHere
    ? "It runs on this computer, and no photograph leaves it."
    : `It runs on ${hostname}; photographs are sent there and nowhere else.`;
  if (!model) return photographs;
  const known =
    model.name === "tiny"
      ? "The model “tiny” has 12.6 million parameters. It knows everyday objects, as far as the 1,000 classes of ImageNet and a few " +
        "thousand described points go. It does not know people, most parts, materials, or what is written on things. On photographs " +
        "that are new to it, two of three names are wrong, so read the probabilities."
      : `The model is “${model.name}”; what it knows is on its card. Its names may be wrong, so read the probabilities.`;
  return `${known} ${photographs}`;
}
