// Light, dark, or the mode of the browser.
import { element, make } from "../base/dom.js";
import { load, store } from "../base/storage.js";

const KEY = "websocket-echo-test-theme";
const THEMES = ["auto", "light", "dark"];

/** Shows the stored theme, and lets the button change it. `onChange` is called after a change. */
export function startTheme(onChange) {
  const button = element("theme");
  const show = (theme) => {
    document.documentElement.dataset.theme = theme;
    button.replaceChildren(make("span", "on-wide", `Theme: ${theme}`), make("span", "on-narrow", "◐"));
    button.setAttribute("aria-label", `Theme: ${theme}`);
  };
  const stored = load(KEY, "auto");
  show(THEMES.includes(stored) ? stored : "auto");
  button.addEventListener("click", () => {
    const current = THEMES.indexOf(document.documentElement.dataset.theme);
    const theme = THEMES[(current + 1) % THEMES.length];
    show(theme);
    store(KEY, theme);
    onChange();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", onChange);
}
