//! What is done to a bundle.

use crate::zip_file::{Member, ZipFile, end_record, resealed};
use dextape::schedule::Generator;
use serde_json::{Value, json};

/// A kind of change.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Local,
    Central,
    End,
    Name,
    Extra,
    Manifest,
    Tape,
    Bomb,
    Cut,
    Directory,
    Bits,
}

pub(crate) const KINDS: &[Kind] = &[
    Kind::Local,
    Kind::Central,
    Kind::End,
    Kind::Name,
    Kind::Extra,
    Kind::Manifest,
    Kind::Tape,
    Kind::Bomb,
    Kind::Cut,
    Kind::Directory,
    Kind::Bits,
];

/// A changed bundle, and the hashes of the tapes that are in it.
pub(crate) struct Changed {
    pub(crate) bytes: Vec<u8>,
    pub(crate) tapes: Vec<blake3::Hash>,
    pub(crate) kind: &'static str,
}

/// Files that unpack to far more than they are.
pub(crate) struct Bombs(Vec<Member>);

impl Bombs {
    pub(crate) fn new() -> Self {
        let mut long = b"{\"format\":1,\"redactions\":[".to_vec();
        long.extend(b"\"\",".repeat(300_000));
        let deep = b"[".repeat(1 << 20);
        let contents = [vec![b' '; 2 << 20], long, deep, b"{\"seq\":1}\n".repeat(100_000)];
        Self(contents.iter().map(|content| Member::deflated("", content)).collect())
    }
}

fn below(random: &mut Generator, most: usize) -> usize {
    random.below(most.max(1) as u64) as usize
}

/// A number at which parsers stumble.
fn number(random: &mut Generator, now: u64) -> u64 {
    match random.below(8) {
        0 => 0,
        1 => now + 1,
        2 => now.wrapping_sub(1),
        3 => u64::MAX,
        4 => 0x7fff_ffff,
        5 => 1 << random.below(40),
        6 => now << 8,
        _ => random.below(1 << 32),
    }
}

/// Puts such a number into one of these fields of a header: where they stand and how wide they are.
fn lie(bytes: &mut [u8], header: usize, fields: &[(usize, usize)], random: &mut Generator) {
    let (offset, width) = fields[below(random, fields.len())];
    let field = &mut bytes[header + offset..][..width];
    let mut now = [0; 8];
    now[..width].copy_from_slice(field);
    field.copy_from_slice(&number(random, u64::from_le_bytes(now)).to_le_bytes()[..width]);
}

const NAMES: &[&[u8]] = &[
    b"",
    b"../manifest.json",
    b"/etc/passwd",
    b"manifest.json",
    b"MANIFEST.JSON",
    b"note.txt",
    b"tapes/1.tape.jsonl",
    b"tapes/2.tape.jsonl",
    b"tapes/2.tape.jsonl/",
    b"tapes\\1.tape.jsonl",
    b"tapes/1.tape.jsonl\0",
    b"\xff\xfe",
];

