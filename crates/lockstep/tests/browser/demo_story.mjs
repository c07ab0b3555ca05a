// The demo's story, clicked through in Chromium: a person buys in both web shops, pays, and watches the console; then the
// console's pages are looked at in light, dark and on a phone. What the demo has said comes on standard input as JSON; what
// was seen goes to standard output as JSON. Any surprise ends it with an error.
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import assert from 'node:assert/strict';

const { chromium } = createRequire(`${process.env.LOCKSTEP_TEST_PLAYWRIGHT}/`)('playwright-core');
const demo = JSON.parse(readFileSync(0, 'utf8'));
const { sku, screenshots } = demo;
const [erp, web1, web2] = demo.shops;
const shops = [erp, web1, web2];
const customer = `/customers/${demo.customer_id}`;

const browser = await chromium.launch({
  executablePath: process.env.LOCKSTEP_TEST_CHROMIUM,
  timeout: 30_000,
  args: [
    '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync',
  ],
});

const complaints = [];
const open = async (options) => {
  const context = await browser.newContext(options);
  context.setDefaultTimeout(15_000);
  const page = await context.newPage();
  page.on('pageerror', (error) => complaints.push(`${page.url()}: ${error}`));
  page.on('console', (message) => { if (message.type() === 'error') complaints.push(`${page.url()}: ${message.text()}`); });
  return page;
};
const fits = async (page, what, look) => {
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.ok(wide <= 0, `${what} is ${wide} px too wide for ${look}`);
};
const shot = (page, name) => page.screenshot({ path: `${screenshots}/${name}.png`, fullPage: true });

// A shop's own people, by its API.
const staff = async (shop, method, path, body) => {
  const answer = await fetch(`${shop.url}/api/v1${path}`, {
    method, headers: { authorization: `Bearer ${shop.api_token}`, 'content-type': 'application/json' },
    body: body && JSON.stringify(body),
  });
  assert.ok(answer.ok, `${method} ${path} at ${shop.name}: ${answer.status}`);
  return answer.json();
};

const logIn = async (page) => {
  await page.goto(demo.console_url);
  await page.getByLabel('Name').fill(demo.user);
  await page.getByLabel('Password').fill(demo.password);
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.getByRole('link', { name: 'Overview' }).waitFor();
};

const productPage = async (page, shop) => {
  await page.goto(`${shop.storefront_url}?q=${encodeURIComponent(sku)}`);
  await page.locator('a.card').first().click();
  await page.locator(`[data-sku="${sku}"]`).waitFor();
};

const buy = async (page, shop, when) => {
  await productPage(page, shop);
  await page.locator(`input[name="sku"][value="${sku}"]`).check();
  await page.getByLabel('Your name').fill('Aino Virta');
  await page.getByLabel('E-mail').fill('aino@example.com');
  await page.getByLabel(when === 'now' ? 'Pay now' : 'Pay later').check();
  await page.getByRole('button', { name: 'Buy' }).click();
  await page.getByText('Thank you, Aino Virta.').waitFor();
  return (await page.getByRole('heading', { level: 1 }).textContent()).replace('Order', '').trim();
};

// What a buyer sees is left, in each storefront.
const left = async (page) => {
  const seen = [];
  for (const shop of shops) {
    await productPage(page, shop);
    seen.push((await page.locator(`[data-sku="${sku}"]`).textContent()).trim());
  }
  return seen;
};
const untilAllShow = async (page, units) => {
  const wanted = shops.map(() => `${units} available`);
  const deadline = Date.now() + 15_000;
  for (;;) {
    const seen = await left(page);
    if (JSON.stringify(seen) === JSON.stringify(wanted)) return;
    assert.ok(Date.now() < deadline, `every storefront shows ${units}: ${seen}`);
  }
};

const orderIn = async (shop, number) => (await staff(shop, 'GET', `/orders?number=${number}`)).items[0];

