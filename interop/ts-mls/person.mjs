// Somebody on ts-mls: `node person.mjs NAME CIPHERSUITE [uncompressed]`. Reads a request a line, and answers with a line; bytes
// are in hex.
//
//   key_package                     a new KeyPackage, in an MLSMessage
//   invite KEYPACKAGE TEXT          a Welcome of a new group with the owner of the bare KeyPackage, and a message to it
//   join_and_read WELCOME MESSAGE   the text of the message
//
// What cannot be done is answered `error` and why. With `uncompressed`, the signature key has the form that RFC 9420 §5.1.1 demands
// of a NIST point; ts-mls itself compresses the point.

import { createInterface } from "node:readline"
import { p256, p384, p521 } from "@noble/curves/nist.js"
import {
  ciphersuites,
  createApplicationMessage,
  createCommit,
  createGroup,
  decodeMlsMessage,
  defaultCapabilities,
  defaultLifetime,
  emptyPskIndex,
  encodeMlsMessage,
  generateKeyPackageWithKey,
  getCiphersuiteFromName,
  getCiphersuiteImpl,
  joinGroup,
  processPrivateMessage,
} from "ts-mls"

const [name, number, form] = process.argv.slice(2)
const suiteName = Object.keys(ciphersuites).find((key) => ciphersuites[key] === Number(number))
const curve = { P256: p256, P384: p384, P521: p521 }[suiteName && getCiphersuiteFromName(suiteName).signature]
const suite = suiteName && (curve || !form) && (await getCiphersuiteImpl(getCiphersuiteFromName(suiteName)))

const hex = (bytes) => Buffer.from(bytes).toString("hex")
const bytes = (text) => new Uint8Array(Buffer.from(text, "hex"))
const send = (wireformat, content) => hex(encodeMlsMessage({ version: "mls10", wireformat, ...content }))
const receive = (message) => decodeMlsMessage(bytes(message), 0)[0]

const generate = async () => {
  const credential = { credentialType: "basic", identity: new TextEncoder().encode(name) }
  const key = await suite.signature.keygen()
  if (form) key.publicKey = curve.Point.fromBytes(key.publicKey).toBytes(false)
  return generateKeyPackageWithKey(credential, defaultCapabilities(), defaultLifetime, [], key, suite)
}

let own

const requests = {
  async key_package() {
    own = await generate()
    return send("mls_key_package", { keyPackage: own.publicPackage })
  },

  async invite(bare, text) {
    const { publicPackage, privatePackage } = await generate()
    const { keyPackage } = receive("00010005" + bare)
    const group = await createGroup(new Uint8Array(16), publicPackage, privatePackage, [], suite)
    const add = { proposalType: "add", add: { keyPackage } }
    const options = { extraProposals: [add], ratchetTreeExtension: true }
    const { newState, welcome } = await createCommit({ state: group, cipherSuite: suite }, options)
    const { privateMessage } = await createApplicationMessage(newState, bytes(text), suite)
    return `${send("mls_welcome", { welcome })} ${send("mls_private_message", { privateMessage })}`
  },

  async join_and_read(invitation, sent) {
    const { welcome } = receive(invitation)
    const group = await joinGroup(welcome, own.publicPackage, own.privatePackage, emptyPskIndex, suite)
    const { message } = await processPrivateMessage(group, receive(sent).privateMessage, emptyPskIndex, suite)
    return hex(message)
  },
}

for await (const line of createInterface({ input: process.stdin })) {
  const [request, ...given] = line.split(" ")
  try {
    if (!suite) throw new Error("no such ciphersuite")
    console.log(await requests[request](...given))
  } catch (error) {
    console.log(`error ${error.message.replaceAll("\n", " ")}`)
  }
}
