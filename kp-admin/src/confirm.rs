use std::io::{self, IsTerminal as _};

use crate::failure::Failure;
use crate::report::say;

/// Asks on a terminal whether to go on. Elsewhere `--yes` is needed.
pub(crate) fn confirm(yes: bool, what: &str) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    say(&format!("{what}\n"));
    if !io::stdin().is_terminal() {
        return Err(Failure::Refused("not on a terminal: confirm with --yes"));
    }
    say("Go on? Type yes: ");
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(Failure::Input)?;
    match answer.trim() {
        "yes" => Ok(()),
        _ => Err(Failure::Refused("nothing was done")),
    }
}
