//! Private values planted in tapes, in every form and spread over calls.

use base64::Engine;
use dextape::IoReturn;
use dextape::call::Scalars;
use dextape::redaction::{Pseudonym, RedactionPolicy};
use dextape::registry::Value;
use dextape::tape::{
    Body, Call, Digest, Event, Header, OutputKind, Payload, Return, Structure, Tape,
};
use dextape_lab::{PrivateValue, RedactError, find_private, redact};

const SERIAL: &str = "C02XL0GYJGH5";

#[derive(Default)]
struct Events(Vec<Event>);

impl Events {
    fn add(&mut self, cause: Option<u64>, body: Body) -> u64 {
        let sequence = self.0.len() as u64 + 1;
        let event = Event::new(sequence, 1, sequence, body);
        self.0.push(Event { cause, connection: Some(1), ..event });
        sequence
    }

    /// A call with this input and output.
    fn call(&mut self, selector: u32, input: &[u8], scalars: &[u64], output: &[u8]) {
        let call = Call {
            selector,
            scalars: Scalars::EMPTY,
            scalar_count: 0,
            input: Structure::Bytes(Payload::bytes(input)),
            scalars_asked: scalars.len() as u32,
            output: OutputKind::Bytes { size: output.len() as u64 },
        };
        let enter = self.add(None, Body::Call(call));
        let returned = Return {
            result: IoReturn::SUCCESS,
            scalars: Scalars::clamped(scalars),
            structure_size: Some(output.len() as u64),
            structure: Some(Payload::bytes(output)),
        };
        self.add(Some(enter), Body::Return(returned));
    }

    fn tape(self) -> Tape {
        Tape::new(Header::mock(), self.0)
    }
}

fn output(tape: &Tape, sequence: usize) -> &[u8] {
    match &tape.events()[sequence - 1].body {
        Body::Return(Return { structure: Some(data), .. }) => data.as_bytes().unwrap(),
        other => panic!("no return but {other:?}"),
    }
}

fn input(tape: &Tape, sequence: usize) -> &[u8] {
    match &tape.events()[sequence - 1].body {
        Body::Call(Call { input: Structure::Bytes(data), .. }) => data.as_bytes().unwrap(),
        other => panic!("no call but {other:?}"),
    }
}

fn policy(text: &str) -> RedactionPolicy {
    RedactionPolicy::from_toml(&format!("format = 1\n{text}")).unwrap()
}

const KEY: Pseudonym = Pseudonym::new([9; 32]);

#[test]
fn a_value_of_the_policy_is_replaced_wherever_it_stands() {
    let mut events = Events::default();
    events.call(1, b"", &[], format!("v1 {SERIAL}\0\0\0\0").as_bytes());
    events.call(2, format!("<{SERIAL}>").as_bytes(), &[], b"ok");
    let encoded = base64::prelude::BASE64_STANDARD.encode(format!("x={SERIAL};"));
    events.call(3, encoded.as_bytes(), &[], b"ok");
    let key = Some("Serial".to_owned());
    let wide: Vec<u8> = SERIAL.encode_utf16().flat_map(u16::to_le_bytes).collect();
    events.add(None, Body::Property { service: 1, key, outcome: Ok(Some(Value::Data(wide))) });
    let mut tape = events.tape();
    let rule = "[[fields]]\nselector = 1\nplace = 'output'\nat = 3\nlength = 16";
    let report = redact(&mut tape, &policy(rule), &[], &KEY).unwrap();

    let text = String::from_utf8(output(&tape, 2).to_vec()).unwrap();
    let other = text[3..15].to_owned();
    assert_ne!(other, SERIAL);
    assert_eq!((&text[..3], &text[15..]), ("v1 ", "\0\0\0\0"), "what is not the value stays");
    assert_eq!(input(&tape, 3), format!("<{other}>").as_bytes(), "equal values stay equal");
    let decoded = base64::prelude::BASE64_STANDARD.decode(input(&tape, 5)).unwrap();
    assert_eq!(decoded, format!("x={other};").as_bytes(), "and so does what shares a character");
    let wide: Vec<u8> = other.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(matches!(&tape.events()[6].body,
        Body::Property { outcome: Ok(Some(Value::Data(data))), .. } if *data == wide));
    // The client sent it on as text, as it came; base64 it must have made itself.
    assert_eq!(report.computed, ["the structure handed to selector 3, as base64"]);
    assert_eq!(tape.header().redactions.len(), 1);
    assert!(report.apart.is_empty());
}

