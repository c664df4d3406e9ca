//! What Apple's `iig` does, as far as dextape's DriverKit needs it: an `.iig` file becomes a header.
//!
//! The file stays as it is, to the line, but that all members are public; what is added are `DEXTAPE_CLASS` in
//! each class, the arguments of its methods for `IMPL`, and `CreateAction..` for methods of a `TYPE`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::ops::Range;

/// Why no header can be made. The text completes "failed to ...".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("read {file}: line {line}: {reason}")]
pub struct IigError {
    file: String,
    line: usize,
    reason: String,
}

/// Longest file that is read, in bytes.
const LENGTH_MAX: usize = 1 << 20;

/// The type of a method for which there is a `CreateAction..`.
const TIMER_OCCURRED: &str = "IOTimerDispatchSource::TimerOccurred";

/// Methods of DriverKit's own, whose arguments for `IMPL` its headers name.
const OF_DRIVERKIT: [&str; 4] = ["Start", "Stop", "NewUserClient", "CopyClientMemoryForType"];

/// The header of an `.iig` file; `file` names that in messages, also in those of a compiler.
///
/// # Errors
///
/// [`IigError`] where a class or a comment does not end, where a class stands below `OSObject` itself, and
/// where a method is of a type that dextape's DriverKit does not have.
///
/// # Examples
///
/// ```
/// let header = dextape_plugin::header_of_iig(
///     "class Driver : public IOService\n{\n  virtual uint32_t Speed(bool fast);\n};\n",
///     "Driver.iig",
/// )?;
/// assert!(header.contains("DEXTAPE_CLASS(Driver, IOService)"));
/// assert!(header.contains("#define DEXTAPE_ARGS_Speed bool fast"));
/// # Ok::<(), dextape_plugin::IigError>(())
/// ```
pub fn header_of_iig(text: &str, file: &str) -> Result<String, IigError> {
    let fail = |line, reason: &str| IigError { file: file.to_owned(), line, reason: reason.into() };
    if text.len() > LENGTH_MAX {
        return Err(fail(1, &format!("it is longer than {LENGTH_MAX} bytes")));
    }
    let plain = plain(text).map_err(|line| fail(line, "a comment that does not end"))?;
    let mut source = Source { text, plain: &plain, file, edits: Vec::new() };
    let mut clients = BTreeSet::from(["IOUserClient".to_owned()]);
    source.includes();
    let mut at = 0;
    while let Some(class) = source.next_class(at).map_err(|(at, reason)| source.fail(at, reason))? {
        at = class.body.end;
        source.class(&class, &mut clients)?;
    }
    Ok(source.edited())
}

/// The text with spaces for what is no code: comments, texts, and lines of the preprocessor. The error is
/// the line of a comment that does not end.
fn plain(text: &str) -> Result<String, usize> {
    let bytes = text.as_bytes();
    let mut plain = bytes.to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let line = || text[..at].matches('\n').count() + 1;
        let end = if rest.starts_with(b"/*") {
            at + 4 + text[at + 2..].find("*/").ok_or_else(line)?
        } else if rest.starts_with(b"//") {
            text[at..].find('\n').map_or(bytes.len(), |end| at + end)
        } else if rest[0] == b'#' && text[..at].rsplit('\n').next().is_some_and(is_blank) {
            end_of_directive(text, at)
        } else if rest[0] == b'"' || rest[0] == b'\'' {
            end_of_literal(bytes, at)
        } else {
            at += 1;
            continue;
        };
        plain[at..end].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
        at = end;
    }
    // Whole characters have become spaces.
    Ok(String::from_utf8_lossy(&plain).into_owned())
}

fn is_blank(text: &str) -> bool {
    text.chars().all(char::is_whitespace)
}

/// The end of its last line: one that ends with a backslash goes on.
fn end_of_directive(text: &str, start: usize) -> usize {
    let mut at = start;
    for line in text[start..].split_inclusive('\n') {
        at += line.len();
        if !line.trim_end_matches(['\r', '\n']).ends_with('\\') {
            break;
        }
    }
    at
}

/// Behind the quote that ends it, or at the end of the line.
fn end_of_literal(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while at < bytes.len() && bytes[at] != b'\n' {
        match bytes[at] {
            b'\\' => at += 1,
            byte if byte == bytes[start] => return at + 1,
            _ => {}
        }
        at += 1;
    }
    at.min(bytes.len())
}

