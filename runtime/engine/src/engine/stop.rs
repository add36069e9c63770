//! Stop texts, which may begin in one token and end in another: text that could still become
//! a stop text is held back until it is clear.

/// Looks for stop texts in a growing answer.
pub(crate) struct StopFilter {
    stops: Vec<String>,
    held: String,
}

/// What became of a piece of text.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Passed {
    /// Text that may be shown.
    pub(crate) text: String,
    /// A stop text was met: nothing after `text` counts.
    pub(crate) stopped: bool,
}

impl StopFilter {
    /// Empty texts are left out: they would stop everything.
    pub(crate) fn new(stops: Vec<String>) -> Self {
        Self { stops: stops.into_iter().filter(|stop| !stop.is_empty()).collect(), held: String::new() }
    }

    /// Takes the next piece of the answer.
    pub(crate) fn push(&mut self, piece: &str) -> Passed {
        self.held.push_str(piece);
        let first = self.stops.iter().filter_map(|stop| self.held.find(stop.as_str())).min();
        if let Some(at) = first {
            let mut text = std::mem::take(&mut self.held);
            text.truncate(at);
            return Passed { text, stopped: true };
        }
        let keep = self.stops.iter().map(|stop| overlap(&self.held, stop)).max().unwrap_or(0);
        let held = self.held.split_off(self.held.len() - keep);
        Passed { text: std::mem::replace(&mut self.held, held), stopped: false }
    }

    /// What was held back, once the answer has ended.
    pub(crate) fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

/// Length of the longest end of `text` that a longer `stop` begins with.
pub(crate) fn overlap(text: &str, stop: &str) -> usize {
    let longest = text.len().min(stop.len() - 1);
    (1..=longest)
        .rev()
        .filter(|&length| stop.is_char_boundary(length))
        .find(|&length| text.as_bytes().ends_with(&stop.as_bytes()[..length]))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(stops: &[&str], pieces: &[&str]) -> (Vec<String>, bool) {
        let mut filter = StopFilter::new(stops.iter().map(ToString::to_string).collect());
        let mut out = Vec::new();
        for piece in pieces {
            let passed = filter.push(piece);
            out.push(passed.text);
            if passed.stopped {
                return (out, true);
            }
        }
        out.push(filter.finish());
        (out, false)
    }

    #[test]
    fn a_stop_text_over_three_pieces_is_never_shown() {
        assert_eq!(
            run(&["\n\nUser:"], &["Hi\n", "\nUs", "er: x"]),
            (vec!["Hi".into(), String::new(), String::new()], true)
        );
    }

    #[test]
    fn what_only_looked_like_a_stop_text_comes_out_whole() {
        let (out, stopped) = run(&["END"], &["E", "N", "d", "EN"]);
        assert_eq!(out.concat(), "ENdEN");
        assert!(!stopped);
        assert_eq!(out[0], "");
    }

    #[test]
    fn the_earliest_of_several_counts() {
        assert_eq!(run(&["b", "abc"], &["xabc"]), (vec!["x".into()], true));
        assert_eq!(run(&["c", "ab"], &["xa", "bc"]), (vec!["x".into(), String::new()], true));
    }

    #[test]
    fn many_byte_characters_are_not_cut() {
        let (out, stopped) = run(&["äöü"], &["xä", "öx", "äöü"]);
        assert_eq!((out.concat().as_str(), stopped), ("xäöx", true));
    }

    #[test]
    fn an_empty_stop_text_stops_nothing() {
        assert_eq!(run(&[""], &["x"]).0.concat(), "x");
    }
}
