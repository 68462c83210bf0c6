'use strict';
// Request and response, anonymous senders, distribution, management, many connections.

const assert = require('node:assert/strict');
const { causewayOnly, check, next, receive, send } = require('./harness.js');


check('request and response over a dynamic address', async (clients) => {
    const server = await clients.connect();
    const requests = server.open_receiver('node/service');
    const responses = server.open_sender({ target: {} });
    requests.on('message', ({ message }) => responses.send({
        to: message.reply_to, correlation_id: message.correlation_id,
        body: message.body.toUpperCase(),
    }));
    await next(requests, 'receiver_open');
    const client = await clients.connect();
    const replies = await receive(client, { source: { dynamic: true } });
    const reply_to = replies.receiver.source.address;
    assert.match(reply_to, /^amqp:\/_topo\/0\/Interop\/temp\./);
    const outbox = await send(client, 'node/service');
    for (let i = 0; i < 200; i++) {
        await outbox.send({ reply_to, correlation_id: i, body: `body ${i}` });
    }
    const answers = new Map((await replies.take(200)).map(
        ({ message }) => [message.correlation_id, message.body]));
    for (let i = 0; i < 200; i++) assert.equal(answers.get(i), `BODY ${i}`);
});

check('an anonymous sender', async (clients) => {
    const connection = await clients.connect();
    const inbox = await receive(connection, 'node/anonymous');
    const outbox = await send(connection, { target: {} });
    assert.equal((await outbox.deliver({ to: 'node/anonymous', body: 'x' })).name, 'accepted');
    assert.equal((await inbox.one()).message.body, 'x');
    assert.equal((await outbox.deliver({ to: 'node/nobody' })).name, 'released');
    const lost = await outbox.deliver({ body: 'where to?' });
    assert.equal(lost.name, 'rejected');
    assert.equal(lost.delivery.remote_state.error.condition, 'amqp:precondition-failed');
    const refused = await outbox.deliver({ to: 'unavailable/x' });
    assert.equal(refused.name, 'rejected');
    assert.equal(refused.delivery.remote_state.error.condition, 'amqp:not-found');
});

check('multicast', async (clients) => {
    const inboxes = [];
    for (let i = 0; i < 5; i++) {
        inboxes.push(await receive(await clients.connect(), 'multicast/node'));
    }
    const outbox = await send(await clients.connect(), 'multicast/node');
    for (let i = 0; i < 20; i++) {
        assert.equal((await outbox.deliver({ body: i })).name, 'accepted');
    }
    for (const inbox of inboxes) {
        assert.deepEqual(await inbox.bodies(20), [...Array(20).keys()]);
    }
});

for (const distribution of ['closest', 'balanced']) {
    check(`${distribution} shares`, async (clients) => {
        const inboxes = [];
        for (let i = 0; i < 4; i++) {
            inboxes.push(await receive(await clients.connect(), `${distribution}/node`));
        }
        const outbox = await send(await clients.connect(), `${distribution}/node`);
        for (let i = 0; i < 40; i++) {
            assert.equal((await outbox.deliver({ body: i })).name, 'accepted');
        }
        assert.deepEqual(inboxes.map((inbox) => inbox.contexts.length), [10, 10, 10, 10]);
    });
}

check('annotations by listener', async (clients) => {
    const kept = await receive(
        await clients.connect({ port: clients.router.ports.PORT_NO }), 'multicast/annotated');
    const stripped = await receive(await clients.connect(), 'multicast/annotated');
    const outbox = await send(await clients.connect(), 'multicast/annotated');
    await outbox.deliver({ message_annotations: { 'x-mine': 1 }, body: 'x' });
    assert.deepEqual((await stripped.one()).message.message_annotations, { 'x-mine': 1 });
    const annotations = (await kept.one()).message.message_annotations;
    assert.equal(annotations['x-mine'], 1);
    assert.equal(annotations['x-opt-qd.ingress'], '0/Interop');
    assert.deepEqual(annotations['x-opt-qd.trace'], ['0/Interop']);
});

check('$management answers a query', async (clients) => {
    const connection = await clients.connect({ id: 'node', container_id: 'node-manager' });
    const replies = await receive(connection, { source: { dynamic: true } });
    const outbox = await send(connection, '$management');
    const ask = async (entity, attributeNames) => {
        await outbox.deliver({
            reply_to: replies.receiver.source.address, correlation_id: entity,
            application_properties: {
                operation: 'QUERY', type: 'org.amqp.management', name: 'self',
                entityType: `org.apache.qpid.dispatch.${entity}`,
            },
            body: { attributeNames },
        });
        const { message } = await replies.one();
        assert.equal(message.correlation_id, entity);
        assert.equal(message.application_properties.statusCode, 200);
        assert.deepEqual(message.body.attributeNames, attributeNames);
        return message.body.results;
    };
    assert.deepEqual(await ask('router', ['id', 'mode']), [['Interop', 'standalone']]);
    const containers = await ask('connection', ['container']);
    assert.ok(containers.some(([name]) => name === 'node-manager'));
});

check('a thousand links on one connection', async (clients) => {
    const connection = await clients.connect();
    const inboxes = await Promise.all([...Array(500).keys()].map(
        (i) => receive(connection, { source: `node/many/${i}`, credit_window: 2 })));
    const outboxes = await Promise.all([...Array(500).keys()].map(
        (i) => send(connection, `node/many/${i}`)));
    const outcomes = await Promise.all(outboxes.map((outbox, i) => outbox.deliver({ body: i })));
    assert.ok(outcomes.every((outcome) => outcome.name === 'accepted'));
    for (const [i, inbox] of inboxes.entries()) {
        assert.deepEqual(await inbox.bodies(1), [i]);
    }
});

check('three hundred connections', async (clients) => {
    const connections = await Promise.all([...Array(300).keys()].map(() => clients.connect()));
    const inboxes = await Promise.all(connections.map(
        (connection, i) => receive(connection, `node/wide/${i}`)));
    const outbox = await send(connections[0], { target: {} });
    for (let i = 0; i < connections.length; i++) {
        assert.equal((await outbox.deliver({ to: `node/wide/${i}`, body: i })).name, 'accepted');
        assert.deepEqual(await inboxes[i].bodies(1), [i]);
    }
});

check('who we say we are', causewayOnly('another product'), async (clients) => {
    const connection = await clients.connect();
    assert.equal(connection.container_id, 'Interop');
    assert.equal(connection.properties.product, 'causeway');
});