/// A class with a base.
struct Class {
    name: String,
    base: String,
    /// Where its declaration begins.
    start: usize,
    /// Between its braces.
    body: Range<usize>,
}

/// A method as it is declared.
struct Method {
    name: String,
    arguments: String,
    /// What stands behind its arguments.
    trailing: String,
    /// Where its declaration begins, and behind its semicolon.
    place: Range<usize>,
}

struct Source<'a> {
    text: &'a str,
    /// As long as the text.
    plain: &'a str,
    file: &'a str,
    /// What takes the place of what.
    edits: Vec<(Range<usize>, String)>,
}

impl Source<'_> {
    fn line(&self, at: usize) -> usize {
        self.text[..at].matches('\n').count() + 1
    }

    fn fail(&self, at: usize, reason: String) -> IigError {
        IigError { file: self.file.to_owned(), line: self.line(at), reason }
    }

    /// Says to the compiler which line of the file comes next.
    fn line_directive(&self, at: usize) -> String {
        format!("#line {} \"{}\"\n", self.line(at), self.file)
    }

    /// Headers of the same program are made of their `.iig` files, too; DriverKit has its own.
    fn includes(&mut self) {
        let mut at = 0;
        for line in self.text.split_inclusive('\n') {
            let is_include = line.trim_start().strip_prefix('#').is_some_and(|directive| {
                directive
                    .trim_start()
                    .strip_prefix("include")
                    .is_some_and(|name| name.trim_start().starts_with('"'))
            });
            if let Some(place) = line.find(".iig\"").filter(|_| is_include) {
                self.edits.push((at + place..at + place + 4, ".h".to_owned()));
            }
            at += line.len();
        }
    }

    /// The next class with a base from `from` on.
    fn next_class(&self, from: usize) -> Result<Option<Class>, (usize, String)> {
        let mut at = from;
        while let Some(start) = find_word(self.plain, "class", at) {
            at = start + "class".len();
            let Some(length) = self.plain[at..].find([';', '{']) else { break };
            let (head, open) = (&self.plain[at..at + length], at + length);
            if self.plain.as_bytes()[open] == b';' {
                continue;
            }
            let Some((named, bases)) = head.split_once(':') else { continue };
            let words = |text: &str, left_out: &[&str]| -> Vec<String> {
                let words = text.split(|c: char| !(is_word(c) || c == ':'));
                let words = words.filter(|word| !word.is_empty() && !left_out.contains(word));
                words.map(str::to_owned).collect()
            };
            let name = words(named, &["final", "KERNEL"]).pop();
            let access = ["public", "protected", "private", "virtual"];
            let base = words(bases, &access).into_iter().next();
            let (Some(name), Some(base)) = (name, base) else { continue };
            let end = closing(self.plain, open)
                .ok_or_else(|| (start, format!("class {name} does not end")))?;
            return Ok(Some(Class { name, base, start, body: open + 1..end }));
        }
        Ok(None)
    }

    fn class(&mut self, class: &Class, clients: &mut BTreeSet<String>) -> Result<(), IigError> {
        let Class { name, base, start, body } = class;
        if base == "OSObject" {
            return Err(self.fail(
                *start,
                format!("class {name} stands below OSObject: only services and user clients can be made here"),
            ));
        }
        let is_client = clients.contains(base) || base.ends_with("UserClient");
        let mut added = format!("\n DEXTAPE_CLASS({name}, {base})\n");
        if is_client {
            clients.insert(name.clone());
            added = format!("\n DEXTAPE_CLIENT_CLASS({name}, {base})\n");
        }
        // Nothing is private to what iig makes.
        self.make_public(body);
        added.push_str(&self.line_directive(body.start));
        let mut before = String::from("\n");
        for method in self.methods(body) {
            let Method { name: called, arguments, trailing, place } = method;
            if let Some(of) = type_of(&trailing) {
                if of != TIMER_OCCURRED {
                    let reason = format!(
                        "{called} is of TYPE({of}), and there is only {TIMER_OCCURRED} here"
                    );
                    return Err(self.fail(place.start, reason));
                }
                let action = format!(" DEXTAPE_CREATE_ACTION({name}, {called})");
                self.edits.push((place.end..place.end, action));
            }
            let is_local = find_word(&trailing, "LOCALONLY", 0).is_some();
            if !is_local && !OF_DRIVERKIT.contains(&&called[..]) {
                let word = format!("DEXTAPE_ARGS_{called}");
                let _ = writeln!(before, "#ifndef {word}\n#define {word} {arguments}\n#endif");
            }
        }
        before.push_str(&self.line_directive(*start));
        self.edits.push((*start..*start, before));
        self.edits.push((body.start..body.start, added));
        Ok(())
    }

    /// Its sections are public: dispatch tables outside of the class name methods of all of them.
    fn make_public(&mut self, body: &Range<usize>) {
        for word in ["private", "protected"] {
            let mut at = body.start;
            while let Some(found) = find_word(&self.plain[..body.end], word, at) {
                at = found + word.len();
                if self.plain[at..body.end].trim_start().starts_with(':') {
                    self.edits.push((found..at, "public".to_owned()));
                }
            }
        }
    }

    /// The methods that are declared there and have no body.
    fn methods(&self, body: &Range<usize>) -> Vec<Method> {
        let mut methods = Vec::new();
        let mut at = body.start;
        while at < body.end {
            let Some(length) = self.plain[at..body.end].find([';', '{']) else { break };
            let (start, end) = (at, at + length);
            if self.plain.as_bytes()[end] == b'{' {
                // A body, or the members of a structure.
                at = closing(self.plain, end).map_or(body.end, |end| end + 1);
                continue;
            }
            at = end + 1;
            let statement = &self.plain[start..end];
            let Some(open) = statement.find('(') else { continue };
            let Some(close) = closing(statement, open) else { continue };
            let before = statement[..open].trim_end();
            let name = before.rsplit(|c: char| !is_word(c)).next().unwrap_or_default();
            let is_function = !name.is_empty()
                && !before.ends_with(&format!("~{name}"))
                && !["using", "typedef", "friend", "static_assert"]
                    .iter()
                    .any(|word| find_word(before, word, 0).is_some());
            if is_function {
                methods.push(Method {
                    name: name.to_owned(),
                    arguments: without_defaults(&statement[open + 1..close]),
                    trailing: statement[close + 1..].to_owned(),
                    place: start + before.len() - name.len()..end + 1,
                });
            }
        }
        methods
    }

    fn edited(mut self) -> String {
        self.edits.sort_by_key(|(place, _)| place.start);
        let mut out = format!("/* Made of {} by dextape. */\n", self.file);
        out.push_str(&self.line_directive(0));
        let mut at = 0;
        for (place, text) in &self.edits {
            out.push_str(&self.text[at..place.start]);
            out.push_str(text);
            at = place.end;
        }
        out.push_str(&self.text[at..]);
        out
    }
}

