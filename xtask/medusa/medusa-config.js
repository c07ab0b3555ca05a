// The smallest Medusa that can be synced with: no admin pages, no Redis, no build step.
// Everything that differs from run to run comes from xtask by the environment.
const { defineConfig } = require('@medusajs/framework/utils');

const port = process.env.PORT;
const nobody = 'http://127.0.0.1';

module.exports = defineConfig({
  admin: { disable: true },
  projectConfig: {
    databaseUrl: process.env.DATABASE_URL,
    databaseDriverOptions: { connection: { ssl: false } },
    http: {
      storeCors: nobody,
      adminCors: nobody,
      authCors: nobody,
      jwtSecret: process.env.JWT_SECRET,
      cookieSecret: process.env.COOKIE_SECRET,
    },
  },
  modules: [
    {
      // Without this, file addresses name localhost:9000 whatever the port is.
      resolve: '@medusajs/medusa/file',
      options: {
        providers: [{
          resolve: '@medusajs/medusa/file-local',
          id: 'local',
          options: { upload_dir: 'static', backend_url: `http://127.0.0.1:${port}/static` },
        }],
      },
    },
  ],
});
