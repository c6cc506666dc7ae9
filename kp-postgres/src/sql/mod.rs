//! The statements: each is a file of this folder.

use crate::link::connection::Statement;
use crate::link::param::Param;

/// Lists the statements.
macro_rules! statements {
    ($(#[$doc:meta])* $set:ident: $($name:ident = $file:literal,)*) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum $set { $($name,)* }

        impl $set {
            pub(crate) const ALL: &[Self] = &[$(Self::$name,)*];

            /// Returns the statement with these parameters.
            pub(crate) fn with(self, params: Vec<Param>) -> Statement {
                Statement { number: self as usize, params }
            }

            /// Returns the text of the file.
            const fn file(self) -> &'static str {
                match self { $(Self::$name => include_str!(concat!($file, ".sql")),)* }
            }

            /// Returns the statements for the tables of a schema, whose name is quoted.
            pub(crate) fn texts(schema: &str) -> Vec<String> {
                Self::ALL.iter().map(|sql| in_schema(sql.file(), schema)).collect()
            }
        }
    };
}

statements! {
    /// The name of a statement that a writer runs on pools.
    Sql:
    PoolCreate = "pool_create",
    Lock = "lock",
    ByRef = "by_ref",
    ById = "by_id",
    Lapsed = "lapsed",
    Queue = "queue",
    Expired = "expired",
    Slots = "slots",
    Unspent = "unspent",
    Bytes = "bytes",
    ByInitKey = "by_init_key",
    CountHeld = "count_held",
    CountRemembered = "count_remembered",
    CountTakenBy = "count_taken_by",
    IdDelete = "id_delete",
    IdInsert = "id_insert",
    LeaseDelete = "lease_delete",
    LeaseStore = "lease_store",
    PackageDelete = "package_delete",
    PackageUpdate = "package_update",
    PackageAmend = "package_amend",
    PackageInsert = "package_insert",
    PoolUpdate = "pool_update",
    PoolDelete = "pool_delete",
    PoolDeletePackages = "pool_delete_packages",
    PoolDeleteIds = "pool_delete_ids",
    PoolDeleteLeases = "pool_delete_leases",
    PoolHead = "pool_head",
    PoolDeleteHeads = "pool_delete_heads",
    PoolLapse = "pool_lapse",
    PoolExpiry = "pool_expiry",
    WithinEnter = "within_enter",
    WithinLeave = "within_leave",
}

statements! {
    /// The name of a statement that reads pools, without a lock.
    ReadSql:
    ByRef = "by_ref",
    Available = "available",
    Ready = "ready",
    Records = "records",
    Export = "export",
    PoolsAfter = "pools_after",
    PoolsExpired = "pools_expired",
    PoolsLapsed = "pools_lapsed",
    AuditPool = "audit/pool",
    AuditStrays = "audit/strays",
}

statements! {
    /// The name of a statement that repairs a pool. These, and those that audit, go through tables: an operator asks for it.
    RepairSql:
    Lock = "lock",
    Leases = "audit/repair_leases",
    RetireBound = "audit/retire_bound",
    Bytes = "audit/repair_bytes",
    DeleteIds = "audit/delete_ids",
    InsertIds = "audit/insert_ids",
    DeleteHead = "audit/delete_head",
    Pool = "audit/repair_pool",
    Listing = "audit/repair_listing",
    DeleteStrays = "audit/delete_strays",
}

statements! {
    /// The name of a statement on the metadata of a client.
    MetadataSql:
    ClientCreate = "client_create",
    ClientLock = "client_lock",
    ClientRecord = "client_record",
    ClientRecordStore = "client_record_store",
    MetadataGet = "metadata_get",
    MetadataList = "metadata_list",
    MetadataStore = "metadata_store",
    MetadataDelete = "metadata_delete",
    MetadataLease = "metadata_lease",
    MetadataLeaseStore = "metadata_lease_store",
}

/// The columns of a record: of the pool, the package and the lease.
const RECORD: &str = "q.credential, p.seq, p.ref, p.suite, p.not_before, p.not_after, p.saved_at, p.credential, p.state, p.id, \
    p.former_id, p.spent_at, p.spender, p.group_id, l.state, l.id, l.ends_at, l.reserver, l.spent_at, l.spender, l.group_id, p.support, \
    p.fingerprint";

/// The columns of a lease that is not there.
const NO_LEASE: &str = "NULL::smallint AS state, NULL::bytea AS id, NULL::bigint AS ends_at, NULL::bytea AS reserver, \
    NULL::bigint AS spent_at, NULL::bytea AS spender, NULL::bytea AS group_id";

/// The row of the pool that a look-up `w` names.
///
/// A statement is a chain of sub-queries, each of which names what it needs of those before it: so they run in this order.
/// `OFFSET 0` keeps the planner from making another of them, and one index serves each (`migrations/0001_pools.sql`). So the
/// plan does not depend on what the planner knows of the tables: a plan may be older than most that is in them.
const POOL: &str = "(SELECT * FROM {schema}.keypackage_pools WHERE pool = w.pool OFFSET 0)";

/// The lease of a record `p`.
const LEASE: &str = "(SELECT * FROM {schema}.keypackage_pool_leases WHERE pool = p.pool AND seq = p.seq OFFSET 0)";

/// Where the queue of the pool `q` begins, at the moment that a look-up `w` names.
const HEAD: &str = "(SELECT coalesce((SELECT head FROM {schema}.keypackage_pool_heads WHERE pool = q.key AND since <= w.moment), 0) \
    AS head OFFSET 0)";

/// Puts the name of a schema, which is quoted, into a text.
pub(crate) fn in_schema(text: &str, schema: &str) -> String {
    text.replace("{record}", RECORD)
        .replace("{no_lease}", NO_LEASE)
        .replace("{pool}", POOL)
        .replace("{head}", HEAD)
        .replace("{lease}", LEASE)
        .replace("{schema}", schema)
}
