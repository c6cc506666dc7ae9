#!/usr/bin/env node
// A KeyPackage directory of the common kind, as an adapter of kp-conformance: upload, claim by deleting, count.
//
//     kp-conformance --profile claim-only --adapter examples/adapters/directory.mjs
//
// It is here to show what the suite says of such a server: docs/adapter-protocol.md has the report. Do not copy it.

import { createInterface } from "node:readline";

/** A space, of which all its stores are handles: pools, each a list of one-time packages and a map of last resorts. */
const spaces = new Map();
const stores = new Map();

const calls = {
  save_key_packages({ pools }, { pool, packages, cap_per_ciphersuite, now }) {
    if (!pools.has(pool)) pools.set(pool, { oneTime: [], lastResort: new Map() });
    const { oneTime, lastResort } = pools.get(pool);
    return packages.map(({ package: { info, bytes } }) => {
      if (info.not_after <= now) return "expired";
      if (info.role === "last_resort") {
        lastResort.set(info.ciphersuite, { info, bytes });
        return "saved";
      }
      if (oneTime.some((kept) => kept.info.ref === info.ref)) return "already_stored";
      const held = oneTime.filter((kept) => kept.info.ciphersuite === info.ciphersuite);
      if (held.length >= cap_per_ciphersuite) return "pool_full";
      oneTime.push({ info, bytes });
      return "saved";
    });
  },

  claim_key_packages({ pools }, { takes, now }) {
    return takes.map((take) => {
      const { oneTime, lastResort } = pools.get(take.pool) ?? { oneTime: [], lastResort: new Map() };
      const fits = ({ info }) =>
        info.not_before <= now && now < info.not_after &&
        (take.ciphersuites.length === 0 || take.ciphersuites.includes(info.ciphersuite)) &&
        (take.only === null || take.only === info.ref);
      const place = take.last_resort === "only" ? -1 : oneTime.findIndex(fits);
      // The package is gone for whoever asks next, and so is the memory that there was one.
      if (place >= 0) return { ok: oneTime.splice(place, 1)[0] };
      const shared = take.last_resort === "never" ? undefined : [...lastResort.values()].find(fits);
      return shared ? { ok: shared } : { rejected: "pool_exhausted" };
    });
  },

  count_by_status({ pools, maxRecords }, { pool, now }) {
    const { oneTime, lastResort } = pools.get(pool) ?? { oneTime: [], lastResort: new Map() };
    const suites = new Map();
    const of = (ciphersuite) => {
      const none = { available: 0, reserved: 0, recalled: 0, spent: 0, spent_last_resorts: 0, not_yet_valid: 0, expired: 0 };
      if (!suites.has(ciphersuite)) suites.set(ciphersuite, { ciphersuite, ...none, last_resort: "empty" });
      return suites.get(ciphersuite);
    };
    for (const { info } of oneTime) {
      of(info.ciphersuite)[info.not_after <= now ? "expired" : now < info.not_before ? "not_yet_valid" : "available"] += 1;
    }
    for (const ciphersuite of lastResort.keys()) of(ciphersuite).last_resort = "unused";
    return { ciphersuites: [...suites.values()], room: Math.max(maxRecords - oneTime.length, 0) };
  },

  delete_pool({ pools }, { pool }) {
    pools.delete(pool);
    return null;
  },
};

function answer({ call, store, args }) {
  switch (call) {
    case "hello":
      return { protocol: 1, name: "directory-node", facets: ["handles"], calls: Object.keys(calls) };
    case "open":
      if (!spaces.has(args.space)) spaces.set(args.space, { pools: new Map(), maxRecords: args.max_records });
      stores.set(args.store, spaces.get(args.space));
      return null;
    case "close":
      stores.delete(args.store);
      return null;
    case "destroy":
      spaces.delete(args.space);
      return null;
    default:
      return calls[call](stores.get(store), args);
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const request = JSON.parse(line);
  process.stdout.write(JSON.stringify({ id: request.id, ok: answer(request) }) + "\n");
}
