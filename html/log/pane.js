// The log of one connection: its state where there are two, its rows, and what is shown while there are none.
import { make, makeButton, setText } from "../base/dom.js";
import { formatCount } from "../base/format.js";
import { LogStore } from "./store.js";
import { LogView } from "./view.js";

export class LogPane {
  /** `actions` are those of the details, and `showAll()` and `closePane()`. */
  constructor(slot, actions) {
    this.slot = slot;
    this.store = new LogStore();
    this.element = make("section", "pane");
    this.element.setAttribute("aria-label", `Connection ${slot}`);
    this.head = make("header", "pane-head");
    this.stateText = make("span", "pane-state");
    this.head.append(make("strong", "", slot), this.stateText);
    if (slot === "B") {
      const close = makeButton("Close", actions.closePane, "quiet");
      close.setAttribute("aria-label", "Close the second connection");
      this.head.append(close);
    }
    this.scroller = make("div", "scroller");
    this.scroller.setAttribute("aria-label", `Events of connection ${slot}`);
    this.empty = make("p", "empty");
    this.end = makeButton("", () => this.view.scrollToEnd(), "to-end");
    this.end.hidden = true;
    this.element.append(this.head, this.scroller, this.empty, this.end);
    this.actions = actions;
    this.filtered = false;
    this.view = new LogView(this.scroller, this.store, actions, () => this.showCount());
    this.showCount();
  }

  /** Shows whether there are rows, and how many new ones are below. */
  showCount() {
    const { shown, unread, follows } = this.view;
    this.empty.hidden = shown.length > 0;
    if (shown.length === 0) {
      this.showEmpty();
    }
    this.end.hidden = follows || unread === 0;
    setText(this.end, `${formatCount(unread)} new ↓`);
    this.actions.onCount();
  }

  showEmpty() {
    const state = this.filtered && this.store.entries.length > 0 ? "filtered" : "none";
    if (this.empty.dataset.state === state) {
      return;
    }
    this.empty.dataset.state = state;
    if (state === "filtered") {
      this.empty.replaceChildren("No event matches the filter. ", makeButton("Show all", this.actions.showAll, "quiet"));
    } else {
      this.empty.textContent = "No messages yet. Connect, then send one.";
    }
  }

  setFilter(matches, filtered) {
    this.filtered = filtered;
    this.view.setFilter(matches);
  }

  clear() {
    this.store.clear();
    this.view.follows = true;
    this.view.holds = false;
    this.view.unread = 0;
    this.view.redraw();
  }

  /** Shows the state of the connection. */
  showState(state, text) {
    this.head.dataset.state = state;
    setText(this.stateText, text);
  }
}
