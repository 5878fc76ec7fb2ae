// Node-RED's settings (https://nodered.org/docs/user-guide/runtime/configuration).
// The release is read-only; all that changes lives in the directory that --userDir names.
'use strict';

const { version } = require('./package.json');

// Answered before authentication. Node-RED listens only after its runtime has loaded every node
// type, so any answer means that this release came up.
function health(req, res, next) {
  if (req.path !== '/healthz') {
    return next();
  }
  res.set('Cache-Control', 'no-store');
  res.json({ status: 'ok', version });
}

module.exports = {
  uiHost: process.env.HOST || '127.0.0.1',
  uiPort: process.env.PORT || 1880,
  flowFile: 'flows.json',
  flowFilePretty: true,
  // Encrypts the credentials inside flows. Must stay the same for the life of the data.
  credentialSecret: process.env.NODE_RED_CREDENTIAL_SECRET,
  httpAdminMiddleware: health,
  ui: { path: 'ui' },
  diagnostics: { enabled: true, ui: true },
  // Nodes are part of the release: nothing is installed or looked up at run time.
  externalModules: {
    autoInstall: false,
    palette: { allowInstall: false, allowUpload: false },
    modules: { allowInstall: false },
  },
  telemetry: { enabled: false, updateNotification: false },
  editorTheme: { projects: { enabled: false }, tours: false },
  logging: { console: { level: 'info', metrics: false, audit: false } },
};
