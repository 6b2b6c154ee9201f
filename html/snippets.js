// Shows commands and code that connect and send the same message.
"use strict";

const Snippets = (() => {
  const container = element("snippets");

  /** Quotes a text for a shell. */
  const quoted = (text) => `'${text.replaceAll("'", String.raw`'\''`)}'`;

  /** Functions that return the command or the code, by the name of the tool. */
  const TOOLS = {
    websocat: (url, protocols, text) => {
      const option = protocols.length > 0 ? ` --protocol ${quoted(protocols.join(","))}` : "";
      return `printf '%s\\n' ${quoted(text)} | websocat${option} --no-close ${quoted(url)}`;
    },
    wscat: (url, protocols, text) => {
      const options = protocols.map((name) => ` --subprotocol ${quoted(name)}`).join("");
      return `wscat --connect ${quoted(url)}${options} --wait 2 --execute ${quoted(text)}`;
    },
    JavaScript: (url, protocols, text) => {
      const names = protocols.length > 0 ? `, ${JSON.stringify(protocols)}` : "";
      return [
        `const socket = new WebSocket(${JSON.stringify(url)}${names});`,
        `socket.onopen = () => socket.send(${JSON.stringify(text)});`,
        "socket.onmessage = (event) => console.log(event.data);",
        "socket.onclose = (event) => console.log(event.code, event.reason);",
      ].join("\n");
    },
  };

  const blocks = Object.keys(TOOLS).map((name) => {
    const block = make("figure");
    const caption = make("figcaption", "title");
    const copy = make("button", "", "Copy");
    const code = make("code");
    const frame = make("pre");
    copy.type = "button";
    copy.setAttribute("aria-label", `Copy the call by ${name}`);
    frame.tabIndex = 0;
    frame.append(code);
    caption.append(make("span", "", name), copy);
    block.append(caption, frame);
    copy.addEventListener("click", () => copyText(code.textContent, copy));
    container.append(block);
    return [name, code];
  });

  /** Shows the snippets for a URL, subprotocols and a message. */
  function show(url, protocols, text) {
    for (const [name, code] of blocks) {
      code.textContent = TOOLS[name](url, protocols, text);
    }
  }

  return { show };
})();
