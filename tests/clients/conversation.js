// A conversation with the server by way of the package `ws`.
//
// Arguments: `talk` or `stop`, the server's address as ws://host:port, and for wss:// the certificate to trust.
// Exit code 0: all was as expected.
'use strict';

const { deepStrictEqual } = require('node:assert');
const { on, once } = require('node:events');
const { readFileSync } = require('node:fs');
const WebSocket = require('ws');

const PATIENCE = 15_000;

/** Opens a session, and collects its messages from the first on. */
async function open(address, compressed, certificate) {
  const peer = new WebSocket(address, {
    perMessageDeflate: compressed && { threshold: 0 },
    ca: certificate && readFileSync(certificate),
    handshakeTimeout: PATIENCE,
  });
  const messages = on(peer, 'message', { signal: AbortSignal.timeout(PATIENCE) });
  await once(peer, 'open');
  deepStrictEqual(peer.extensions, compressed ? 'permessage-deflate' : '');
  const receive = async () => {
    const [data, isBinary] = (await messages.next()).value;
    return isBinary ? data : data.toString();
  };
  return { peer, receive };
}

async function talk({ peer, receive }, words) {
  for (const text of ['Hello, world!', '', 'žluťoučký kůň \u{10348}', '0123456789abcdef'.repeat(65536)]) {
    peer.send(text);
    deepStrictEqual(await receive(), words + text);
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
  deepStrictEqual(await receive(), words + 'in three parts of text');
  // Many at once, some of them not compressed, which come back in their order.
  for (let n = 0; n < 100; n++) peer.send(`${n} `.repeat(n), { compress: n % 3 > 0 });
  for (let n = 0; n < 100; n++) deepStrictEqual(await receive(), words + `${n} `.repeat(n));
  peer.close(4001, 'that was all');
  const [code, reason] = await once(peer, 'close');
  deepStrictEqual([code, reason.toString()], [4001, 'that was all']);
}

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
    for (const [path, words] of [['/echo', ''], ['/', 'Received: ']]) {
      await talk(await open(address + path, compressed, certificate), words);
    }
  }
}

main(...process.argv.slice(2)).catch((error) => {
  console.error(error.message.slice(0, 1000));
  process.exit(1);
});
