// Medusa has no outgoing webhooks of its own; a merchant adds a subscriber like this one.
// Where to post is read at each event from the file that LOCKSTEP_MEDUSA_HOOK_FILE names, one address
// a line, so that a test can point the shop to its own server while the shop runs. No file: no posts.
const { readFile } = require('node:fs/promises');

const FILE = process.env.LOCKSTEP_MEDUSA_HOOK_FILE;
const POST_MS_MAX = 5000;

async function addresses() {
  if (!FILE) return [];
  try {
    return (await readFile(FILE, 'utf8')).split('\n').map((line) => line.trim()).filter(Boolean);
  } catch (error) {
    if (error.code !== 'ENOENT') console.error(`hook file ${FILE} cannot be read: ${error.message}`);
    return [];
  }
}

async function post(address, name, data) {
  try {
    await fetch(address, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-topic': name },
      body: JSON.stringify(data),
      signal: AbortSignal.timeout(POST_MS_MAX),
    });
  } catch (error) {
    console.error(`hook ${name} was not delivered to ${address}: ${error.message}`);
  }
}

module.exports.default = async function hooks({ event: { name, data } }) {
  await Promise.all((await addresses()).map((address) => post(address, name, data)));
};

module.exports.config = {
  event: [
    'product.created', 'product.updated', 'product.deleted',
    'product-variant.created', 'product-variant.updated', 'product-variant.deleted',
    'product-category.created', 'product-category.updated', 'product-category.deleted',
    'inventory.inventory-level.created', 'inventory.inventory-level.updated',
    'inventory.inventory-item.created', 'inventory.inventory-item.updated',
    'pricing.price.created', 'pricing.price.updated',
    'order.placed', 'order.updated', 'order.canceled', 'order.completed', 'order.fulfillment_created',
    'payment.captured', 'shipment.created', 'delivery.created',
  ],
};