#[test]
fn a_value_in_pieces_is_found_and_replaced() {
    let mut events = Events::default();
    // Four characters a call at one place, the second piece polled twice.
    for piece in ["C02X", "L0GY", "L0GY", "JGH5"] {
        events.call(7, b"", &[], format!("..{piece}").as_bytes());
    }
    // Two halves in two whole structures, and one character a call in a scalar.
    events.call(8, b"", &[], b"C02XL0");
    events.call(8, b"", &[], b"GYJGH5");
    for character in SERIAL.bytes() {
        events.call(9, b"", &[u64::from(character)], b"");
    }
    let patch = |offset, data: &[u8]| Body::Patch {
        memory: 1,
        offset,
        data: Payload::bytes(data),
        read: 1,
        last_equal: None,
        unattributed: false,
    };
    events.add(None, patch(16, b"C02XL0GY"));
    events.add(None, patch(24, b"JGH5"));
    for word in SERIAL.as_bytes().chunks(4) {
        events.add(None, patch(64, word));
    }
    let mut tape = events.tape();
    let values = [PrivateValue::of_text(SERIAL).unwrap()];
    let found: Vec<String> =
        find_private(&mut tape, &values, 10).unwrap().iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "private value 1 stands in the structure of selector 7 of event 2, as text, \
             in pieces from there on",
            "private value 1 stands in the structure of selector 8 of event 10, as text, \
             in pieces from there on",
            "private value 1 stands in scalar 0 of selector 9 of event 14, as text, \
             in pieces from there on",
            "private value 1 stands in what changes in memory 1 of event 37, as text, \
             in pieces from there on",
            "private value 1 stands in what changes in memory 1 of event 39, as text, \
             in pieces from there on",
        ]
    );
    redact(&mut tape, &RedactionPolicy::new(), &values, &KEY).unwrap();
    assert_eq!(find_private(&mut tape, &values, 10).unwrap(), []);
    // The piece that was polled twice is the same both times.
    assert_ne!(output(&tape, 4), b"..L0GY");
    assert_eq!(output(&tape, 4), output(&tape, 6), "the piece that was polled twice");
}

#[test]
fn a_number_keeps_its_digits_in_all_its_forms() {
    for number in [16_909_060_u64, 4_815_162_342, 4_294_967_294, 99_999_999_999, 0x0102_0304_0506] {
        let mut events = Events::default();
        events.call(1, number.to_string().as_bytes(), &[number], &number.to_le_bytes());
        events.call(2, format!("{number:x}").as_bytes(), &[], &number.to_be_bytes());
        let mut tape = events.tape();
        let values = [PrivateValue::of_text(&number.to_string()).unwrap()];
        redact(&mut tape, &RedactionPolicy::new(), &values, &KEY).unwrap();
        let other = u64::from_le_bytes(output(&tape, 2).try_into().unwrap());
        assert_ne!(other, number);
        assert_eq!(input(&tape, 1), other.to_string().as_bytes());
        assert_eq!(input(&tape, 3), format!("{other:x}").as_bytes());
        assert_eq!(output(&tape, 4), other.to_be_bytes());
        assert!(matches!(&tape.events()[1].body,
            Body::Return(returned) if returned.scalars[..] == [other]));
    }
}

#[test]
fn short_values_are_replaced_at_their_own_places_only() {
    let mut events = Events::default();
    events.call(1, b"ab1", &[5], b"ab1");
    let mut tape = events.tape();
    let rules = "[[fields]]\nplace = 'output'\n[[fields]]\nplace = 'scalar_output'";
    let report = redact(&mut tape, &policy(rules), &[], &KEY).unwrap();
    assert_eq!((report.short, report.values.len()), (2, 0));
    assert_eq!(input(&tape, 1), b"ab1");
    assert_ne!(output(&tape, 2), b"ab1");
}

#[test]
fn what_a_pseudonym_cannot_hide_is_an_error() {
    // A value without a digit or a letter has no other of its form.
    let mut events = Events::default();
    events.call(1, b"", &[], b"*#*#--..");
    let mut tape = events.tape();
    let values = [PrivateValue::of_text("*#*#--..").unwrap()];
    let error = redact(&mut tape, &RedactionPolicy::new(), &values, &KEY).unwrap_err();
    assert!(matches!(error, RedactError::Left(_)));
    insta::assert_snapshot!(format!("failed to {error}"), @"failed to redact a tape: private value 1 stands in the structure of selector 1 of event 2, as text");
}

