//! `docs/state-machine.md` shows the decision table, and charts of what it does. With `UPDATE_DOCS=1` the table on that
//! page is written anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::{env, fs};

use kp_conformance::decisions::{Call, Decision, Event, Row, State, cells, decide};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/state-machine.md");
const BEGIN: &str = "<!-- The table: written by a test, from kp-conformance/src/decisions. -->\n";
const END: &str = "<!-- The end of the table. -->\n";

/// The calls that share a table.
const TABLES: [&[Call]; 7] = [
    &[Call::Reserve],
    &[Call::Claim],
    &[Call::Spend, Call::Release, Call::Renew],
    &[Call::Save],
    &[Call::Withdraw, Call::Retire],
    &[Call::Settle, Call::Sweep, Call::Delete],
    &[Call::Read],
];

#[test]
fn the_page_shows_the_table() {
    let page = fs::read_to_string(PAGE).expect("the page is there");
    let (head, rest) = page.split_once(BEGIN).expect("the page has a table");
    let (shown, tail) = rest.split_once(END).expect("the table has an end");
    let table = markdown();
    if env::var_os("UPDATE_DOCS").is_some() {
        fs::write(PAGE, format!("{head}{BEGIN}{table}{END}{tail}")).expect("the page can be written");
    } else {
        assert_eq!(shown, table, "run this test with UPDATE_DOCS=1");
    }
}

#[test]
fn every_call_is_in_one_table() {
    assert_eq!(TABLES.concat(), Call::ALL);
}

fn markdown() -> String {
    let mut text = String::from("\n");
    for calls in TABLES {
        let events: Vec<_> = Event::ALL
            .iter()
            .filter(|event| calls.contains(&event.group()))
            .collect();
        let methods: Vec<_> = calls.iter().map(|call| format!("`{}`", call.method())).collect();
        let headings: Vec<_> = events.iter().map(|event| heading(**event, calls)).collect();
        writeln!(text, "**{}**\n", methods.join(", ")).expect("a string takes all");
        writeln!(text, "| | {} |", headings.join(" | ")).expect("a string takes all");
        writeln!(text, "|---|{}", "---|".repeat(events.len())).expect("a string takes all");
        // A call that settles its pool meets nothing that it would settle (TIME-2); the settlement has a table of its own.
        let meets = |state: State| state == state.settled() || calls.iter().any(|call| !call.settles());
        for row in Row::ALL {
            if !states(*row).any(meets) {
                continue;
            }
            let cells: Vec<_> = events.iter().map(|event| cell(*row, **event, meets)).collect();
            writeln!(text, "| **{row}** | {} |", cells.join(" | ")).expect("a string takes all");
        }
        text.push('\n');
    }
    text
}

fn heading(event: Event, calls: &[Call]) -> String {
    if calls.len() == 1 {
        event.words().to_owned()
    } else {
        format!("{}: {}", event.group().words(), event.words())
    }
}

/// What most states of the row have in common is said once, at the end.
fn cell(row: Row, event: Event, meets: impl Fn(State) -> bool) -> String {
    let mut answers: Vec<(String, Vec<&str>)> = Vec::new();
    for state in states(row).filter(|state| meets(*state)) {
        let answer = answer(state, event);
        match answers.iter_mut().find(|(known, _)| *known == answer) {
            Some((_, which)) => which.push(state.words()),
            None => answers.push((answer, vec![state.words()])),
        }
    }
    answers.sort_by_key(|(_, which)| which.len());
    let last = answers.len() - 1;
    let by_state = answers
        .into_iter()
        .enumerate()
        .map(|(n, (answer, which))| match which.len() {
            _ if last == 0 => answer,
            2.. if n == last => format!("else {answer}"),
            _ => format!("{}: {answer}", which.join(", ")),
        });
    by_state.collect::<Vec<_>>().join("; ")
}

fn answer(state: State, event: Event) -> String {
    let Decision { answer, next } = decide(state, event);
    let row = next.group();
    if next == state {
        answer.to_string()
    } else if states(row).count() == 1 || row == Row::Absent {
        format!("{answer} → {row}")
    } else {
        format!("{answer} → {row} ({})", next.words())
    }
}

fn states(row: Row) -> impl Iterator<Item = State> {
    State::ALL.iter().copied().filter(move |state| state.group() == row)
}

#[test]
fn the_charts_show_what_the_table_does() {
    let page = fs::read_to_string(PAGE).expect("the page is there");
    let mut shown = Arrows::new();
    for line in page.lines() {
        if let Some((from, rest)) = line.trim().split_once(" --> ") {
            let (to, labels) = rest.split_once(": ").expect("an arrow says why");
            let labels: BTreeSet<_> = labels.split(", ").map(str::to_owned).collect();
            let twice = shown.insert((from.to_owned(), to.to_owned()), labels);
            assert_eq!(twice, None, "one arrow from {from} to {to}");
        }
    }
    assert_eq!(shown, arrows());
}

#[test]
fn from_every_state_a_package_goes_with_its_pool_or_past_its_time() {
    for state in State::ALL {
        assert_eq!(decide(*state, Event::DeletePool).next, state.gone());
        let swept = decide(*state, Event::CleanupExpired).next;
        assert_eq!(
            swept == state.gone(),
            matches!(state.group(), Row::E | Row::Absent),
            "{state:?}"
        );
    }
}

/// From where to where, and why.
type Arrows = BTreeMap<(String, String), BTreeSet<String>>;

/// All changes of the table, but for those that the test above is about.
fn arrows() -> Arrows {
    let mut arrows = Arrows::new();
    let mut arrow = |from: State, to: State, why: &str| {
        let ends = (node(from).to_owned(), node(to).to_owned());
        if ends.0 != ends.1 && node(to) != node(State::Absent) {
            arrows.entry(ends).or_default().insert(why.to_owned());
        }
    };
    // Time alone: no call does this.
    arrow(State::NotYetValid, State::Available, "its time comes");
    for cell in cells() {
        let call = cell.event.group();
        let settled = if call.settles() {
            cell.state.settled()
        } else {
            cell.state
        };
        arrow(cell.state, settled, "lapse");
        arrow(settled, decide(cell.state, cell.event).next, call.words());
    }
    arrows
}

/// The state of the chart. Time shows in it only once it was settled.
fn node(state: State) -> &'static str {
    let state = state.earlier();
    match state.group() {
        Row::A => "Available",
        Row::N => "NotYetValid",
        Row::R | Row::OtherR => "Reserved",
        Row::C | Row::OtherC => "Recalled",
        Row::U | Row::OtherU => "Used",
        Row::X if state == State::Withdrawn => "Withdrawn",
        Row::X => "Retired",
        Row::S if state == State::LastResort => "InSlot",
        Row::S => "InSlotUsed",
        Row::O if state == State::Replaced => "Replaced",
        Row::O => "TakenBack",
        Row::Absent => "[*]",
        Row::Lr | Row::Lx | Row::E => unreachable!("{state:?} is what a state was earlier"),
    }
}
