// The photograph on the page: opening a file, and asking about a point by mouse, touch or keys.
//
// Coordinates are those of the server: pixels of the picture as it is displayed, (0, 0) the center of the first
// one. The browser applies the orientation of a JPEG, so `naturalWidth` and `naturalHeight` are the displayed size.

import { MARGIN } from "./marks.js";
import { drawScene } from "./overlay.js";

/** What the server decodes; other pictures that the browser can show are sent as PNG. */
const SENT_AS_THEY_ARE = ["image/jpeg", "image/png", "image/webp"];
/** Steps of the crosshair, in CSS pixels. */
const STEP = 1;
const BIG_STEP = 16;

/** A file that the browser cannot show as a picture. */
export class NotAPicture extends Error {}

export class Photograph {
  #frame;
  #image;
  #canvas;
  #url = null;
  #opened = 0; // counts files: one that opens slowly must not replace a later one
  #scene = { questions: [], selected: null, heat: null };
  #crosshair = null; // pixels of the image, while the keys are used
  #isDrawn = false;
  #calm = matchMedia("(prefers-reduced-motion: reduce)");

  /**
   * @param elements `{ frame, image, canvas }`; the frame takes the focus
   * @param on `{ ask(point), position(point | null), crosshair(point) }`
   */
  constructor({ frame, image, canvas }, on) {
    this.#frame = frame;
    this.#image = image;
    this.#canvas = canvas;
    this.#listen(on);
    new ResizeObserver(() => this.draw()).observe(frame);
    this.#watchResolution();
  }

