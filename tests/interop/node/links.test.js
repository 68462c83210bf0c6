'use strict';
// Outcomes, settlement, credit and drain as rhea sees them.

const assert = require('node:assert/strict');
const { check, next, receive, rhea, send } = require('./harness.js');


// A consumer that decides for itself, and a producer.
async function pair(clients, address, options = {}) {
    const consumer = await clients.connect();
    const producer = await clients.connect();
    const inbox = await receive(consumer, {
        source: address, autoaccept: false, credit_window: 10, ...options,
    });
    const outbox = await send(producer, {
        target: address, treat_modified_as_released: false,
    });
    return [inbox, outbox, consumer];
}

check('accepted', async (clients) => {
    const [inbox, outbox] = await pair(clients, 'node/accepted');
    const delivery = await outbox.send({ body: 1 });
    (await inbox.one()).delivery.accept();
    assert.equal((await outbox.outcome(delivery)).name, 'accepted');
});

check('rejected with condition, description and info', async (clients) => {
    const [inbox, outbox] = await pair(clients, 'node/rejected');
    const delivery = await outbox.send({ body: 1 });
    (await inbox.one()).delivery.reject({
        condition: 'example:no', description: 'not like this', info: { why: 'because' },
    });
    const outcome = await outbox.outcome(delivery);
    assert.equal(outcome.name, 'rejected');
    assert.equal(outcome.delivery.remote_state.error.condition, 'example:no');
    assert.equal(outcome.delivery.remote_state.error.description, 'not like this');
});

check('released', async (clients) => {
    const [inbox, outbox] = await pair(clients, 'node/released');
    const delivery = await outbox.send({ body: 1 });
    (await inbox.one()).delivery.release();
    assert.equal((await outbox.outcome(delivery)).name, 'released');
});

check('modified with flags and annotations', async (clients) => {
    const [inbox, outbox] = await pair(clients, 'node/modified');
    const delivery = await outbox.send({ body: 1 });
    (await inbox.one()).delivery.modified({
        delivery_failed: false, undeliverable_here: true, message_annotations: { 'x-why': 'w' },
    });
    const { name, delivery: { remote_state: state } } = await outbox.outcome(delivery);
    assert.equal(name, 'modified');
    assert.equal(state.delivery_failed, true);
    assert.equal(state.undeliverable_here, true);
    assert.deepEqual(state.message_annotations, { 'x-why': 'w' });
});

check('received, then accepted', async (clients) => {
    const [inbox, outbox] = await pair(clients, 'node/received');
    const delivery = await outbox.send({ body: 1 });
    const got = await inbox.one();
    got.delivery.update(false, rhea.message.received({
        section_number: 2, section_offset: 5,
    }).described());
    const first = await outbox.outcome(delivery, true);
    assert.equal(first.name, 'received');
    assert.equal(first.delivery.remote_state.section_number, 2);
    assert.equal(first.delivery.remote_state.section_offset, 5);
    got.delivery.accept();
    assert.equal((await outbox.outcome(delivery)).name, 'accepted');
});

check('one disposition for a range of deliveries', async (clients) => {
    const [inbox, outbox] = await pair(clients, 'node/range', { credit_window: 200 });
    const deliveries = [];
    for (let i = 0; i < 100; i++) deliveries.push(await outbox.send({ body: i }));
    const contexts = await inbox.take(100);
    assert.deepEqual(contexts.map((context) => context.message.body), [...Array(100).keys()]);
    for (const { delivery } of contexts) delivery.accept(); // rhea joins them into one range
    for (const delivery of deliveries) {
        assert.equal((await outbox.outcome(delivery)).name, 'accepted');
    }
});

check('receiver settles second', async (clients) => {
    const second = { rcv_settle_mode: 1, autosettle: true };
    const [inbox, outbox] = await pair(clients, 'node/second', second);
    outbox.sender.options.autosettle = false;
    const delivery = await outbox.send({ body: 1 });
    const got = await inbox.one();
    const finished = next(inbox.receiver, 'settled');
    got.delivery.update(false, rhea.message.accepted().described());
    assert.equal((await outbox.outcome(delivery, true)).name, 'accepted');
    delivery.update(true);
    await finished;
});

check('presettled', async (clients) => {
    const [producer, consumer] = [await clients.connect(), await clients.connect()];
    const inbox = await receive(consumer, 'node/presettled');
    const outbox = await send(producer, { target: 'node/presettled', snd_settle_mode: 1 });
    for (let i = 0; i < 500; i++) await outbox.send({ body: i });
    const contexts = await inbox.take(500);
    assert.ok(contexts.every((context) => context.delivery.remote_settled));
    assert.deepEqual(contexts.map((context) => context.message.body), [...Array(500).keys()]);
});

check('credit comes with the consumer', async (clients) => {
    const [producer, consumer] = [await clients.connect(), await clients.connect()];
    const sender = producer.open_sender('node/credit');
    await next(sender, 'sender_open');
    assert.equal(sender.credit, 0);
    const sendable = next(sender, 'sendable');
    await receive(consumer, 'node/credit');
    await sendable;
    assert.equal(sender.credit, 250);
});

check('five thousand messages in order', async (clients) => {
    const [producer, consumer] = [await clients.connect(), await clients.connect()];
    const inbox = await receive(consumer, { source: 'node/order', credit_window: 100 });
    const outbox = await send(producer, 'node/order');
    const sent = [];
    for (let i = 0; i < 5000; i++) sent.push(await outbox.send({ body: i }));
    assert.deepEqual(await inbox.bodies(5000), [...Array(5000).keys()]);
    for (const delivery of sent) assert.equal((await outbox.outcome(delivery)).name, 'accepted');
});

check('drain with and without messages', async (clients) => {
    const [producer, consumer] = [await clients.connect(), await clients.connect()];
    const inbox = await receive(consumer, { source: 'node/drain', credit_window: 0 });
    const outbox = await send(producer, 'node/drain');
    inbox.receiver.add_credit(10);
    let drained = next(inbox.receiver, 'receiver_drained');
    inbox.receiver.drain_credit();
    await drained;
    assert.equal(inbox.receiver.credit, 0);
    inbox.receiver.drain = false;
    inbox.receiver.add_credit(3);
    const sent = [];
    for (let i = 0; i < 3; i++) sent.push(outbox.deliver({ body: i }));
    assert.deepEqual(await inbox.bodies(3), [0, 1, 2]);
    await Promise.all(sent);
    inbox.receiver.add_credit(5);
    drained = next(inbox.receiver, 'receiver_drained');
    inbox.receiver.drain_credit();
    await drained;
    assert.equal(inbox.receiver.credit, 0);
});

check('a lost consumer', async (clients) => {
    const [inbox, outbox, consumer] = await pair(clients, 'node/lost', { credit_window: 0 });
    inbox.receiver.add_credit(2);
    const deliveries = [];
    for (let i = 0; i < 6; i++) deliveries.push(await outbox.send({ body: i }));
    await inbox.take(2);
    clients.cut(consumer);
    const names = [];
    for (const delivery of deliveries) names.push((await outbox.outcome(delivery)).name);
    assert.deepEqual(names,
        ['modified', 'modified', 'released', 'released', 'released', 'released']);
});

check('a refused link', async (clients) => {
    const producer = await clients.connect();
    const sender = producer.open_sender('unavailable/x');
    const { sender: refused } = await next(sender, 'sender_error');
    assert.equal(refused.error.condition, 'amqp:not-found');
    assert.equal(refused.error.description, 'Node not found');
});