try {
  const watch = await open({ viewport: { width: 1280, height: 900 } });
  await logIn(watch);
  await watch.goto(`${demo.console_url}${customer}/runs`);
  const newestRun = () => watch.locator('#runs tbody tr').first().textContent();
  const before = await newestRun();
  await watch.evaluate(() => { window.sameDocument = true; });

  const buyer = await open({ viewport: { width: 1100, height: 900 } });
  await buyer.goto(web1.storefront_url);
  await shot(buyer, 'storefront');
  const first = await buy(buyer, web1, 'later');
  await shot(buyer, 'thank-you-unpaid');
  const second = await buy(await open({ viewport: { width: 1100, height: 900 } }), web2, 'now');

  // The console is live: a part of the page changes, and the page is the same document.
  await watch.waitForFunction((old) => document.querySelector('#runs tbody tr')?.textContent !== old, before);
  assert.equal(await watch.evaluate(() => window.sameDocument), true, 'the console was reloaded');
  await shot(watch, 'runs-live');

  const visitor = await open({ viewport: { width: 1100, height: 900 } });
  await untilAllShow(visitor, 9);
  await buyer.getByRole('button', { name: /^Pay / }).click();
  await buyer.getByText('Paid', { exact: false }).first().waitFor();
  await shot(buyer, 'thank-you');
  await untilAllShow(visitor, 8);
  await staff(web1, 'POST', `/orders/${(await orderIn(web1, first)).id}/ship`, {});
  await untilAllShow(visitor, 8);
  await staff(web2, 'POST', `/orders/${(await orderIn(web2, second)).id}/cancel`, {});
  await untilAllShow(visitor, 9);

  // An edit in the console is a new revision.
  await watch.goto(`${demo.console_url}${customer}/settings`);
  await watch.locator('input[name="email"], input[name="customer.email"]').first().fill('kahvila@kahvila.example');
  await watch.getByRole('button', { name: /save/i }).first().click();
  await watch.locator('.flash.good').waitFor();

  const said = await fetch(`${demo.console_url}/api/v1/customers/${demo.customer_id}/records?query=${encodeURIComponent(sku)}`, {
    headers: { authorization: `Bearer ${demo.api_token}` },
  });
  const record = (await said.json()).items[0].record;
  const pages = {
    overview: '/', customers: '/customers', customer, workers: '/workers', runs: '/runs', shops: `${customer}/shops`,
    settings: `${customer}/settings`, record: `${customer}/records/${record}`,
    stock: `${customer}/stock/${encodeURIComponent(sku)}`, orders: `${customer}/orders`, access: '/access',
    plan: `${customer}/plan`,
  };
  const looks = {
    light: { colorScheme: 'light', viewport: { width: 1280, height: 900 } },
    dark: { colorScheme: 'dark', viewport: { width: 1280, height: 900 } },
    phone: { colorScheme: 'light', viewport: { width: 390, height: 844 } },
  };
  const backgrounds = {};
  for (const [look, options] of Object.entries(looks)) {
    const page = await open(options);
    await logIn(page);
    for (const [name, path] of Object.entries(pages)) {
      const answer = await page.goto(`${demo.console_url}${path}`);
      assert.equal(answer.status(), 200, path);
      await shot(page, `${name}-${look}`);
      await fits(page, path, look);
    }
    // What would follow from a buffer is shown, and nothing of it is saved.
    await page.goto(`${demo.console_url}${customer}/policies`);
    await page.locator(`input[name="policies.stock.buffer.${web1.id ?? 2}"]`).fill('1');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.locator('#preview').waitFor();
    await shot(page, `preview-${look}`);
    await fits(page, 'what would follow', look);
    const follows = await page.locator('#preview').textContent();
    assert.ok(follows.includes('stock levels'), follows);
    await page.getByRole('button', { name: 'Back' }).click();
    assert.equal(await page.locator(`input[name="policies.stock.buffer.${web1.id ?? 2}"]`).inputValue(), '1');
    assert.equal(await page.locator('#preview').count(), 0);
    backgrounds[look] = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  }
  const after = await fetch(`${demo.console_url}/api/v1/customers/${demo.customer_id}`, {
    headers: { authorization: `Bearer ${demo.api_token}` },
  });
  assert.deepEqual((await after.json()).settings.policies.stock.buffer ?? {}, {}, 'a buffer was saved');
  assert.notEqual(backgrounds.light, backgrounds.dark, 'dark looks as light does');

  // The stock is explained in words that name the order; the cancelled one counts no more.
  await watch.goto(`${demo.console_url}${pages.stock}`);
  const why = await watch.locator('main').textContent();
  assert.ok(why.includes(first), `order ${first} is not in the explanation: ${why}`);

  assert.deepEqual(complaints, []);
  console.log(JSON.stringify({ orders: [first, second], browser: browser.version(), pages: Object.keys(pages).length }));
} finally {
  await browser.close();
}
