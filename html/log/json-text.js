// JSON as it is written: numbers keep their digits, and objects the order and the repetition of their names.

const TOKEN = /"(?:\\.|[^"\\])*"|[{}[\],:]|[^\s{}[\],:"]+/g;

/** Returns the tokens of a text that is valid JSON, or `null` for another text. */
export function tokensOf(text) {
  try {
    JSON.parse(text);
  } catch {
    return null;
  }
  return text.match(TOKEN);
}

/** Formats JSON with line breaks and an indent of two spaces. Throws an error if it is not valid. */
export function tidyJson(text) {
  JSON.parse(text);
  const parts = [];
  let depth = 0;
  const lineBreak = () => parts.push(`\n${"  ".repeat(depth)}`);
  const tokens = text.match(TOKEN);
  tokens.forEach((token, index) => {
    if (token === "{" || token === "[") {
      parts.push(token);
      depth += 1;
      if (!isEnd(tokens[index + 1])) {
        lineBreak();
      }
    } else if (isEnd(token)) {
      depth -= 1;
      if (tokens[index - 1] !== "{" && tokens[index - 1] !== "[") {
        lineBreak();
      }
      parts.push(token);
    } else {
      parts.push(token === ":" ? ": " : token);
      if (token === ",") {
        lineBreak();
      }
    }
  });
  return parts.join("");
}

const isEnd = (token) => token === "}" || token === "]";