#[test]
fn what_a_client_copies_is_replaced_as_what_it_was_given() {
    // In words of eight bytes with the last byte first, the end of one and the begin of the next read as the
    // whole with its last byte first.
    let key: [u8; 16] = std::array::from_fn(|at| 0x81 + 7 * at as u8);
    let swapped: Vec<u8> = key.chunks(8).flat_map(|word| word.iter().rev().copied()).collect();
    let mut events = Events::default();
    events.call(1, b"", &[], &swapped);
    for piece in swapped.chunks(5).chain(swapped.chunks(5)) {
        events.call(2, piece, &[], b"");
    }
    // A part of a longer form.
    let digits: Vec<u8> = key.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()).collect();
    events.call(3, b"", &[], &digits);
    events.call(4, &digits[3..24], &[], b"");
    let mut tape = events.tape();
    let values = [PrivateValue::of_bytes(&key).unwrap()];
    let report = redact(&mut tape, &RedactionPolicy::new(), &values, &KEY).unwrap();
    let given = output(&tape, 2).to_vec();
    let pieces: Vec<u8> = (0..8).flat_map(|piece| input(&tape, 3 + 2 * piece).to_vec()).collect();
    assert_ne!(given, swapped);
    assert_eq!(pieces, [&*given, &*given].concat(), "in pieces, twice");
    assert_eq!(input(&tape, 21), &output(&tape, 20)[3..24], "a part");
    assert_eq!(report.computed, [""; 0]);
}

#[test]
fn zero_bytes_of_a_value_stay_zero_so_that_memory_agrees_with_the_rest() {
    let key = [0x91, 0x82, 0, 0xa3, 0xb4, 0, 0, 0xc5, 0xd6, 0xe7];
    let patch = |offset, data: &[u8]| Body::Patch {
        memory: 1,
        offset,
        data: Payload::bytes(data),
        read: 1,
        last_equal: None,
        unattributed: false,
    };
    let mut events = Events::default();
    events.call(1, b"", &[], &key);
    // What was zero before is in no patch.
    events.add(None, patch(64, &key[..2]));
    events.add(None, patch(67, &key[3..5]));
    events.add(None, patch(71, &key[7..]));
    let mut tape = events.tape();
    let values = [PrivateValue::of_bytes(&key).unwrap()];
    redact(&mut tape, &RedactionPolicy::new(), &values, &KEY).unwrap();
    let mut memory = [0; 10];
    for event in &tape.events()[2..] {
        let Body::Patch { offset, data, .. } = &event.body else { panic!("{event:?}") };
        let data = data.as_bytes().unwrap();
        memory[*offset as usize - 64..][..data.len()].copy_from_slice(data);
    }
    assert_ne!(memory, key);
    assert_eq!(memory, output(&tape, 2));
}

#[test]
fn a_completion_repeats_the_reference_of_its_call() {
    // The last digit is the first, so one entry and the next read as the number from its other end.
    let words = |text: &[u8]| {
        let mut reference = [0_u64; 8];
        for (at, word) in text.chunks(8).enumerate() {
            let mut bytes = [0; 8];
            bytes[..word.len()].copy_from_slice(word);
            reference[3 + at] = u64::from_le_bytes(bytes);
        }
        reference
    };
    let reference = words(b"771856047");
    let call = Call {
        selector: 5,
        scalars: Scalars::EMPTY,
        scalar_count: 0,
        input: Structure::None,
        scalars_asked: 0,
        output: OutputKind::None,
    };
    let mut events = Events::default();
    let enter = Body::AsyncCall { call, queue: Some(1), reference: Some(reference.to_vec()) };
    let enter = events.add(None, enter);
    let posted = Body::Posted {
        ordinal: 1,
        status: IoReturn::SUCCESS,
        arguments: Scalars::EMPTY,
        reference,
    };
    events.add(Some(enter), posted);
    let mut tape = events.tape();
    let values = [PrivateValue::of_text("740658177").unwrap()];
    redact(&mut tape, &RedactionPolicy::new(), &values, &KEY).unwrap();
    let (Body::AsyncCall { reference: Some(of_call), .. }, Body::Posted { reference: back, .. }) =
        (&tape.events()[0].body, &tape.events()[1].body)
    else {
        panic!("{tape:?}")
    };
    assert_eq!(of_call[..], back[..]);
    assert_ne!(*back, reference);
}

/// Redacts, and gives the report.
fn redacted(tape: &mut Tape, values: &[PrivateValue]) -> dextape_lab::Redacted {
    let report = redact(tape, &RedactionPolicy::new(), values, &KEY).unwrap();
    assert_eq!(find_private(tape, values, 10).unwrap(), []);
    report
}

