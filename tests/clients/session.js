// Runs sessions with the server, with the package `ws`.
//
// Arguments: `talk` or `stop`; the address of the server as ws://host:port; for wss:// the certificate to trust.
// `talk` compares the replies, `stop` expects the Close frame of a server that shuts down.
// Exit code 0: all received messages were as expected.
'use strict';

const { deepStrictEqual } = require('node:assert');
const { on, once } = require('node:events');
const { readFileSync } = require('node:fs');
const WebSocket = require('ws');

/** Longest time of a handshake, and longest time to receive all messages of a session, in milliseconds. */
const SESSION_TIMEOUT = 15_000;

/** Opens a session. `receive` returns its messages in order, from the first on. */
async function open(address, compressed, certificate) {
  const peer = new WebSocket(address, {
    perMessageDeflate: compressed && { threshold: 0 },
    ca: certificate && readFileSync(certificate),
    handshakeTimeout: SESSION_TIMEOUT,
  });
  const messages = on(peer, 'message', { signal: AbortSignal.timeout(SESSION_TIMEOUT) });
  await once(peer, 'open');
  deepStrictEqual(peer.extensions, compressed ? 'permessage-deflate' : '');
  const receive = async () => {
    const [data, isBinary] = (await messages.next()).value;
    return isBinary ? data : data.toString();
  };
  return { peer, receive };
}

/** Sends messages, and expects each text reply to begin with the prefix. */
async function talk({ peer, receive }, prefix) {
  for (const text of ['Hello, world!', '', 'žluťoučký kůň \u{10348}', '0123456789abcdef'.repeat(65536)]) {
    peer.send(text);
    deepStrictEqual(await receive(), prefix + text);
  }
  for (const data of [Buffer.from([0, 255]), Buffer.alloc(0), Buffer.alloc(1 << 20, 'noise?')]) {
    peer.send(data);
    deepStrictEqual(await receive(), data);
  }
  for (const part of ['in ', '', 'three parts ']) peer.send(part, { fin: false });
  peer.ping('between');
  peer.send('of text', { fin: true });
  const [pong] = await once(peer, 'pong');
  deepStrictEqual(pong.toString(), 'between');
  deepStrictEqual(await receive(), prefix + 'in three parts of text');
  // A burst in which every third message is not compressed. The replies are in the same order.
  for (let n = 0; n < 100; n++) peer.send(`${n} `.repeat(n), { compress: n % 3 > 0 });
  for (let n = 0; n < 100; n++) deepStrictEqual(await receive(), prefix + `${n} `.repeat(n));
  peer.close(4001, 'that was all');
  const [code, reason] = await once(peer, 'close');
  deepStrictEqual([code, reason.toString()], [4001, 'that was all']);
}

/** Prints a line after the first reply, and expects the server to close with 1001. */
async function awaitStop({ peer, receive }) {
  peer.send('here');
  deepStrictEqual(await receive(), 'here');
  console.log('ready');
  const [code, reason] = await once(peer, 'close');
  deepStrictEqual([code, reason.toString()], [1001, 'server shutting down']);
}

async function main(what, address, certificate) {
  if (what === 'stop') return awaitStop(await open(`${address}/echo`, true, certificate));
  for (const compressed of [true, false]) {
    for (const [path, prefix] of [['/echo', ''], ['/', 'Received: ']]) {
      await talk(await open(address + path, compressed, certificate), prefix);
    }
  }
}

main(...process.argv.slice(2)).catch((error) => {
  console.error(error.message.slice(0, 1000));
  process.exit(1);
});
