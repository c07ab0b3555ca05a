// medusa exec ./seed.js, once, on a fresh database: a shop as merchants have them (Finnish VAT with a reduced rate,
// prices with tax in euro and without in dollar, two regions, two stock locations, two sales channels, a product on
// sale by a price list, one that is sold before it is there, a pack of two), in which a buyer gets through the checkout.
// Prints one line "KEYS {…}" with the ids.
const { ContainerRegistrationKeys, Modules } = require('@medusajs/framework/utils');
const flows = require('@medusajs/medusa/core-flows');

const EUROPE = ['de', 'fr', 'fi'];
const AMERICA = ['us'];
const VAT = { name: 'VAT', code: 'vat', rate: 25.5 };
const REDUCED_VAT = { name: 'Reduced VAT', code: 'vat-reduced', rate: 13.5 };
const DAY_MS = 24 * 60 * 60 * 1000;

module.exports.default = async function seed({ container }) {
  const run = async (workflow, input) => (await workflow(container).run({ input })).result;
  const link = container.resolve(ContainerRegistrationKeys.LINK);
  const fulfillment = container.resolve(Modules.FULFILLMENT);
  const pricing = container.resolve(Modules.PRICING);

  // ---- where it is sold
  const [foundChannel] = await container.resolve(Modules.SALES_CHANNEL).listSalesChannels({});
  const channel = foundChannel
    || (await run(flows.createSalesChannelsWorkflow, { salesChannelsData: [{ name: 'Web' }] }))[0];
  const [secondChannel] = await run(flows.createSalesChannelsWorkflow, { salesChannelsData: [{ name: 'Marketplace' }] });
  const [store] = await container.resolve(Modules.STORE).listStores({});
  await run(flows.updateStoresWorkflow, {
    selector: { id: store.id },
    update: {
      default_sales_channel_id: channel.id,
      supported_currencies: [
        { currency_code: 'eur', is_default: true, is_tax_inclusive: true },
        { currency_code: 'usd', is_tax_inclusive: false },
      ],
    },
  });

  const keys = await run(flows.createApiKeysWorkflow, {
    api_keys: [
      { title: 'lockstep', type: 'secret', created_by: 'seed' },
      { title: 'storefront', type: 'publishable', created_by: 'seed' },
    ],
  });
  const secret = keys.find((key) => key.type === 'secret');
  const publishable = keys.find((key) => key.type === 'publishable');
  await run(flows.linkSalesChannelsToApiKeyWorkflow, { id: publishable.id, add: [channel.id] });

  // ---- money
  const region = async (name, currency_code, countries) => (await run(flows.createRegionsWorkflow, {
    regions: [{ name, currency_code, countries, payment_providers: ['pp_system_default'], automatic_taxes: true }],
  }))[0];
  const europe = await region('Europe', 'eur', EUROPE);
  const america = await region('America', 'usd', AMERICA);

  const [reducedType] = await run(flows.createProductTypesWorkflow, { product_types: [{ value: 'Book' }] });
  const taxed = await run(flows.createTaxRegionsWorkflow, [
    ...EUROPE.map((country_code) => ({ country_code, provider_id: 'tp_system', default_tax_rate: VAT })),
    { country_code: 'us', provider_id: 'tp_system', default_tax_rate: { name: 'Sales tax', code: 'us', rate: 8.875 } },
  ]);
  await run(flows.createTaxRatesWorkflow, taxed.slice(0, EUROPE.length).map((taxRegion) => ({
    ...REDUCED_VAT,
    tax_region_id: taxRegion.id,
    rules: [{ reference: 'product_type', reference_id: reducedType.id }],
  })));

  // ---- where it lies, and how it is sent from there
  const [foundProfile] = await fulfillment.listShippingProfiles({ type: 'default' });
  const profile = foundProfile
    || (await run(flows.createShippingProfilesWorkflow, { data: [{ name: 'Default', type: 'default' }] }))[0];
  await run(flows.createShippingProfilesWorkflow, { data: [{ name: 'Bulky', type: 'bulky' }] });

  const location = async (name, channels) => {
    const [made] = await run(flows.createStockLocationsWorkflow, { locations: [{ name }] });
    await run(flows.linkSalesChannelsToStockLocationWorkflow, { id: made.id, add: channels });
    await link.create({
      [Modules.STOCK_LOCATION]: { stock_location_id: made.id },
      [Modules.FULFILLMENT]: { fulfillment_provider_id: 'manual_manual' },
    });
    const set = await fulfillment.createFulfillmentSets({
      name: `${name} shipping`,
      type: 'shipping',
      service_zones: [{
        name: `From ${name}`,
        geo_zones: [...EUROPE, ...AMERICA].map((country_code) => ({ type: 'country', country_code })),
      }],
    });
    await link.create({
      [Modules.STOCK_LOCATION]: { stock_location_id: made.id },
      [Modules.FULFILLMENT]: { fulfillment_set_id: set.id },
    });
    return { id: made.id, zone: set.service_zones[0].id };
  };
  const main = await location('Main', [channel.id, secondChannel.id]);
  const outlet = await location('Outlet', [channel.id]);
  const post = (zone, name, eur) => ({
    name,
    price_type: 'flat',
    provider_id: 'manual_manual',
    service_zone_id: zone,
    shipping_profile_id: profile.id,
    type: { label: name, description: 'By post', code: name.toLowerCase() },
    prices: [{ currency_code: 'eur', amount: eur }, { currency_code: 'usd', amount: 7 }],
    rules: [],
  });
  const [option] = await run(flows.createShippingOptionsWorkflow, [
    post(main.zone, 'Standard', 4.9),
    post(main.zone, 'Express', 9.95),
    post(outlet.zone, 'Outlet', 4.9),
  ]);

  // ---- a few things on the shelves
  const product = (title, sku, more = {}) => ({
    title,
    status: 'published',
    shipping_profile_id: profile.id,
    sales_channels: [{ id: channel.id }],
    options: [{ title: 'Default option', values: ['Default option value'] }],
    variants: [{
      title: 'Default variant',
      sku,
      manage_inventory: true,
      options: { 'Default option': 'Default option value' },
      prices: [{ currency_code: 'eur', amount: 19.9 }, { currency_code: 'usd', amount: 18 }],
      ...more.variant,
    }],
    ...more.product,
  });
  const [mug] = await run(flows.createProductsWorkflow, {
    products: [
      product('Seed mug', 'SEED-MUG'),
      product('Seed book', 'SEED-BOOK', { product: { type_id: reducedType.id } }),
      product('Seed bench, made to order', 'SEED-BENCH', { variant: { allow_backorder: true } }),
    ],
  });
  const inventory = container.resolve(Modules.INVENTORY);
  const items = await inventory.listInventoryItems({ sku: ['SEED-MUG', 'SEED-BOOK', 'SEED-BENCH'] });
  const item = (sku) => items.find((found) => found.sku === sku).id;
  await run(flows.createInventoryLevelsWorkflow, {
    inventory_levels: [
      { inventory_item_id: item('SEED-MUG'), location_id: main.id, stocked_quantity: 30 },
      { inventory_item_id: item('SEED-MUG'), location_id: outlet.id, stocked_quantity: 9 },
      { inventory_item_id: item('SEED-BOOK'), location_id: main.id, stocked_quantity: 12 },
      { inventory_item_id: item('SEED-BENCH'), location_id: main.id, stocked_quantity: 0 },
    ],
  });
  // A pack: two of the mug's own units each.
  const pack = product('Seed mugs, a pair', 'SEED-MUG-PAIR', {
    variant: { inventory_items: [{ inventory_item_id: item('SEED-MUG'), required_quantity: 2 }] },
  });
  await run(flows.createProductsWorkflow, { products: [pack] });

  const now = Date.now();
  const priceList = (title, amount, fromDays, toDays) => ({
    title,
    description: title,
    type: 'sale',
    status: 'active',
    starts_at: new Date(now + fromDays * DAY_MS),
    ends_at: new Date(now + toDays * DAY_MS),
    prices: [{ currency_code: 'eur', amount, variant_id: mug.variants[0].id }],
  });
  await run(flows.createPriceListsWorkflow, {
    price_lists_data: [priceList('Sale of the month', 15.9, -7, 300), priceList('Sale of next year', 9.9, 301, 330)],
  });
  const preferences = await pricing.listPricePreferences({ attribute: 'currency_code' });
  if (!preferences.some((found) => found.value === 'eur' && found.is_tax_inclusive)) {
    throw new Error(`euro prices are not with tax: ${JSON.stringify(preferences)}`);
  }

  console.log('KEYS ' + JSON.stringify({
    secret: secret.token,
    publishable: publishable.token,
    sales_channel: channel.id,
    second_sales_channel: secondChannel.id,
    stock_location: main.id,
    second_stock_location: outlet.id,
    region: europe.id,
    second_region: america.id,
    shipping_profile: profile.id,
    shipping_option: option.id,
    reduced_tax_type: reducedType.id,
  }));
};
