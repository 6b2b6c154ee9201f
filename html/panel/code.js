// Shows the code snippets.
import { copyText } from "../base/clipboard.js";
import { element, make, makeButton, setText } from "../base/dom.js";
import { TOOLS } from "./snippets.js";

/** Longest message that is written into the snippets, in bytes. */
const MAX_SIZE = 10000;

export class Code {
  constructor() {
    this.blocks = Object.keys(TOOLS).map((name) => {
      const block = make("figure");
      const caption = make("figcaption");
      const code = make("code");
      const frame = make("pre", "text");
      frame.tabIndex = 0;
      frame.setAttribute("aria-label", name);
      frame.append(code);
      const copy = makeButton("Copy", () => copyText(code.textContent, copy), "quiet");
      copy.setAttribute("aria-label", `Copy: ${name}`);
      caption.append(make("span", "", name), copy);
      block.append(caption, frame);
      element("snippets").append(block);
      return [name, code];
    });
  }

  /** Shows the snippets for a call: `url`, `protocols`, `message`, and the `prefix` of text replies. */
  show(call) {
    const { message } = call;
    const size = typeof message === "string" ? message.length : message.byteLength;
    for (const [name, code] of this.blocks) {
      const text = size > MAX_SIZE ? "The message is too long for a snippet." : TOOLS[name](call);
      setText(code, text);
    }
  }
}
