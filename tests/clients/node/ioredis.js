// ioredis; matrix.js has what it is put through.
"use strict";

const Redis = require("ioredis");

const port = Number(process.argv[2]);
let redis;

require("./matrix.js").run({
    version: `ioredis ${require("ioredis/package.json").version}`,
    connectionLost: (error) => /max retries per request|Connection is closed|ECONNREFUSED|ECONNRESET/.test(error.message),

    async connect(protocol) {
        // Otherwise it sends again what it had no answer to, and an INCR could count twice. With
        // autoResendUnfulfilledCommands: false such a call would never end.
        redis = new Redis({ port, protocol, maxRetriesPerRequest: 0 });
        redis.on("error", () => {}); // Each call says itself what became of it.
        await redis.ping();
    },
    close: () => redis.quit(),
    call: ([name, ...words]) => redis.call(name, ...words),
    async pipeline(commands) {
        const lowered = commands.map(([name, ...words]) => [name.toLowerCase(), ...words]);
        const answers = await redis.pipeline(lowered).exec();
        return answers.map(([error, answer]) => {
            if (error) throw error;
            return answer;
        });
    },
    async scan() {
        const keys = [];
        for await (const some of redis.scanStream({ count: 1000 })) keys.push(...some);
        return keys;
    },
    set: (key, value) => redis.set(key, value),
    get: (key) => redis.get(key),
    incr: (key) => redis.incr(key),
    mget: (keys) => redis.mget(keys),
});
