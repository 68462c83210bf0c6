'use strict';
// rhea by WebSocket, as it is used in Node; a browser has the same code and a WebSocket of its own.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const http = require('node:http');
const https = require('node:https');
const path = require('node:path');
const { after, before, test } = require('node:test');
const WebSocket = require('ws');
const { CERTIFICATES, Router, WAIT, causewayOnly, next, rhea } = require('./harness');

let router;
const pem = (name) => fs.readFileSync(path.join(CERTIFICATES, name));
const skipping = causewayOnly('a listener of this kind');

before(async () => { router = skipping.skip ? null : await Router.web({ alice: 'pencil' }); });
after(async () => { await router?.stop(); });

function connect(port, { scheme = 'ws', protocols = ['amqp'], socket = {}, ...options } = {}) {
    const container = rhea.create_container();
    container.on('error', () => {});
    const ws = container.websocket_connect(WebSocket);
    const url = `${scheme}://localhost:${router.ports[port]}/anything`;
    return container.connect({
        connection_details: ws(url, protocols, socket), reconnect: false, ...options,
    });
}

// How a connection begins: 'open', or 'refused'.
function outcome(connection) {
    return new Promise((resolve) => {
        const timer = setTimeout(() => resolve('silence'), WAIT);
        const tell = (how) => () => { clearTimeout(timer); resolve(how); };
        connection.once('connection_open', tell('open'));
        for (const event of ['connection_error', 'disconnected', 'error', 'rejected']) {
            connection.once(event, tell('refused'));
        }
    });
}

async function close(connection) {
    const closed = next(connection, 'connection_close');
    connection.close();
    await closed;
}

// A message to and fro, of so many bytes.
async function exchange(connection, address, size) {
    const receiver = connection.open_receiver(address);
    const sender = connection.open_sender(address);
    const came = next(receiver, 'message');
    await next(sender, 'sendable');
    const accepted = next(sender, 'accepted');
    const body = 'x'.repeat(size);
    sender.send({ body });
    assert.equal((await came).message.body, body);
    await accepted;
}

for (const protocol of ['amqp', 'binary']) {
    test(`a message to and fro, subprotocol ${protocol}`, skipping, async () => {
        const connection = connect('PORT_WEB', { protocols: [protocol] });
        assert.equal(await outcome(connection), 'open');
        await exchange(connection, 'web.small', 1);
        await exchange(connection, 'web.large', 1_000_000);
        await close(connection);
    });
}

test('the usual list of subprotocols', skipping, async () => {
    const connection = connect('PORT_WEB', { protocols: ['binary', 'AMQPWSB10', 'amqp'] });
    assert.equal(await outcome(connection), 'open');
    await close(connection);
});

test('a thousand messages from a WebSocket to a plain connection and back', skipping, async () => {
    const web = connect('PORT_WEB');
    assert.equal(await outcome(web), 'open');
    const plain = rhea.create_container().connect({
        host: '127.0.0.1', port: router.ports.PORT, reconnect: false });
    const count = 1000;
    for (const [from, to, address] of [[web, plain, 'web.there'], [plain, web, 'web.back']]) {
        const receiver = to.open_receiver(address);
        const sender = from.open_sender(address);
        let sent = 0;
        let accepted = 0;
        const bodies = [];
        await new Promise((resolve, reject) => {
            const timer = setTimeout(() => reject(new Error(`${accepted} of ${count}`)), WAIT);
            const look = () => {
                if (accepted === count && bodies.length === count) {
                    clearTimeout(timer);
                    resolve();
                }
            };
            receiver.on('message', (context) => { bodies.push(context.message.body); look(); });
            sender.on('accepted', () => { accepted += 1; look(); });
            sender.on('sendable', () => {
                while (sender.sendable() && sent < count) sender.send({ body: sent++ });
            });
        });
        assert.deepEqual(bodies, Array.from({ length: count }, (_, i) => i));
    }
    await close(web);
    await close(plain);
});

test('a subprotocol that nobody knows', skipping, async () => {
    assert.equal(await outcome(connect('PORT_WEB', { protocols: ['mqtt'] })), 'refused');
});

test('inside TLS, anonymously and with a password', skipping, async () => {
    const tls = { scheme: 'wss', socket: { ca: pem('ca.pem') } };
    const anonymous = connect('PORT_SECURED', tls);
    assert.equal(await outcome(anonymous), 'open');
    await exchange(anonymous, 'web.tls', 100_000);
    await close(anonymous);
    for (const [password, expected] of [['pencil', 'open'], ['crayon', 'refused']]) {
        const connection = connect('PORT_SECURED', { ...tls, username: 'alice', password });
        assert.equal(await outcome(connection), expected);
        if (expected === 'open') await close(connection);
    }
    assert.equal(await outcome(connect('PORT_SECURED')), 'refused');
});

test('with a certificate', skipping, async () => {
    // By WebSocket rhea does not see by itself that it has shown a certificate.
    const external = rhea.sasl.client_mechanisms();
    external.enable_external();
    const shown = (name) => ({
        scheme: 'wss', sasl_mechanisms: external,
        socket: { ca: pem('ca.pem'), cert: pem(`${name}.pem`), key: pem(`${name}.key`) },
    });
    const connection = connect('PORT_CERTIFIED', shown('client'));
    assert.equal(await outcome(connection), 'open');
    await exchange(connection, 'web.certified', 10);
    await close(connection);
    assert.equal(await outcome(connect('PORT_CERTIFIED', shown('forged'))), 'refused');
});

function get(client, options) {
    return new Promise((resolve, reject) => {
        client.get(options, (response) => {
            let body = '';
            response.on('data', (part) => { body += part; });
            response.on('end', () => resolve({ code: response.statusCode, body }));
        }).on('error', reject);
    });
}

test('metrics and health, plainly and inside TLS', skipping, async () => {
    for (const [client, port] of [[http, 'PORT_WEB'], [https, 'PORT_SECURED']]) {
        const at = (place) => get(client, {
            host: 'localhost', port: router.ports[port], path: place, ca: pem('ca.pem'),
            agent: new client.Agent({ keepAlive: false }) });
        const metrics = await at('/metrics');
        assert.equal(metrics.code, 200);
        assert.match(metrics.body, /^qdr_connections_total \d+$/m);
        assert.equal((await at('/healthz')).body, 'OK\n');
        assert.equal(JSON.parse((await at('/readyz')).body).status, 'ready');
    }
});
