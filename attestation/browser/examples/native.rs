//! `native < requests > answers`: each line of standard input is a request, `verify` or
//! `verifySession` and a space before it; each line of standard output its answer. The native side
//! of the comparison in `.ci/browser.sh`.

use std::io::{self, BufRead, Write};

fn main() -> io::Result<()> {
    let mut out = io::stdout().lock();
    for line in io::stdin().lock().lines() {
        let line = line?;
        let answer = match line.split_once(' ') {
            Some(("verify", request)) => strongroom_browser::verify(request),
            Some(("verifySession", request)) => strongroom_browser::verify_session(request),
            _ => return Err(io::Error::new(io::ErrorKind::InvalidData, "a line without its function")),
        };
        writeln!(out, "{answer}")?;
    }
    Ok(())
}
