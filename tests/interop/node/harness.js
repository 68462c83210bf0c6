'use strict';
// The router under test as a child process, and rhea's events as promises.
//
// The binary is CAUSEWAY_BIN, else target/debug/causeway, else target/release/causeway, started as
// `causeway run -c FILE` with the configuration that all interop suites share.

const child = require('node:child_process');
const fs = require('node:fs');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { after, before, test } = require('node:test');
const rhea = require('rhea');

const ROOT = path.resolve(__dirname, '..', '..', '..');
const TEMPLATE = path.join(ROOT, 'tests', 'interop', 'router.conf');
const USERS_TEMPLATE = path.join(ROOT, 'tests', 'interop', 'users.conf');
const SECURED_TEMPLATE = path.join(ROOT, 'tests', 'interop', 'secured.conf');
const WEB_TEMPLATE = path.join(ROOT, 'tests', 'interop', 'web.conf');
const WEB_PORTS = ['PORT', 'PORT_WEB', 'PORT_SECURED', 'PORT_CERTIFIED'];
const SECURED_PORTS = ['PORT_USERS', 'PORT_CERTIFIED', 'PORT_ANYBODY'];
const CERTIFICATES = process.env.INTEROP_CERTIFICATES
    || path.join(ROOT, 'target', 'interop', 'certificates');
const PORTS = ['PORT', 'PORT_NO', 'PORT_IN', 'PORT_OUT', 'PORT_SMALL'];
const WAIT = 30_000;
const START = 20_000;

// INTEROP_REFERENCE=1: not Causeway but a router that it replaces is under test.
const REFERENCE = process.env.INTEROP_REFERENCE === '1';
const causewayOnly = (reason) => (REFERENCE ? { skip: reason } : {});

function binary() {
    if (process.env.CAUSEWAY_BIN) return process.env.CAUSEWAY_BIN;
    const built = ['debug', 'release'].map((p) => path.join(ROOT, 'target', p, 'causeway'));
    const found = built.find((file) => fs.existsSync(file));
    if (!found) throw new Error('no causeway in target; set CAUSEWAY_BIN');
    return found;
}

async function freePorts(count) {
    const servers = [];
    for (let i = 0; i < count; i++) {
        const server = net.createServer();
        await new Promise((done) => server.listen(0, '127.0.0.1', done));
        servers.push(server);
    }
    const ports = servers.map((server) => server.address().port);
    await Promise.all(servers.map((server) => new Promise((done) => server.close(done))));
    return ports;
}

function listening(port) {
    return new Promise((resolve) => {
        const socket = net.connect(port, '127.0.0.1');
        socket.on('connect', () => { socket.destroy(); resolve(true); });
        socket.on('error', () => resolve(false));
    });
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

class Router {
    // With `users`, names and their passwords, it lets in nobody else.
    static async start(users) {
        if (!users) return Router.run(TEMPLATE, PORTS, {});
        return Router.run(USERS_TEMPLATE, ['PORT'], users);
    }

    // One that speaks nothing but TLS.
    static async secured(users) {
        return Router.run(SECURED_TEMPLATE, SECURED_PORTS, users);
    }

    // One that speaks HTTP, too.
    static async web(users) {
        return Router.run(WEB_TEMPLATE, WEB_PORTS, users);
    }

    static async run(template, names, users) {
        const router = new Router();
        router.directory = fs.mkdtempSync(path.join(os.tmpdir(), 'causeway-interop-'));
        const numbers = await freePorts(names.length);
        router.ports = Object.fromEntries(names.map((name, i) => [name, numbers[i]]));
        router.port = router.ports.PORT;
        for (const [user, password] of Object.entries(users)) {
            child.execFileSync(binary(), ['user', 'add', user, '--file', 'users'],
                { cwd: router.directory, input: `${password}\n` });
        }
        let text = fs.readFileSync(template, 'utf8').replaceAll('@CERTIFICATES@', CERTIFICATES);
        for (const [name, port] of Object.entries(router.ports)) {
            text = text.replaceAll(`@${name}@`, String(port));
        }
        const conf = path.join(router.directory, 'router.conf');
        fs.writeFileSync(conf, text);
        router.log = path.join(router.directory, 'router.log');
        const log = fs.openSync(router.log, 'w');
        router.process = child.spawn(
            binary(), ['run', '-c', conf], { stdio: ['ignore', log, log], cwd: router.directory });
        fs.closeSync(log);
        router.ended = new Promise((resolve) => {
            router.process.on('exit', (code, signal) => {
                router.code = code ?? signal;
                resolve(router.code);
            });
            router.process.on('error', (error) => { router.code = error.message; resolve(error); });
        });
        const deadline = Date.now() + START;
        for (const port of numbers) {
            while (!await listening(port)) {
                if (router.code !== undefined || Date.now() > deadline) {
                    router.process.kill('SIGKILL');
                    throw new Error(
                        `the router did not start (${router.code}):\n${router.output()}`);
                }
                await pause(20);
            }
        }
        return router;
    }

    output() {
        return fs.readFileSync(this.log, 'utf8');
    }

    async stop() {
        const output = this.output();
        const died = this.code !== undefined;
        if (!died) this.process.kill('SIGTERM');
        const timer = setTimeout(() => this.process.kill('SIGKILL'), 20_000);
        const code = await this.ended;
        clearTimeout(timer);
        fs.rmSync(this.directory, { recursive: true, force: true });
        if (died || code !== 0) throw new Error(`the router ended with ${code}:\n${output}`);
    }
}

// Resolves with the context of the next `event`; fails if it does not come.
function next(emitter, event) {
    return new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`waited for ${event}`)), WAIT);
        emitter.once(event, (context) => { clearTimeout(timer); resolve(context); });
    });
}