#[test]
fn pieces_that_two_threads_hand_in_by_turns_are_found_lane_by_lane() {
    let mut events = Events::default();
    events.call(1, b"", &[], SERIAL.as_bytes());
    for (index, piece) in SERIAL.as_bytes().chunks(3).enumerate() {
        events.call(2, piece, &[], b"");
        events.call(2, &[0x80 + index as u8; 2], &[], b"");
        let count = events.0.len();
        events.0[count - 2..].iter_mut().for_each(|event| event.lane = 2);
    }
    let mut tape = events.tape();
    let values = [PrivateValue::of_text(SERIAL).unwrap()];
    let leaks = find_private(&mut tape, &values, 10).unwrap();
    assert_eq!(leaks.iter().map(|leak| leak.event).collect::<Vec<_>>(), [Some(2), Some(3)]);
    redacted(&mut tape, &values);
    let pieces: Vec<u8> = (0..4).flat_map(|piece| input(&tape, 3 + 4 * piece).to_vec()).collect();
    assert_eq!(pieces, output(&tape, 2));
}

#[test]
fn bytes_in_a_text_leave_it_as_long_as_it_was() {
    // A key that happens to be UTF-8, and a name of one letter over and over.
    for bytes in
        [b"\x16k\x7fW\xc3\xa5pk".as_slice(), "ééé".as_bytes(), "éé".as_bytes(), b"\x01\x02\x03"]
    {
        let text = std::str::from_utf8(bytes).unwrap();
        let mut events = Events::default();
        let key = Some("Serial".to_owned());
        events.add(None, Body::Property { service: 1, key, outcome: Ok(Some(text.into())) });
        events.call(1, bytes, &[], bytes);
        let mut tape = events.tape();
        let rules =
            "properties = ['Serial']\n[[fields]]\nplace = 'output'\n[[fields]]\nplace = 'input'";
        redact(&mut tape, &policy(rules), &[], &KEY).unwrap();
        let Body::Property { outcome: Ok(Some(Value::String(other))), .. } = &tape.events()[0].body
        else {
            panic!("{tape:?}")
        };
        assert!(other != text && other.len() == text.len(), "{text:?}: {other:?}");
        assert_eq!((input(&tape, 2), output(&tape, 3)), (other.as_bytes(), other.as_bytes()));
    }
}

#[test]
fn a_copy_is_not_put_together_of_parts_of_several_values() {
    // The digits of both cases have the first bytes in common, and the first byte of memory was always zero.
    let digits = |text: &str| text.bytes().flat_map(|byte| [0, byte]).collect::<Vec<u8>>();
    let (upper, lower) = ("69 64 69 6E 62 64 64 79 63", "69 64 69 6e 62 64 64 79 63");
    let mut events = Events::default();
    let patch = Body::Patch {
        memory: 1,
        offset: 0x401,
        data: Payload::bytes(&digits(upper)[1..]),
        read: 1,
        last_equal: None,
        unattributed: false,
    };
    events.add(None, patch);
    events.call(1, &digits(upper), &[], &digits(lower));
    let mut tape = events.tape();
    redacted(&mut tape, &[PrivateValue::of_text("idinbddyc").unwrap()]);
    let Body::Patch { data, .. } = &tape.events()[0].body else { panic!("{tape:?}") };
    assert_eq!(&input(&tape, 2)[1..], data.as_bytes().unwrap());
    assert_ne!(input(&tape, 2), output(&tape, 3));
}

#[test]
fn what_stands_in_the_words_of_one_call_goes_before_what_their_halves_give() {
    // Behind `J9` and behind `fZ` stands a three; `3dW1x` is what base64 gives of the name.
    let text = b"aT7Kclq8oJ935fZ3dW1x/Q==";
    let words: Vec<u64> =
        text.chunks(8).map(|word| u64::from_le_bytes(word.try_into().unwrap())).collect();
    let mut events = Events::default();
    events.call(1, b"", &words, text);
    let mut tape = events.tape();
    redacted(&mut tape, &[PrivateValue::of_text("wumq").unwrap()]);
    let Body::Return(returned) = &tape.events()[1].body else { panic!("{tape:?}") };
    let bytes: Vec<u8> = returned.scalars.iter().flat_map(|word| word.to_le_bytes()).collect();
    assert_eq!(bytes, output(&tape, 2));
    assert_ne!(bytes, text);
}

