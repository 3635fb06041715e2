// The questions on the page, and the way back to what they were before.

export class History {
  #now = [];
  #before = [];

  /** The questions, the oldest first. */
  get questions() {
    return this.#now;
  }

  get canUndo() {
    return this.#before.length > 0;
  }

  /** Replaces the questions; `undo` brings the present ones back. */
  change(questions) {
    this.#before.push(this.#now);
    this.#now = questions;
  }

  undo() {
    this.#now = this.#before.pop() ?? this.#now;
  }

  /** Begins anew, for another photograph. */
  reset() {
    this.#now = [];
    this.#before = [];
  }
}