/// The `X::Y` of a `TYPE(X::Y)`.
fn type_of(trailing: &str) -> Option<String> {
    let at = find_word(trailing, "TYPE", 0)?;
    let open = at + trailing[at..].find('(')?;
    let close = closing(trailing, open)?;
    Some(trailing[open + 1..close].split_whitespace().collect())
}

/// The arguments on one line, without what stands behind `=`.
fn without_defaults(arguments: &str) -> String {
    let mut depth = 0_i32;
    let mut is_default = false;
    let mut kept = String::new();
    for c in arguments.chars() {
        match c {
            '(' | '<' | '[' => depth += 1,
            ')' | '>' | ']' => depth -= 1,
            ',' if depth == 0 => is_default = false,
            '=' if depth == 0 => is_default = true,
            _ => {}
        }
        if !is_default {
            kept.push(c);
        }
    }
    let words: Vec<_> = kept.split_whitespace().collect();
    words.join(" ").replace(" ,", ",")
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Where the word stands next, from `from` on.
fn find_word(text: &str, word: &str, from: usize) -> Option<usize> {
    let found = text[from..].match_indices(word).map(|(at, _)| from + at);
    found.into_iter().find(|at| {
        let before = text[..*at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

/// Where the brace or parenthesis at `open` is closed.
fn closing(text: &str, open: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let (opens, closes) = (bytes[open], if bytes[open] == b'(' { b')' } else { b'}' });
    let mut depth = 0_usize;
    for (at, byte) in bytes.iter().enumerate().skip(open) {
        if *byte == opens {
            depth += 1;
        } else if *byte == closes {
            depth -= 1;
            if depth == 0 {
                return Some(at);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(text: &str) -> String {
        header_of_iig(text, "A.iig").unwrap()
    }

    fn error(text: &str) -> String {
        header_of_iig(text, "A.iig").unwrap_err().to_string()
    }

    #[test]
    fn nothing_is_lost_and_lines_keep_their_numbers() {
        let text = "#include <DriverKit/IOUserClient.iig>\n#include \"B.iig\"\nclass C;\n\
                    /* class D : public E { */\nclass Client : public IOUserClient\n{\npublic:\n\
                      virtual bool init(void) override;\n/* private: */ protected : int a;\n};\n";
        let header = header(text);
        let expected = "/* Made of A.iig by dextape. */\n#line 1 \"A.iig\"\n\
                        #include <DriverKit/IOUserClient.iig>\n#include \"B.h\"\nclass C;\n\
                        /* class D : public E { */\n\n#ifndef DEXTAPE_ARGS_init\n\
                        #define DEXTAPE_ARGS_init void\n#endif\n#line 5 \"A.iig\"\n\
                        class Client : public IOUserClient\n{\n \
                        DEXTAPE_CLIENT_CLASS(Client, IOUserClient)\n#line 6 \"A.iig\"\n\
                        \npublic:\nvirtual bool init(void) override;\n\
                        /* private: */ public : int a;\n};\n";
        assert_eq!(header, expected);
    }

    #[test]
    fn clients_are_known_by_what_they_stand_below() {
        let text = "class A : public IOService {};\nclass KERNEL B final: public IOUserClient {};\n\
                    class C: public B {}; class D : public OtherUserClient {};";
        let header = header(text);
        for class in
            ["CLASS(A, IOService)", "CLIENT_CLASS(B, IO", "CLIENT_CLASS(C, B)", "CLIENT_CLASS(D, "]
        {
            assert!(header.contains(&format!("DEXTAPE_{class}")), "{class}\n{header}");
        }
    }

    #[test]
    fn arguments_are_those_of_the_declaration() {
        let text = "class A : public IOService {\n  struct Inner { int a(int b); };\n\
                    virtual int Many(int a,\n /* b */ const char *b = \"(\", int (*c)(int) = nullptr);\n\
                    static int Local(int x) LOCALONLY;\n int Inline(int y) { return y; }\n\
                    virtual ~A();\n virtual kern_return_t Start(IOService *p) override;\n};";
        let header = header(text);
        let defined: Vec<_> =
            header.lines().filter_map(|line| line.strip_prefix("#define ")).collect();
        assert_eq!(defined, ["DEXTAPE_ARGS_Many int a, const char *b, int (*c)(int)"]);
    }

    #[test]
    fn a_method_of_a_timer_has_its_actions() {
        let method = |of: &str| {
            format!(
                "class A : public IOService\n{{\n  virtual void Due(OSAction *a, uint64_t t)\n    {of};\n}};\n"
            )
        };
        let header = header(&method("TYPE( IOTimerDispatchSource::TimerOccurred )"));
        let line = "TYPE( IOTimerDispatchSource::TimerOccurred ); DEXTAPE_CREATE_ACTION(A, Due)\n";
        assert!(header.contains(line), "{header}");
        assert_eq!(
            error(&method("TYPE(IOUSBHostPipe::CompleteAsyncIO)")),
            "read A.iig: line 3: Due is of TYPE(IOUSBHostPipe::CompleteAsyncIO), and there is only \
             IOTimerDispatchSource::TimerOccurred here"
        );
    }

    #[test]
    fn what_is_broken_is_said_with_its_line() {
        assert_eq!(error("\n/* a"), "read A.iig: line 2: a comment that does not end");
        assert_eq!(error("class A : public B {"), "read A.iig: line 1: class A does not end");
        assert_eq!(
            error("\n\nclass A : public OSObject {};"),
            "read A.iig: line 3: class A stands below OSObject: only services and user clients can be \
             made here"
        );
    }

    /// Whatever a file holds, it gives a header or an error.
    #[test]
    fn no_part_of_a_file_is_too_short() {
        let text = "#include \"B.iig\" \\\n // x\nclass Ä : public IOUserClient { void f(int é = '\\'')\
                    TYPE(IOTimerDispatchSource::TimerOccurred); \"\\\" /* ü */ };";
        for end in (0..=text.len()).filter(|end| text.is_char_boundary(*end)) {
            for start in (0..end).filter(|start| text.is_char_boundary(*start)) {
                let _ = header_of_iig(&text[start..end], "A.iig");
            }
        }
    }
}
