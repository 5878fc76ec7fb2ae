// What the preset has to leave to a Node.js application: the network's interfaces, the CPUs, threads, child processes, its data.
const { execFileSync } = require('child_process')
const crypto = require('crypto')
const fs = require('fs')
const http = require('http')
const os = require('os')
const { Worker } = require('worker_threads')
const zlib = require('zlib')

let reloads = 0
process.on('SIGHUP', () => { reloads += 1 })

function inThread () {
  return new Promise((resolve, reject) => {
    const code = "require('worker_threads').parentPort.postMessage(new Function('return 6 * 7')())"
    const worker = new Worker(code, { eval: true })
    worker.once('message', resolve)
    worker.once('error', reject)
  })
}

async function answer () {
  execFileSync('/bin/true')
  fs.writeFileSync('/opt/acme/shared/data/last', crypto.randomBytes(16))
  fs.writeFileSync(`${os.tmpdir()}/last`, zlib.gzipSync('x'))
  return {
    mode: process.env.NODE_ENV,
    greeting: process.env.GREETING,
    version: fs.readFileSync('VERSION', 'utf8').trim(),
    interfaces: Object.keys(os.networkInterfaces()),
    cpus: os.cpus().length,
    thread: await inThread(),
    reloads
  }
}

const server = http.createServer((request, response) => {
  answer().then(
    (value) => response.end(JSON.stringify(value)),
    (error) => { response.statusCode = 500; response.end(String(error)) }
  )
})
server.listen(Number(process.env.PORT), '127.0.0.1')
process.on('SIGTERM', () => server.close(() => process.exit(0)))
