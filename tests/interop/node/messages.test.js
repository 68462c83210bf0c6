'use strict';
// What rhea puts into a message comes out of the router the same.

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const { check, receive, rhea, send } = require('./harness.js');

const { types, message } = rhea;

// What rhea itself makes of a message when no router is between.
const local = (value) => message.decode(message.encode(value));

// Made anew for each use: rhea writes the section's descriptor into a typed body.
const values = () => ({
    null: null,
    true: true,
    false: false,
    'wrapped boolean': types.wrap_boolean(true),
    ubyte: types.wrap_ubyte(200),
    ushort: types.wrap_ushort(60000),
    uint: types.wrap_uint(4000000000),
    'small uint': types.wrap_uint(0),
    ulong: types.wrap_ulong(2 ** 53 - 1),
    byte: types.wrap_byte(-100),
    short: types.wrap_short(-30000),
    int: types.wrap_int(-2000000000),
    'small int': types.wrap_int(-1),
    long: types.wrap_long(-(2 ** 53 - 1)),
    float: types.wrap_float(0.5),
    double: types.wrap_double(Math.PI),
    char: types.wrap_char(0x1F680),
    timestamp: types.wrap_timestamp(1700000000123),
    uuid: types.wrap_uuid(Buffer.from('00112233445566778899aabbccddeeff', 'hex')),
    binary: types.wrap_binary(Buffer.from([0, 255, 128])),
    'long binary': types.wrap_binary(crypto.randomBytes(300)),
    string: 'aé漢字🚀',
    'long string': 'x'.repeat(1000),
    symbol: types.wrap_symbol('some:symbol'),
    list: [1, 'two', null, [3, [4]]],
    'long list': Array.from({ length: 2000 }, (_, i) => i),
    map: { a: 1, b: { c: ['d', null] } },
    'symbolic map': types.wrap_symbolic_map({ key: 'value' }),
    'array of ints': types.wrap_array([1, 2, 300000], 0x71, undefined),
    'array of symbols': types.wrap_array(['a', 'bc'], 0xA3, undefined),
    described: types.wrap_described([1, 'x'], 'example:thing'),
    'described by number': types.wrap_described('v', 77),
});

check('every type as a body', async (clients, t) => {
    const connection = await clients.connect();
    const inbox = await receive(connection, 'node/types');
    const outbox = await send(connection, 'node/types');
    for (const [name, body] of Object.entries(values())) {
        await t.test(name, async () => {
            await outbox.deliver({ body });
            assert.deepStrictEqual((await inbox.one()).message, local({ body }));
        });
    }
});

check('every type as an application property and an annotation', async (clients, t) => {
    const connection = await clients.connect();
    const inbox = await receive(connection, 'node/properties');
    const outbox = await send(connection, 'node/properties');
    const plain = Object.entries(values()).filter(([key]) => !key.startsWith('desc'));
    for (const [name, value] of plain) {
        await t.test(name, async () => {
            const sent = {
                application_properties: { value }, message_annotations: { 'x-value': value },
                delivery_annotations: { 'd-value': value }, footer: { 'f-value': value }, body: 1,
            };
            assert.equal((await outbox.deliver(sent)).name, 'accepted');
            assert.deepStrictEqual((await inbox.one()).message, local(sent));
        });
    }
});

check('every field of every section', async (clients) => {
    const connection = await clients.connect();
    const inbox = await receive(connection, 'node/fields');
    const outbox = await send(connection, 'node/fields');
    const sent = {
        durable: true, priority: 7, ttl: 30000, first_acquirer: true, delivery_count: 3,
        message_id: 'id', user_id: Buffer.from('guest'), to: 'node/fields', subject: 'subject',
        reply_to: 'reply', correlation_id: 42, content_type: 'text/plain',
        content_encoding: 'gzip', absolute_expiry_time: new Date(1700000000000),
        creation_time: new Date(1600000000000), group_id: 'group', group_sequence: 9,
        reply_to_group_id: 'reply-group', message_annotations: { 'x-a': 'a' },
        delivery_annotations: { 'x-d': 1 }, application_properties: { n: 1, s: 's', z: null },
        footer: { 'x-f': 'f' }, body: { k: 'v' },
    };
    await outbox.deliver(sent);
    assert.deepStrictEqual((await inbox.one()).message, local(sent));
});

check('identifiers of every type', async (clients) => {
    const connection = await clients.connect();
    const inbox = await receive(connection, 'node/ids');
    const outbox = await send(connection, 'node/ids');
    const uuid = Buffer.from('00112233445566778899aabbccddeeff', 'hex');
    for (const id of ['text', 7, 2 ** 40, uuid]) {
        const sent = { message_id: id, correlation_id: id, body: 'x' };
        await outbox.deliver(sent);
        assert.deepStrictEqual((await inbox.one()).message, local(sent));
    }
});

check('all kinds of body sections', async (clients) => {
    const connection = await clients.connect();
    const inbox = await receive(connection, 'node/bodies');
    const outbox = await send(connection, 'node/bodies');
    const bodies = [
        message.data_section(Buffer.from('data')),
        message.data_section(Buffer.alloc(0)),
        message.data_sections([Buffer.from('a'), Buffer.from('b')]),
        message.sequence_section([1, 'x', null]),
        message.sequence_sections([[1], [2, 3]]),
    ];
    for (const body of bodies) {
        await outbox.deliver({ body });
        assert.deepStrictEqual((await inbox.one()).message, local({ body }));
    }
});

for (const [settled, title] of [[false, 'unsettled'], [true, 'presettled']]) {
    check(`sizes up to 64 MiB, ${title}`, async (clients, t) => {
        const producer = await clients.connect();
        // rhea takes no more frames of one message than its session has buffers.
        const consumer = await clients.connect({ session_buffer_size: 16384 });
        const inbox = await receive(consumer, { source: 'node/sizes', credit_window: 2 });
        const outbox = await send(producer, {
            target: 'node/sizes', snd_settle_mode: settled ? 1 : 0,
        });
        const sizes = [0, 1, 255, 256, 16 * 1024, 128 * 1024 + 1, 1 << 20, 16 << 20, 64 << 20];
        for (const size of sizes) {
            await t.test(`${size} bytes`, async () => {
                const content = crypto.randomBytes(size);
                const delivery = await outbox.send({ body: message.data_section(content) });
                const got = await inbox.one();
                assert.ok(content.equals(got.message.body.content), 'the bytes differ');
                // rhea looks at the first frame; of a stream only the last one need say settled.
                if (size < 128 * 1024) {
                    assert.equal(Boolean(got.delivery.remote_settled), settled);
                }
                if (!settled) assert.equal((await outbox.outcome(delivery)).name, 'accepted');
            });
        }
    });
}

check('large frames and the smallest frames', async (clients) => {
    for (const max_frame_size of [512, 1 << 20]) {
        const producer = await clients.connect({ max_frame_size });
        const consumer = await clients.connect({ max_frame_size });
        const inbox = await receive(consumer, `node/frames/${max_frame_size}`);
        const outbox = await send(producer, `node/frames/${max_frame_size}`);
        const content = crypto.randomBytes(200_000);
        const outcome = await outbox.deliver({ body: message.data_section(content) });
        assert.equal(outcome.name, 'accepted');
        assert.ok(content.equals((await inbox.one()).message.body.content));
    }
});
