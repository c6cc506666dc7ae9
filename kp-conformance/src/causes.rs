use std::error::Error;

/// The error with all that caused it, each once: what a failure says may repeat its source.
pub(crate) fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let says = error.to_string();
        if !told.contains(&says) {
            told = format!("{told}\n  because: {says}");
        }
        cause = error.source();
    }
    told
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use kp_core::{BackendError, Effect};

    use super::*;

    #[derive(Debug)]
    struct Broken;

    impl fmt::Display for Broken {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("the pipe broke")
        }
    }

    impl Error for Broken {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&fmt::Error)
        }
    }

    #[test]
    fn every_cause_is_told_once() {
        let failure = BackendError::new("mine", "claim", Effect::Unknown, Broken);
        let expected = format!(
            "mine: claim failed (outcome unknown): the pipe broke\n  because: {}",
            fmt::Error
        );
        assert_eq!(with_causes(&failure), expected);
    }
}
