// What the clients for node.js are put through. A client is wrapped in an object with
//   connect(protocol)  a connection to the router, for RESP2 or RESP3
//   close(), call(words) for any command, pipeline(commands) for many in one go, scan() for all keys,
//   set(key, value, options), get(key), incr(key), mget(keys)
//   version, connectionLost(error): whether that is what an error says
"use strict";

const assert = require("assert");

const KEYS = 10000;
const BIG = 1 << 20;
const VALUE_SIZE_MAX = 8 << 20;
const MORE = 200; // Acknowledged writes after what happened has happened.
const WORKERS = 8;
const WAIT_MS = 20000;

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// The lines of standard input, as promises.
const lines = require("readline").createInterface({ input: process.stdin })[Symbol.asyncIterator]();

async function startUp(db, protocol) {
    const hello = await db.call(["HELLO"]);
    const map = Array.isArray(hello) ? hello : Object.entries(hello).flat();
    assert.equal(map[map.indexOf("proto") + 1], protocol);
    assert.match(await db.call(["INFO"]), /redis_version:7\./);
    assert((await db.call(["COMMAND"])).some((command) => command[0] === "get"));
    assert.equal(await db.call(["COMMAND", "COUNT"]), (await db.call(["COMMAND"])).length);
    assert.equal(await db.call(["CLIENT", "SETNAME", "matrix"]), "OK");
    assert.equal(await db.call(["CLIENT", "GETNAME"]), "matrix");
    await assert.rejects(db.call(["CLUSTER", "SLOTS"]), /cluster support disabled/);
}

async function pipeline(db) {
    const commands = [];
    const wanted = [];
    for (let i = 0; i < 500; i++) {
        commands.push(["SET", `pipe:${i}`, `${i}`], ["GET", `pipe:${i}`]);
        wanted.push("OK", `${i}`);
    }
    assert.deepEqual(await db.pipeline(commands), wanted);
    const added = await db.pipeline(Array.from({ length: 1000 }, () => ["INCR", "pipe:n"]));
    assert.deepEqual(added, Array.from({ length: 1000 }, (_, i) => i + 1));
    assert.equal(await db.call(["FLUSHALL"]), "OK");
}

async function scan(db) {
    const keys = Array.from({ length: KEYS }, (_, i) => `scan:${i}`);
    await db.pipeline(keys.map((key) => ["SET", key, "1"]));
    assert.equal(await db.call(["DBSIZE"]), KEYS);
    assert.deepEqual([...new Set(await db.scan())].sort(), keys.sort());
}

async function bigValues(db) {
    const id = await db.call(["CLIENT", "ID"]);
    const value = "v".repeat(BIG - 1) + "w";
    await db.set("big", value);
    assert.equal(await db.get("big"), value);
    await assert.rejects(db.set("big", "x".repeat(VALUE_SIZE_MAX + 1)), /value_size_max/);
    assert.equal(await db.get("big"), value);
    assert.equal(await db.call(["CLIENT", "ID"]), id);
}

async function expiry(db) {
    await db.call(["SET", "brief", "1", "PX", "300"]);
    const left = await db.call(["PTTL", "brief"]);
    assert(left > 0 && left <= 300);
    await db.call(["SET", "long", "1", "EX", "100"]);
    assert.equal(await db.call(["PERSIST", "long"]), 1);
    assert.equal(await db.call(["TTL", "long"]), -1);
    const deadline = Date.now() + WAIT_MS;
    while ((await db.call(["EXISTS", "brief"])) !== 0) {
        assert(Date.now() < deadline);
        await sleep(20);
    }
    assert.equal(await db.get("brief"), null);
}

// True, false, or null when that is not known.
async function happened(db, call) {
    try {
        await call;
        return true;
    } catch (error) {
        if (db.connectionLost(error)) {
            await sleep(10);
            return null;
        }
        if (error.message.startsWith("UNKNOWN")) return null;
        assert.match(error.message, /nothing was done/);
        return false;
    }
}

// Adds to a counter and writes keys once each, while what is ordered happens and a little longer; many
// at a time over the one connection.
async function load(db, order) {
    const written = [];
    const name = `load:${order}`;
    const deadline = Date.now() + 2 * WAIT_MS;
    let begun = 0;
    let added = 0;
    let unknown = 0;
    let wanted = Infinity;

    async function work() {
        while (added < wanted) {
            assert(Date.now() < deadline);
            const value = `${begun++}`;
            const key = `${name}:${value}`;
            const add = happened(db, db.incr(name));
            if (await happened(db, db.set(key, value))) written.push([key, value]);
            const outcome = await add;
            if (outcome) added++;
            else if (outcome === null) unknown++;
        }
    }

    console.log(order);
    const done = lines.next().then((line) => {
        assert.equal(line.value, "done");
        wanted = added + MORE;
    });
    await Promise.all(Array.from({ length: WORKERS }, work));
    await done;
    const values = await db.mget(written.map(([key]) => key));
    assert.deepEqual(values, written.map(([, value]) => value));
    const counter = Number(await db.get(name));
    console.log(`${order}: acknowledged ${added}, unknown ${unknown}, counter ${counter}`);
    assert(counter >= added && counter <= added + unknown);
}

async function all(db) {
    console.log(db.version);
    for (const protocol of [2, 3]) {
        await db.connect(protocol);
        for (const test of [startUp, pipeline, scan, bigValues, expiry]) {
            const begun = Date.now();
            await test(db, protocol);
            console.log(`RESP${protocol}, ${test.name}: ${Date.now() - begun} ms`);
        }
        await load(db, protocol === 2 ? "router" : "kill");
        if (protocol === 3) await load(db, "router");
        await db.call(["FLUSHALL"]);
        await db.close();
    }
}

exports.run = (db) => {
    all(db).then(
        () => process.exit(0),
        (error) => {
            console.error(error);
            process.exit(1);
        },
    );
};
