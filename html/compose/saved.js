// Messages that the user saves in this browser, under names. Tabs share them.
import { saveFile } from "../base/clipboard.js";
import { closeOnLeave, element, make, makeButton, setText } from "../base/dom.js";
import { formatNumberOf } from "../base/format.js";
import { load, onChange, store } from "../base/storage.js";
import { KINDS } from "./payload.js";

const KEY = "websocket-echo-test-messages";

/** Maximum number of messages. The oldest is removed. */
const MAX_MESSAGES = 200;

/** Length of a name that is taken from the message, in characters. */
const NAME_LENGTH = 40;

/** Returns the valid ones of a list of saved messages. Those without a name get the beginning of their text. */
function validMessages(list) {
  if (!Array.isArray(list)) {
    return [];
  }
  const valid = list.filter((item) => KINDS[item?.kind] && item.kind !== "file" && typeof item.text === "string");
  return valid.map(({ name, kind, text }) => ({ name: typeof name === "string" && name ? name : nameOf(text), kind, text }));
}

const nameOf = (text) => text.trim().slice(0, NAME_LENGTH) || "empty";

export class Saved {
  /** `use(draft)` fills the form; `draft()` returns what it holds. */
  constructor({ use, draft }) {
    this.use = use;
    closeOnLeave(element("saved-menu"));
    element("save").addEventListener("click", () => this.add(draft()));
    element("saved-export").addEventListener("click", () =>
      saveFile("websocket-messages.json", "application/json", JSON.stringify(this.messages(), null, 2)),
    );
    element("saved-import").addEventListener("click", () => element("saved-file").click());
    element("saved-file").addEventListener("change", (event) => this.import(event.currentTarget));
    onChange(KEY, () => this.show());
    this.show();
  }

  /** Reads the list, which another tab may have changed. */
  messages() {
    return validMessages(load(KEY, this.unstored ?? []));
  }

  /** Adds a draft under the name of the field. A message of the same name is replaced. */
  add({ kind, text }) {
    if (kind === "file") {
      this.tell("A file is not kept, only what is written");
      return;
    }
    const name = element("saved-name").value.trim() || nameOf(text);
    this.replace([...this.messages().filter((other) => other.name !== name), { name, kind, text }]);
    element("saved-name").value = "";
    this.tell(`Saved as ${name}`);
  }

  async import(field) {
    const [file] = field.files;
    field.value = "";
    try {
      const added = validMessages(JSON.parse(await file.text()));
      if (added.length === 0) {
        throw new Error("it has no list of messages with name, kind and text");
      }
      const names = new Set(added.map(({ name }) => name));
      this.replace([...this.messages().filter(({ name }) => !names.has(name)), ...added]);
      this.tell(`${formatNumberOf(added.length, "message")} imported`);
    } catch (error) {
      this.tell(`The file cannot be imported: ${error.message}`);
    }
  }

  replace(messages) {
    const kept = messages.slice(-MAX_MESSAGES);
    if (!store(KEY, kept)) {
      this.unstored = kept;
      this.tell("This browser keeps nothing for this page: the list lasts until it is left");
    }
    this.show();
  }

  tell(text) {
    setText(element("saved-result"), text);
  }

  show() {
    const items = this.messages().map((message) => {
      const item = make("li");
      const button = makeButton(message.name, () => {
        this.use(message);
        element("saved-menu").open = false;
        element("message").focus();
      });
      button.append(make("span", "hint", KINDS[message.kind]));
      const remove = makeButton("Delete", () => {
        this.replace(this.messages().filter(({ name }) => name !== message.name));
      }, "quiet");
      remove.setAttribute("aria-label", `Delete ${message.name}`);
      item.append(button, remove);
      return item;
    });
    element("saved").replaceChildren(...(items.length > 0 ? items : [make("li", "hint", "None yet")]));
  }
}
