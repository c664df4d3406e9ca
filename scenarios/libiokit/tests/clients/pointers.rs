//! A client whose structure carries a pointer and a token of its own, with a file that says so.

use crate::program::{Program, trial};
use dextape::tape::{Body, Pointed, Tape};
use libtest_mimic::Trial;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("pointers::what_they_lead_to_is_recorded_and_replayed", &["gcc"], replayed),
        trial("pointers::other_bytes_behind_one_diverge", &["gcc"], other_bytes),
        trial("pointers::another_token_later_diverges", &["gcc"], other_token),
        trial("pointers::without_annotations_they_are_compared_as_they_are", &["gcc"], plain),
        trial("pointers::a_file_that_is_none_is_told_with_its_place", &["gcc"], broken),
    ]
}

/// What the fields of selector 13 are.
const ANNOTATIONS: &str = r#"
format = 1
name = "boundary probe"
[selectors.13]
name = "follow"
input = "Request"
outputs = [{ name = "token", kind = "handle" }, "sum"]
[structures.Request]
fields = [
    { name = "token", type = "u64", kind = "handle" },
    { name = "source", type = "u64", kind = "pointer", length = "count" },
    { name = "room", type = "u64", kind = "pointer", length = "count" },
    { name = "count", type = "u32" },
    { name = "moment", type = "u32", kind = "volatile" },
]
"#;

/// Has the dext read what one pointer leads to, and write it in capitals to where the other one leads. The
/// second half of the room is never written. The token is an address, too, and differs in each run as the
/// others do: what is asked for first is of a length that the process's number decides.
const CLIENT: &str = "\
    struct { uint64_t token; void *source, *room; uint32_t count, moment; } request = {0};\n\
    void *moves = malloc(64 + (getpid() % 4096) * 48); (void)moves;\n\
    io_connect_t connect = open_service(find(\"BoundaryProbe\"));\n\
    char *source = malloc(16), *room = malloc(16); int *token = malloc(4);\n\
    for (int i = 0; i < 2; i++) {\n\
      strcpy(source, i ? SECOND : \"hello dext\"); memset(room, '.', 16); room[15] = 0;\n\
      request.token = (uintptr_t)(i ? LATER : token), request.source = source, request.room = room;\n\
      request.count = 6, request.moment = getpid();\n\
      uint64_t out[2] = {0}; uint32_t count = 2;\n\
      kern_return_t kr = IOConnectCallMethod(connect, 13, NULL, 0, &request, sizeof request, out, &count, NULL, NULL);\n\
      printf(\"%x %d %u %s\\n\", (unsigned)kr, out[0] == request.token, (unsigned)out[1], room);\n\
    }\n\
    printf(\"%x\\n\", (unsigned)IOServiceClose(connect));\n";

fn client(second: &str, later: &str) -> Program {
    let head = format!("#define SECOND \"{second}\"\n#define LATER ({later})\n#include <unistd.h>");
    Program::c_with(&head, CLIENT)
}

fn same() -> Program {
    client("goodbye", "token")
}

/// Records the client with annotations; what it printed.
fn tape() -> (Program, String, String) {
    let program = same();
    std::fs::write(program.path("probe.toml"), ANNOTATIONS).unwrap();
    let tape = program.path("t.tape.jsonl").to_str().unwrap().to_owned();
    let program = program.on("boundary-probe").set("DEXTAPE_ANNOTATIONS", "probe.toml");
    let program = program.set("DEXTAPE_RECORD", &tape);
    let said = program.run().well().to_owned();
    (program, tape, said)
}

fn replayed() {
    let (_folder, path, said) = tape();
    // "hello " is 532 + 32, and its capitals are what is printed.
    let sum = |text: &str| text.bytes().map(u32::from).sum::<u32>();
    let first = format!("0 1 {} HELLO .........\n", sum("hello "));
    let second = format!("0 1 {} GOODBY.........\n", sum("goodby"));
    assert_eq!(said, format!("{first}{second}0\n"));
    let tape = Tape::read(path.as_ref()).unwrap();
    assert!(tape.validate().is_valid(), "{}", tape.validate());
    let pointed = |wanted: fn(&Body) -> bool| -> Vec<Vec<u8>> {
        let events = tape.events().iter().filter(|event| wanted(&event.body));
        events.flat_map(|event| Pointed::of(event).unwrap()).map(|it| it.data).collect()
    };
    let given = pointed(|body| matches!(body, Body::Call(_)));
    assert_eq!(given, [&b"hello "[..], b"......", b"goodby", b"......"]);
    assert_eq!(pointed(|body| matches!(body, Body::Return(_))), [&b"HELLO "[..], b"GOODBY"]);

    for _ in 0..3 {
        let replay = same().set("DEXTAPE_TAPE", &path).set("DEXTAPE_STRICT", "1").run();
        assert_eq!(replay.well(), said);
    }
}

fn other_bytes() {
    let (_folder, path, _) = tape();
    let ran = client("goodbYe", "token").set("DEXTAPE_TAPE", &path).run();
    assert_eq!(ran.code, Some(101), "{ran}");
    assert!(ran.out.starts_with("0 1 ") && ran.out.lines().count() == 1, "{ran}");
    // What lies behind the counted bytes is not the dext's.
    let ran = client("goodbyX", "token").set("DEXTAPE_TAPE", &path).run();
    ran.well();
}

fn other_token() {
    let (_folder, path, _) = tape();
    let ran = client("goodbye", "token + 1").set("DEXTAPE_TAPE", &path).run();
    assert_eq!((ran.code, ran.out.lines().count()), (Some(101), 1), "{ran}");
    assert!(ran.err.contains("differs"), "{ran}");
}

fn plain() {
    let program = same().on("boundary-probe");
    let tape = program.path("t.tape.jsonl").to_str().unwrap().to_owned();
    let program = program.set("DEXTAPE_RECORD", &tape);
    program.run().well();
    let ran = same().set("DEXTAPE_TAPE", &tape).run();
    assert_eq!(ran.code, Some(101), "{ran}");
}

fn broken() {
    let program = same().on("boundary-probe").set("DEXTAPE_ANNOTATIONS", "probe.toml");
    std::fs::write(program.path("probe.toml"), "format = 1\n[selectors.13]\nname = 7\n").unwrap();
    let program = program.set("DEXTAPE_RECORD", "t.tape.jsonl").set("DEXTAPE_LEAKS", "no");
    let ran = program.run();
    assert!(ran.err.contains("probe.toml") && ran.err.contains("line 3"), "{ran}");
}
