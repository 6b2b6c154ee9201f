// The drafts that were sent before, which ↑ and ↓ bring back.

/** Number of drafts that are kept. */
const MAX_DRAFTS = 100;

export class History {
  constructor() {
    this.drafts = [];
    this.position = 0;
    // What was written before ↑ was pressed.
    this.unsent = null;
  }

  /** Adds a draft that was sent. A repetition of the last one is not added. */
  add(draft) {
    const last = this.drafts.at(-1);
    if (last?.kind !== draft.kind || last.text !== draft.text) {
      this.drafts.push(draft);
      this.drafts = this.drafts.slice(-MAX_DRAFTS);
    }
    this.position = this.drafts.length;
    this.unsent = null;
  }

  /** Returns the draft before the present one, or `null` if there is none. */
  previous(present) {
    if (this.position === 0) {
      return null;
    }
    if (this.position === this.drafts.length) {
      this.unsent = present;
      const last = this.drafts.at(-1);
      // The field still holds what was sent last: go on to the one before.
      if (last.kind === present.kind && last.text === present.text) {
        this.position -= 1;
      }
    }
    this.position -= 1;
    if (this.position < 0) {
      this.position = 0;
      return null;
    }
    return this.drafts[this.position];
  }

  /** Returns the draft after the present one, at the end what was not sent; or `null`. */
  next() {
    if (this.position >= this.drafts.length) {
      return null;
    }
    this.position += 1;
    return this.drafts[this.position] ?? this.unsent;
  }
}
