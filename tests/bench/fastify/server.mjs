// The peer in Node: Fastify, a JWT checked by jose and remembered until it lapses, a quota kept by
// rate-limiter-flexible in Redis, and the page that the metered call answers, ready made.
//
// As the metered call it keeps an event of each call that it served (its number, its time, what was
// asked for), on disk before it answers, and gives its id as the receipt. It asks nothing of
// contract, purpose or channel, and can lose an event whose call was counted: in its favour.

import { createHash, createPublicKey, randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'

import Fastify from 'fastify'
import Redis from 'ioredis'
import { jwtVerify } from 'jose'
import { RateLimiterRedis } from 'rate-limiter-flexible'

const { port, redisPort, issuer, jwk, page } = JSON.parse(readFileSync(process.env.BENCH_PEER))
const key = createPublicKey({ key: jwk, format: 'jwk' })
const body = Buffer.from(page)
const points = 10 ** 12

const redis = new Redis({ host: '127.0.0.1', port: redisPort, enableAutoPipelining: true })
const limiter = new RateLimiterRedis({
  storeClient: redis,
  points,
  duration: 30 * 86400,
})
const known = new Map()

async function clientOf (header = '') {
  const found = known.get(header)
  if (found !== undefined && found.exp * 1000 > Date.now()) return found
  const token = header.replace(/^Bearer /, '')
  const { payload } = await jwtVerify(token, key, { issuer, algorithms: ['Ed25519', 'EdDSA'] })
  if (!payload.scope.split(' ').includes('data:read')) throw new Error('not for data')
  known.set(header, payload)
  return payload
}

async function note (request, number) {
  const id = `evt_${randomUUID()}`
  const asked = createHash('sha256').update(`${request.method} ${request.url}`).digest('hex')
  const event = { number, event: id, at: Date.now(), request: asked, units: 1 }
  await redis.xadd(`${request.params.slug}:events`, '*', ...Object.entries(event).flat())
  return id
}

const app = Fastify()
app.get('/data/:slug/rows', async (request, reply) => {
  let client
  try {
    client = await clientOf(request.headers.authorization)
  } catch {
    return reply.code(401).send()
  }
  let left, receipt
  try {
    left = await limiter.consume(`${client.sub}:${request.params.slug}`, 1)
    receipt = await note(request, left.consumedPoints)
  } catch (refused) {
    return reply.code(refused instanceof Error ? 503 : 429).send()
  }
  return reply
    .header('content-type', 'application/json')
    .header('cache-control', 'no-store')
    .header('usage-receipt', receipt)
    .header('ratelimit-policy', `"quota";q=${points};w=${30 * 86400}`)
    .header('ratelimit', `"quota";r=${left.remainingPoints};t=${Math.ceil(left.msBeforeNext / 1000)}`)
    .send(body)
})
await app.listen({ host: '127.0.0.1', port })
