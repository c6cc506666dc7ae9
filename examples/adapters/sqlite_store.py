#!/usr/bin/env python3
"""A KeyPackage store over Python's own sqlite3: kp-conformance --adapter examples/adapters/sqlite_store.py

docs/adapter-protocol.md has the protocol, kp-core/src/contract the rules, whose ids are cited. There is one table of
records. Every change is one write transaction, so that it is one step (LIN-1). The rules are in Python."""
import json, os, sqlite3, sys
from collections import Counter

SCHEMA = """
CREATE TABLE IF NOT EXISTS record (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,          -- the place in the queue, never given out twice (RES-2)
    pool TEXT NOT NULL, ref TEXT NOT NULL, suite INTEGER NOT NULL, last_resort INTEGER NOT NULL,
    not_before INTEGER NOT NULL, not_after INTEGER NOT NULL, info TEXT NOT NULL, saved_at INTEGER NOT NULL,
    bytes TEXT, support TEXT, fingerprint TEXT,          -- as long as it may be handed out; the last, as long as the record
    state TEXT NOT NULL, at INTEGER,                     -- free, reserved, slot; used, retired, withdrawn, replaced: when
    id TEXT, bound INTEGER NOT NULL DEFAULT 0,           -- the id that took it, and whether it is bound still (RES-5)
    reserver TEXT, ends_at INTEGER,                      -- until the lease or the window ends (RES-7)
    on_lapse TEXT, recalled TEXT, usage TEXT,            -- of a lease (RES-9, DEL-3); of a use: group and spender
    replayable INTEGER, slot_used INTEGER NOT NULL DEFAULT 0, UNIQUE (pool, ref)
) STRICT;
CREATE UNIQUE INDEX IF NOT EXISTS by_id ON record (pool, id) WHERE bound;
CREATE INDEX IF NOT EXISTS by_state ON record (pool, state, sequence);
CREATE INDEX IF NOT EXISTS init_keys ON record (pool, fingerprint) WHERE fingerprint IS NOT NULL;
CREATE INDEX IF NOT EXISTS ending ON record (pool, ends_at) WHERE ends_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS ended ON record (ends_at, pool) WHERE ends_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS expiry ON record (not_after);
"""
ALL = "SELECT * FROM record WHERE pool = ?"
UNSPENT = ALL + " AND not_after > ? AND state IN ('free', 'reserved') ORDER BY sequence"
SPENT = ("used", "retired", "withdrawn", "replaced")
FREED = dict(id=None, bound=0, reserver=None, ends_at=None, on_lapse=None, recalled=None)
GONE = dict(bytes=None, support=None)


class Rejected(Exception):
    pass


def outcome(work, *arguments):
    try:
        return {"ok": work(*arguments)}
    except Rejected as refusal:
        return {"rejected": str(refusal)}
    except sqlite3.Error as error:  # ERR-1: what failed may be the commit.
        transient = isinstance(error, sqlite3.OperationalError)
        return {"failed": {"effect": "unknown", "transient": transient, "message": str(error)}}


