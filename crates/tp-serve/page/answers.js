// The list of answers beside the photograph: one card a question, the newest first.

import { markerColour, sampleOf } from "./colours.js";
import { pieces } from "./description.js";
import { button, element, icon, iconButton } from "./dom.js";
import { foundAt, percent, pixels, place, sentenceOf, shareOfSide } from "./sentences.js";

export class Answers {
  #list;
  #on;
  #cards = new Map(); // by question

  /**
   * @param list the `ol` for the cards
   * @param on `{ select(question), remove(question), retry(question), heat(question), copy(question) }`;
   *   `copy` returns whether it did
   */
  constructor(list, on) {
    this.#list = list;
    this.#on = on;
  }

  /**
   * Shows these questions, the oldest first.
   *
   * @param how `{ selected, heatIsShown, size, namesModel }`: the selected question, whether its heat-map is on the
   *   photograph, the photograph's size, and whether answers say which model gave them
   */
  show(questions, how) {
    for (const [question, card] of this.#cards) {
      if (questions.includes(question)) continue;
      card.root.remove();
      this.#cards.delete(question);
    }
    let next = null;
    for (const question of questions) {
      let card = this.#cards.get(question);
      if (!card) {
        card = new Card(question, this.#on);
        this.#cards.set(question, card);
      }
      // Cards keep their place, so that the focus stays in them.
      const isInPlace =
        card.root.parentNode === this.#list && card.root.nextElementSibling === next;
      if (!isInPlace) this.#list.insertBefore(card.root, next);
      next = card.root;
      card.show(how);
    }
  }

  /** Moves the focus to a question's card; returns whether there is one. */
  focus(question) {
    const card = this.#cards.get(question);
    card?.focus();
    return card !== undefined;
  }
}

class Card {
  root;
  #question;
  #on;
  #badge;
  #heat;
  #copy;
  #body;
  #shown = ""; // what the body shows, so that it is built again only for something new

