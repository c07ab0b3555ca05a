// Opens a page in the system's Chromium by playwright-core, types and clicks in it, and prints what it says.
// LOCKSTEP_TEST_CHROMIUM is the browser, LOCKSTEP_TEST_PLAYWRIGHT the folder whose node_modules has playwright-core.
import { createRequire } from 'node:module';
import { createServer } from 'node:http';
import { once } from 'node:events';

const { chromium } = createRequire(`${process.env.LOCKSTEP_TEST_PLAYWRIGHT}/`)('playwright-core');

const PAGE = `<!doctype html><title>Lockstep</title><label>Units <input id="units"></label><button>Buy</button><output></output>
<script>document.querySelector('button').onclick = () => { document.querySelector('output').textContent = units.value + ' bought' }</script>`;
const server = createServer((_, response) => response.setHeader('content-type', 'text/html').end(PAGE)).listen(0, '127.0.0.1');
await once(server, 'listening');

const browser = await chromium.launch({
  executablePath: process.env.LOCKSTEP_TEST_CHROMIUM,
  timeout: 30_000,
  args: [
    '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync',
  ],
});
try {
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  await page.getByLabel('Units').fill('2');
  await page.getByRole('button', { name: 'Buy' }).click();
  console.log(JSON.stringify({
    title: await page.title(), says: await page.locator('output').textContent(), browser: browser.version(),
    screenshot_bytes: (await page.screenshot()).length,
  }));
} finally {
  await browser.close();
  server.close();
}
