//! Which forms of a value are the same bytes.

/// The words whose bytes are turned; zero is the whole value.
const WORDS: [usize; 4] = [0, 2, 4, 8];

/// Which forms of a value read alike. A client that compares two forms of a value sees whether they are equal, so
/// they have to be just as equal, or different, where a pseudonym stands: the hexadecimal digits of `pat` are the
/// same in both cases, and `anna` is the same from behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Likeness {
    /// True where it is UTF-8, and can stand in a text.
    is_text: bool,
    /// True where hexadecimal digits of both cases are the same.
    caseless: bool,
    /// For each two of the ways to turn it, and for each of them and the value itself: whether they are alike.
    turned: Vec<bool>,
}

impl Likeness {
    /// Of the bytes of a value, and of those that its hexadecimal digits are made of.
    pub(super) fn of(bytes: &[u8], digits: &[u8]) -> Self {
        let caseless = digits.iter().all(|byte| byte >> 4 < 10 && byte & 15 < 10);
        let mut ways: Vec<Option<Vec<u8>>> = vec![Some(bytes.to_vec())];
        for word in WORDS {
            let turned = |index| bytes[behind(index, word, bytes.len())];
            ways.push(fills(word, bytes.len()).then(|| (0..bytes.len()).map(turned).collect()));
        }
        let mut turned = Vec::new();
        for (index, way) in ways.iter().enumerate() {
            turned.extend(ways[..index].iter().map(|other| way.is_some() && way == other));
        }
        Self { is_text: std::str::from_utf8(bytes).is_ok(), caseless, turned }
    }
}

/// For each byte the first one that is equal to it because the value is the same when its bytes are turned.
pub(super) fn tied(bytes: &[u8]) -> Vec<usize> {
    let length = bytes.len();
    let mut first: Vec<usize> = (0..length).collect();
    let same = |word: &usize| {
        fills(*word, length)
            && (0..length).all(|index| bytes[index] == bytes[behind(index, *word, length)])
    };
    let words: Vec<usize> = WORDS.into_iter().filter(same).collect();
    loop {
        let mut changed = false;
        for word in &words {
            for index in 0..length {
                let other = first[behind(index, *word, length)];
                if other < first[index] {
                    first[index] = other;
                    changed = true;
                }
            }
        }
        if !changed {
            return first;
        }
    }
}

fn fills(word: usize, length: usize) -> bool {
    word == 0 || length.is_multiple_of(word)
}

/// Where a byte comes from when the bytes of each word are turned.
const fn behind(index: usize, word: usize, length: usize) -> usize {
    if word == 0 { length - 1 - index } else { index - index % word + (word - 1 - index % word) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &[u8]) -> Likeness {
        Likeness::of(text, text)
    }

    #[test]
    fn values_are_alike_whose_forms_are_equal_in_the_same_ways() {
        assert_eq!(of(b"pqrst"), of(b"abcde"));
        assert_ne!(of(b"pqrst"), of(b"abcdj"), "0x6a is 0x6A, too");
        assert_eq!(of(b"abba"), of(b"pqqp"));
        assert_ne!(of(b"abba"), of(b"abca"));
        assert_ne!(of(b"abab"), of(b"abcd"), "the same from behind and in words of two");
    }

    #[test]
    fn bytes_are_tied_that_are_equal_however_the_value_is_turned() {
        assert_eq!(tied(b"abcba"), [0, 1, 2, 1, 0]);
        assert_eq!(tied(b"abca"), [0, 1, 2, 3]);
        assert_eq!(tied(b"aabbaa"), [0, 0, 2, 2, 0, 0]);
        assert_eq!(tied(b"aaaa"), [0; 4]);
        assert!(tied(b"").is_empty());
    }
}
