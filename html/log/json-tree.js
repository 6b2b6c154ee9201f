// JSON as a tree whose objects and arrays open and close.
import { make } from "../base/dom.js";
import { tokensOf } from "./json-text.js";

/** Longest text that is shown as a tree, in characters. */
const MAX_TEXT = 200000;

/** Number of values that are shown of one object or array. */
const MAX_VALUES = 500;

/** Deepest level that is shown as a tree. */
const MAX_DEPTH = 200;

/** Levels that are open at first. */
const OPEN_LEVELS = 3;

/** Returns the tree of a text, or `null` if it is not JSON, a single value, or too large. */
export function jsonTree(text) {
  if (text.length > MAX_TEXT || !/^\s*[{[]/.test(text)) {
    return null;
  }
  const tokens = tokensOf(text);
  if (!tokens || depthOf(tokens) > MAX_DEPTH) {
    return null;
  }
  const tree = make("div", "json");
  tree.append(new Reader(tokens).value(0, ""));
  return tree;
}

function depthOf(tokens) {
  let depth = 0;
  let deepest = 0;
  for (const token of tokens) {
    depth += token === "{" || token === "[" ? 1 : token === "}" || token === "]" ? -1 : 0;
    deepest = Math.max(deepest, depth);
  }
  return deepest;
}

/** Makes elements of tokens. The tokens are valid JSON. */
class Reader {
  constructor(tokens) {
    this.tokens = tokens;
    this.next = 0;
  }

  take() {
    this.next += 1;
    return this.tokens[this.next - 1];
  }

  /** Returns the element of the next value, behind its name. */
  value(level, name) {
    const token = this.take();
    if (token === "{" || token === "[") {
      return this.group(token, level, name);
    }
    const line = make("div", "value");
    const kind = token.startsWith('"') ? "string" : /^[-\d]/.test(token) ? "number" : "word";
    line.append(...label(name), make("span", kind, token));
    return line;
  }

  group(open, level, name) {
    const close = open === "{" ? "}" : "]";
    const details = make("details");
    details.open = level < OPEN_LEVELS;
    const values = make("div", "values");
    let count = 0;
    while (this.tokens[this.next] !== close) {
      const valueName = open === "{" ? this.take() : String(count);
      if (open === "{") {
        this.take();
      }
      const value = this.value(level + 1, valueName);
      count += 1;
      if (count <= MAX_VALUES) {
        values.append(value);
      }
      if (this.tokens[this.next] === ",") {
        this.take();
      }
    }
    this.take();
    if (count > MAX_VALUES) {
      values.append(make("div", "hint", `${count - MAX_VALUES} more`));
    }
    const summary = make("summary");
    summary.append(...label(name), make("span", "hint", `${open}${count}${close}`));
    details.append(summary, values);
    return details;
  }
}

const label = (name) => (name ? [make("span", "name", name), ": "] : []);
