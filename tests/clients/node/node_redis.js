// node-redis; matrix.js has what it is put through.
"use strict";

const { createClient } = require("redis");

const port = Number(process.argv[2]);
let client;

require("./matrix.js").run({
    version: `node-redis ${require("redis/package.json").version}`,
    connectionLost: (error) => /Socket closed|ECONNREFUSED|ECONNRESET|EPIPE/.test(error.message),

    async connect(protocol) {
        client = createClient({ RESP: protocol, socket: { port } });
        client.on("error", () => {}); // Each call says itself what became of it.
        await client.connect();
    },
    close: () => client.close(),
    call: (words) => client.sendCommand(words),
    async pipeline(commands) {
        return Promise.all(commands.map((words) => client.sendCommand(words)));
    },
    async scan() {
        const keys = [];
        for await (const some of client.scanIterator({ COUNT: 1000 })) keys.push(...some);
        return keys;
    },
    set: (key, value) => client.set(key, value),
    get: (key) => client.get(key),
    incr: (key) => client.incr(key),
    mget: (keys) => client.mGet(keys),
});
