// The page: puts the photograph, the questions and their answers together.

import { Answers } from "./answers.js";
import { Problem, ServerImage, models } from "./api.js";
import { copyText } from "./clipboard.js";
import { receiveFiles } from "./files.js";
import { History } from "./history.js";
import { NotAPicture, Photograph } from "./photograph.js";
import { Question } from "./question.js";
import { about, place, sentenceOf, spoken } from "./sentences.js";
import { connectThemeButton } from "./theme.js";

const byId = (id) => document.getElementById(id);

/** What to look for in the bundled examples. */
const TRY = {
  horse: "the horse’s head",
  cat: "the cat’s eye on the right",
  coffee: "the handle of the cup",
};
/** How far the heat-map is faded in by a card's button, in percent. */
const HEAT_OF_BUTTON = 85;

const history = new History();
let server = null; // the photograph on the server
let selected = null; // a question

const photograph = new Photograph(
  { frame: byId("frame"), image: byId("image"), canvas: byId("overlay") },
  { ask: askPoint, position: showPosition, crosshair: announceCrosshair },
);
const answers = new Answers(byId("answers"), {
  select,
  remove,
  retry: ask,
  heat: toggleHeat,
  copy: (question) => copyText(JSON.stringify(question.exchanges, null, 2)),
});

// Photographs.

async function openFile(file, example = null) {
  const usesKeys = document.activeElement?.matches(":focus-visible") ?? false;
  let sent;
  byId("opening").hidden = false;
  try {
    sent = await photograph.open(file);
    if (!sent) return; // the other one goes on
    byId("opening").hidden = true;
  } catch (error) {
    byId("opening").hidden = true;
    if (!(error instanceof NotAPicture)) throw error;
    const name = file.name ? `“${file.name}”` : "This";
    notify(
      `${name} is not a picture that the browser can show. Open a JPEG, a PNG or a WebP file.`,
    );
    return;
  }

  history.questions.forEach((question) => question.stop());
  history.reset();
  server = new ServerImage(sent, file.name || "pasted");
  selected = null;
  notify(null);
  byId("start").hidden = true;
  byId("work").hidden = false;
  byId("words").value = "";
  byId("words").placeholder = TRY[example] ?? "the handle of the red cup";
  setHeat(0);
  render();
  // Whoever uses the keys goes on with them.
  if (usesKeys) photograph.focus();
  announce(`Opened ${byId("frame").getAttribute("aria-label")}.`);
}

async function openExample(name) {
  try {
    const response = await fetch(`examples/${name}.jpg`);
    if (!response.ok) throw new Problem("unexpected", String(response.status));
    const blob = await response.blob();
    await openFile(new File([blob], `${name}.jpg`, { type: "image/jpeg" }), name);
  } catch (error) {
    const problem = error instanceof Problem ? error : new Problem("unreachable");
    notify(sentenceOf(problem).sentence, () => openExample(name));
  }
}

// Questions.

function askPoint(point) {
  begin(Question.ofPoint(nextNumber(), point));
}

function askWords(words) {
  begin(Question.ofWords(nextNumber(), words));
}

const nextNumber = () => 1 + Math.max(0, ...history.questions.map((question) => question.number));

function begin(question) {
  history.change([...history.questions, question]);
  select(question);
  ask(question);
}

async function ask(question) {
  await question.ask(server, byId("model-choice").value || undefined, photograph.size, render);
  if (!history.questions.includes(question)) return;
  const { state, number, problem } = question;
  if (state === "done") announce(spoken(question));
  if (state === "failed") announce(`${number}: ${sentenceOf(problem).sentence}`);
}

function replaceQuestions(questions) {
  const before = history.questions;
  history.change(questions);
  tidy(before);
}

function remove(question) {
  replaceQuestions(history.questions.filter((other) => other !== question));
  announce(`Removed ${question.number}.`);
  // The focus was on the card that is gone.
  if (!answers.focus(selected)) photograph.focus();
}

function undo() {
  if (!history.canUndo) return;
  const before = history.questions;
  history.undo();
  tidy(before);
  announce(`Undone. Answers on the photograph: ${history.questions.length}.`);
}

/** Stops questions that were on the page before and are not any more, and selects one that is. */
function tidy(before) {
  before
    .filter((question) => !history.questions.includes(question))
    .forEach((question) => question.stop());
  if (!history.questions.includes(selected)) selected = history.questions.at(-1) ?? null;
  render();
}