class Store:
    """One handle. Its public methods are the calls of the contract."""

    def __init__(self, dir, max_records):
        self.max_records = max_records
        self.db = sqlite3.connect(os.path.join(dir, "pools.db"), timeout=20, isolation_level=None)
        self.db.row_factory = sqlite3.Row
        self.db.executescript(f"PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; BEGIN IMMEDIATE; {SCHEMA} COMMIT")

    def _step(self, work, pool=None, now=None):
        """One step. It settles its pool, and is committed also when the rules then refuse (TIME-2)."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            self._settle(pool, now)
            answer = work()
        except BaseException as error:
            self.db.execute("COMMIT" if isinstance(error, Rejected) else "ROLLBACK")
            raise
        self.db.execute("COMMIT")
        return answer

    def _each(self, items, now, work):
        """A batch: a step and an outcome for each item (ERR-3). Too many are refused as a whole (COST-1)."""
        too_many = len(items) > 1000 or any(len(item.get("ciphersuites", ())) > 64 for item in items)
        refused = [{"rejected": "too_many_items"}] * len(items)
        return refused if too_many else [outcome(self._step, lambda: work(item), item["pool"], now) for item in items]

    def _bounded(self, refs):
        if len(refs) > 1000:
            raise Rejected("too_many_items")

    def _rows(self, sql, *values):
        return self.db.execute(sql, values).fetchall()

    def _row(self, where, *values):
        return self.db.execute(f"{ALL} AND {where}", values).fetchone()

    def _count(self, where, *values):
        return self.db.execute(f"SELECT COUNT(*) FROM record WHERE pool = ? AND {where}", values).fetchone()[0]

    def _update(self, record, **values):
        columns = ", ".join(f"{column} = ?" for column in values)
        self.db.execute(f"UPDATE record SET {columns} WHERE sequence = ?", [*values.values(), record["sequence"]])

    def _ending(self, record, now):
        """The columns that change when the pool is settled at `now` (TIME-2, RES-9)."""
        if record["ends_at"] is None or record["ends_at"] > now:
            return {}
        if record["state"] == "used":
            return dict(reserver=None, ends_at=None, replayable=0, **GONE)
        spent = record["recalled"] or ("retired" if record["on_lapse"] == "retire" else None)
        return dict(FREED, state=spent, at=record["ends_at"], **GONE) if spent else dict(FREED, state="free")

    def _settle(self, pool, now):
        ended = self._rows(ALL + " AND ends_at <= ?", pool, now)
        for record in ended:
            self._update(record, **self._ending(record, now))
        return len(ended)

    def _seen(self, now, sql, *values):
        return [{**record, **self._ending(record, now)} for record in map(dict, self._rows(sql, *values))]

    def save_key_packages(self, pool, packages, mode, cap_per_ciphersuite, now):
        spared = {item["package"]["info"]["ref"] for item in packages} if mode == "replace" else None
        accepted, held, remembered = set(), Counter(), Counter()

        def work():
            for row in self._rows(UNSPENT, pool, now):  # Under replace, the others count as gone (SAVE-8).
                held[row["suite"]] += not row["recalled"] and (spared is None or row["ref"] in spared)
            for role in (0, 1):
                remembered[role] = self._count("last_resort = ? AND not_after > ?", pool, role, now)
            outcomes = [judge(**item) for item in packages]
            for record in self._rows(UNSPENT, pool, now) if accepted and spared else ():  # SAVE-8
                if record["suite"] in accepted and record["ref"] not in spared:
                    self._recall(record, "withdrawn", now)
            return outcomes
        def judge(package, fingerprint, support):
            """The first outcome that applies (SAVE-7)."""
            info, bytes, support = package["info"], package["bytes"], None if support is None else " ".join(support)
            last_resort, suite = info["role"] == "last_resort", info["ciphersuite"]
            known = self._row("ref = ?", pool, info["ref"])
            if info["not_after"] <= now:
                return "expired"
            if known and known["not_after"] > now:
                if known["state"] in SPENT or known["recalled"]:
                    return "already_spent"
                if json.loads(known["info"]) != info or known["bytes"] != bytes:
                    return "ref_conflict"
                support = known["support"] if known["support"] is not None else support
                self._update(known, fingerprint=known["fingerprint"] or fingerprint, support=support)  # SAVE-5
                accepted.update([] if last_resort else [suite])
                return "already_stored"
            if self._row("fingerprint = ? AND not_after > ?", pool, fingerprint, now):  # SAVE-9
                return "init_key_reused"
            if last_resort and now < info["not_before"] or is_full(suite, last_resort):
                return "not_yet_valid" if last_resort and now < info["not_before"] else "pool_full"
            self.db.execute("DELETE FROM record WHERE pool = ? AND ref = ?", [pool, info["ref"]])  # It is past its end.
            for slot in self._rows(ALL + " AND suite = ? AND state = 'slot'", pool, suite) if last_resort else ():
                self._update(slot, state="replaced", at=now, **GONE)  # LAST-1
            accepted.update([] if last_resort else [suite])
            remembered[last_resort] += 1
            held[suite] += not last_resort
            row = dict(pool=pool, ref=info["ref"], suite=suite, last_resort=last_resort, not_before=info["not_before"],
                       not_after=info["not_after"], info=json.dumps(info), saved_at=now, bytes=bytes, support=support,
                       fingerprint=fingerprint, state="slot" if last_resort else "free")
            self.db.execute(f"INSERT INTO record ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})", [*row.values()])
            return "saved"
        def is_full(suite, last_resort):  # SAVE-6, SAVE-5
            if mode == "amend" or remembered[last_resort] >= self.max_records:
                return True
            slots = "state = 'slot' AND not_after > ? AND suite <> ?"
            return self._count(slots, pool, now, suite) >= 16 if last_resort else held[suite] >= cap_per_ciphersuite
        return self._step(work, pool, now) if packages else []

    def _known(self, pool, ref, now):
        record = self._row("ref = ?", pool, ref)
        if not record or record["not_after"] <= now:
            raise Rejected("expired" if record else "not_found")
        return record

    def _meets(self, record, take):
        return set(take["requirements"]) <= set((record["support"] or "").split())

    def _take(self, take, now, replay, **columns):
        """What a request gets: the package that its id is bound to (RES-5), else a new one. A claim may `replay` this use."""
        suites, record = take["ciphersuites"], self._row("id = ? AND bound", take["pool"], take["id"])
        stale = record if record and record["not_after"] <= now else None  # It loses the id to the next binding.
        if record and not stale:
            if take["only"] not in (None, record["ref"]) or suites and record["suite"] not in suites:
                raise Rejected("reservation_conflict")
            if record["state"] == "used" and not (record["replayable"] and record["usage"] == replay):
                raise Rejected("already_spent")
            if not self._meets(record, take) or record["state"] == "reserved" and record["reserver"] != take["by"]:
                raise Rejected("reservation_conflict")
            if record["state"] == "used" or not replay:
                return record
        else:
            record = self._choose(take, now)
            if record["state"] == "slot":
                self._update(record, slot_used=1)  # LAST-4
                return record
        if stale:
            self._update(stale, bound=0)
        ends_at = min(now + take["ttl"], record["not_after"])  # RES-4
        columns.update(id=take["id"], bound=1, reserver=take["by"], ends_at=ends_at)
        self._update(record, **columns)
        return {**record, **columns}

    def _choose(self, take, now):
        """What a new request gets, by the order of RES-10."""
        pool, suites, last_resort = take["pool"], take["ciphersuites"], take["last_resort"]

        def fits(record):  # RES-3
            lasts = record["not_before"] <= now < record["not_after"] and record["not_after"] - now >= take["remaining"]
            return lasts and (not suites or record["suite"] in suites) and self._meets(record, take)
        def oldest(state):  # RES-2
            return next(filter(fits, self.db.execute(ALL + " AND state = ? ORDER BY sequence", [pool, state])), None)
        if None not in (take["by"], take["limit"]) and self._count("reserver = ?", pool, take["by"]) >= take["limit"]:
            raise Rejected("too_many_reservations")  # RES-7
        if take["only"] is not None:
            record = self._known(pool, take["only"], now)
            if record["state"] in (*SPENT, "reserved"):
                raise Rejected("already_spent" if record["state"] in SPENT else "already_reserved")
            if record["state"] == "slot" or last_resort == "only" or not fits(record):
                raise Rejected("unsuitable")
            return record
        record = oldest("free") if last_resort != "only" else None
        record = record or (oldest("slot") if last_resort != "never" else None)  # RES-6
        if not record:
            available = self._count("state = 'free' AND not_before <= ? AND not_after > ?", pool, now, now)
            raise Rejected("nothing_fits" if available else "pool_exhausted")
        return record

    def reserve_key_packages(self, takes, on_lapse, now):
        def work(take):
            record = self._take(take, now, None, state="reserved", on_lapse=on_lapse)
            token = {"pool": take["pool"], "ref": record["ref"], "id": take["id"]}
            lease = None if record["state"] == "slot" else {"token": token, "expires_at": record["ends_at"]}
            return {"package": {"info": json.loads(record["info"]), "bytes": record["bytes"]}, "lease": lease}
        return self._each(takes, now, work)

    def claim_key_packages(self, takes, group, now):
        def work(take):  # CLAIM-1
            usage = json.dumps([group, take["by"]])
            spent = dict(state="used", at=now, usage=usage, replayable=1, on_lapse=None, recalled=None)
            record = self._take(take, now, usage, **spent)
            return {"info": json.loads(record["info"]), "bytes": record["bytes"]}
        return self._each(takes, now, work)

    def _live(self, token, now):
        """The record of a live lease, or the first refusal that applies (SPEND-2, REL-2, REN-2)."""
        record = self._known(token["pool"], token["ref"], now)
        if record["state"] == "used":
            raise Rejected("already_spent")
        if record["state"] != "reserved" or record["id"] != token["id"]:
            raise Rejected("no_live_reservation")
        return record

    def spend_key_packages(self, tokens, group, by, now):
        usage = json.dumps([group, by])

        def work(token):
            record = self._row("ref = ? AND id = ?", token["pool"], token["ref"], token["id"])
            if record and (record["state"], record["usage"]) == ("used", usage):
                return {"ref": token["ref"], "spent_at": record["at"]}  # SPEND-3
            record = self._live(token, now)
            ends_at = None if record["reserver"] is None else record["ends_at"]  # SPEND-4
            self._update(record, state="used", at=now, usage=usage, ends_at=ends_at, on_lapse=None, recalled=None, **GONE)
            return {"ref": token["ref"], "spent_at": now}
        return self._each(tokens, now, work)

    def release_key_packages(self, tokens, now):
        def work(token):  # REL-1
            record = self._live(token, now)
            state = dict(state=record["recalled"], at=now, **GONE) if record["recalled"] else dict(state="free")
            self._update(record, **FREED, **state)
        return self._each(tokens, now, work)

    def renew_key_packages(self, tokens, ttl, now):
        def work(token):  # REN-1
            record = self._live(token, now)
            longer = max(record["ends_at"], min(now + ttl, record["not_after"]))
            ends_at = record["ends_at"] if record["recalled"] else longer
            self._update(record, ends_at=ends_at)
            return {"token": token, "expires_at": ends_at}
        return self._each(tokens, now, work)

    def _recall(self, record, why, now):
        """A free package is spent, a leased one recalled (DEL-2, DEL-3); a withdrawal outranks a retirement."""
        if record["state"] != "reserved":
            self._update(record, state=why, at=now, **GONE)
        elif record["recalled"] != "withdrawn":
            self._update(record, recalled=why)

    def withdraw_key_packages(self, pool, refs, now):
        def one(ref):
            record = self._row("ref = ? AND not_after > ?", pool, ref, now)
            if record and record["state"] not in SPENT:
                self._recall(record, "withdrawn", now)
            elif record and record["state"] != "withdrawn":
                return "already_spent"
            return "withdrawn" if record else "not_found"
        def work():
            slots = ALL + " AND not_after > ? AND state = 'slot' ORDER BY suite"
            unspent = self._rows(UNSPENT, pool, now) + self._rows(slots, pool, now) if refs is None else ()
            return [{"ref": ref, "outcome": one(ref)} for ref in refs or [record["ref"] for record in unspent]]
        self._bounded(refs or ())
        return [] if refs == [] else self._step(work, pool, now)

    def delete_pool(self, pool):
        self._step(lambda: self.db.execute("DELETE FROM record WHERE pool = ?", [pool]))

    def retire_unspent(self, saved_before, now, after, limit):
        def one(pool):  # DEL-2
            unspent = [record for record in self._rows(UNSPENT, pool, now) if not record["recalled"]]
            old = [record for record in unspent if record["saved_at"] < saved_before]
            for record in old:
                self._recall(record, "retired", now)
            unused = ALL + " AND state = 'slot' AND not_after > ? AND saved_at < ? AND NOT slot_used"
            slots = self._rows(unused, pool, now, saved_before)
            for record in slots:
                self._update(record, slot_used=1)
            return len(old) + len(slots)
        page = self.list_pools(after, limit)
        return {"retired": sum(self._step(lambda: one(pool), pool, now) for pool in page["items"]), "next": page["next"]}

    def cleanup_expired(self, now, limit):
        delete = "DELETE FROM record WHERE sequence IN (SELECT sequence FROM record WHERE not_after <= ? LIMIT ?)"
        return self._step(lambda: self.db.execute(delete, [now, max(limit, 1)]).rowcount)

    def release_expired_reservations(self, now, limit):
        pools = "SELECT DISTINCT pool FROM record WHERE ends_at <= ? LIMIT ?"
        return self._step(lambda: sum(self._settle(pool, now) for pool, in self._rows(pools, now, max(limit, 1))))

    # Reading: one statement, one snapshot.
    def _status(self, record, now):
        """The first that applies (READ-3)."""
        if record["not_after"] <= now:
            return {"is": "expired"}
        if record["state"] in SPENT:
            return {"is": "spent", "at": record["at"], "cause": record["state"]}
        if record["state"] == "slot":
            return {"is": "last_resort", "used": bool(record["slot_used"])}
        if record["state"] == "reserved":
            return {"is": "reserved", "until": record["ends_at"]}
        return {"is": "not_yet_valid" if now < record["not_before"] else "available"}

    def get_key_package(self, pool, ref, now):
        for record in self._seen(now, ALL + " AND ref = ?", pool, ref):
            bytes = None if record["state"] in SPENT else record["bytes"]  # READ-4
            return {"info": json.loads(record["info"]), "status": self._status(record, now), "bytes": bytes}

    def get_statuses(self, pool, refs, now):
        self._bounded(refs)
        named = ALL + f" AND ref IN ({', '.join('?' * len(refs))})"
        statuses = {record["ref"]: self._status(record, now) for record in self._seen(now, named, pool, *refs)}
        return [statuses.get(ref) for ref in refs]

    def list_available(self, pool, after, limit, now):
        place, limit = -1 if after is None else int(self._place("s", after)), max(limit, 1)
        behind = UNSPENT.replace("ORDER", "AND sequence > ? AND not_before <= ? ORDER")
        seen = self._seen(now, behind, pool, now, place, now)
        seen = [record for record in seen if record["state"] == "free"]
        more = f"s{seen[limit - 1]['sequence']}" if len(seen) > limit else None
        return {"items": [json.loads(record["info"]) for record in seen[:limit]], "next": more}

    def list_ready(self, pool, now):
        seen = self._seen(now, ALL + " ORDER BY last_resort, sequence", pool)
        ready = [record for record in seen if self._status(record, now)["is"] in ("available", "last_resort")]
        return [{"info": json.loads(record["info"]), "saved_at": record["saved_at"]} for record in ready]

    def count_by_status(self, pool, now):
        names = ("available", "reserved", "recalled", "spent", "spent_last_resorts", "not_yet_valid", "expired")
        suites, remembered = {}, 0
        for record in self._seen(now, ALL, pool):
            empty = {"ciphersuite": record["suite"], **dict.fromkeys(names, 0), "last_resort": "empty"}
            counts, status = suites.setdefault(record["suite"], empty), self._status(record, now)["is"]
            slot = "used" if record["slot_used"] else "unused"
            counts[status] = slot if status == "last_resort" else counts[status] + 1
            counts["recalled"] += status == "reserved" and record["recalled"] is not None
            counts["spent_last_resorts"] += status == "spent" and record["last_resort"]
            remembered += status != "expired" and not record["last_resort"]
        return {"ciphersuites": list(suites.values()), "room": max(self.max_records - remembered, 0)}

    def list_pools(self, after, limit):
        place, limit = "" if after is None else self._place("p", after), max(limit, 1)
        pools = "SELECT DISTINCT pool FROM record WHERE pool > ? ORDER BY pool LIMIT ?"
        pools = [pool for pool, in self._rows(pools, place, limit + 1)]
        return {"items": pools[:limit], "next": "p" + pools[limit - 1] if len(pools) > limit else None}

    def _place(self, kind, after):
        if after[0] != kind:
            raise Rejected("invalid_cursor")
        return after[1:]


def answer(stores, call, args, store=None):
    if call == "hello":
        return {"protocol": 1, "name": "sqlite-python", "facets": ["handles", "reopens", "processes", "limits"]}
    if call == "open":
        stores[args["store"]] = Store(args["dir"], args["max_records"])
    elif call == "close":
        stores.pop(args["store"]).db.close()
    elif call != "destroy":  # The file goes with its directory.
        return getattr(stores[store], call)(**args)


open_stores = {}
for line in sys.stdin:
    request = json.loads(line)
    said = outcome(answer, open_stores, request["call"], request["args"], request.get("store"))
    print(json.dumps({"id": request["id"], **said}), flush=True)
