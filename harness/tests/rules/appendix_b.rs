//! Appendix B of the semantics reference: what Apple's own library and message stubs were seen to do,
//! row by row. What a Rust client cannot express (NULL where it is followed, a port that is no
//! connection, an output that no machine has room for) is asked of the boundary.

use crate::caught;
use crate::kit::{Answer, Bench, Call, OLD_BYTE, OLD_SCALAR, TestDext, set_output};
use dextape::IoReturn;
use dextape::boundary::library::{Destination, Stop, send};
use dextape::boundary::{
    CallShape, CopyOut, DextReply, Pointer, Rules, StructureShape, refused, reply,
};
use dextape::connection::StructureInput;
use dextape::driverkit::{ExternalMethodArguments, OsData};
use libtest_mimic::{Failed, Trial};

type Dext = fn(&mut ExternalMethodArguments<'_>) -> IoReturn;

/// One row.
#[derive(Clone, Copy)]
struct Row {
    case: &'static str,
    call: Call<'static>,
    dext: Dext,
    /// Result, and whether the dext was called.
    result: u32,
    called: bool,
    scalar_count: u32,
    structure_size: u64,
    /// How many scalars and bytes the client finds changed, from the start.
    scalars_written: usize,
    bytes_written: &'static [u8],
}

const NONE: Call<'static> = Call {
    selector: 0,
    scalars: &[],
    structure: StructureInput::None,
    scalars_asked: 0,
    bytes_asked: 0,
    null_asked: None,
};

const ROW: Row = Row {
    case: "",
    call: NONE,
    dext: |_| IoReturn::SUCCESS,
    result: 0,
    called: true,
    scalar_count: 0,
    structure_size: 0,
    scalars_written: 0,
    bytes_written: &[],
};

const ROWS: &[Row] = &[
    Row {
        case: "output_count_20_dext_fills_16",
        call: Call { scalars_asked: 20, ..NONE },
        dext: fill,
        scalar_count: 16,
        scalars_written: 16,
        ..ROW
    },
    Row {
        case: "input_count_17",
        call: Call { scalars: &[0; 17], scalars_asked: 16, ..NONE },
        dext: fill,
        result: 0xffff_fecd,
        called: false,
        scalar_count: 16,
        ..ROW
    },
    Row { case: "everything_null", ..ROW },
    Row {
        case: "asked_4_scalars_dext_sets_1",
        call: Call { scalars_asked: 4, ..NONE },
        dext: |arguments| {
            arguments.scalar_output_count = 1;
            fill(arguments)
        },
        scalar_count: 1,
        scalars_written: 1,
        ..ROW
    },
    Row {
        case: "asked_2_scalars_dext_sets_16",
        call: Call { scalars_asked: 2, ..NONE },
        dext: |arguments| {
            arguments.scalar_output_count = 16;
            fill(arguments)
        },
        scalar_count: 2,
        scalars_written: 2,
        ..ROW
    },
    Row {
        case: "dext_fails_with_outputs_written",
        call: Call { scalars_asked: 4, bytes_asked: 64, ..NONE },
        dext: |arguments| {
            set_output(arguments, 1, 64);
            let _ = fill(arguments);
            IoReturn(0xe000_02d7)
        },
        result: 0xe000_02d7,
        scalar_count: 4,
        structure_size: 64,
        ..ROW
    },
    Row {
        case: "output_unset_asked_64",
        call: Call { bytes_asked: 64, ..NONE },
        structure_size: 64,
        bytes_written: &[0; 64],
        ..ROW
    },
    Row {
        case: "output_10_of_64",
        call: Call { bytes_asked: 64, ..NONE },
        dext: |arguments| sets(arguments, 10),
        structure_size: 10,
        bytes_written: &[1; 10],
        ..ROW
    },
    Row {
        case: "output_65_of_64",
        call: Call { bytes_asked: 64, ..NONE },
        dext: |arguments| sets(arguments, 65),
        result: 0xe000_02c2,
        structure_size: 64,
        ..ROW
    },
    Row {
        case: "in_4096_out_4096",
        call: Call { structure: StructureInput::Bytes(&[7; 4096]), bytes_asked: 4096, ..NONE },
        dext: |arguments| sees(arguments, Some(4096), None, 4096, None),
        structure_size: 4096,
        bytes_written: &[0; 4096],
        ..ROW
    },
    Row {
        case: "in_4097_out_4097",
        call: Call { structure: StructureInput::Bytes(&[7; 4097]), bytes_asked: 4097, ..NONE },
        dext: |arguments| sees(arguments, None, Some(4097), 4097, Some(4097)),
        structure_size: 4097,
        ..ROW
    },
    Row {
        case: "null_in_4097_null_out_4097",
        call: Call {
            structure: StructureInput::Null { size: 4097 },
            null_asked: Some(4097),
            ..NONE
        },
        dext: |arguments| sees(arguments, None, None, 0, None),
        structure_size: 4097,
        ..ROW
    },
    Row {
        case: "out_5000_with_structure_output_of_1",
        call: Call { bytes_asked: 5000, ..NONE },
        dext: |arguments| sets(arguments, 1),
        result: 0xe000_02c2,
        structure_size: 5000,
        ..ROW
    },
    Row {
        case: "out_5000_with_empty_structure_output",
        call: Call { bytes_asked: 5000, ..NONE },
        dext: |arguments| sets(arguments, 0),
        structure_size: 5000,
        ..ROW
    },
];

/// Fills the scalars with their places.
fn fill(arguments: &mut ExternalMethodArguments<'_>) -> IoReturn {
    for (place, scalar) in arguments.scalar_output.iter_mut().enumerate() {
        *scalar = place as u64;
    }
    IoReturn::SUCCESS
}

