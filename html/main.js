// The first module of the page, and of the worker that holds the sockets.
import { serveSockets } from "./net/worker.js";
import { startPage } from "./page.js";

if (globalThis.document) {
  startPage(import.meta.url);
} else {
  serveSockets();
}
