use std::process::ExitStatus;

/// Says what an adapter did wrong. The adapter is ended, and every call under way fails with this.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AdapterError {
    /// The executable cannot be started.
    #[error("`{command}` cannot be started: {why}")]
    NotStarted {
        /// The command.
        command: String,
        /// What the system says.
        why: String,
    },
    /// It ended, or closed its standard output, while it was still needed.
    #[error("the adapter ended ({status}){}", tail(last_words))]
    Ended {
        /// How it ended.
        status: ExitStatus,
        /// The last lines of its standard error.
        last_words: Vec<String>,
    },
    /// It did not answer in time.
    #[error("the adapter hangs: no answer to `{call}` within {seconds} s{}", tail(last_words))]
    Hangs {
        /// The call.
        call: &'static str,
        /// The time-out.
        seconds: u64,
        /// The last lines of its standard error.
        last_words: Vec<String>,
    },
    /// A line of its standard output is no answer.
    #[error("the adapter printed what is no answer ({why}): {line}")]
    NoAnswer {
        /// What is wrong with the line.
        why: String,
        /// The beginning of the line.
        line: String,
    },
    /// A line of its standard output does not end.
    #[error("the adapter printed a line of more than {most} bytes")]
    EndlessLine {
        /// The most bytes of a line.
        most: u64,
    },
    /// It answered a request that was never made.
    #[error("the adapter answered request {id}, which was never made")]
    UnknownId {
        /// The number of the request.
        id: u64,
    },
    /// It answered a request again.
    #[error("the adapter answered request {id} twice")]
    AnsweredTwice {
        /// The number of the request.
        id: u64,
    },
    /// The answer does not belong to the call.
    #[error("the adapter's answer to `{call}` is not as the protocol has it: {why}: {answer}")]
    WrongAnswer {
        /// The call.
        call: &'static str,
        /// What is wrong with the answer.
        why: String,
        /// The beginning of the answer.
        answer: String,
    },
    /// It speaks another version of the protocol.
    #[error("the adapter speaks version {found} of the protocol, and this program version {known}")]
    OtherVersion {
        /// The adapter's.
        found: u32,
        /// The program's.
        known: u32,
    },
    /// It does not offer what every server must.
    #[error("the adapter does not offer `{call}`, which the profile `{profile}` demands")]
    TooLittle {
        /// The call.
        call: &'static str,
        /// The profile.
        profile: &'static str,
    },
}

/// The last lines that the adapter wrote to its standard error, indented.
fn tail(lines: &[String]) -> String {
    if lines.is_empty() {
        return ", and wrote nothing to its standard error".to_owned();
    }
    let lines: Vec<_> = lines.iter().map(|line| format!("\n    | {line}")).collect();
    format!("; the last that it wrote to its standard error:{}", lines.concat())
}
