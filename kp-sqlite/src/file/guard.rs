//! Keeps a server's closure from breaking the transaction that it runs in (TX-1, TX-3).

use std::cell::Cell;

use rusqlite::Connection;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

thread_local! {
    /// Whether this thread, a writer's, runs a closure of the server just now.
    static IN_CLOSURE: Cell<bool> = const { Cell::new(false) };
}

/// Has SQLite ask about each statement and each commit of a connection. Before a statement is prepared, since SQLite prepares
/// all of them anew.
#[allow(
    clippy::let_unit_value,
    reason = "rusqlite 0.37 sets a hook without a result, 0.41 with one"
)]
pub(crate) fn install(connection: &mut Connection) {
    let judge = |asked: AuthContext<'_>| {
        if in_closure() && !is_allowed(&asked.action) {
            Authorization::Deny
        } else {
            Authorization::Allow
        }
    };
    let _ = connection.authorizer(Some(judge));
    // After a statement that rolled the transaction back (INSERT OR ROLLBACK), the next ones would commit each by itself.
    let _ = connection.commit_hook(Some(in_closure));
}

/// Runs a closure of the server.
pub(crate) fn guarded<T>(closure: impl FnOnce() -> T) -> T {
    let _before = set(true);
    closure()
}

/// Runs statements of the store, in a closure or not.
pub(crate) fn unguarded<T>(statements: impl FnOnce() -> T) -> T {
    let _before = set(false);
    statements()
}

/// Returns whether the caller is a closure of the server.
pub(crate) fn in_closure() -> bool {
    IN_CLOSURE.get()
}

fn set(in_closure: bool) -> Before {
    Before(IN_CLOSURE.replace(in_closure))
}

/// Puts back what was set before, also when a closure panics.
struct Before(bool);

impl Drop for Before {
    fn drop(&mut self) {
        IN_CLOSURE.set(self.0);
    }
}

/// Returns whether a closure may do this: read rows, and write rows of tables that are not the store's.
fn is_allowed(action: &AuthAction<'_>) -> bool {
    match action {
        AuthAction::Select | AuthAction::Read { .. } | AuthAction::Function { .. } | AuthAction::Recursive => true,
        AuthAction::Insert { table_name }
        | AuthAction::Update { table_name, .. }
        | AuthAction::Delete { table_name } => !is_kept(table_name),
        // SQLite's full-text search asks for it.
        AuthAction::Pragma {
            pragma_name,
            pragma_value: None,
        } => *pragma_name == "data_version",
        _ => false,
    }
}

/// Returns whether a table belongs to the store, or to SQLite. SQLite names a table as it was made.
fn is_kept(table: &str) -> bool {
    table.starts_with("keypackage_pool") || table.starts_with("sqlite_")
}
