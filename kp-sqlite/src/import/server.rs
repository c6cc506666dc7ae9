use std::path::{Path, PathBuf};
use std::sync::Arc;

use kp_core::rules::{self, LeaseRecord, Limits, PoolRecords, Spent, State};
use kp_core::server::{Admission, OnLapse, Save, SaveOutcome, Uploader};
use kp_core::{GroupId, KeyPackageInfo, OpenError, Party, PoolId, ReservationId, Timestamp};
use rusqlite::{Connection, OpenFlags};

use crate::file::error::{Failure, refused};
use crate::file::place;
use crate::import::table::{BadRow, ImportError, Imported, OldRow, RowError, blocking, has_table};
use crate::pools::cache::PoolSession;
use crate::pools::records::step;
use crate::pools::store::SqliteStore;

/// The columns that the table must have.
const COLUMNS: &[&str] = &[
    "keypackage_ref",
    "username",
    "keypackage_bytes",
    "uploaded_at",
    "status",
];

/// The number of rows that one transaction imports.
const ROWS_AT_ONCE: u32 = 256;

impl SqliteStore {
    /// Imports the older server table `keypackages`, from another file or from this one. The old table is not changed.
    ///
    /// - The username becomes the [`PoolId`]: in the old table, a user had one client.
    /// - The `admission` reads each KeyPackage as if it were uploaded at `now`. A refused KeyPackage, for example an expired
    ///   one, is reported and not imported. So is a row with an unknown status or a bad column.
    /// - Available KeyPackages stay available, in the order of their upload.
    /// - Reserved KeyPackages stay reserved until the reservation expires. If the id of a reservation is a UUID, the id is
    ///   kept. Otherwise the reservation gets a fresh id that no caller knows.
    /// - Spent KeyPackages are remembered as spent, with their group and parties.
    ///
    /// The import runs in transactions of bounded size beside other calls, and may be repeated: a KeyPackage that is here
    /// already is not changed.
    ///
    /// # Errors
    ///
    /// An [`ImportError`]. Rows that were imported before the failure stay.
    pub async fn import_server_table(
        &self,
        old: impl Into<PathBuf>,
        admission: impl Admission,
        now: Timestamp,
    ) -> Result<Imported, ImportError> {
        let (old, admission) = (Arc::new(old.into()), Arc::new(admission));
        let limits = self.limits();
        let mut done = Imported::default();
        let mut after = Some(i64::MIN);
        while let Some(from) = after {
            let (old, admission) = (Arc::clone(&old), Arc::clone(&admission));
            let page = blocking(move || read_page(&old, &*admission, from, now)).await?;
            // In a damaged file, rows may be out of order, and the pages could go in circles.
            if page.last.is_some_and(|last| last <= from) {
                return Err(OpenError::NotADatabase("the rows of the old table are out of order".into()).into());
            }
            after = page.last;
            done.bad_rows.extend(page.bad);
            let valid = page.valid;
            let write = move |session: &mut PoolSession<'_>| write_page(session, &valid, limits);
            let written = self.write("import_server_table", write).wait().await?;
            done.imported += written.imported;
            done.already_here += written.already_here;
            done.bad_rows.extend(written.bad_rows);
        }
        Ok(done)
    }
}

/// A page of rows of the old table.
#[derive(Default)]
struct OldPage {
    valid: Vec<ValidRow>,
    bad: Vec<BadRow>,
    /// The rowid after which the next page begins. `None`: this page is the last.
    last: Option<i64>,
}

/// A row without a fault.
struct ValidRow {
    rowid: i64,
    save: Save,
    saved_at: Timestamp,
    info: KeyPackageInfo,
    state: State,
}

fn read_page(old: &Path, admission: &impl Admission, after: i64, now: Timestamp) -> Result<OldPage, ImportError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(place::absolute(old)?, flags).map_err(refused)?;
    if !has_table(&connection, COLUMNS)? {
        return Err(ImportError::NotTheTable(COLUMNS[0]));
    }
    let mut page = OldPage::default();
    let mut statement = connection
        .prepare(include_str!("sql/server_rows.sql"))
        .map_err(refused)?;
    let mut rows = statement.query((after, ROWS_AT_ONCE)).map_err(refused)?;
    while let Some(row) = rows.next().map_err(refused)? {
        let row = OldRow(row);
        let rowid = row.rowid().map_err(refused)?;
        page.last = Some(rowid);
        match valid(&row, rowid, admission, now) {
            Ok(valid) => page.valid.push(valid),
            Err(why) => page.bad.push(BadRow { rowid, why }),
        }
    }
    Ok(page)
}

