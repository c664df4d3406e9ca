//! What goes to stderr. By the system call itself: it is said while the process ends, too.

/// Writes one message to stderr, with the name of who says it before each line.
pub fn say(message: &str) {
    let mut text = String::with_capacity(message.len() + 16);
    for line in message.lines() {
        text.push_str("dextape: ");
        text.push_str(line);
        text.push('\n');
    }
    let mut rest = text.as_bytes();
    while !rest.is_empty() {
        // SAFETY: the pointer and the length are those of a live slice.
        let written = unsafe { libc::write(2, rest.as_ptr().cast(), rest.len()) };
        let Ok(written @ 1..) = usize::try_from(written) else { return };
        rest = &rest[written.min(rest.len())..];
    }
}
