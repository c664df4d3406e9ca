//! Serial numbers of a machine and its parts, as dumps of real Macs had them before they were cleaned.

use super::abi::{DATA_MAX, FourCharacters, KeyInfo, attribute};
use super::dump::{Dump, DumpedKey};
use super::line::{KeyLine, Reading};
use dextape::schedule::Generator;

/// Serial numbers that a seed makes up. Whoever has the seed has them, so it never enters a tape.
///
/// # Examples
///
/// ```
/// use dextape_scenarios::smc::{Dump, Serials};
///
/// let serials = Serials::of_seed(7);
/// let mut dump = Dump::small();
/// let before = dump.keys.len();
/// serials.plant(&mut dump);
/// assert_eq!(dump.keys.len(), before + 5);
/// assert_ne!(serials.machine, Serials::of_seed(8).machine);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Serials {
    /// Of the machine: 12 characters.
    pub machine: String,
    /// Of its board: 17 characters.
    pub board: String,
    /// Of its battery: 13 characters.
    pub battery: String,
    /// The address of its network card.
    pub address: [u8; 6],
}

impl Serials {
    /// The keys that hold them: the machine's twice, first as characters, and among the hidden keys in UTF-16.
    pub const KEYS: [&'static str; 5] = ["RMSN", "RBSN", "BMSN", "RMAC", "zMSN"];

    /// The serial numbers of this seed.
    #[must_use]
    pub fn of_seed(seed: u64) -> Self {
        let mut random = Generator::new(seed ^ 0x5e71_a150);
        let mut serial = |first: &str, length: usize| {
            let letters = b"0123456789ABCDEFGHJKLMNPQRSTUVWXYZ";
            let mut text = first.to_owned();
            while text.len() < length {
                text.push(char::from(letters[random.below(letters.len() as u64) as usize]));
            }
            text
        };
        let (machine, board, battery) = (serial("C0", 12), serial("C0", 17), serial("D8", 13));
        // Of a maker's own range, so not all of it is made up.
        let mut address = [0xa4, 0x83, 0xe7, 0, 0, 0];
        address[3..].fill_with(|| random.below(256) as u8);
        Self { machine, board, battery, address }
    }

    /// As people write them.
    #[must_use]
    pub fn texts(&self) -> [String; 4] {
        let pairs: Vec<String> = self.address.iter().map(|byte| format!("{byte:02x}")).collect();
        [self.machine.clone(), self.board.clone(), self.battery.clone(), pairs.join(":")]
    }

    /// Puts the keys into a dump, each in its order.
    pub fn plant(&self, dump: &mut Dump) {
        let wide: Vec<u8> = self.machine.encode_utf16().flat_map(u16::to_le_bytes).collect();
        // Text of a part is often filled up.
        let mut battery = self.battery.clone().into_bytes();
        battery.resize(16, 0);
        let [machine, board, of_battery, address, hidden] = Self::KEYS;
        let public = [
            (machine, *b"ch8*", self.machine.clone().into_bytes()),
            (board, *b"ch8*", self.board.clone().into_bytes()),
            (of_battery, *b"ch8*", battery),
            (address, *b"hex_", self.address.to_vec()),
        ];
        for (name, data_type, value) in public {
            let Some(key) = key(name, data_type, value) else { continue };
            let characters = key.line.key.characters();
            let at = dump.public().partition_point(|it| it.line.key.characters() < characters);
            dump.keys.insert(at, key);
            dump.public += 1;
            dump.stated += 1;
        }
        dump.keys.extend(key(hidden, *b"hex_", wide));
        // The number of keys is the value of a key.
        let stated = dump.stated.to_be_bytes().to_vec();
        let count = FourCharacters::new(*b"#KEY");
        for key in dump.keys.iter_mut().filter(|key| key.line.key == count) {
            key.line.reading = Reading::Value(stated.clone());
        }
    }
}

fn key(name: &str, data_type: [u8; 4], value: Vec<u8>) -> Option<DumpedKey> {
    debug_assert!(value.len() <= DATA_MAX);
    let info = KeyInfo {
        data_size: value.len() as u32,
        data_type: FourCharacters::new(data_type),
        data_attributes: attribute::READ,
        ..KeyInfo::default()
    };
    let key = FourCharacters::new(name.as_bytes().try_into().ok()?);
    Some(DumpedKey { line: KeyLine { key, info, reading: Reading::Value(value) }, failure: None })
}
