// A part of the page that shows a summary of the list: one question to the server at a time, and the last one counts.

export class Follower {
  #view = null;
  #isLoading = false;
  #mustLoad = false;

  /** Shows another list, or the same one after it has changed. @param {string} view */
  async show(view) {
    this.#view = view;
    this.#mustLoad = true;
    if (this.#isLoading) return;
    this.#isLoading = true;
    while (this.#mustLoad) {
      this.#mustLoad = false;
      const asked = this.#view;
      try {
        const draw = await this.load(asked);
        if (asked === this.#view) draw();
      } catch { /* the list was closed */ }
    }
    this.#isLoading = false;
  }
}
