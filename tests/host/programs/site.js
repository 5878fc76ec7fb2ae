// A worker of service-runner: a site, and what it read when it began.
const fs = require('fs')
const http = require('http')
const handler = require('serve-handler')

module.exports = () => new Promise((resolve) => {
  const greeting = fs.readFileSync('/opt/acme/shared/data/greeting', 'utf8').trim()
  const server = http.createServer((request, response) => {
    response.setHeader('X-Greeting', greeting)
    handler(request, response, { public: 'site' })
  })
  server.listen(3000, '127.0.0.1', () => resolve(server))
})
