// The list of answers beside the photograph: one card a question, the newest first.

import { markerColour, sampleOf } from "./colours.js";
import { pieces } from "./description.js";
import { element, icon, iconButton } from "./dom.js";
import { percent, pixels, place, sentenceOf, shareOfSide } from "./sentences.js";

export class Answers {
  #list;
  #on;
  #cards = new Map(); // by the question's id

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
    const ids = new Set(questions.map((question) => question.id));
    for (const [id, card] of this.#cards) {
      if (ids.has(id)) continue;
      card.root.remove();
      this.#cards.delete(id);
    }
    let next = null;
    for (const question of questions) {
      let card = this.#cards.get(question.id);
      if (!card) {
        card = new Card(question, this.#on);
        this.#cards.set(question.id, card);
      }
      // Cards keep their place, so that the focus stays in them.
      if (card.root.parentNode !== this.#list || card.root.nextElementSibling !== next) this.#list.insertBefore(card.root, next);
      next = card.root;
      card.show(how);
    }
  }

  /** Moves the focus to a question's card; returns whether there is one. */
  focus(question) {
    const card = this.#cards.get(question?.id);
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
    const subject = question.kind === "point" ? "point" : "words";
    this.#badge = element("button", "badge", { type: "button", textContent: question.number });
    this.#badge.setAttribute("aria-label", `Show ${subject} ${question.number} on the photograph`);
    this.#heat = iconButton("heatmap", `Heat-map of ${question.number}`, () => on.heat(question));
    const copy = (this.#copy = iconButton("copy", "Copy request and answer as JSON", async () => {
      const isCopied = await on.copy(question);
      copy.replaceChildren(icon(isCopied ? "done" : "warning"));
      setTimeout(() => copy.replaceChildren(icon("copy")), 1500);
    }));
    const remove = iconButton("remove", `Remove answer ${question.number}`, () => on.remove(question));
    const title =
      question.kind === "point"
        ? element("span", "asked muted", { textContent: place(question.asked), title: "Column and row of the pixel" })
        : element("span", "asked quoted", { textContent: `“${question.words}”`, title: question.words, dir: "auto" });
    const head = element("div", "answer-head", {}, this.#badge, title, element("span", "answer-tools", {}, this.#heat, copy, remove));
    this.#body = element("div", "answer-body");
    this.root = element("li", "answer", {}, head, this.#body);
    this.root.style.setProperty("--marker", markerColour(question.number));
    this.root.addEventListener("click", (event) => {
      const isOwn = event.target.closest("button");
      if ((!isOwn || isOwn === this.#badge) && getSelection().isCollapsed) on.select(question);
    });
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

    const { state, text, found, nextTry } = question;
    const shown = JSON.stringify([state, text, found === undefined, nextTry && secondsUntil(nextTry)]);
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.#body.replaceChildren(...this.#description(), ...this.#verdict(size, namesModel), ...this.#trouble());
  }

  /** The words about the point, and their layers. */
  #description() {
    const { kind, state, text, name, nextTry } = this.#question;
    if (kind === "words") return [];
    if (!text) return state === "waiting" && !nextTry ? [waiting("Looking at the point")] : [];
    const words = element("p", "written", { lang: "en" });
    let place = null; // the place that is being written
    for (const piece of pieces(text, name)) {
      if (!piece.isPlace) place = null;
      else if (!place) words.append((place = element("span", "place")));
      (place ?? words).append(piece.layer ? element("mark", piece.layer, { textContent: piece.text }) : piece.text);
    }
    if (state === "writing") words.append(element("span", "cursor"));
    return name ? [words, layers(name, pieces(text, name).some((piece) => piece.isPlace))] : [words];
  }

  /** Where the words lead to. */
  #verdict(size, namesModel) {
    const { kind, state, found, confidence, distance, seconds, model, nextTry } = this.#question;
    if (state === "locating" && !nextTry) return [waiting("Finding it again from these words")];
    if (kind === "words" && state === "waiting" && !nextTry) return [waiting("Looking for it")];
    if (state !== "done") return [];
    if (!found) {
      const sentence = kind === "words" ? "Not found in this image." : "Not found again from these words.";
      return [verdict("nowhere", sentence, "The model believes that the words are about nothing in it.")];
    }
    const details = [];
    if (distance != null) details.push(shareOfSide(distance, size));
    if (confidence != null) details.push(`confidence ${percent(confidence)}`);
    if (namesModel && model) details.push(model);
    if (seconds != null) details.push(`${seconds.toLocaleString("en", { maximumSignificantDigits: 2 })} s`);
    const sentence = kind === "words" ? `Found at ${place(found)}` : `Found again ${pixels(distance)} away`;
    return [verdict("found", sentence, details.join(" · "), CONFIDENCE)];
  }

  /** Why there is no answer, or not yet. */
  #trouble() {
    const { state, problem, nextTry } = this.#question;
    const question = this.#question;
    if (state === "stopped") {
      return [trouble("This question was stopped.", "", button("Ask again", () => this.#on.retry(question)))];
    }
    if (nextTry) {
      const sentence = `The server is busy with other questions. It is asked again in ${secondsUntil(nextTry)} s.`;
      return [trouble(sentence, "", button("Try now", () => question.tryNow()))];
    }
    if (state !== "failed") return [];
    const { sentence, mayRetry } = sentenceOf(problem);
    return [trouble(sentence, problem.detail, mayRetry ? button("Try again", () => this.#on.retry(question)) : null)];
  }
}

/** The names of the layers in their colors, with the probabilities of those that have one. */
function layers(name, hasPlace) {
  const list = element("ul", "layers");
  const add = (layer, label, word, probability) => {
    const item = element("li", "", {}, element("span", "muted", { textContent: label }), " ", element("mark", layer, { textContent: word }));
    if (probability != null) item.append(" ", element("span", "muted", { textContent: percent(probability) }));
    list.append(item);
    return item;
  };
  if (name.object) add("object", "object", name.object, name.object_probability);
  else list.append(element("li", "muted", { textContent: "object: not sure" }));
  if (name.part) add("part", "part", name.part, name.part_probability);
  if (name.colour) {
    const item = add("colour", "color", name.colour, null);
    const sample = sampleOf(name.colour);
    if (sample) {
      const swatch = element("span", "swatch");
      swatch.style.setProperty("background-color", sample);
      item.querySelector("mark").prepend(swatch);
    }
  }
  if (hasPlace) list.append(element("li", "", {}, element("span", "place muted", { textContent: "place" })));
  return list;
}

const CONFIDENCE = "Confidence: the model’s own estimate that the point is right, within a tenth of the photograph’s width and height.";

const secondsUntil = (time) => Math.max(1, Math.ceil((time - Date.now()) / 1000));

function waiting(sentence) {
  return element("p", "waiting muted", {}, element("span", "dots", {}, element("i"), element("i"), element("i")), sentence);
}

function verdict(name, sentence, details, explanation = "") {
  const strong = element("strong", "", { textContent: sentence });
  const words = element("span", "", {}, strong, " ", element("span", "muted", { textContent: details, title: explanation }));
  return element("p", "verdict", {}, icon(name), words);
}

function trouble(sentence, detail, action) {
  const words = element("div", "", {}, element("p", "", { textContent: sentence }));
  if (detail) words.append(element("p", "detail muted", { textContent: detail }));
  if (action) words.append(action);
  return element("div", "trouble", {}, icon("warning"), words);
}

const button = (text, onclick) => element("button", "", { type: "button", textContent: text, onclick });
