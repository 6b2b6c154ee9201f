// The tabs. On a wide window the messages are always shown, and the tabs choose what is beside them.
import { element } from "../base/dom.js";

const NAMES = ["messages", "endpoints", "figures", "code"];

/** Width from which messages and side panel are beside each other; the style sheet has the same. */
const WIDE = "(min-width: 60rem)";

export class Tabs {
  constructor() {
    this.wide = matchMedia(WIDE);
    this.beside = "endpoints";
    this.tabs = NAMES.map((name) => element(`tab-${name}`));
    this.tabs.forEach((tab, index) => {
      tab.addEventListener("click", () => this.select(NAMES[index]));
    });
    element("tabs").addEventListener("keydown", (event) => this.onKey(event));
    this.wide.addEventListener("change", () => this.select(this.wide.matches ? this.beside : "messages"));
    this.select(this.wide.matches ? this.beside : "messages");
  }

  /** Shows a part of the page. */
  select(name) {
    if (name !== "messages") {
      this.beside = name;
    }
    this.current = name === "messages" && this.wide.matches ? this.beside : name;
    document.body.dataset.tab = this.current;
    NAMES.forEach((other, index) => {
      const isSelected = other === this.current;
      this.tabs[index].setAttribute("aria-selected", String(isSelected));
      this.tabs[index].tabIndex = isSelected ? 0 : -1;
      if (other !== "messages") {
        element(other).hidden = this.wide.matches || this.current !== "messages" ? other !== this.beside : true;
      }
    });
  }

  /** Arrow keys, Home and End move from tab to tab. */
  onKey(event) {
    const shown = this.tabs.filter((tab) => tab.offsetParent !== null);
    const index = shown.indexOf(event.target);
    const next = { ArrowRight: index + 1, ArrowLeft: index - 1, Home: 0, End: shown.length - 1 }[event.key];
    if (index < 0 || next === undefined) {
      return;
    }
    event.preventDefault();
    const tab = shown[(next + shown.length) % shown.length];
    tab.focus();
    tab.click();
  }
}