function select(question) {
  selected = question;
  render();
}

// The heat-map.

function setHeat(percent) {
  byId("heat-strength").value = percent;
  render();
}

function toggleHeat(question) {
  const isShown = question === selected && byId("heat-strength").valueAsNumber > 0;
  selected = question;
  setHeat(isShown ? 0 : HEAT_OF_BUTTON);
}

// What is on the page.

function render() {
  const questions = history.questions;
  const strength = byId("heat-strength");
  const heat = selected?.heat ?? null;
  strength.disabled = !heat;
  byId("heat-label").textContent = heat ? `Heat-map of ${selected.number}` : "Heat-map";
  byId("undo").disabled = !history.canUndo;
  byId("clear").disabled = questions.length === 0;
  byId("empty").hidden = questions.length > 0;
  byId("hint").hidden = questions.length > 0;
  const share = strength.valueAsNumber / 100;
  photograph.show({ questions, selected, heat: heat && { picture: heat, strength: share } });
  answers.show(questions, {
    selected,
    heatIsShown: share > 0,
    size: photograph.size,
    namesModel: byId("model-choice").length > 1,
  });
}

function showPosition(point) {
  byId("position").textContent = point ? place(point) : "";
}

/** A sentence above the page, with another try if there is one; null removes it. */
function notify(sentence, again = null) {
  byId("notice").hidden = sentence === null;
  byId("notice-text").textContent = sentence ?? "";
  byId("notice-again").hidden = again === null;
  byId("notice-again").onclick = again;
}

function announce(sentence) {
  byId("announcements").textContent = sentence;
}

let crosshairTimer = 0;

/** Says where the crosshair is, once it rests. */
function announceCrosshair(point) {
  clearTimeout(crosshairTimer);
  crosshairTimer = setTimeout(() => (byId("crosshair-position").textContent = place(point)), 400);
}

async function showModels() {
  let found;
  try {
    found = await models();
  } catch (error) {
    notify(sentenceOf(error).sentence, showModels);
    return;
  }
  notify(null);
  const choice = byId("model-choice");
  choice.replaceChildren(...found.map(({ name }) => new Option(name, name)));
  byId("model").hidden = found.length < 2;
  choice.onchange = () => showAbout(found.find(({ name }) => name === choice.value));
  choice.onchange();
}

function showAbout(model) {
  byId("about").textContent = about(model, location.hostname);
}

function connect() {
  connectThemeButton(byId("theme"));
  const places = { input: byId("file"), curtain: byId("curtain") };
  receiveFiles(places, openFile, () => notify("That is not a file. Drop a photograph."));
  for (const button of document.querySelectorAll("[data-action=open]")) {
    button.addEventListener("click", () => byId("file").click());
  }
  for (const button of document.querySelectorAll("[data-example]")) {
    button.addEventListener("click", () => openExample(button.dataset.example));
  }
  byId("undo").addEventListener("click", undo);
  byId("clear").addEventListener("click", () => replaceQuestions([]));
  byId("heat-strength").addEventListener("input", render);
  byId("notice-close").addEventListener("click", () => notify(null));
  if (matchMedia("(pointer: coarse)").matches) byId("hint-pointer").textContent = "Tap any point";
  connectWords();
}

/** Connects the field for words, and the keys for undo, which it may need for itself. */
function connectWords() {
  const [words, wordsProblem] = [byId("words"), byId("words-problem")];
  let asked = ""; // the words as they were asked last
  byId("find").addEventListener("submit", (event) => {
    event.preventDefault();
    const text = words.value.trim();
    wordsProblem.hidden = text !== "";
    wordsProblem.textContent = text ? "" : "Type what to look for, then press Find.";
    words.setAttribute("aria-invalid", String(!text));
    if (text) askWords(text);
    asked = words.value;
    words.select();
  });

  document.addEventListener("keydown", (event) => {
    const isUndo =
      (event.ctrlKey || event.metaKey) && !event.shiftKey && event.key.toLowerCase() === "z";
    const isTyping = event.target === words && words.value !== asked; // there it undoes the typing
    if (!isUndo || isTyping || byId("work").hidden) return;
    event.preventDefault();
    undo();
  });
}

connect();
showAbout(null);
showModels();