  /** The size of the picture in pixels, `{ width, height }`. */
  get size() {
    return { width: this.#image.naturalWidth, height: this.#image.naturalHeight };
  }

  /**
   * Shows a file. Returns what to send to the server, or null if another file was opened meanwhile.
   * Throws `NotAPicture`, and shows what it showed before.
   */
  async open(file) {
    const turn = (this.#opened += 1);
    const url = URL.createObjectURL(file);
    let sent;
    try {
      const trial = new Image();
      trial.src = url;
      await trial.decode();
      sent = SENT_AS_THEY_ARE.includes(file.type) ? file : await asPng(trial);
    } catch {
      URL.revokeObjectURL(url);
      throw new NotAPicture(file.name);
    }
    if (turn !== this.#opened) {
      URL.revokeObjectURL(url);
      return null;
    }
    this.#image.src = url;
    if (this.#url) URL.revokeObjectURL(this.#url);
    this.#url = url;
    await this.#image.decode().catch(() => {}); // a later file may have replaced it
    if (turn !== this.#opened) return null;
    this.#crosshair = null;

    const { width, height } = this.size;
    this.#frame.style.setProperty("--ratio", width / height);
    this.#frame.style.setProperty("--width", `${width}px`);
    this.#frame.classList.toggle("is-tiny", Math.max(width, height) <= 200);
    this.#frame.setAttribute("aria-label", `${file.name}, ${width} by ${height} pixels`);
    return sent;
  }

  /** Draws questions, with the heat-map of one. */
  show(scene) {
    this.#scene = scene;
    this.draw();
  }

  focus() {
    this.#frame.focus();
  }

  /** Draws in the next frame of the screen. */
  draw() {
    if (this.#isDrawn) return;
    this.#isDrawn = true;
    requestAnimationFrame((now) => {
      this.#isDrawn = false;
      this.#drawNow(now);
    });
  }

  #drawNow(now) {
    const size = { width: this.#frame.clientWidth, height: this.#frame.clientHeight };
    if (size.width === 0) return;
    const density = devicePixelRatio;
    const canvas = this.#canvas;
    const width = Math.round((size.width + 2 * MARGIN) * density);
    const height = Math.round((size.height + 2 * MARGIN) * density);
    const fits = canvas.width === width && canvas.height === height;
    if (!fits) [canvas.width, canvas.height] = [width, height];

    const context = canvas.getContext("2d");
    context.setTransform(density, 0, 0, density, 0, 0);
    const isWaiting = this.#scene.questions.some((question) => question.isWaiting);
    const isMoving = isWaiting && !this.#calm.matches;
    const pulse = isMoving ? (now % 1400) / 1400 : null;
    drawScene(
      context,
      size,
      (point) => this.#toScreen(point, size),
      { ...this.#scene, crosshair: this.#crosshair },
      pulse,
    );
    if (isMoving) this.draw();
  }

  /** From a pixel of the image to CSS pixels on the photograph. */
  #toScreen(point, screen) {
    const { width, height } = this.size;
    return {
      x: ((point.x + 0.5) / width) * screen.width,
      y: ((point.y + 0.5) / height) * screen.height,
    };
  }

  /** The pixel of the image under a position of the pointer. */
  #pixelAt({ clientX, clientY }) {
    const box = this.#image.getBoundingClientRect();
    const { width, height } = this.size;
    return this.#inside({
      x: Math.floor(((clientX - box.left) / box.width) * width),
      y: Math.floor(((clientY - box.top) / box.height) * height),
    });
  }

  #inside({ x, y }) {
    const { width, height } = this.size;
    return { x: Math.min(Math.max(x, 0), width - 1), y: Math.min(Math.max(y, 0), height - 1) };
  }

  #listen(on) {
    // A click is also what a tap and a pen make, and is not made by scrolling with a finger.
    this.#frame.addEventListener("click", (event) => {
      // One without a position, as assistive software makes it, is meant for the crosshair.
      const point = event.detail === 0 ? this.#crosshairOrMiddle() : this.#pixelAt(event);
      this.#setCrosshair(null);
      on.ask(point);
    });
    this.#frame.addEventListener("pointermove", (event) => on.position(this.#pixelAt(event)));
    this.#frame.addEventListener("pointerleave", () => on.position(this.#crosshair));
    this.#frame.addEventListener("focus", () => {
      if (this.#frame.matches(":focus-visible")) this.#moveCrosshair(0, 0, on);
    });
    this.#frame.addEventListener("blur", () => {
      this.#setCrosshair(null);
      on.position(null);
    });
    this.#frame.addEventListener("keydown", (event) => this.#onKey(event, on));
  }

  #onKey(event, on) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = event.shiftKey ? BIG_STEP : STEP;
    const steps = {
      ArrowLeft: [-step, 0],
      ArrowRight: [step, 0],
      ArrowUp: [0, -step],
      ArrowDown: [0, step],
    };
    if (event.key in steps) {
      this.#moveCrosshair(...steps[event.key], on);
    } else if (event.key === "Enter" || event.key === " ") {
      if (this.#crosshair) on.ask(this.#crosshair);
      else this.#moveCrosshair(0, 0, on);
    } else if (event.key === "Escape") {
      this.#setCrosshair(null);
      on.position(null);
    } else {
      return;
    }
    event.preventDefault();
  }

  /** Moves the crosshair by CSS pixels, at least by one pixel of the image. It begins in the middle. */
  #moveCrosshair(dx, dy, on) {
    const from = this.#crosshairOrMiddle();
    const scale = Math.max(1, this.size.width / this.#frame.clientWidth);
    const point = this.#inside({
      x: from.x + Math.round(dx * scale),
      y: from.y + Math.round(dy * scale),
    });
    this.#setCrosshair(point);
    on.position(point);
    on.crosshair(point);
  }

  #crosshairOrMiddle() {
    const { width, height } = this.size;
    return this.#crosshair ?? { x: Math.floor(width / 2), y: Math.floor(height / 2) };
  }

  #setCrosshair(point) {
    this.#crosshair = point;
    this.draw();
  }

  /** Draws again when the window moves to a screen of another resolution, or is zoomed. */
  #watchResolution() {
    matchMedia(`(resolution: ${devicePixelRatio}dppx)`).addEventListener(
      "change",
      () => {
        this.draw();
        this.#watchResolution();
      },
      { once: true },
    );
  }
}

/** A picture as it is displayed, as a PNG. Fails if it is too large for the browser, or has no size. */
async function asPng(image) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  canvas.getContext("2d").drawImage(image, 0, 0);
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  if (!blob) throw new RangeError("the picture has no PNG");
  return blob;
}