fn valid(row: &OldRow<'_, '_>, rowid: i64, admission: &impl Admission, now: Timestamp) -> Result<ValidRow, RowError> {
    let pool = PoolId::try_from(row.text("username")?).map_err(|_| RowError::Column("username"))?;
    // The old server has accepted the KeyPackage from its owner.
    let admitted = admission.admit(row.blob("keypackage_bytes")?, &Uploader::unchecked(), now);
    let admitted = admitted.map_err(RowError::Refused)?;
    if admitted.package.info.key_package_ref.as_bytes() != row.blob("keypackage_ref")? {
        return Err(RowError::OtherRef);
    }
    let info = admitted.package.info.clone();
    let state = state(row, &info)?;
    let save = Save::one(pool, admitted);
    Ok(ValidRow {
        rowid,
        save: save.cap_per_ciphersuite(u32::MAX),
        saved_at: row.time("uploaded_at")?,
        info,
        state,
    })
}

/// Converts a status of the old table, which knew no last resort: one that was handed out counts as used.
fn state(row: &OldRow<'_, '_>, info: &KeyPackageInfo) -> Result<State, RowError> {
    let state = match row.text("status")? {
        "available" if info.role.is_last_resort() => State::Slot { used: false },
        "available" => State::Free,
        "reserved" => State::Reserved(LeaseRecord {
            id: reservation_id(row)?,
            by: party(row, "reserved_by")?,
            expires_at: row.time("reservation_expires_at")?.min(info.lifetime.not_after()),
            on_lapse: OnLapse::Return,
            recalled: None,
        }),
        "spent" => State::Used(Spent {
            at: row.time("spent_at")?,
            id: reservation_id(row)?,
            bound: true,
            group: row.optional("group_id", |row| {
                GroupId::try_from(row.blob("group_id")?).map_err(|_| RowError::Column("group_id"))
            })?,
            by: party(row, "spent_by")?,
            window: None,
        }),
        other => return Err(RowError::Status(other.to_owned())),
    };
    Ok(if info.role.is_last_resort() && !matches!(state, State::Slot { .. }) {
        State::Slot { used: true }
    } else {
        state
    })
}

fn party(row: &OldRow<'_, '_>, column: &'static str) -> Result<Option<Party>, RowError> {
    row.optional(column, |row| {
        Party::try_from(row.text(column)?).map_err(|_| RowError::Column(column))
    })
}

/// Returns the 16 bytes of a UUID, or a fresh id.
fn reservation_id(row: &OldRow<'_, '_>) -> Result<ReservationId, RowError> {
    let text = row.text("reservation_id").unwrap_or_default();
    if let Some(bytes) = uuid(text) {
        return Ok(ReservationId::from_bytes(bytes));
    }
    let fresh = row.blob("fresh_id")?.try_into();
    fresh
        .map(ReservationId::from_bytes)
        .map_err(|_| RowError::Column("fresh_id"))
}

fn uuid(text: &str) -> Option<[u8; 16]> {
    let digits: Vec<u32> = text
        .chars()
        .filter(|c| *c != '-')
        .map(|c| c.to_digit(16))
        .collect::<Option<_>>()?;
    let bytes = digits.chunks(2).map(|pair| match pair {
        [high, low] => u8::try_from(high << 4 | low).ok(),
        _ => None,
    });
    bytes.collect::<Option<Vec<_>>>()?.try_into().ok()
}

/// Saves each KeyPackage by the rules, at the time of its upload, and then sets its old state.
fn write_page(session: &mut PoolSession<'_>, page: &[ValidRow], limits: Limits) -> Result<Imported, Failure> {
    let mut done = Imported::default();
    for valid in page {
        let outcome = step(session, &valid.save.pool, |pool| {
            let outcome = rules::save(pool, &valid.save, limits, valid.saved_at)?.first().copied();
            if outcome == Some(SaveOutcome::Saved)
                && let Some(record) = pool.by_ref(&valid.info.key_package_ref)?
                && record.state != valid.state
            {
                pool.update(&record, valid.state.clone())?;
            }
            Ok(outcome)
        })?;
        match outcome {
            Some(SaveOutcome::Saved) => done.imported += 1,
            Some(SaveOutcome::AlreadyStored | SaveOutcome::AlreadySpent) => done.already_here += 1,
            Some(other) => done.bad_rows.push(BadRow {
                rowid: valid.rowid,
                why: RowError::NotSaved(other),
            }),
            None => {}
        }
    }
    Ok(done)
}
