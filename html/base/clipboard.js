// Copies text, and saves files.
import { make } from "./dom.js";

/** Copies a text to the clipboard and shows the result on the button. Works over plain HTTP too. */
export async function copyText(text, button) {
  let copied = true;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = make("textarea", "unseen");
    area.value = text;
    document.body.append(area);
    area.select();
    copied = document.execCommand("copy");
    area.remove();
    button.focus();
  }
  const name = button.dataset.name || button.textContent;
  button.dataset.name = name;
  button.textContent = copied ? "Copied" : "Not allowed";
  setTimeout(() => {
    button.textContent = name;
  }, 1500);
}

/** Saves a text or bytes as a file. */
export function saveFile(name, type, content) {
  const link = make("a");
  link.href = URL.createObjectURL(new Blob([content], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
