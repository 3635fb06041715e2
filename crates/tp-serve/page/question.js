// A question about the photograph, from asking to its answer.
//
// A point is described, and its description is located. Words are located only.

import { Problem } from "./api.js";
import { heatPicture } from "./heatmap.js";

/** A busy server is asked again by itself this many times. */
const TRIES = 6;
/** Seconds between two tries if the server does not say. */
const PAUSE = 2;

export class Question {
  /** The number on its marker. */
  number;
  /** "point" or "words". */
  kind;
  /** The point that is asked about, in pixels; null for words. */
  asked;
  /** The words that are to be found; empty for a point. */
  words;

  /** "waiting", "writing", "locating", "done", "failed" or "stopped". */
  state;
  /** The description of the point, as far as it is written. */
  text;
  /** The model's names for what is at the point, or null. */
  name;
  /** The found point in pixels; null if the words are not found, undefined if that is not known yet. */
  found;
  /** The model's probability that the found point is right, or null. */
  confidence;
  /** The distance between the asked and the found point, in pixels, or null. */
  distance;
  /** The heat-map as a picture, or null. */
  heat;
  /** The name of the model that answered, or null. */
  model;
  /** Seconds of the server's work, or null. */
  seconds;
  /** Why there is no answer, or, while a busy server is asked again, not yet; or null. */
  problem;
  /** When a busy server is asked again, in milliseconds since 1970; or null. */
  nextTry;
  /** The requests and their answers, for people who want to do the same by program. */
  exchanges;

  #stop = null;
  #wake = () => {};

  static ofPoint(number, point) {
    return new Question(number, "point", point, "");
  }

  static ofWords(number, words) {
    return new Question(number, "words", null, words);
  }

  constructor(number, kind, asked, words) {
    this.number = number;
    this.kind = kind;
    this.asked = asked;
    this.words = words;
    this.#begin();
  }

  /** Forgets an earlier answer. */
  #begin() {
    this.state = "waiting";
    this.text = "";
    this.name = null;
    this.found = undefined;
    this.confidence = null;
    this.distance = null;
    this.heat = null;
    this.model = null;
    this.seconds = null;
    this.problem = null;
    this.nextTry = null;
    this.exchanges = [];
  }

  /** Whether an answer is under way. */
  get isWaiting() {
    return this.state === "waiting" || this.state === "writing" || this.state === "locating";
  }

  /** Ends a question that is under way. */
  stop() {
    this.#stop?.abort();
    if (this.isWaiting) this.state = "stopped";
  }

  /** Does not wait until a busy server is asked again. */
  tryNow() {
    this.nextTry = Date.now();
    this.#wake();
  }

  /**
   * Asks, from the beginning. Never throws: a failure is the question's `problem`.
   *
   * @param server the photograph on the server, a `ServerImage`
   * @param model the name of the model, or undefined for the server's own choice
   * @param size of the photograph, `{ width, height }`
   * @param onChange is called whenever there is something new to show
   */
  async ask(server, model, size, onChange) {
    this.stop();
    const stop = new AbortController();
    this.#stop = stop;
    this.#begin();
    onChange();
    try {
      if (this.kind === "point") await this.#describe(server, model, size, stop.signal, onChange);
      await this.#locate(server, model, size, stop.signal, onChange);
      this.state = "done";
    } catch (error) {
      if (stop !== this.#stop || error.name === "AbortError") return; // stopped, or asked anew
      if (!(error instanceof Problem)) console.error(error);
      this.problem = error instanceof Problem ? error : new Problem("unexpected", String(error));
      this.state = "failed";
    }
    onChange();
  }

  async #describe(server, model, size, signal, onChange) {
    const result = await this.#patiently(signal, onChange, () => {
      this.text = "";
      return server.describe([this.asked], model, signal, (_, text) => {
        this.state = "writing";
        this.text += text;
        onChange();
      });
    });
    this.#record("/v1/describe", server, { points: [this.asked], model }, result);
    checkSize(result.image, size);
    const point = result.points[0];
    this.text = point.description;
    this.name = point.name ?? null;
    this.state = "locating";
    onChange();
  }

  async #locate(server, model, size, signal, onChange) {
    const text = this.kind === "words" ? this.words : this.text;
    const result = await this.#patiently(signal, onChange, () =>
      server.locate([text], model, signal),
    );
    this.#record("/v1/locate", server, { texts: [text], model, heatmap: true }, result);
    checkSize(result.image, size);
    const { located, confidence, heatmap } = result.results[0];
    this.found = located ?? null;
    this.confidence = confidence ?? null;
    this.heat = heatmap ? heatPicture(heatmap) : null;
    if (this.asked && this.found) this.distance = distanceOf(this.asked, this.found);
  }

  #record(path, server, body, answer) {
    this.exchanges.push({
      request: { method: "POST", path, body: { ...server.reference, ...body } },
      answer,
    });
    this.model = answer.model ?? null;
    const seconds = Object.values(answer.seconds ?? {}).filter(Number.isFinite);
    if (seconds.length > 0)
      this.seconds = (this.seconds ?? 0) + seconds.reduce((sum, step) => sum + step, 0);
  }

  /** Asks a busy server again after the pause that it wants. */
  async #patiently(signal, onChange, request) {
    for (let tries = 1; ; tries += 1) {
      try {
        return await request();
      } catch (error) {
        if (error.kind !== "busy" || tries === TRIES) throw error;
        const seconds = Math.min(Math.max(error.retryAfter ?? PAUSE, 0.5), 60);
        this.problem = error;
        this.nextTry = Date.now() + 1000 * seconds;
        onChange();
        while (Date.now() < this.nextTry) {
          await this.#sleep(Math.min(1000, this.nextTry - Date.now()), signal);
          onChange(); // the countdown
        }
        this.problem = null;
        this.nextTry = null;
        onChange();
      }
    }
  }

  /** Waits, or until `tryNow`, or until the question is stopped. */
  #sleep(milliseconds, signal) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(resolve, milliseconds);
      this.#wake = resolve;
      const end = () => {
        clearTimeout(timer);
        reject(signal.reason);
      };
      signal.addEventListener("abort", end, { once: true });
    });
  }
}

function distanceOf(one, other) {
  return Math.hypot(one.x - other.x, one.y - other.y);
}

/** Points mean nothing if the server and the browser see pictures of different sizes. */
function checkSize(image, size) {
  if (image && (image.width !== size.width || image.height !== size.height)) {
    const detail = `${image.width} × ${image.height} pixels for the server, ${size.width} × ${size.height} for the browser`;
    throw new Problem("size-differs", detail);
  }
}
