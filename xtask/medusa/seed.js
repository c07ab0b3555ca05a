// medusa exec ./seed.js, once, on a fresh database: makes what a buyer needs to get through the
// checkout (region, payment, stock location, shipping) and prints one line "KEYS {…}" with the ids.
const { ContainerRegistrationKeys, Modules } = require('@medusajs/framework/utils');
const flows = require('@medusajs/medusa/core-flows');

const COUNTRIES = ['de', 'fr', 'fi'];

module.exports.default = async function seed({ container }) {
  const run = async (workflow, input) => (await workflow(container).run({ input })).result;
  const link = container.resolve(ContainerRegistrationKeys.LINK);
  const fulfillment = container.resolve(Modules.FULFILLMENT);

  const [foundChannel] = await container.resolve(Modules.SALES_CHANNEL).listSalesChannels({});
  const channel = foundChannel
    || (await run(flows.createSalesChannelsWorkflow, { salesChannelsData: [{ name: 'Default' }] }))[0];

  const keys = await run(flows.createApiKeysWorkflow, {
    api_keys: [
      { title: 'lockstep', type: 'secret', created_by: 'seed' },
      { title: 'storefront', type: 'publishable', created_by: 'seed' },
    ],
  });
  const secret = keys.find((key) => key.type === 'secret');
  const publishable = keys.find((key) => key.type === 'publishable');
  await run(flows.linkSalesChannelsToApiKeyWorkflow, { id: publishable.id, add: [channel.id] });

  const [location] = await run(flows.createStockLocationsWorkflow, { locations: [{ name: 'Main' }] });
  await run(flows.linkSalesChannelsToStockLocationWorkflow, { id: location.id, add: [channel.id] });
  await link.create({
    [Modules.STOCK_LOCATION]: { stock_location_id: location.id },
    [Modules.FULFILLMENT]: { fulfillment_provider_id: 'manual_manual' },
  });

  const [region] = await run(flows.createRegionsWorkflow, {
    regions: [{
      name: 'Europe',
      currency_code: 'eur',
      countries: COUNTRIES,
      payment_providers: ['pp_system_default'],
      automatic_taxes: false,
    }],
  });

  const [foundProfile] = await fulfillment.listShippingProfiles({ type: 'default' });
  const profile = foundProfile
    || (await run(flows.createShippingProfilesWorkflow, { data: [{ name: 'Default', type: 'default' }] }))[0];
  const set = await fulfillment.createFulfillmentSets({
    name: 'Main shipping',
    type: 'shipping',
    service_zones: [{
      name: 'Europe',
      geo_zones: COUNTRIES.map((country_code) => ({ type: 'country', country_code })),
    }],
  });
  await link.create({
    [Modules.STOCK_LOCATION]: { stock_location_id: location.id },
    [Modules.FULFILLMENT]: { fulfillment_set_id: set.id },
  });
  const [option] = await run(flows.createShippingOptionsWorkflow, [{
    name: 'Standard',
    price_type: 'flat',
    provider_id: 'manual_manual',
    service_zone_id: set.service_zones[0].id,
    shipping_profile_id: profile.id,
    type: { label: 'Standard', description: 'By post', code: 'standard' },
    prices: [{ currency_code: 'eur', amount: 5 }],
    rules: [],
  }]);

  console.log('KEYS ' + JSON.stringify({
    secret: secret.token,
    publishable: publishable.token,
    sales_channel: channel.id,
    stock_location: location.id,
    region: region.id,
    shipping_profile: profile.id,
    shipping_option: option.id,
  }));
};