fn sets(arguments: &mut ExternalMethodArguments<'_>, length: usize) -> IoReturn {
    arguments.structure_output = Some(OsData::with_bytes(&vec![1; length]));
    IoReturn::SUCCESS
}

/// Succeeds where the structures arrive as they should.
fn sees(
    arguments: &mut ExternalMethodArguments<'_>,
    data: Option<usize>,
    descriptor: Option<u64>,
    maximum: u64,
    output_descriptor: Option<u64>,
) -> IoReturn {
    let seen = (
        arguments.structure_input.as_ref().map(|data| data.len()),
        arguments.structure_input_descriptor.as_ref().map(|memory| memory.length()),
        arguments.structure_output_maximum_size,
        arguments.structure_output_descriptor.as_ref().map(|memory| memory.length()),
    );
    if seen == (data, descriptor, maximum, output_descriptor) {
        IoReturn::SUCCESS
    } else {
        IoReturn(0xbad)
    }
}

pub(crate) fn trials() -> impl Iterator<Item = Trial> {
    let rows = ROWS.iter().map(|row| {
        let name = format!("appendix_b::{}", row.case);
        Trial::test(name, move || caught(|| check(row)).map_err(Failed::from))
    });
    let c_rows = C_ROWS.iter().map(|row| {
        let name = format!("appendix_b::{}", row.case);
        Trial::test(name, move || caught(|| check_c(row)).map_err(Failed::from))
    });
    rows.chain(c_rows)
}

/// Every case, and what it goes through.
pub(crate) fn cases() -> impl Iterator<Item = (&'static str, &'static str)> {
    let rows = ROWS.iter().map(|row| (row.case, "mock"));
    rows.chain(C_ROWS.iter().map(|row| (row.case, "boundary")))
}

/// A row that only a C caller can express, by its shape.
struct CRow {
    case: &'static str,
    shape: CallShape,
    port: Destination,
    outcome: COutcome,
}

enum COutcome {
    /// This result, and nothing else changes; the dext is not called.
    Refused(u32),
    /// The client faults before anything is sent.
    FaultBefore,
    /// The dext is called; the client faults when the reply is copied.
    FaultAfter,
}

const C_ROW: CRow = CRow {
    case: "",
    shape: CallShape::structure(StructureShape::NONE, StructureShape::NONE),
    port: Destination::Connection,
    outcome: COutcome::FaultBefore,
};

const C_ROWS: &[CRow] = &[
    CRow {
        case: "out_2_to_the_32",
        shape: CallShape::structure(StructureShape::NONE, StructureShape::of(1 << 32)),
        outcome: COutcome::Refused(0xe000_02bf),
        ..C_ROW
    },
    CRow {
        case: "wrong_kind_of_port",
        shape: CallShape::structure(StructureShape::NONE, StructureShape::of(8)),
        port: Destination::OtherKind,
        outcome: COutcome::Refused(0xe000_02c2),
    },
    CRow {
        case: "null_scalar_in_1",
        shape: CallShape { scalars: Pointer::Null, ..CallShape::scalar(1, None) },
        ..C_ROW
    },
    CRow {
        case: "null_structure_in_8",
        shape: CallShape::structure(StructureShape::null(8), StructureShape::NONE),
        ..C_ROW
    },
    CRow {
        case: "null_scalar_out_1",
        shape: CallShape { scalar_output: Pointer::Null, ..CallShape::scalar(0, Some(1)) },
        outcome: COutcome::FaultAfter,
        ..C_ROW
    },
    CRow {
        case: "null_structure_out_8",
        shape: CallShape::structure(StructureShape::NONE, StructureShape::null(8)),
        outcome: COutcome::FaultAfter,
        ..C_ROW
    },
];

fn check_c(row: &CRow) {
    let rules = Rules::all();
    let sent = send(rules, &row.shape, row.port.check(rules));
    match row.outcome {
        COutcome::Refused(code) => {
            let code = IoReturn(code);
            assert_eq!(sent, Err(Stop::Refused(code)));
            let answer = refused(rules, &row.shape, code);
            assert_eq!((answer.result, answer.fault), (code, false));
            assert_eq!((answer.scalar_count, answer.structure_size), (None, None));
            assert_eq!(answer.structure, CopyOut::Untouched);
        }
        COutcome::FaultBefore => assert_eq!(sent, Err(Stop::Fault)),
        COutcome::FaultAfter => {
            let (result, structure) = (IoReturn::SUCCESS, None);
            let dext = DextReply { result, scalar_count: 1, structure };
            assert!(reply(rules, &sent.unwrap(), &dext).unwrap().fault);
        }
    }
}

fn check(row: &'static Row) {
    let calls = crate::kit::Log::new();
    let called = calls.clone();
    let dext = TestDext::new().method(move |_, arguments| {
        called.push(());
        (row.dext)(arguments)
    });
    let answer = Bench::connected(Rules::all(), &dext, |_, connection| row.call.sync(connection));
    let mut scalars = vec![OLD_SCALAR; row.call.scalars_asked];
    for (place, scalar) in scalars.iter_mut().take(row.scalars_written).enumerate() {
        *scalar = place as u64;
    }
    let mut expected = row.bytes_written.to_vec();
    expected.resize(row.call.bytes_asked, OLD_BYTE);
    let expected = Answer {
        result: IoReturn(row.result),
        scalar_count: row.scalar_count,
        structure_size: row.structure_size,
        scalars,
        bytes: expected,
    };
    assert_eq!(answer, expected);
    assert_eq!(calls.take().len(), usize::from(row.called));
}
