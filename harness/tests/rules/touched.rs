//! Which rules a run touches: the test of a rule does, and a call does where the rule decides of it.

use crate::{caught, registry};
use dextape::IoReturn;
use dextape::boundary::library::{Stop, send};
use dextape::boundary::{
    Arrival, CallShape, ClientRange, ClientReply, DextReply, Pointer, ReferenceShape, Rule,
    RuleSet, RuleTrace, Rules, StructureShape, WakePort, arrival, refused, reply,
};
use libtest_mimic::{Failed, Trial};

/// Calls that are looked at.
const CALLS: u64 = 4_000;

/// Rules that are touched wherever their situation comes up, and not only where the imitation that a
/// test puts in their place does otherwise: they say how each such call goes.
const OF_EACH: &[Rule] =
    &[Rule::A8, Rule::B1, Rule::B3, Rule::B4, Rule::B7, Rule::B9, Rule::B11, Rule::D3];

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials: Vec<_> = registry().into_iter().map(of_its_test).collect();
    trials.push(Trial::test("touched::a_call_touches_the_rules_that_decide_of_it", decide));
    trials.push(Trial::test("touched::systems_do_not_mix", apart));
    trials
}

fn new_trace() -> &'static RuleTrace {
    // A few words for each trial.
    Box::leak(Box::new(RuleTrace::new()))
}

/// With the rule off its test fails, so in its test something hangs on it.
fn of_its_test((rule, test): crate::RuleTest) -> Trial {
    Trial::test(format!("rule::{rule}::touched"), move || {
        let trace = new_trace();
        caught(|| test(Rules::all().with_trace(trace)))?;
        match trace.touched().has(rule) {
            true => Ok(()),
            false => Err(format!("the test of {rule} touches {} only", trace.touched()).into()),
        }
    })
}

/// Two traces of one thread have what was done with each.
fn apart() -> Result<(), Failed> {
    let (one, other) = (new_trace(), new_trace());
    let too_many = CallShape::scalar(17, None);
    let dead = Err(IoReturn::MACH_SEND_INVALID_DEST);
    assert!(send(Rules::all().with_trace(one), &too_many, Ok(())).is_err());
    assert!(send(Rules::all().with_trace(other), &too_many, dead).is_err());
    assert_eq!(one.touched(), [Rule::A2].into_iter().collect());
    assert_eq!(other.touched(), [Rule::A2, Rule::A18].into_iter().collect());
    Ok(())
}

/// A call from the client to the dext and back.
#[derive(Debug)]
struct Call {
    shape: CallShape,
    connection: Result<(), IoReturn>,
    selector: u32,
    dext: DextReply,
}

/// What became of it.
type Outcome = (Result<(Arrival, Option<ClientReply>), Stop>, Option<ClientReply>);

impl Call {
    /// The call of a number: its parts are chosen by a generator of which only the spread matters.
    fn of(number: u64) -> Self {
        let mut state = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut below = |count: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % count
        };
        macro_rules! one_of {
            ($($value:expr),+ $(,)?) => {{
                let values = [$($value),+];
                values[below(values.len() as u64) as usize]
            }};
        }
        let ranges = [ClientRange::Null, ClientRange::Somewhere, ClientRange::Absurd];
        let success = IoReturn::SUCCESS;
        let dead = (Err(IoReturn::MACH_SEND_INVALID_DEST), Err(IoReturn::BAD_ARGUMENT));
        let reference = ReferenceShape {
            wake_port: one_of![WakePort::Null, WakePort::Own, WakePort::Foreign],
            pointer: one_of![Pointer::Null, Pointer::Present],
            count: one_of![0, 1, 8, 9],
        };
        Self {
            shape: CallShape {
                scalars: one_of![Pointer::Null, Pointer::Present, Pointer::Present],
                scalar_count: one_of![0, 0, 1, 16, 17],
                structure: StructureShape {
                    range: one_of![ranges[0], ranges[1], ranges[2]],
                    size: one_of![0, 1, 4, 4096, 4097, 16_384],
                },
                scalar_output: one_of![Pointer::Null, Pointer::Present],
                scalars_asked: one_of![None, Some(0), Some(2), Some(16), Some(20)],
                output: one_of![ranges[0], ranges[1], ranges[2]],
                output_asked: one_of![
                    None,
                    Some(0),
                    Some(10),
                    Some(4096),
                    Some(4097),
                    Some(1 << 32),
                    Some(-3_i64 as u64)
                ],
                reference: one_of![None, None, Some(reference)],
            },
            connection: one_of![Ok(()), Ok(()), Ok(()), dead.0, dead.1],
            selector: one_of![0, 7, u32::MAX],
            dext: DextReply {
                result: one_of![
                    success,
                    success,
                    IoReturn::OFFLINE,
                    IoReturn::MIG_NO_REPLY,
                    IoReturn(0xe3ff_8001)
                ],
                scalar_count: one_of![0, 1, 2, 16],
                structure: one_of![None, Some(0), Some(4), Some(10), Some(5000)],
            },
        }
    }

    fn outcome(&self, rules: Rules) -> Outcome {
        match send(rules, &self.shape, self.connection) {
            Ok(request) => {
                let port = |it: ReferenceShape| it.wake_port != WakePort::Null;
                let port = self.shape.reference.is_some_and(port);
                let seen = arrival(rules, self.selector, &request, port);
                (Ok((seen, reply(rules, &request, &self.dext))), None)
            }
            Err(stop @ Stop::Refused(code)) => (Err(stop), Some(refused(rules, &self.shape, code))),
            Err(stop) => (Err(stop), None),
        }
    }
}

/// Switching off a rule that a call does not touch changes nothing of it, and one that it touches does:
/// but for those that say how each such call goes, and where another rule refuses the call anyhow.
fn decide() -> Result<(), Failed> {
    let mut ever = RuleSet::EMPTY;
    for number in 1..=CALLS {
        let call = Call::of(number);
        let trace = new_trace();
        let kept = call.outcome(Rules::all().with_trace(trace));
        assert_eq!(kept, call.outcome(Rules::all()), "a trace changes something of {call:?}");
        let touched = trace.touched();
        for rule in Rule::ALL.iter().copied() {
            let decides = call.outcome(Rules::all().without(rule)) != kept;
            if decides && !touched.has(rule) {
                return Err(format!("{rule} decides, untouched, of {call:?}").into());
            }
            let answered = matches!(kept.0, Ok((_, Some(_))));
            if answered && touched.has(rule) && !decides && !OF_EACH.contains(&rule) {
                return Err(format!("{rule} is touched, but decides nothing of {call:?}").into());
            }
        }
        ever = ever.iter().chain(touched.iter()).collect();
    }
    let count = ever.len();
    if count < 35 {
        return Err(format!("the calls touch {count} rules only: {ever}").into());
    }
    Ok(())
}