// Connections of one test, all closed at its end.
class Clients {
    constructor(router) {
        this.router = router;
        this.connections = [];
    }

    async connect(options = {}) {
        const container = rhea.create_container();
        container.on('error', () => {});
        container.on('disconnected', () => {});
        const connection = container.connect({
            host: '127.0.0.1', port: this.router.port, reconnect: false, username: 'anonymous',
            ...options,
        });
        this.connections.push(connection);
        await next(connection, 'connection_open');
        return connection;
    }

    // Ends a socket without a Close, as a crash does.
    cut(connection) {
        this.connections = this.connections.filter((one) => one !== connection);
        connection.socket.end();
    }

    async close() {
        await Promise.all(this.connections.map((connection) => {
            if (!connection.is_open()) return undefined;
            const closed = next(connection, 'connection_close');
            connection.close();
            return closed;
        }));
    }
}

// A receiver and what it has received.
class Inbox {
    constructor(receiver) {
        this.receiver = receiver;
        this.contexts = [];
        this.waiting = [];
        receiver.on('message', (context) => {
            this.contexts.push(context);
            this.serve();
        });
    }

    serve() {
        while (this.waiting.length && this.contexts.length >= this.waiting[0].count) {
            const { count, resolve, timer } = this.waiting.shift();
            clearTimeout(timer);
            resolve(this.contexts.splice(0, count));
        }
    }

    take(count = 1) {
        return new Promise((resolve, reject) => {
            const timer = setTimeout(() => reject(new Error(
                `waited for ${count} messages, got ${this.contexts.length}`)), WAIT);
            this.waiting.push({ count, resolve, timer });
            this.serve();
        });
    }

    async one() {
        return (await this.take(1))[0];
    }

    async bodies(count) {
        return (await this.take(count)).map((context) => context.message.body);
    }
}

async function receive(connection, options) {
    const receiver = connection.open_receiver(
        typeof options === 'string' ? { source: options } : options);
    const inbox = new Inbox(receiver);
    await next(receiver, 'receiver_open');
    return inbox;
}

// Links that send: the promise of `deliver` is the outcome's name and its delivery.
class Outbox {
    constructor(sender) {
        this.sender = sender;
        this.outcomes = new Map();
        for (const name of ['accepted', 'rejected', 'released', 'modified', 'received']) {
            sender.on(name, (context) => this.told(context.delivery, name));
        }
        sender.on('settled', (context) => this.settled(context.delivery));
        sender.on('sendable', () => this.refill());
        this.queue = [];
    }

    entry(delivery) {
        if (!this.outcomes.has(delivery)) this.outcomes.set(delivery, { states: [] });
        return this.outcomes.get(delivery);
    }

    told(delivery, name) {
        const entry = this.entry(delivery);
        entry.states.push(name);
        entry.hear?.();
    }

    settled(delivery) {
        const entry = this.entry(delivery);
        entry.settled = true;
        entry.hear?.();
    }

    refill() {
        while (this.queue.length && this.sender.sendable()) {
            this.queue.shift()();
        }
    }

    // Sends when there is credit; resolves with the delivery.
    send(...args) {
        return new Promise((resolve, reject) => {
            const timer = setTimeout(() => reject(new Error('waited for credit')), WAIT);
            this.queue.push(() => { clearTimeout(timer); resolve(this.sender.send(...args)); });
            this.refill();
        });
    }

    // Resolves when the router has settled the delivery.
    outcome(delivery, unsettled = false) {
        const entry = this.entry(delivery);
        return new Promise((resolve, reject) => {
            const timer = setTimeout(() => reject(new Error('waited for an outcome')), WAIT);
            entry.hear = () => {
                if (entry.settled || (unsettled && entry.states.length)) {
                    clearTimeout(timer);
                    resolve({ name: entry.states.at(-1), delivery, states: entry.states });
                }
            };
            entry.hear();
        });
    }

    async deliver(...args) {
        return this.outcome(await this.send(...args));
    }
}

async function send(connection, options) {
    const sender = connection.open_sender(
        typeof options === 'string' ? { target: options } : options);
    const outbox = new Outbox(sender);
    await next(sender, 'sender_open');
    return outbox;
}

// A test with connections of its own. (Hooks would also run around its subtests.)
function check(name, options, body) {
    if (body === undefined) return check(name, {}, options);
    return test(name, { timeout: 2 * WAIT, ...options }, async (t) => {
        const clients = new Clients(await router);
        try {
            await body(clients, t);
        } finally {
            await clients.close();
        }
    });
}

// The router of this file.
let router;
before(() => { router = Router.start(); return router; });
after(async () => (await router).stop());

module.exports = { CERTIFICATES, Router, WAIT, causewayOnly, check, next, receive, rhea, send };