/// Changes a bundle and seals it again.
pub(crate) fn change(
    whole: &ZipFile,
    kind: Kind,
    bombs: &Bombs,
    random: &mut Generator,
) -> Changed {
    let mut zip = whole.clone();
    let at = below(random, zip.members.len());
    let name = match kind {
        Kind::Name => {
            let name = match below(random, NAMES.len() + 1) {
                few if few < NAMES.len() => NAMES[few].to_vec(),
                _ => vec![b'n'; below(random, 20_000)],
            };
            match random.below(3) {
                0 => zip.members[at].name = name,
                1 => zip.members[at].listed_as = Some(name),
                _ => zip.members[at].name = name.clone(),
            }
            "names"
        }
        Kind::Extra => {
            let extra = extra(random);
            if random.below(2) == 0 {
                zip.members[at].extra = extra;
            } else {
                zip.members[at].listed_extra = extra;
            }
            "extra fields"
        }
        Kind::Manifest => {
            change_manifest(&mut zip, random);
            "the manifest"
        }
        Kind::Tape => {
            change_tape(&mut zip, random);
            "tapes"
        }
        Kind::Bomb => {
            let bomb = bombs.0[below(random, bombs.0.len())].clone();
            let member = &mut zip.members[at];
            let honest = random.below(2) == 0;
            let size = if honest { bomb.size } else { member.size };
            *member = Member { name: member.name.clone(), size, ..bomb };
            if random.below(2) == 0 && at > 0 {
                agree(&mut zip);
            }
            "bombs"
        }
        Kind::Directory => {
            match random.below(4) {
                0 => {
                    let copy = zip.members[at].clone();
                    zip.members.push(copy);
                }
                1 => drop(zip.members.remove(at)),
                2 => zip.members.rotate_left(at),
                _ => {
                    let (count, large) = (below(random, 2_000), random.below(2) == 0);
                    let bytes = resealed(with_hidden_directory(&zip, count.max(36), large));
                    return Changed { bytes, tapes: tapes(&zip), kind: "directories within" };
                }
            }
            "the directory"
        }
        Kind::Local => "local headers",
        Kind::Central => "central headers",
        Kind::End => "the end",
        Kind::Cut => "cuts",
        Kind::Bits => "bits",
    };
    let tapes = tapes(&zip);
    let mut written = zip.write();
    let at = below(random, written.locals.len());
    let bytes = &mut written.bytes;
    for _ in 0..=random.below(2) {
        match kind {
            Kind::Local => {
                let fields =
                    [(0, 4), (4, 2), (6, 2), (8, 2), (14, 4), (18, 4), (22, 4), (26, 2), (28, 2)];
                lie(bytes, written.locals[at], &fields, random);
            }
            Kind::Central => {
                let fields = [
                    (0, 4),
                    (4, 2),
                    (6, 2),
                    (8, 2),
                    (10, 2),
                    (16, 4),
                    (20, 4),
                    (24, 4),
                    (28, 2),
                    (30, 2),
                    (32, 2),
                    (34, 2),
                    (38, 4),
                    (42, 4),
                ];
                lie(bytes, written.centrals[at], &fields, random);
            }
            Kind::End => {
                let fields = [(4, 2), (6, 2), (8, 2), (10, 2), (12, 4), (16, 4), (20, 2)];
                lie(bytes, written.end, &fields, random);
            }
            Kind::Bits => {
                let at = below(random, written.end);
                bytes[at] ^= 1 << random.below(8);
            }
            _ => {}
        }
    }
    if matches!(kind, Kind::Cut) {
        let (from, begin) = (below(random, written.end), written.centrals[0]);
        let to = (from + below(random, 64) + 1).min(written.end);
        bytes.drain(from..to);
        // Half of the time the end says what is now right before it.
        if random.below(2) == 0 && to <= begin {
            let (begin, end) = (begin - (to - from), written.end - (to - from));
            bytes.truncate(end);
            end_record(zip.members.len() as u16, end - begin, begin, bytes);
        }
    }
    Changed { bytes: resealed(written.bytes), tapes, kind: name }
}

fn tapes(zip: &ZipFile) -> Vec<blake3::Hash> {
    let of = |number: u32| {
        let name = format!("tapes/{number}.tape.jsonl");
        let named =
            |member: &&Member| member.listed_as.as_ref().unwrap_or(&member.name) == name.as_bytes();
        zip.members.iter().find(named).map(|member| member.hash)
    };
    (1..=2).filter_map(of).collect()
}

/// Has the manifest say the sizes and hashes of the files that are there.
pub(crate) fn agree(zip: &mut ZipFile) {
    with_manifest(zip, |manifest, members| {
        for file in manifest["files"].as_array_mut().unwrap() {
            let name = file["name"].as_str().unwrap().as_bytes();
            if let Some(member) = members.iter().find(|member| member.name == name) {
                file["size"] = member.size.into();
                file["blake3"] = member.hash.to_hex().to_string().into();
            }
        }
    });
}

fn with_manifest(zip: &mut ZipFile, edit: impl FnOnce(&mut Value, &[Member])) {
    let mut manifest = serde_json::from_slice(&zip.members[0].content()).unwrap();
    edit(&mut manifest, &zip.members);
    let text = serde_json::to_vec(&manifest).unwrap();
    zip.members[0] = Member::deflated("manifest.json", &text);
}

/// Some field of the manifest gets another value, goes, or comes.
fn change_manifest(zip: &mut ZipFile, random: &mut Generator) {
    with_manifest(zip, |manifest, _| change_value(manifest, random));
}