  constructor(question, on) {
    this.#question = question;
    this.#on = on;
    this.#badge = this.#newBadge();
    this.#heat = iconButton("heatmap", `Heat-map of ${question.number}`, () => on.heat(question));
    this.#copy = iconButton("copy", "Copy request and answer as JSON", () => this.#onCopy());
    const remove = iconButton("remove", `Remove ${question.number}`, () => on.remove(question));
    const tools = element("span", "answer-tools", this.#heat, this.#copy, remove);
    const head = element("div", "answer-head", this.#badge, subject(question), tools);
    this.#body = element("div", "answer-body");
    this.root = element("li", "answer", head, this.#body);
    this.root.style.setProperty("--marker", markerColour(question.number));
    this.root.addEventListener("click", (event) => {
      const isMeant = !event.target.closest("button") && getSelection().isCollapsed;
      if (isMeant) on.select(question);
    });
  }

  /** The number, which selects the question. */
  #newBadge() {
    const { kind, number } = this.#question;
    const badge = button(String(number), () => this.#on.select(this.#question));
    badge.className = "badge";
    badge.setAttribute("aria-label", `Show ${kind} ${number} on the photograph`);
    return badge;
  }

  async #onCopy() {
    const isCopied = await this.#on.copy(this.#question);
    this.#copy.replaceChildren(icon(isCopied ? "done" : "warning"));
    setTimeout(() => this.#copy.replaceChildren(icon("copy")), 1500);
  }

  focus() {
    this.#badge.focus();
  }

  show({ selected, heatIsShown, size, namesModel }) {
    const question = this.#question;
    const isSelected = question === selected;
    this.root.classList.toggle("is-selected", isSelected);
    this.root.setAttribute("aria-busy", String(question.isWaiting));
    this.#badge.setAttribute("aria-pressed", String(isSelected));
    this.#copy.hidden = question.exchanges.length === 0;
    this.#heat.hidden = !question.heat;
    this.#heat.setAttribute("aria-pressed", String(isSelected && heatIsShown));

    const { state, text, nextTry } = question;
    const shown = JSON.stringify([state, text, nextTry && secondsUntil(nextTry)]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.#body.replaceChildren(
      ...this.#description(),
      ...this.#verdict(size, namesModel),
      ...this.#trouble(),
    );
  }

  /** The words about the point, and their layers. */
  #description() {
    const { kind, state, text, name, nextTry } = this.#question;
    if (kind === "words") return [];
    if (!text) return state === "waiting" && !nextTry ? [waiting("Looking at the point")] : [];
    const words = element("p", "written");
    words.lang = "en";
    const cut = pieces(text, name);
    let place = null; // the place that is being written
    for (const piece of cut) {
      if (!piece.isPlace) place = null;
      else if (!place) words.append((place = element("span", "place")));
      const node = piece.layer ? element("mark", piece.layer, piece.text) : piece.text;
      (place ?? words).append(node);
    }
    if (state === "writing") words.append(element("span", "cursor"));
    if (!name) return [words];
    const hasPlace = cut.some((piece) => piece.isPlace);
    return [words, layers(name, hasPlace)];
  }

  /** Where the words lead to. */
  #verdict(size, namesModel) {
    const { kind, state, found, confidence, distance, seconds, model, nextTry } = this.#question;
    if (state === "locating" && !nextTry) return [waiting("Finding it again from these words")];
    if (kind === "words" && state === "waiting" && !nextTry) return [waiting("Looking for it")];
    if (state !== "done") return [];
    if (!found) {
      const sentence =
        kind === "words" ? "Not found in this image." : "Not found again from these words.";
      return [verdict("nowhere", sentence, "The model believes that the words fit nothing in it.")];
    }
    const details = [];
    if (distance != null) details.push(shareOfSide(distance, size));
    if (confidence != null) details.push(`confidence ${percent(confidence)}`);
    if (namesModel && model) details.push(model);
    if (seconds != null) details.push(`${Number(seconds.toPrecision(2))} s`);
    const sentence =
      kind === "words" ? foundAt(this.#question) : `Found again ${pixels(distance)} away`;
    return [verdict("found", sentence, details.join(" · "), CONFIDENCE)];
  }

  /** Why there is no answer, or not yet. */
  #trouble() {
    const question = this.#question;
    const { state, problem, nextTry } = question;
    const retry = () => this.#on.retry(question);
    if (state === "stopped") {
      return [trouble("This question was stopped.", "", button("Ask again", retry))];
    }
    if (nextTry) {
      const seconds = secondsUntil(nextTry);
      const sentence = `The server is busy with other questions. It is asked again in ${seconds} s.`;
      const tryNow = () => question.tryNow();
      return [trouble(sentence, "", button("Try now", tryNow))];
    }
    if (state !== "failed") return [];
    const { sentence, mayRetry } = sentenceOf(problem);
    return [trouble(sentence, problem.detail, mayRetry ? button("Try again", retry) : null)];
  }
}

/** Explains the confidence that an answer states. */
const CONFIDENCE =
  "Confidence: the model’s own estimate that the point is within a tenth of the photograph’s sides.";

/** What was asked: the point, or the words. */
function subject({ kind, asked, words }) {
  const isPoint = kind === "point";
  const text = isPoint ? place(asked) : `“${words}”`;
  const result = element("span", isPoint ? "asked muted" : "asked quoted", text);
  result.title = isPoint ? "Column and row of the pixel" : words;
  result.dir = "auto";
  return result;
}

/** The names of the layers in their colors, with the probabilities of those that have one. */
function layers(name, hasPlace) {
  const list = element("ul", "layers");
  if (name.object) list.append(layer("object", "object", name.object, name.object_probability));
  else list.append(element("li", "muted", "object: not sure"));
  if (name.part) list.append(layer("part", "part", name.part, name.part_probability));
  if (name.colour) list.append(layer("colour", "color", name.colour, null));
  if (hasPlace) list.append(element("li", "", element("span", "place muted", "place")));
  return list;
}

/** One layer: "part trunk 47 %". */
function layer(className, label, word, probability) {
  const mark = element("mark", className, word);
  const sample = className === "colour" ? sampleOf(word) : null;
  if (sample) {
    const swatch = element("span", "swatch");
    swatch.style.setProperty("background-color", sample);
    mark.prepend(swatch);
  }
  const item = element("li", "", element("span", "muted", label), " ", mark);
  if (probability != null) item.append(" ", element("span", "muted", percent(probability)));
  return item;
}

/** Whole seconds until a time, at least one. */
function secondsUntil(time) {
  return Math.max(1, Math.ceil((time - Date.now()) / 1000));
}

function waiting(sentence) {
  const dots = element("span", "dots", element("i"), element("i"), element("i"));
  return element("p", "waiting muted", dots, sentence);
}

function verdict(name, sentence, details, explanation = "") {
  const muted = element("span", "muted", details);
  muted.title = explanation;
  const words = element("span", "", element("strong", "", sentence), " ", muted);
  return element("p", "verdict", icon(name), words);
}

function trouble(sentence, detail, action) {
  const words = element("div", "", element("p", "", sentence));
  if (detail) words.append(element("p", "detail muted", detail));
  if (action) words.append(action);
  return element("div", "trouble", icon("warning"), words);
}
