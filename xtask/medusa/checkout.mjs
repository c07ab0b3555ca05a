// Buys one unit through Medusa's public store API and proves that the seeded shop is enough for it:
// product and stock by the admin API, then cart → address → shipping → payment → order, as a storefront does.
// Reads the LOCKSTEP_TEST_MEDUSA_… variables and prints one JSON line about the order.
import { createServer } from 'node:http';
import { once } from 'node:events';
import { rm, writeFile } from 'node:fs/promises';

const setting = (name) => {
  const value = process.env[`LOCKSTEP_TEST_MEDUSA_${name}`];
  if (!value) throw new Error(`LOCKSTEP_TEST_MEDUSA_${name} is not set: start this by cargo xtask test or services`);
  return value;
};

const url = setting('URL');
const admin = { authorization: `Basic ${setting('KEY')}` };
const store = { 'x-publishable-api-key': setting('PUBLISHABLE_KEY') };

async function call(headers, method, path, body) {
  const response = await fetch(url + path, {
    method,
    headers: { ...headers, 'content-type': 'application/json' },
    body: body && JSON.stringify(body),
    signal: AbortSignal.timeout(30_000),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return JSON.parse(text);
}

// Waits for the shop's own word about the order, so that the subscriber is proven too.
const heard = [];
const listener = createServer((request, response) => {
  heard.push(request.headers['x-topic']);
  listener.emit('heard', request.headers['x-topic']);
  request.resume();
  response.end();
}).listen(0, '127.0.0.1');
await once(listener, 'listening');
await writeFile(setting('HOOK_FILE'), `http://127.0.0.1:${listener.address().port}/\n`);

const sku = `CHECKOUT-${process.pid}-${Date.now()}`;
const { product } = await call(admin, 'POST', '/admin/products', {
  title: 'Checkout proof', handle: sku.toLowerCase(), status: 'published',
  shipping_profile_id: setting('SHIPPING_PROFILE'),
  sales_channels: [{ id: setting('SALES_CHANNEL') }],
  options: [{ title: 'Size', values: ['One'] }],
  variants: [{ title: 'One', sku, manage_inventory: true, options: { Size: 'One' }, prices: [{ currency_code: 'eur', amount: 12.5 }] }],
});
const { inventory_items: [item] } = await call(admin, 'GET', `/admin/inventory-items?sku=${sku}`);
await call(admin, 'POST', `/admin/inventory-items/${item.id}/location-levels`, {
  location_id: setting('STOCK_LOCATION'), stocked_quantity: 10,
});

const { cart } = await call(store, 'POST', '/store/carts', {
  region_id: setting('REGION'), email: 'buyer@example.com', items: [{ variant_id: product.variants[0].id, quantity: 1 }],
});
const address = {
  first_name: 'Bo', last_name: 'Yer', address_1: 'Street 1', city: 'Paris', postal_code: '75001', country_code: 'fr',
};
await call(store, 'POST', `/store/carts/${cart.id}`, { shipping_address: address, billing_address: address });
await call(store, 'POST', `/store/carts/${cart.id}/shipping-methods`, { option_id: setting('SHIPPING_OPTION') });
const { payment_collection: payment } = await call(store, 'POST', '/store/payment-collections', { cart_id: cart.id });
await call(store, 'POST', `/store/payment-collections/${payment.id}/payment-sessions`, { provider_id: 'pp_system_default' });
const { order } = await call(store, 'POST', `/store/carts/${cart.id}/complete`, {});
if (!order) throw new Error('the cart was not completed to an order');

while (!heard.includes('order.placed')) {
  await once(listener, 'heard', { signal: AbortSignal.timeout(30_000) });
}
const { inventory_items: [after] } = await call(
  admin, 'GET', `/admin/inventory-items?sku=${sku}&fields=id,stocked_quantity,reserved_quantity`,
);
if (after.reserved_quantity !== 1) throw new Error(`one unit was bought, ${after.reserved_quantity} are reserved`);

await rm(setting('HOOK_FILE'));
listener.close();
listener.closeAllConnections();
console.log(JSON.stringify({
  order: order.id, status: order.status, total: order.total,
  stocked: after.stocked_quantity, reserved: after.reserved_quantity, hooks: heard,
}));
