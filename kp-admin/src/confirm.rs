use std::io::{self, IsTerminal as _, Write as _};

use crate::failure::Failure;

/// Asks on a terminal whether to go on. Elsewhere `--yes` is needed.
pub(crate) fn confirm(yes: bool, what: &str) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !io::stdin().is_terminal() {
        return Err(Failure::Refused("not on a terminal: confirm with --yes"));
    }
    eprint!("{what}\nGo on? Type yes: ");
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    match answer.trim() {
        "yes" => Ok(()),
        _ => Err(Failure::Refused("nothing was done")),
    }
}
