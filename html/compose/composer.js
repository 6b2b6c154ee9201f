// The form of a message: kind, text or file, and what is wrong with it.
import { element, make, setText } from "../base/dom.js";
import { tidyJson } from "../log/json-text.js";
import { History } from "./history.js";
import { encode, KINDS } from "./payload.js";

/** Number of lines up to which the field grows. */
const MAX_ROWS = 8;

export class Composer {
  /** `send(draft)` sends a message; `changed()` is called after each change of the form. */
  constructor({ send, changed }) {
    this.send = send;
    this.changed = changed;
    this.message = element("message");
    this.file = element("file");
    this.history = new History();
    this.kinds = Object.entries(KINDS).map(([value, name]) => kindInput(value, name));
    element("kinds").append(...this.kinds.map((input) => input.parentElement));
    element("kinds").addEventListener("change", () => {
      this.showKind();
      this.changed();
    });
    element("composer").addEventListener("submit", (event) => {
      event.preventDefault();
      this.submit();
    });
    this.message.addEventListener("input", () => {
      this.check();
      this.fitHeight();
      this.changed();
    });
    this.message.addEventListener("keydown", (event) => this.onKey(event));
    element("tidy").addEventListener("click", () => this.tidy());
    this.set({ kind: "text", text: this.message.value });
  }

  get kind() {
    return this.kinds.find((input) => input.checked).value;
  }

  /** Returns the draft of the form, without the bytes of a file. */
  draft() {
    return { kind: this.kind, text: this.kind === "file" ? "" : this.message.value };
  }

  /** Returns the draft of the form with the bytes of a file. Throws an error with a sentence if it is invalid. */
  async read() {
    const draft = this.draft();
    if (draft.kind === "file" && this.file.files.length > 0) {
      draft.bytes = await this.file.files[0].arrayBuffer();
    }
    encode(draft, 1);
    return draft;
  }

  async submit() {
    try {
      const draft = await this.read();
      this.showError("");
      if (draft.kind !== "file") {
        this.history.add(draft);
      }
      this.send(draft);
    } catch (error) {
      this.showError(error.message);
    }
  }

  /** Fills the form with a draft. */
  set({ kind, text }) {
    const input = this.kinds.find((candidate) => candidate.value === kind) ?? this.kinds[0];
    input.checked = true;
    if (kind !== "file") {
      this.message.value = text;
    }
    this.showKind();
    this.fitHeight();
  }

  /** Shows the fields for the selected kind. */
  showKind() {
    const isFile = this.kind === "file";
    element("file-field").hidden = !isFile;
    this.message.hidden = isFile;
    element("tidy").hidden = this.kind !== "json";
    this.check();
  }

  /** Shows whether the input is valid. A file is checked when it is sent. */
  check() {
    let problem = "";
    try {
      if (this.kind !== "file") {
        encode(this.draft(), 1);
      }
    } catch (error) {
      problem = error.message;
    }
    this.showError(problem);
  }

  showError(text) {
    setText(element("message-problem"), text);
    this.message.setAttribute("aria-invalid", String(Boolean(text)));
  }

  /** Enter sends. ↑ and ↓ walk through the history while the cursor is in the first or the last line. */
  onKey(event) {
    const { message } = this;
    if (event.isComposing || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) {
      return;
    }
    if (event.key === "Enter") {
      event.preventDefault();
      this.submit();
    } else if (event.key === "ArrowUp" && !message.value.slice(0, message.selectionStart).includes("\n")) {
      this.recall(event, this.history.previous(this.draft()));
    } else if (event.key === "ArrowDown" && !message.value.slice(message.selectionEnd).includes("\n")) {
      this.recall(event, this.history.next());
    }
  }

  recall(event, draft) {
    if (draft) {
      event.preventDefault();
      this.set(draft);
      this.changed();
    }
  }

  tidy() {
    try {
      this.message.value = tidyJson(this.message.value);
      this.check();
      this.fitHeight();
      this.changed();
    } catch (error) {
      this.showError(`Not valid JSON: ${error.message}`);
    }
  }

  fitHeight() {
    this.message.rows = Math.min(MAX_ROWS, this.message.value.split("\n").length);
  }
}

/** Returns the radio button of a kind, inside its label. */
function kindInput(value, name) {
  const label = make("label");
  const input = make("input");
  input.type = "radio";
  input.name = "kind";
  input.value = value;
  label.append(input, make("span", "", name));
  return input;
}
