// The server's routes. Every failure is a `Problem`; nothing else is thrown but `AbortError`.

import { readEvents } from "./event_stream.js";

const JSON_HEADERS = { "content-type": "application/json" };

/** Why a request has no answer. */
export class Problem extends Error {
  /**
   * @param kind the last part of the problem's `type`, e.g. "busy"; or "unreachable", "broken-off", "unexpected"
   * @param detail the server's own sentence, or ""
   * @param retryAfter seconds until another try makes sense, or null
   */
  constructor(kind, detail = "", retryAfter = null) {
    super(`${kind} ${detail}`.trim());
    this.kind = kind;
    this.detail = detail;
    this.retryAfter = retryAfter;
  }
}

/** The models of the server, the default one first. */
export async function models() {
  const response = await request("v1/models", {});
  const { models } = await answer(response);
  return models.toSorted(
    (one, other) => Number(other.default ?? false) - Number(one.default ?? false),
  );
}

/**
 * One photograph on the server: it is sent with the first question, and named by its hash afterwards.
 */
export class ServerImage {
  #blob;
  #name;
  #hash = null;
  #sending = null; // a promise while the photograph is under way for the first time

  constructor(blob, name) {
    this.#blob = blob;
    this.#name = name;
  }

  /** What names the photograph in a request. */
  get reference() {
    return this.#hash ? { image_hash: this.#hash } : { image: this.#name };
  }

  /**
   * Describes points. `onText(point, text)` receives the pieces of the descriptions as they are written.
   * Returns the complete answer, as the route gives it without a stream.
   */
  async describe(points, model, signal, onText) {
    return this.#post(
      "v1/describe",
      { points, model, stream: true },
      signal,
      async (response, onImage) => {
        const isStream = response.headers.get("content-type")?.startsWith("text/event-stream");
        return isStream
          ? readDescriptions(response, model, points.length, onImage, onText)
          : answer(response);
      },
    );
  }

  /** Locates texts, with their heat-maps. */
  async locate(texts, model, signal) {
    return this.#post("v1/locate", { texts, model, heatmap: true }, signal, answer);
  }

  /**
   * Posts a question. `read(response, onImage)` reads the answer, and may call `onImage` as soon as the server
   * has said what it knows about the image.
   */
  async #post(path, fields, signal, read) {
    for (;;) {
      signal.throwIfAborted();
      if (this.#hash) {
        const hash = this.#hash;
        try {
          const body = JSON.stringify({ image_hash: hash, ...fields });
          const response = await request(path, { body, signal, headers: JSON_HEADERS });
          return await read(response, () => {});
        } catch (error) {
          if (error.kind !== "image-not-cached") throw error;
          if (this.#hash === hash) this.#hash = null; // and the photograph is sent again
        }
      } else if (this.#sending) {
        await this.#sending;
      } else {
        return await this.#send(path, fields, signal, read);
      }
    }
  }

  /** Posts a question together with the photograph. Other questions wait until its hash is known. */
  async #send(path, fields, signal, read) {
    let finish;
    this.#sending = new Promise((resolve) => (finish = resolve));
    let isAnswered = false;
    const onImage = (image) => {
      if (isAnswered) return;
      isAnswered = true;
      this.#hash = image?.hash ?? null;
      this.#sending = null;
      finish();
    };
    try {
      const response = await request(path, { body: this.#form(fields), signal });
      const result = await read(response, onImage);
      onImage(result.image);
      return result;
    } finally {
      onImage(null); // unless it is known: the next question sends it
    }
  }

  /** A question and the photograph as a form: numbers, lists and flags are fields of JSON. */
  #form(fields) {
    const form = new FormData();
    for (const [name, value] of Object.entries(fields)) {
      if (value !== undefined)
        form.append(name, typeof value === "string" ? value : JSON.stringify(value));
    }
    form.append("image", this.#blob, this.#name); // last: the server knows the question when the bytes arrive
    return form;
  }
}

/** Reads a stream of descriptions to its end. */
async function readDescriptions(response, model, count, onImage, onText) {
  const result = { image: null, model, points: new Array(count).fill(null), seconds: null };
  try {
    for await (const { event, data } of readEvents(response)) {
      if (event === "image") {
        const { model: named, ...image } = data;
        result.image = image;
        result.model = named ?? result.model;
        onImage(image);
      } else if (event === "text") {
        onText(data.point, data.text);
      } else if (event === "point") {
        const { point, ...described } = data;
        result.points[point] = described;
      } else if (event === "error") {
        throw problemOf(data, null);
      } else if (event === "done") {
        result.seconds = data.seconds;
        return result;
      }
    }
  } catch (error) {
    const isKnown = error instanceof Problem || error.name === "AbortError";
    throw isKnown ? error : new Problem("broken-off");
  }
  throw new Problem("broken-off");
}

/** A request, a post if it has a body. Throws a problem unless the server's status is one of success. */
async function request(path, { body, signal, headers }) {
  let response;
  try {
    response = await fetch(path, { method: body ? "POST" : "GET", body, signal, headers });
  } catch (error) {
    throw error.name === "AbortError" ? error : new Problem("unreachable");
  }
  if (response.ok) return response;
  const seconds = Number.parseFloat(response.headers.get("retry-after") ?? "");
  const retryAfter = Number.isFinite(seconds) ? seconds : null;
  let problem;
  try {
    problem = await response.json();
  } catch {
    throw new Problem("unexpected", `${response.status} ${response.statusText}`.trim(), retryAfter);
  }
  throw problemOf(problem, retryAfter);
}

/** The JSON of a response. */
async function answer(response) {
  try {
    return await response.json();
  } catch (error) {
    throw error.name === "AbortError" ? error : new Problem("broken-off");
  }
}

/** A problem document of RFC 9457. */
function problemOf(document, retryAfter) {
  const kind = /^urn:talking-points:([a-z-]+)$/.exec(document?.type ?? "")?.[1] ?? "unexpected";
  return new Problem(kind, document?.detail ?? document?.title ?? "", retryAfter);
}
