'use strict';
// Users and passwords: rhea, which has PLAIN.

const assert = require('node:assert/strict');
const { test } = require('node:test');
const rhea = require('rhea');
const { Router, causewayOnly } = require('./harness');

// How a connection as somebody ends: 'open', or what rhea says of why not.
function tried(port, username, password) {
    return new Promise((resolve) => {
        const container = rhea.create_container();
        container.on('error', () => {});
        const connection = container.connect({
            host: '127.0.0.1', port, username, password, reconnect: false,
        });
        connection.on('connection_open', () => { connection.close(); resolve('open'); });
        connection.on('connection_error', () => resolve('refused'));
        connection.on('disconnected', () => resolve('disconnected'));
    });
}

test('PLAIN lets in who knows the password', causewayOnly('users of a file'), async () => {
    const router = await Router.start({ alice: 'pencil' });
    try {
        assert.equal(await tried(router.port, 'alice', 'pencil'), 'open');
        for (const [user, password] of [['alice', 'crayon'], ['mallory', 'pencil']]) {
            assert.notEqual(await tried(router.port, user, password), 'open');
        }
    } finally {
        await router.stop();
    }
});
