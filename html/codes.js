// Close codes in words (RFC 6455, 7.4.1, and the registry that it set up).
"use strict";

const Codes = (() => {
  const WORDS = {
    1000: "normal closure: all is done",
    1001: "going away: the server is shutting down, or the page was left",
    1002: "protocol error: a frame broke the rules",
    1003: "unsupported kind of data",
    1005: "closed without a code",
    1006: "abnormal closure: the connection ended without a Close frame, or was never made",
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

  /** A close code in words. */
  function inWords(code) {
    if (WORDS[code]) {
      return WORDS[code];
    }
    if (code >= 4000 && code <= 4999) {
      return "a code of the application's own";
    }
    return code >= 3000 && code <= 3999 ? "a code registered for a library" : "a code without a meaning";
  }

  return { inWords };
})();
