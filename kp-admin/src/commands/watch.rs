use std::io::{self, IsTerminal as _};
use std::time::Duration;

use serde::Serialize;
use tokio::time::{MissedTickBehavior, interval};

use super::{counts, now};
use crate::failure::Failure;
use crate::report::{Report, print, table};
use crate::stores::Store;

/// What one look found, and what changed since the look before.
#[derive(Serialize)]
struct Look {
    #[serde(flatten)]
    sums: counts::Sums,
    /// Seconds since the look before.
    seconds: u64,
    #[serde(skip)]
    before: Option<counts::Sums>,
    /// Whether to draw over the look before.
    #[serde(skip)]
    redraws: bool,
}

impl Report for Look {
    fn text(&self) -> String {
        let rates = self.sums.ciphersuites.iter().map(|(suite, sum)| {
            let before = self.before.as_ref();
            let before = before.map(|sums| sums.ciphersuites.get(suite).copied().unwrap_or_default());
            let rate = |of: fn(&counts::Sum) -> u64| match before {
                #[expect(clippy::cast_precision_loss, reason = "a rate is shown with two digits")]
                Some(before) => {
                    let change = i128::from(of(sum)) - i128::from(of(&before));
                    format!("{:+.2}", change as f64 / self.seconds as f64)
                }
                None => "-".to_owned(),
            };
            vec![
                suite.to_string(),
                rate(|sum| sum.available),
                rate(|sum| sum.reserved),
                rate(|sum| sum.spent),
                rate(|sum| sum.expired),
            ]
        });
        let head = ["change a second", "available", "reserved", "spent", "expired"];
        let text = format!("{}\n\n{}\n", self.sums.text(), table(&head, rates));
        match self.redraws {
            // Over the look before, without a moment at which nothing is there.
            true => format!("\x1b[H{}\x1b[J", text.replace('\n', "\x1b[K\n")),
            false => text,
        }
    }
}

/// Looks again and again, until interrupted or for so many looks.
pub(crate) async fn run(store: &Store, low: u32, seconds: u64, looks: Option<u64>, json: bool) -> Result<(), Failure> {
    let mut ticks = interval(Duration::from_secs(seconds));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut before = None;
    for _ in 0..looks.unwrap_or(u64::MAX) {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = tokio::signal::ctrl_c() => break,
        }
        let sums = counts::of(store, low, now()).await?;
        let look = Look {
            before: before.replace(sums.clone()),
            sums,
            seconds,
            redraws: io::stdout().is_terminal(),
        };
        print(&look, json)?;
    }
    Ok(())
}
