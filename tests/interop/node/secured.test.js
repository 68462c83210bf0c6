'use strict';
// rhea inside TLS, by every mechanism that it has: PLAIN, EXTERNAL and ANONYMOUS.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const path = require('node:path');
const { after, before, test } = require('node:test');
const { CERTIFICATES, Router, WAIT, causewayOnly, next, rhea } = require('./harness');

let router;
const pem = (name) => fs.readFileSync(path.join(CERTIFICATES, name));
const skipping = causewayOnly('certificates and users of this kind');

// How a connection ends: 'open' after a message went to and fro, or what rhea says of why not.
async function tried(port, options, ca = 'ca.pem') {
    const container = rhea.create_container();
    container.on('error', () => {});
    const connection = container.connect({
        host: 'localhost', servername: 'localhost', port: router.ports[port], transport: 'tls',
        ca: [pem(ca)], rejectUnauthorized: true, reconnect: false, ...options,
    });
    const outcome = await new Promise((resolve) => {
        const timer = setTimeout(() => resolve('silence'), WAIT);
        const tell = (how) => () => { clearTimeout(timer); resolve(how); };
        connection.once('connection_open', tell('open'));
        for (const event of ['connection_error', 'disconnected', 'error', 'rejected']) {
            connection.once(event, tell('refused'));
        }
    });
    if (outcome !== 'open') return outcome;
    try {
        const address = `secured.${port}`;
        const receiver = connection.open_receiver(address);
        const sender = connection.open_sender(address);
        const came = next(receiver, 'message');
        await next(sender, 'sendable');
        const accepted = next(sender, 'accepted');
        sender.send({ body: 'inside' });
        assert.equal((await came).message.body, 'inside');
        await accepted;
        assert.equal(connection.socket.getProtocol(), 'TLSv1.3');
        return outcome;
    } finally {
        const closed = next(connection, 'connection_close');
        connection.close();
        await closed;
    }
}

const certified = (name) => ({ cert: pem(`${name}.pem`), key: pem(`${name}.key`) });

before(async () => { router = skipping.skip ? null : await Router.secured({ alice: 'pencil' }); });
after(async () => { await router?.stop(); });

test('PLAIN, where the password is right', skipping, async () => {
    assert.equal(await tried('PORT_USERS', { username: 'alice', password: 'pencil' }), 'open');
    for (const [username, password] of [['alice', 'crayon'], ['mallory', 'pencil']]) {
        assert.equal(await tried('PORT_USERS', { username, password }), 'refused');
    }
});

test('EXTERNAL, where the certificate is right', skipping, async () => {
    const external = { enable_sasl_external: true };
    assert.equal(await tried('PORT_CERTIFIED', { ...external, ...certified('client') }), 'open');
    assert.equal(await tried('PORT_CERTIFIED', { ...external, ...certified('forged') }), 'refused');
    assert.equal(await tried('PORT_CERTIFIED', external), 'refused');
});

test('ANONYMOUS, where anybody may come', skipping, async () => {
    assert.equal(await tried('PORT_ANYBODY', { username: 'anonymous' }), 'open');
    assert.equal(await tried('PORT_USERS', { username: 'anonymous' }), 'refused');
});

test('a router that cannot be trusted is not', skipping, async () => {
    const anonymous = { username: 'anonymous' };
    assert.equal(await tried('PORT_ANYBODY', anonymous, 'stranger.pem'), 'refused');
});
