// Finds and makes elements of the page.

/** Returns the element with an id. */
export const element = (id) => document.getElementById(id);

/** Returns a new element with a class and a text. */
export function make(tag, className = "", text = "") {
  const created = document.createElement(tag);
  if (className) {
    created.className = className;
  }
  if (text) {
    created.textContent = text;
  }
  return created;
}

/** Returns a new button. `onClick` receives the event. */
export function makeButton(text, onClick, className = "") {
  const button = make("button", className, text);
  button.type = "button";
  button.addEventListener("click", onClick);
  return button;
}

/** Shows figures in a list: pairs of a name and a value. Changes only what differs. */
export function showFigures(list, pairs) {
  while (list.childElementCount > pairs.length) {
    list.lastElementChild.remove();
  }
  pairs.forEach(([name, value], index) => {
    let pair = list.children[index];
    if (!pair) {
      pair = make("div");
      pair.append(make("dt"), make("dd"));
      list.append(pair);
    }
    setText(pair.firstElementChild, name);
    setText(pair.lastElementChild, value);
  });
}

/** Sets the text of an element if it differs, so that an unchanged text costs no layout. */
export function setText(target, text) {
  if (target.textContent !== text) {
    target.textContent = text;
  }
}

/** Closes a menu (`details`) on Escape, which returns the focus to its summary, and on a click or focus elsewhere. */
export function closeOnLeave(menu) {
  menu.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && menu.open) {
      menu.open = false;
      menu.querySelector("summary").focus();
      event.stopPropagation();
    }
  });
  for (const type of ["pointerdown", "focusin"]) {
    document.addEventListener(type, (event) => {
      if (menu.open && !menu.contains(event.target)) {
        menu.open = false;
      }
    });
  }
}
