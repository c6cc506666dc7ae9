/// Lists the statements: each is a file of this folder.
macro_rules! statements {
    ($($name:ident = $file:literal,)*) => {
        /// The name of a statement.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Sql { $($name,)* }

        impl Sql {
            pub(crate) const ALL: &[Self] = &[$(Self::$name,)*];

            /// Returns the text of the statement.
            pub(crate) const fn text(self) -> &'static str {
                match self { $(Self::$name => include_str!(concat!($file, ".sql")),)* }
            }
        }
    };
}

statements! {
    Begin = "begin",
    BeginRead = "begin_read",
    Commit = "commit",
    Rollback = "rollback",
    PartBegin = "part_begin",
    PartUndo = "part_undo",
    PartEnd = "part_end",
    DataVersion = "data_version",
    Pool = "pool",
    PoolInsert = "pool_insert",
    PoolUpdate = "pool_update",
    PoolDelete = "pool_delete",
    PoolDeletePackages = "pool_delete_packages",
    PoolsAfter = "pools_after",
    PoolsLapsed = "pools_lapsed",
    PoolsExpired = "pools_expired",
    Cleanup = "cleanup",
    NextExpiry = "next_expiry",
    ByRef = "by_ref",
    ById = "by_id",
    Queue = "queue",
    QueueSupport = "queue_support",
    Support = "support",
    HasInitKey = "has_init_key",
    FreeUnexpired = "free_unexpired",
    Slots = "slots",
    Unspent = "unspent",
    Lapsed = "lapsed",
    NextLapse = "next_lapse",
    CountHeld = "count_held",
    CountHeldUnexpired = "count_held_unexpired",
    CountUnexpired = "count_unexpired",
    CountUnexpiredOf = "count_unexpired_of",
    CountTakenBy = "count_taken_by",
    LastKey = "last_key",
    Bytes = "bytes",
    PackageInsert = "package_insert",
    PackageUpdate = "package_update",
    PackageAmend = "package_amend",
    PackageDelete = "package_delete",
    LeaseStore = "lease_store",
    LeaseDelete = "lease_delete",
    Records = "records",
    Export = "export",
    Available = "available",
    AuditPool = "audit_pool",
    AuditStrays = "audit_strays",
    RepairLeases = "repair_leases",
    RepairBytes = "repair_bytes",
    RepairPool = "repair_pool",
    RepairListing = "repair_listing",
    RepairStrayPackages = "repair_stray_packages",
    RepairStrayLeases = "repair_stray_leases",
    RepairLostLeases = "repair_lost_leases",
    MetadataCredential = "metadata_credential",
    MetadataStore = "metadata_store",
    MetadataGet = "metadata_get",
    MetadataList = "metadata_list",
    MetadataDelete = "metadata_delete",
    MetadataLease = "metadata_lease",
    MetadataLeaseStore = "metadata_lease_store",
    MetadataRecord = "metadata_record",
    MetadataRecordDelete = "metadata_record_delete",
    MetadataRecordInsert = "metadata_record_insert",
}
