//! Makes Mach-O files for tests: a header, a few load commands, and a signature.

use super::signature::flag;

pub(super) const X86_64: (u32, u32) = (0x0100_0007, 3);
pub(super) const ARM64: (u32, u32) = (0x0100_000c, 0);
pub(super) const ARM64E: (u32, u32) = (0x0100_000c, 0x8000_0002);

/// What the file is to say.
#[derive(Clone, Debug)]
pub(super) struct Forged {
    pub(super) processor: (u32, u32),
    pub(super) libraries: Vec<&'static str>,
    pub(super) restrict: bool,
    /// Flags, team and entitlements, where it is signed.
    pub(super) signed: Option<(u32, &'static str, String)>,
    pub(super) is_platform: bool,
}

impl Default for Forged {
    fn default() -> Self {
        Self {
            processor: ARM64,
            libraries: vec!["/System/Library/Frameworks/IOKit.framework/Versions/A/IOKit"],
            restrict: false,
            signed: Some((flag::ADHOC, "", String::new())),
            is_platform: false,
        }
    }
}

/// Entitlements as `codesign` writes them.
pub(super) fn entitlements(names: &[&str]) -> String {
    let each: String = names.iter().map(|name| format!("<key>{name}</key><true/>")).collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><plist version=\"1.0\"><dict>{each}</dict></plist>"
    )
}

fn blob(magic: u32, content: &[u8]) -> Vec<u8> {
    let length = content.len() as u32 + 8;
    [&magic.to_be_bytes(), &length.to_be_bytes(), content].concat()
}

impl Forged {
    fn signature(&self, flags: u32, team: &str, entitlements: &str) -> Vec<u8> {
        let mut directory = vec![0_u8; 44];
        let mut put =
            |at: usize, word: u32| directory[at..at + 4].copy_from_slice(&word.to_be_bytes());
        // Offsets count from the blob's start, 8 bytes before.
        let identifier = b"com.example.client\0";
        put(0, 0x2_0400);
        put(4, flags);
        put(12, 52);
        put(40, if team.is_empty() { 0 } else { 52 + identifier.len() as u32 });
        directory[30] = u8::from(self.is_platform) * 13;
        directory.extend_from_slice(identifier);
        directory.extend_from_slice(team.as_bytes());
        directory.push(0);
        let mut parts = vec![(0, blob(0xfade_0c02, &directory))];
        if !entitlements.is_empty() {
            parts.push((5, blob(0xfade_7171, entitlements.as_bytes())));
        }
        let mut content = (parts.len() as u32).to_be_bytes().to_vec();
        let mut at = 12 + 8 * parts.len() as u32;
        for (kind, part) in &parts {
            content.extend_from_slice(&u32::to_be_bytes(*kind));
            content.extend_from_slice(&at.to_be_bytes());
            at += part.len() as u32;
        }
        parts.iter().for_each(|(_, part)| content.extend_from_slice(part));
        blob(0xfade_0cc0, &content)
    }

    /// The bytes of the file.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let words = |words: &[u32]| -> Vec<u8> {
            words.iter().flat_map(|word| word.to_le_bytes()).collect()
        };
        let text = |command: u32, before: &[u32], text: &str| {
            let size = (8 + before.len() * 4 + text.len() + 1).next_multiple_of(8);
            let mut bytes = words(&[command, size as u32]);
            bytes.extend(words(before));
            bytes.extend_from_slice(text.as_bytes());
            bytes.resize(size, 0);
            bytes
        };
        let mut commands = vec![
            text(0xe, &[12], "/usr/lib/dyld"),
            words(&[0x32, 24, 1, 0x000d_0000, 0x000d_0000, 0]),
        ];
        commands.extend(self.libraries.iter().map(|library| text(0xc, &[24, 0, 0, 0], library)));
        if self.restrict {
            let mut segment = words(&[0x19, 72 + 80]);
            segment.extend_from_slice(b"__RESTRICT\0\0\0\0\0\0");
            segment.extend_from_slice(&[0; 32]);
            segment.extend(words(&[7, 7, 1, 0]));
            segment.extend_from_slice(b"__restrict\0\0\0\0\0\0__RESTRICT\0\0\0\0\0\0");
            segment.extend_from_slice(&[0; 48]);
            commands.push(segment);
        }
        let signature = self
            .signed
            .as_ref()
            .map(|(flags, team, entitlements)| self.signature(*flags, team, entitlements));
        let length: usize = commands.iter().map(Vec::len).sum();
        let place = 32 + length + if signature.is_some() { 16 } else { 0 };
        if let Some(signature) = &signature {
            commands.push(words(&[0x1d, 16, place as u32, signature.len() as u32]));
        }
        let size: usize = commands.iter().map(Vec::len).sum();
        let (kind, subtype) = self.processor;
        let mut bytes =
            words(&[0xfeed_facf, kind, subtype, 2, commands.len() as u32, size as u32, 0x85, 0]);
        commands.iter().for_each(|command| bytes.extend_from_slice(command));
        bytes.extend(signature.unwrap_or_default());
        bytes
    }
}

/// A file for several processors.
pub(super) fn universal(parts: &[Forged]) -> Vec<u8> {
    let mut bytes = [0xcafe_babe_u32, parts.len() as u32].map(u32::to_be_bytes).concat();
    let images: Vec<_> = parts.iter().map(Forged::bytes).collect();
    let mut at = 4096;
    for (part, image) in parts.iter().zip(&images) {
        let (kind, subtype) = part.processor;
        let entry = [kind, subtype, at as u32, image.len() as u32, 12];
        entry.iter().for_each(|word| bytes.extend_from_slice(&word.to_be_bytes()));
        at = (at + image.len()).next_multiple_of(4096);
    }
    for image in images {
        bytes.resize(bytes.len().next_multiple_of(4096), 0);
        bytes.extend(image);
    }
    bytes
}
