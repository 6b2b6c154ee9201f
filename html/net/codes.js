// Meanings of close codes (RFC 6455, section 7.4, and the IANA registry of close codes).

const MEANINGS = {
  1000: "normal closure",
  1001: "going away: the server is shutting down, or the page was left",
  1002: "protocol error: a frame broke the rules",
  1003: "unsupported kind of data",
  1005: "closed without a code",
  1006: "abnormal: no Close frame",
  1007: "invalid data: a text message was not UTF-8",
  1008: "policy violation",
  1009: "message too big",
  1010: "a required extension is missing",
  1011: "internal error, or no sign of life",
  1012: "service restart",
  1013: "try again later",
  1014: "bad gateway",
  1015: "TLS handshake failed",
};

/** Returns the meaning of a close code. */
export function meaningOf(code) {
  if (MEANINGS[code]) {
    return MEANINGS[code];
  }
  if (code >= 4000 && code <= 4999) {
    return "a code of the application";
  }
  return code >= 3000 && code <= 3999 ? "a code registered for a library" : "a code without a meaning";
}