#[test]
fn a_value_is_found_wherever_the_words_begin_whose_bytes_are_turned() {
    for word in [2, 4, 8] {
        for before in 0..word {
            let mut bytes = vec![b'~'; before];
            bytes.extend(SERIAL.as_bytes());
            bytes.resize(24, b'~');
            bytes.chunks_mut(word).for_each(<[u8]>::reverse);
            let mut events = Events::default();
            events.call(1, b"", &[], &bytes);
            let mut tape = events.tape();
            let values = [PrivateValue::of_text(SERIAL).unwrap()];
            assert_eq!(find_private(&mut tape, &values, 10).unwrap().len(), 1, "{word}, {before}");
            redacted(&mut tape, &values);
            let kept = |byte: &&u8| **byte == b'~';
            assert_eq!(output(&tape, 2).iter().filter(kept).count(), 12, "{word}, {before}");
        }
    }
}

#[test]
fn a_pseudonym_that_reads_like_another_value_is_not_taken() {
    // In words of four from the fourth byte on, the first address under this key reads `pznmd`.
    let (address, name) = ("tazu.tsw@quist.example", "pznmd");
    let key = Pseudonym::new([7; 32]);
    let values = [address, name].map(|text| PrivateValue::of_text(text).unwrap());
    let mut events = Events::default();
    let words = [b"tazu.tsw", b"@quist.e", b"xample\0\0"].map(|word| u64::from_le_bytes(*word));
    events.call(1, address.as_bytes(), &words, b"");
    let mut tape = events.tape();
    redact(&mut tape, &RedactionPolicy::new(), &values, &key).unwrap();
    assert_eq!(find_private(&mut tape, &values, 10).unwrap(), []);
    assert_ne!(input(&tape, 1), values[0].pseudonym(&key).bytes());
    let Body::Return(returned) = &tape.events()[1].body else { panic!("{tape:?}") };
    let bytes: Vec<u8> = returned.scalars.iter().flat_map(|word| word.to_le_bytes()).collect();
    assert_eq!(&bytes[..22], input(&tape, 1));
}

#[test]
fn a_hash_of_what_may_have_held_a_value_is_taken_out() {
    let write = |data| Body::Write { memory: 1, offset: 0, width: None, data };
    let hash = Payload::Hash { digest: Digest::of(SERIAL.as_bytes()), length: 5000 };
    let values = [PrivateValue::of_text(SERIAL).unwrap()];
    for (given, stays) in [(SERIAL, false), ("other", true)] {
        let mut events = Events::default();
        events.call(1, b"", &[], given.as_bytes());
        events.add(None, write(hash.clone()));
        let mut tape = events.tape();
        redacted(&mut tape, &values);
        let wanted = if stays { hash.clone() } else { Payload::Redacted { length: 5000 } };
        assert_eq!(tape.events()[2].body, write(wanted));
    }
}

#[test]
fn the_remark_about_a_redaction_is_no_leak_itself() {
    let mut events = Events::default();
    events.call(1, b"", &[], b"<places>");
    let mut tape = events.tape();
    redacted(&mut tape, &[PrivateValue::of_text("places").unwrap()]);
    assert_eq!(tape.header().redactions, ["1 / 0"]);
}

#[test]
fn what_stands_in_one_scalar_goes_before_what_two_give() {
    // The low halves of both read as the name, too.
    let words = [*b"bysjz\0\0\0", *b"zjsyb\0\0\0"].map(u64::from_le_bytes);
    let mut events = Events::default();
    events.call(1, b"", &words[..1], b"");
    events.call(1, b"", &words[1..], b"bysjz");
    let mut tape = events.tape();
    redacted(&mut tape, &[PrivateValue::of_text("bysjz").unwrap()]);
    let Body::Return(returned) = &tape.events()[1].body else { panic!("{tape:?}") };
    assert_eq!(returned.scalars[0].to_le_bytes()[..5], *output(&tape, 4));
}

#[test]
fn whole_copies_in_pieces_go_before_parts_in_one() {
    let digits: String = SERIAL.bytes().map(|byte| format!("{byte:02x}")).collect();
    let mut events = Events::default();
    events.call(1, b"", &[], digits.as_bytes());
    for piece in digits.as_bytes().chunks(18) {
        events.call(2, piece, &[], b"");
    }
    let mut tape = events.tape();
    redacted(&mut tape, &[PrivateValue::of_text(SERIAL).unwrap()]);
    assert_eq!([input(&tape, 3), input(&tape, 5)].concat(), output(&tape, 2));
}