fn change_value(value: &mut Value, random: &mut Generator) {
    let deeper = random.below(8) > 0;
    match value {
        Value::Object(fields) if deeper && !fields.is_empty() => {
            let at = below(random, fields.len());
            if let Some(field) = fields.values_mut().nth(at) {
                change_value(field, random);
            }
        }
        Value::Array(list) if deeper && !list.is_empty() => {
            let at = below(random, list.len());
            change_value(&mut list[at], random);
        }
        Value::Object(fields) if random.below(2) == 0 => {
            let at = below(random, fields.len());
            let key = fields.keys().nth(at).cloned().unwrap_or_default();
            drop(fields.remove(&key));
        }
        Value::Object(fields) => drop(fields.insert("more".to_owned(), json!(1))),
        Value::Array(list) if random.below(2) == 0 => drop(list.pop()),
        Value::Array(list) => {
            let first = list.first().cloned().unwrap_or_default();
            list.extend(std::iter::repeat_n(first, 1 + below(random, 3_000)));
        }
        value => *value = other(value, random),
    }
}

fn other(value: &Value, random: &mut Generator) -> Value {
    match random.below(8) {
        0 => Value::Null,
        1 => json!([]),
        2 => json!("x".repeat(below(random, 100_000))),
        3 => json!("tapes/2.tape.jsonl"),
        4 => json!("../../out"),
        5 => json!(-1),
        6 => json!(u64::MAX),
        _ => json!(number(random, value.as_u64().unwrap_or_default())),
    }
}

/// Other bytes in a tape, of which manifest and zip tell rightly.
fn change_tape(zip: &mut ZipFile, random: &mut Generator) {
    let tapes: Vec<usize> =
        (0..zip.members.len()).filter(|at| zip.members[*at].name.starts_with(b"tapes/")).collect();
    let at = tapes[below(random, tapes.len())];
    let name = String::from_utf8(zip.members[at].name.clone()).unwrap();
    let mut text = zip.members[at].content();
    match random.below(4) {
        0 => text.truncate(below(random, text.len())),
        1 => {
            let begin = below(random, text.len());
            let part = text[begin..].to_vec();
            text.extend(part);
        }
        2 => {
            // The frame of a compressed tape that asks for a large window.
            let mut frame = vec![0x28, 0xb5, 0x2f, 0xfd, 0, random.below(256) as u8];
            frame.extend(text.iter().take(below(random, 300)));
            text = frame;
        }
        _ => {
            for _ in 0..=random.below(4) {
                let at = below(random, text.len());
                text[at] ^= 1 << random.below(8);
            }
        }
    }
    let member = if random.below(2) == 0 { Member::stored } else { Member::deflated };
    zip.members[at] = member(&name, &text);
    if random.below(4) > 0 {
        agree(zip);
    }
}

fn extra(random: &mut Generator) -> Vec<u8> {
    let kinds = [1_u16, 0x7075, 0x6375, 0x9901, 0x5455, 0x000a, 0xcafe];
    let mut extra = Vec::new();
    for _ in 0..=random.below(3) {
        let length = below(random, 40);
        extra.extend(kinds[below(random, kinds.len())].to_le_bytes());
        let told = if random.below(3) == 0 { number(random, length as u64) } else { length as u64 };
        extra.extend((told as u16).to_le_bytes());
        extra.extend((0..length).map(|_| random.below(256) as u8));
    }
    extra
}

/// The files, then a directory of very many with an end of its own, then a last directory that no reader of
/// zips takes, so that it looks further.
pub(crate) fn with_hidden_directory(whole: &ZipFile, count: usize, large: bool) -> Vec<u8> {
    let files = whole.write();
    let mut bytes = files.bytes[..files.centrals[0]].to_vec();
    let begin = bytes.len();
    let header = &files.bytes[files.centrals[0]..][..46];
    for number in 0..count {
        let at = bytes.len();
        bytes.extend(header);
        bytes[at + 28] = 8;
        bytes[at + 29..at + 34].fill(0);
        bytes.extend(format!("{number:08}").as_bytes());
    }
    let size = bytes.len() - begin;
    let mut told = count as u16;
    if large {
        // The record and the locator of a large zip.
        let record = bytes.len() as u64;
        bytes.extend(b"PK\x06\x06");
        bytes.extend(44_u64.to_le_bytes());
        bytes.extend([45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        for long in [count, count, size, begin] {
            bytes.extend((long as u64).to_le_bytes());
        }
        bytes.extend(b"PK\x06\x07\0\0\0\0");
        bytes.extend(record.to_le_bytes());
        bytes.extend(1_u32.to_le_bytes());
        told = u16::MAX;
    }
    end_record(told, size, begin, &mut bytes);
    let begin = bytes.len();
    let from = files.centrals[0];
    bytes.extend(&files.bytes[from..files.end]);
    bytes[begin] = b'Q';
    let size = bytes.len() - begin;
    end_record(whole.members.len() as u16, size, begin, &mut bytes);
    bytes
}
